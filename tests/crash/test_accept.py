"""A mail that got 250 is registered once and delivered, whatever kills the service between its steps."""

from __future__ import annotations

import re
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.process import wait_until
from tests.servers.relay import Relay

pytestmark = pytest.mark.crash

SENDER, RECEIVER = "sotc@hoabinh.gov.vn", "sokhdt@hoabinh.gov.vn"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    office = Relay(tmp_path / "office")
    yield office
    office.close()


def _paper(number: int) -> bytes:
    return (
        f"From: <{SENDER}>\r\nTo: <{RECEIVER}>\r\nMessage-ID: <crash-{number}@may-tram.example>\r\n"
        f"Date: Sun, 22 Nov 2026 10:00:00 +0700\r\nSubject: {number}/BC-STC V/v thu nghiem\r\n\r\n"
        f"Token-{number:05d} end\r\n"
    ).encode()


def _send(relay: Relay, numbers: Iterator[int], acknowledged: list[int], stop: threading.Event) -> None:
    """Send papers until the numbers end; keep the number of each that got 250. A dead server is tried again."""
    client: smtplib.SMTP | None = None
    for number in numbers:
        while not stop.is_set():
            try:
                client = client or relay.client("sotc")
                client.sendmail(SENDER, [RECEIVER], _paper(number))
            except (OSError, smtplib.SMTPException, ValueError):
                client = None
                time.sleep(0.1)
            else:
                acknowledged.append(number)
                break


def _delivered(relay: Relay) -> Counter[int]:
    tokens = (re.search(rb"Token-(\d+) end", mail) for mail in relay.mails("sokhdt"))
    return Counter(int(token[1]) for token in tokens if token)


def _registered(relay: Relay) -> tuple[Counter[str], list[int]]:
    """How often each number stands in the sender's outgoing book, and the running numbers of that book."""
    rows = relay.json("register", "list", "--agency", "STC", "--book", "di", "--limit", "1000")["entries"]
    return Counter(row["code"]["number"] for row in rows), [row["seq"] for row in rows]


def _settled(relay: Relay) -> bool:
    counts = relay.json("queue", "list")["counts"]
    return not any(counts.get(state) for state in ("queued", "sending", "deferred"))


@pytest.mark.parametrize(
    "failpoint",
    [
        "spool.finish",
        "accept.before-commit",
        "writer.before-sync",
        "writer.before-commit",
        "writer.after-commit",
        "accept.after-commit",
        "accept.before-reply",
        "deliver.before-send",
        "deliver.after-send",
        "deliver.after-settle",
        "reply.after-commit",
    ],
)
def test_a_failpoint_loses_and_doubles_nothing(relay: Relay, failpoint: str) -> None:
    # The start itself writes once; later hits fall between mails, deliveries and receipts as they come.
    hit = 5 if failpoint.startswith("writer.") else 2
    relay.start(f"{failpoint}@{hit}:exit")
    acknowledged: list[int] = []
    stop = threading.Event()
    sender = threading.Thread(target=_send, args=(relay, iter(range(1, 7)), acknowledged, stop))
    sender.start()
    try:
        assert relay.child.wait(30) == 77
        relay.start()
        sender.join(30)
    finally:
        stop.set()
        sender.join(30)
    wait_until(lambda: _settled(relay), "an empty queue", 30)
    registered, numbers = _registered(relay)
    assert sorted(acknowledged) == [1, 2, 3, 4, 5, 6]
    assert registered == {str(number): 1 for number in range(1, 7)}
    assert sorted(numbers) == list(range(1, 7))
    assert set(_delivered(relay)) == set(range(1, 7))
    assert relay.stop() == 0


def test_kill_9_while_200_mails_are_being_sent(relay: Relay) -> None:
    relay.start()
    acknowledged: list[int] = []
    stop = threading.Event()
    shares = [iter(range(first, 201, 4)) for first in range(1, 5)]
    senders = [threading.Thread(target=_send, args=(relay, share, acknowledged, stop)) for share in shares]
    for sender in senders:
        sender.start()
    try:
        for goal in (20, 60, 110):
            wait_until(lambda goal=goal: len(acknowledged) >= goal, f"{goal} mails", 60)
            relay.kill()
            relay.start()
        for sender in senders:
            sender.join(90)
    finally:
        stop.set()
    wait_until(lambda: _settled(relay), "an empty queue", 60)
    registered, numbers = _registered(relay)
    assert sorted(acknowledged) == list(range(1, 201))
    assert registered == {str(number): 1 for number in range(1, 201)}
    assert sorted(numbers) == list(range(1, 201))
    delivered = _delivered(relay)
    assert set(delivered) == set(range(1, 201))
    # A Maildir delivery that is done again after a crash is the same file: nothing is doubled.
    assert max(delivered.values()) == 1
