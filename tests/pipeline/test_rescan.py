"""A real clamd that goes away and comes back: accepted mail waits for it and goes on by itself, peers are told to come back."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from mailrelay.model.dispatch import DispatchState
from mailrelay.model.entry import Book, EntryStatus, EventKind
from mailrelay.model.finding import Check, Verdict
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptKind
from mailrelay.model.refusal import REFUSALS
from mailrelay.pipeline.hold import Desk
from mailrelay.pipeline.rescan import Rescan
from mailrelay.reports.trace import Life
from tests.pipeline.conftest import opened_house
from tests.pipeline.house import FINANCE, HEALTH, PLANNING, STRANGER, House, paper, text_of
from tests.servers.clamd import WORD, ClamdServer


@pytest.fixture
def scanner() -> Iterator[ClamdServer]:
    with tempfile.TemporaryDirectory(prefix="clam") as folder:  # short socket path
        yield ClamdServer(Path(folder) / "c")


@pytest.fixture
async def house(tmp_path: Path, new_store: Callable[[], str], scanner: ClamdServer) -> AsyncIterator[House]:
    async with opened_house(tmp_path, new_store(), clamd=scanner.socket) as opened:
        yield opened


def with_file(number: int, data: bytes = b"%PDF-1.4\n", name: str = "a.pdf", author: str = FINANCE) -> bytes:
    head, _, body = paper(number, author=author).partition(b"\r\n\r\n")
    head, _, kind = head.partition(b"Content-Type:")
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    return (
        head
        + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type:"
        + kind
        + b"\r\n\r\n"
        + body
        + b'\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="'
        + name.encode()
        + b'"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + encoded
        + b"--b--\r\n"
    )


def is_held(life: Life) -> bool:
    return all(d.state is DispatchState.HELD for d in life.dispatches)


def scans(life: Life) -> list[tuple[Verdict, str]]:
    return [(f.verdict, f.detail) for f in life.record.findings if f.check is Check.ANTIVIRUS]


async def test_what_waits_for_the_scanner_goes_on_when_it_is_back(house: House, scanner: ClamdServer) -> None:
    rescan = Rescan(house.parts)
    accepted = await house.hand_in(with_file(1), PLANNING, HEALTH)
    life = await house.settled(accepted)
    assert (life.record.state, is_held(life)) == (MessageState.HELD, True)
    assert all("not-scanned" in decided.rules for decided in life.record.decision.recipients)  # type: ignore[union-attr]
    assert scans(life) == [(Verdict.TEMPERROR, "not-scanned")]
    (told,) = house.notices("sotc", "held")
    assert "Chưa quét được virus" in text_of(told)
    assert await rescan.look() == 0  # still away
    with scanner:
        assert await asyncio.gather(rescan.look(), rescan.scan(life.record.message.mail_id)) in ([1, False], [0, True])
        life = await house.settled(accepted)
        assert await rescan.look() == 0  # done once
    assert [d.state for d in life.dispatches] == [DispatchState.DELIVERED] * 2
    assert scans(life) == [(Verdict.PASS, "clean")]
    released = [event for event in life.events if event.kind is EventKind.RELEASED]
    assert [(event.actor, event.detail["antivirus"]) for event in released] == [("mailrelay", "clean")]
    assert [len(house.notices("sotc", kind)) for kind in ("sent", "held")] == [1, 1]
    assert {e.status for e in life.entries if e.book is Book.INCOMING} == {EntryStatus.ARRIVED}


async def test_malware_that_was_accepted_unseen_reaches_nobody(house: House, scanner: ClamdServer) -> None:
    accepted = await house.hand_in(with_file(2, b"xx" + WORD, "a.bin"), PLANNING)
    assert is_held(await house.settled(accepted))
    with scanner:
        assert await Rescan(house.parts).look() == 1
        life = await house.settled(accepted)
        assert await Rescan(house.parts).look() == 0
    assert life.record.state is MessageState.RETURNED
    assert [d.state for d in life.dispatches] == [DispatchState.WITHDRAWN]
    assert [e.kind for e in life.events if e.kind in (EventKind.RELEASED, EventKind.RETURNED)] == [EventKind.RETURNED]
    assert {e.status for e in life.entries if e.book is Book.INCOMING} == {EntryStatus.NOT_DELIVERED}
    (told,) = house.notices("sotc", "returned")
    assert "mã độc" in text_of(told)
    assert not [mail for mail in house.mails("sokhdt") if b"X-Mailrelay-Receipt" not in mail]


async def test_another_reason_to_hold_stays(house: House, scanner: ClamdServer) -> None:
    accepted = await house.hand_in(with_file(3, b"PK\x03\x04" + b"z" * 2000, "a.zip"), PLANNING)
    first = await house.settled(accepted)
    assert is_held(first)
    with scanner:
        assert await Rescan(house.parts).look() == 1
        life = await house.settled(accepted)
        assert await Rescan(house.parts).look() == 0
    assert (life.record.state, is_held(life)) == (MessageState.HELD, True)
    (decided,) = life.record.decision.recipients  # type: ignore[union-attr]
    assert ("not-scanned" in decided.rules, "cannot-look-inside" in decided.rules) == (False, True)
    assert house.notices("sotc", "held")  # now a person's business


async def test_what_a_person_decided_meanwhile_stays_decided(house: House, scanner: ClamdServer) -> None:
    accepted = await house.hand_in(with_file(4), PLANNING, HEALTH)
    mail_id = (await house.settled(accepted)).record.message.mail_id
    desk = Desk(house.parts.store, lambda: house.office().directory, house.now, house.parts.bells.ring)
    await desk.return_held(mail_id, "admin", "gửi nhầm", PLANNING)
    with scanner:
        assert await Rescan(house.parts).look() == 1
        life = await house.settled(accepted)
    states = {d.recipient.address: d.state for d in life.dispatches}
    assert states == {PLANNING: DispatchState.WITHDRAWN, HEALTH: DispatchState.DELIVERED}
    booked = {entry.agency: entry.status for entry in life.entries if entry.book is Book.INCOMING}
    assert booked == {"sokhdt": EntryStatus.NOT_DELIVERED, "soyt": EntryStatus.ARRIVED}


async def test_a_peer_keeps_its_mail_until_the_scanner_is_back(house: House, scanner: ClamdServer) -> None:
    ministry, raw = "bo@mic.example", with_file(5, "văn bản\n".encode(), "a.txt", author="bo@mic.example")
    raw = raw.replace(b"=?utf-8?q?S=E1=BB=9F_T=C3=A0i_ch=C3=ADnh?=", b"Bo")  # a ministry, not one of ours
    answer = await house.hand_in(raw, PLANNING, sender=ministry, origin=STRANGER)
    assert (answer.mail_id, answer.refusal) == (None, "scanner-away")
    assert REFUSALS["scanner-away"].code == 451
    assert house.spooled() == set()
    with scanner:
        answer = await house.hand_in(raw, PLANNING, sender=ministry, origin=STRANGER)
        assert answer.refusal == ""
        life = await house.settled(answer)
    assert [d.state for d in life.dispatches] == [DispatchState.DELIVERED]


async def test_beyond_the_scanner_s_size_limit_is_told_and_never_clean(house: House, scanner: ClamdServer) -> None:
    with scanner:
        life = await house.settled(await house.hand_in(with_file(6, b"a" * 1_200_000, "a.dat"), PLANNING))
        assert await Rescan(house.parts).look() == 0  # scanning it again would say the same
    (finding,) = [f for f in life.record.findings if f.check is Check.ANTIVIRUS]
    assert (finding.verdict, finding.detail, finding.facts["reason"]) == (Verdict.NEUTRAL, "not-scanned", "size")
    assert {r.kind for r in life.receipts} >= {ReceiptKind.SENT}
