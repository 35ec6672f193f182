"""A stolen password on the running service: suspended across a restart, shown, lifted, and the mail goes again."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.papers import paper
from tests.schemas import problems
from tests.servers.process import wait_until
from tests.servers.relay import Relay

pytestmark = pytest.mark.e2e
CLERK = "vpubnd@hoabinh.gov.vn"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    office = Relay(tmp_path / "office")
    settings = office.folder / "mailrelay.toml"
    text = settings.read_text()
    for name, default, value in (("recipients", "1000", "2"), ("suspend_after", "100", "2")):
        head, _, quota = text.partition("[quota]")
        assert f"# {name} = {default}" in quota
        text = f"{head}[quota]" + quota.replace(f"# {name} = {default}", f"{name} = {value}", 1)
    settings.write_text(text)
    office.start()
    yield office
    office.close()
    if office.log.exists():
        print(office.log.read_text()[-6000:])


def answer(relay: Relay, number: int) -> bytes:
    """Send one mail to the outside; b"" when it was taken, else what the door said."""
    recipient = f"ai{number}@khac.example"
    with relay.client("vpubnd") as client:
        try:
            client.sendmail(CLERK, [recipient], paper(CLERK, recipient, f"{number}/BC-UBND", "quảng cáo"))
        except smtplib.SMTPRecipientsRefused as refused:
            return refused.recipients[recipient][1]
    return b""


def test_a_suspension_outlives_a_restart_and_is_lifted_by_an_admin(relay: Relay) -> None:
    assert [answer(relay, number) for number in range(2)] == [b"", b""]
    assert b"[quota-exceeded]" in answer(relay, 2)
    assert relay.stop() == 0
    relay.start()
    assert b"[quota-exceeded]" in answer(relay, 3)  # what was sent is not forgotten
    assert b"[login-suspended]" in answer(relay, 4)
    wait_until(lambda: relay.json("queue", "suspended")["suspended"], "the suspension in the store")
    relay.kill()
    relay.start()
    assert b"[login-suspended]" in answer(relay, 5)
    shown = relay.json("queue", "suspended")
    assert problems("queue-suspended", shown) == [] and [row["login"] for row in shown["suspended"]] == ["vpubnd"]
    lifted = relay.json("queue", "lift", CLERK)
    assert problems("queue-lift", lifted) == [] and lifted == {"login": "vpubnd"}
    assert relay.json("queue", "suspended") == {"suspended": []}
    assert answer(relay, 6) == b""
    assert relay.command("queue", "lift", "khong-co").returncode == 1
    wait_until(
        lambda: any(b"X-Mailrelay-Receipt: alert" in m for m in relay.mails("vpubnd")),
        "the notice",
    )
