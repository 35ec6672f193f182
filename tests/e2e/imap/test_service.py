"""The whole service beside a Dovecot whose boxes it polls: one paper is one document, whatever ways it comes by."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
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
NUMBER = "document ->> '$.code.number'"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    office = Relay(tmp_path / "office")
    yield office
    office.close()
    if office.log.exists():
        print(office.log.read_text()[-6000:])  # shown when the test fails


def poll(relay: Relay, dovecot: Dovecot, user: str, owner: str, **more: Any) -> None:
    """Have a box of the Dovecot polled for its owner."""
    known = {"name": user, "host": LOOPBACK, "port": dovecot.port, "tls": "none", "user": user, "purpose": "incoming"}
    add_account(relay.folder, dovecot.password, **{**known, "owner": owner, **more})


def rows(relay: Relay, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the running service's store."""
    with sqlite3.connect(f"file:{relay.folder}/data/mailrelay.db?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def endings(relay: Relay) -> list[str]:
    return sorted(ending for (ending,) in rows(relay, "SELECT outcome FROM poll_outcome WHERE uid > 0"))


def test_one_mail_in_several_of_our_boxes(relay: Relay, dovecot: Dovecot) -> None:
    """One document; one entry for each receiving agency; a second box of the same agency is a second arrival."""
    boxes = {"svc-sotc": "sotc", "svc-sokhdt": "sokhdt", "svc-yenthuy": "yenthuy"}
    for user, owner in boxes.items():
        poll(relay, dovecot, user, f"{owner}@hoabinh.gov.vn")
    relay.start()
    mail = paper(
        MINISTRY, "sotc@hoabinh.gov.vn, sokhdt@hoabinh.gov.vn", "1779/BTTTT-CNTT", "thu thập số liệu", attachment=PDF
    )
    for user in boxes:
        dovecot.deliver(user, mail, sender=MINISTRY)
    wait_until(lambda: endings(relay) == ["taken"] * 3, "three mails", 40)
    sql = f"SELECT agency, book, {NUMBER}, document ->> '$.code.notation' FROM register_entry ORDER BY agency"
    found = rows(relay, sql)
    assert found == [(agency, "incoming", "1779", "BTTTT-CNTT") for agency in ("sokhdt", "sotc", "yenthuy")]


def test_what_we_delivered_ourselves_is_not_taken_again(relay: Relay, dovecot: Dovecot) -> None:
    owner = "yenthuy@hoabinh.gov.vn"
    deliver_to(relay.folder, owner, f"lmtp://{LOOPBACK}:{dovecot.lmtp_port}")
    poll(relay, dovecot, "yenthuy", owner)
    relay.start()
    with relay.client("vpubnd") as client:
        client.sendmail(PROVINCE, [owner], paper(PROVINCE, owner, "61/KH-UBND", "trao đổi văn bản điện tử"))
    # The paper and its slip "Phiếu văn bản đến" are both ours.
    wait_until(lambda: endings(relay) == ["own", "own"], "both mails", 40)
    assert rows(relay, "SELECT count(*) FROM register_entry WHERE book = 'incoming'") == [(1,)]
    assert rows(relay, "SELECT count(*) FROM message WHERE door = 'imap'") == [(0,)]


def test_killed_between_commit_and_mark(relay: Relay, dovecot: Dovecot) -> None:
    poll(relay, dovecot, "svc-killed", "yenthuy@hoabinh.gov.vn")
    mails = [
        paper(MINISTRY, "yenthuy@hoabinh.gov.vn", f"{number}/BTTTT-CNTT", "thu thập số liệu", attachment=PDF)
        for number in range(1800, 1805)
    ]
    dovecot.deliver("svc-killed", *mails, sender=MINISTRY)
    relay.start(failpoint="accept.after-commit@2:exit")
    relay.child.wait(40)
    committed = rows(relay, "SELECT count(*) FROM message")[0][0]
    assert committed >= 1
    assert not any("$Registered" in flags for flags in dovecot.flags("svc-killed").values())
    relay.start()
    wait_until(lambda: endings(relay) == ["taken"] * 5, "five mails", 40)
    assert rows(relay, "SELECT count(*) FROM message WHERE door = 'imap'") == [(5,)]
    assert sorted(rows(relay, f"SELECT {NUMBER} FROM register_entry")) == [(str(n),) for n in range(1800, 1805)]
    wait_until(lambda: all("$Registered" in flags for flags in dovecot.flags("svc-killed").values()), "the marks", 20)


def test_a_drop_folder(relay: Relay, dovecot: Dovecot) -> None:
    """Sent by a clerk whose client has no account for sending: recipients stand in the header."""
    owner = "caophong@hoabinh.gov.vn"
    poll(
        relay,
        dovecot,
        "svc-drop",
        owner,
        purpose="outgoing",
        folder="Gửi đi",
        done_folder="Đã gửi",
        failed_folder="Lỗi",
    )
    relay.start()
    wire = "G&Hu0-i &ARE-i"
    wait_until(lambda: _exists(dovecot, "svc-drop", wire), "the drop folder", 20)
    good = paper(owner, "sotc@hoabinh.gov.vn", "12/BC-UBND", "kết quả thực hiện")
    unclear = paper(owner, "sotc@hoabinh.gov.vn", "13/BC-UBND", "x").replace(b"To: sotc@", b"To: So Tai chinh sotc@")
    dovecot.append("svc-drop", wire, good, unclear)
    wait_until(lambda: endings(relay) == ["refused", "taken"], "both mails", 40)
    wait_until(lambda: any(raw.endswith(good) for raw in relay.mails("sotc")), "the delivery", 20)
    assert rows(relay, "SELECT agency, book FROM register_entry ORDER BY book") == [
        ("sotc", "incoming"),
        ("caophong", "outgoing"),
    ]
    assert not any(b"13/BC-UBND" in raw for raw in relay.mails("sotc"))
    assert len(dovecot.flags("svc-drop", "&ARAA4w- g&Hu0-i")) == 1
    assert len(dovecot.flags("svc-drop", "L&Htc-i")) == 1


def _exists(dovecot: Dovecot, user: str, folder: str) -> bool:
    with dovecot.session(user) as client:
        return client.select(f'"{folder}"', readonly=True)[0] == "OK"
