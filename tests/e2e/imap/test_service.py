"""The whole service beside a Dovecot whose boxes it polls: one paper is one document, whatever ways it comes by."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.papers import paper
from tests.servers.dovecot import Dovecot
from tests.servers.process import LOOPBACK, wait_until
from tests.servers.province import add_account, deliver_to
from tests.servers.relay import Relay

pytestmark = pytest.mark.e2e

MINISTRY, PROVINCE = "vanthu@bo.example", "vpubnd@hoabinh.gov.vn"

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


# (box on the Dovecot, owner) -> more of the account
ACCOUNTS: dict[tuple[str, str], dict[str, Any]] = {
    ("svc-sotc", "sotc"): {},
    ("svc-sokhdt", "sokhdt"): {},
    ("svc-soyt", "soyt"): {},
    ("yenthuy", "yenthuy"): {},
    ("svc-drop", "caophong"): {
        "purpose": "outgoing",
        "folder": "Gửi đi",
        "done_folder": "Đã gửi",
        "failed_folder": "Lỗi",
    },
}


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot, new_store: Callable[[], str]) -> Iterator[Relay]:
    """A service that polls five boxes; it delivers to one of them itself."""
    office = Relay(tmp_path_factory.mktemp("service") / "office", store=new_store())
    deliver_to(office.folder, "yenthuy@hoabinh.gov.vn", f"lmtp://{LOOPBACK}:{dovecot.lmtp_port}")
    for (user, owner), more in ACCOUNTS.items():
        poll(office, dovecot, user, f"{owner}@hoabinh.gov.vn", **more)
    office.start()
    yield office
    office.close()
    print(office.log.read_text()[-6000:])  # shown when a test fails


def poll(relay: Relay, dovecot: Dovecot, user: str, owner: str, **more: Any) -> None:
    """Have a box of the Dovecot polled for its owner."""
    known = {"name": user, "host": LOOPBACK, "port": dovecot.port, "tls": "none", "user": user, "purpose": "incoming"}
    add_account(relay.folder, dovecot.password, **{**known, "owner": owner, **more})


def endings(relay: Relay, *users: str) -> list[str]:
    found = relay.rows("SELECT account, outcome FROM poll_outcome WHERE uid > 0")
    return sorted(ending for account, ending in found if account in users)


def entries(relay: Relay, number: str) -> list[tuple[str, str]]:
    """(agency, book) of every entry of the document with this number."""
    found = relay.rows("SELECT agency, book, document FROM register_entry")
    return sorted(
        (agency, book) for agency, book, document in found if json.loads(document)["code"]["number"] == number
    )


def test_one_mail_in_several_of_our_boxes(relay: Relay, dovecot: Dovecot) -> None:
    """One document; one entry for each receiving agency."""
    users = ("svc-sotc", "svc-sokhdt", "svc-soyt")
    mail = paper(MINISTRY, "sotc@hoabinh.gov.vn, sokhdt@hoabinh.gov.vn", "1779/BTTTT-CNTT", "số liệu", attachment=PDF)
    for user in users:
        dovecot.deliver(user, mail, sender=MINISTRY)
    wait_until(lambda: endings(relay, *users) == ["taken"] * 3, "three mails", 40)
    assert entries(relay, "1779") == [("sokhdt", "incoming"), ("sotc", "incoming"), ("soyt", "incoming")]


def test_what_we_delivered_ourselves_is_not_taken_again(relay: Relay, dovecot: Dovecot) -> None:
    """Neither the paper nor its slip: a slip that is taken would be the cause of the next one, without end."""
    owner = "yenthuy@hoabinh.gov.vn"
    with relay.client("vpubnd") as client:
        client.sendmail(PROVINCE, [owner], paper(PROVINCE, owner, "61/KH-UBND", "trao đổi văn bản điện tử"))
    wait_until(lambda: endings(relay, "yenthuy") == ["own", "own"], "both mails", 40)
    assert entries(relay, "61") == [("ubnd-tinh", "outgoing"), ("yenthuy", "incoming")]
    wait_until(lambda: _all_marked(dovecot, "yenthuy"), "the marks", 20)


def test_a_drop_folder(relay: Relay, dovecot: Dovecot) -> None:
    """For a client that has no account for sending: recipients stand in the header, and nobody hears a refusal."""
    owner = "caophong@hoabinh.gov.vn"
    wire = "G&Hu0-i &ARE-i"
    wait_until(lambda: _exists(dovecot, "svc-drop", wire), "the drop folder", 20)
    good = paper(owner, "soyt@hoabinh.gov.vn", "12/BC-UBND", "kết quả thực hiện")
    unclear = paper(owner, "soyt@hoabinh.gov.vn", "13/BC-UBND", "x").replace(b"To: soyt@", b"To: So Y te soyt@")
    dovecot.append("svc-drop", wire, good, unclear)
    wait_until(lambda: endings(relay, "svc-drop") == ["refused", "taken"], "both mails", 40)
    wait_until(lambda: any(raw.endswith(good) for raw in relay.mails("soyt")), "the delivery", 20)
    assert entries(relay, "12") == [("caophong", "outgoing"), ("soyt", "incoming")]
    assert entries(relay, "13") == []
    wait_until(lambda: len(dovecot.flags("svc-drop", "&ARAA4w- g&Hu0-i")) == 1, "the done folder", 10)
    assert len(dovecot.flags("svc-drop", "L&Htc-i")) == 1


def test_killed_between_commit_and_mark(tmp_path: Path, dovecot: Dovecot, new_store: Callable[[], str]) -> None:
    office = Relay(tmp_path / "office", store=new_store())
    poll(office, dovecot, "svc-killed", "yenthuy@hoabinh.gov.vn")
    mails = [
        paper(MINISTRY, "yenthuy@hoabinh.gov.vn", f"{number}/BTTTT-CNTT", "thu thập số liệu", attachment=PDF)
        for number in range(1800, 1805)
    ]
    dovecot.deliver("svc-killed", *mails, sender=MINISTRY)
    try:
        office.start(failpoint="accept.after-commit@2:exit")
        office.child.wait(40)
        assert office.rows("SELECT count(*) FROM message WHERE door = 'imap'")[0][0] >= 1
        assert not any("$Registered" in flags for flags in dovecot.flags("svc-killed").values())
        office.start()
        wait_until(lambda: endings(office, "svc-killed") == ["taken"] * 5, "five mails", 40)
        assert office.rows("SELECT count(*) FROM message WHERE door = 'imap'") == [(5,)]
        for number in range(1800, 1805):
            assert entries(office, str(number)) == [("yenthuy", "incoming")]
        wait_until(lambda: _all_marked(dovecot, "svc-killed"), "the marks", 20)
    finally:
        office.close()


def _all_marked(dovecot: Dovecot, user: str) -> bool:
    return all("$Registered" in flags for flags in dovecot.flags(user).values())


def _exists(dovecot: Dovecot, user: str, folder: str) -> bool:
    with dovecot.session(user) as client:
        return client.select(f'"{folder}"', readonly=True)[0] == "OK"
