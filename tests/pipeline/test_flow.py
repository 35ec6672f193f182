"""The corridor on real rooms: spool, workers, store, Maildirs. What was promised is entered once and delivered once."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from mailrelay.model.acceptance import Acceptance
from mailrelay.model.dispatch import DispatchState
from mailrelay.model.document import MessageClass
from mailrelay.model.entry import Book, EntryStatus
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptKind
from mailrelay.model.refusal import REFUSALS
from mailrelay.pipeline.hold import Desk
from mailrelay.store import durable, messages
from mailrelay.store.transaction import Transaction
from tests.pipeline.house import FINANCE, HEALTH, PLANNING, STRANGER, House, paper


async def test_a_paper_goes_all_the_way(house: House) -> None:
    raw = paper(7)
    life = await house.settled(await house.hand_in(raw, PLANNING))
    assert life.record.message_class is MessageClass.DOCUMENT
    assert [d.state for d in life.dispatches] == [DispatchState.DELIVERED]
    books = {(entry.book, entry.status, entry.seq) for entry in life.entries}
    assert books == {(Book.OUTGOING, EntryStatus.REGISTERED, 1), (Book.INCOMING, EntryStatus.ARRIVED, None)}
    assert {r.kind for r in life.receipts} == {ReceiptKind.SENT, ReceiptKind.INCOMING}
    assert [mail.endswith(raw) for mail in house.mails("sokhdt") if b"X-Mailrelay-Receipt" not in mail] == [True]


async def test_a_re_sent_mail_is_not_delivered_twice(house: House) -> None:
    first = await house.hand_in(paper(1), PLANNING)
    again = await house.hand_in(paper(1), PLANNING)
    assert (again.mail_id, again.repeated) == (first.mail_id, True)
    life = await house.settled(first)
    assert len(life.dispatches) == 1
    assert house.spooled() >= {f"{first.mail_id}.eml"}


async def test_a_mail_split_over_transactions_loses_no_recipient(house: House) -> None:
    first = await house.settled(await house.hand_in(paper(1), PLANNING))
    second = await house.settled(await house.hand_in(paper(1), PLANNING, HEALTH))
    assert [d.recipient.address for d in first.dispatches] == [PLANNING]
    assert [d.recipient.address for d in second.dispatches] == [HEALTH]
    outgoing = {entry.entry_id for life in (first, second) for entry in life.entries if entry.book is Book.OUTGOING}
    assert len(outgoing) == 1


async def test_two_mails_with_one_message_id_are_two_mails(house: House) -> None:
    first = await house.hand_in(paper(1, "một", "<same@pc.example>"), PLANNING)
    second = await house.hand_in(paper(2, "hai", "<same@pc.example>"), PLANNING)
    assert first.mail_id != second.mail_id
    assert not second.repeated


async def test_a_slow_look_is_acknowledged_as_pending_and_finished_later(house: House) -> None:
    house.deadline(timedelta(0))
    acceptance = await house.hand_in(paper(3), PLANNING)
    assert acceptance.pending
    assert (await house.life(acceptance)).record.state is MessageState.PENDING
    house.deadline(timedelta(seconds=20))
    assert await house.pipeline.carry_pending() == 1
    await house.pipeline.carry_pending()  # done again: nothing changes
    life = await house.settled(acceptance)
    assert (life.record.state, len(life.dispatches), len(life.entries)) == (MessageState.DONE, 1, 2)


async def test_a_stranger_is_asked_to_come_back_and_the_findings_wait_for_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, real, waited = threading.get_ident(), durable.sync_folder, []

    def sync(folder: Path, fsync: durable.Fsync = os.fsync) -> None:
        if threading.get_ident() == loop:
            waited.append(folder)
        real(folder, fsync)

    ministry, raw = "bo@mic.example", paper(4, author="bo@mic.example")
    house.deadline(timedelta(0))
    first = await house.hand_in(raw, PLANNING, sender=ministry, origin=STRANGER)
    assert (first.mail_id, first.refusal) == (None, "busy")
    monkeypatch.setattr(durable, "sync_folder", sync)
    async with asyncio.timeout(10):
        while house.spooled():  # looked at to the end, then removed
            await asyncio.sleep(0.02)
    assert waited == []  # the loop does not wait for the disk
    house.deadline(timedelta(seconds=20))
    again = await house.hand_in(raw, PLANNING, sender=ministry, origin=STRANGER)
    assert again.refusal == ""
    life = await house.settled(again)
    assert life.record.message.mail_id.encode() in life.record.rendering.prefix


@pytest.mark.parametrize(
    ("change", "refusal", "named"),
    [
        ((b"", b""), "local-sender-without-login", FINANCE),
        ((b"To: ", b"From: <ai-do@example.net>\r\nTo: "), "local-sender-without-login", FINANCE),
        ((FINANCE.encode(), b"a@example.net>\r\nFrom: <b@example.net"), "structure", "two-from"),
    ],
)
async def test_a_refusal_names_what_is_refused(
    house: House, change: tuple[bytes, bytes], refusal: str, named: str
) -> None:
    raw = paper(9).replace(*change, 1) if change[0] else paper(9)
    acceptance = await house.hand_in(raw, PLANNING, sender="ai-do@example.net", origin=STRANGER)
    assert acceptance.refusal == refusal
    row = REFUSALS[refusal]
    told = [row.fill(text, acceptance.values) for text in (row.vi, row.remedy_vi, row.en, row.remedy_en)]
    assert named in told[0] and named in told[2]
    assert not any("…" in text for text in told)


async def test_nothing_of_a_secret_paper_stays(house: House) -> None:
    raw = paper(5, "Chuyện tuyệt đối không được lộ.").replace(b"Subject: ", b"Subject: =?utf-8?q?=5BM=E1=BA=ACT=5D?= ")
    acceptance = await house.hand_in(raw, PLANNING)
    assert acceptance.refusal == "secret-document"
    life = await house.settled(acceptance)
    assert life.record.state is MessageState.REJECTED
    assert {r.kind for r in life.receipts} == {ReceiptKind.ALERT}
    kept = b"".join(path.read_bytes() for path in house.snapshot.settings.data_dir.rglob("*") if path.is_file())
    for trace in ("tuyệt đối không được lộ".encode(), b"5/BC-STC", b"5@pc.example"):
        assert trace not in kept


async def test_nothing_of_a_pending_secret_paper_stays_though_we_are_stopped_in_between(house: House) -> None:
    raw = paper(5, "Chuyện tuyệt đối không được lộ.").replace(b"Subject: ", b"Subject: =?utf-8?q?=5BM=E1=BA=ACT=5D?= ")
    house.deadline(timedelta(0))
    acceptance = await house.hand_in(raw, PLANNING)
    assert acceptance.mail_id is not None and acceptance.pending
    path = house.parts.spool.path(acceptance.mail_id)
    bytes_before = path.read_bytes()
    house.deadline(timedelta(seconds=20))
    await house.pipeline.carry_pending()
    life = await house.settled(acceptance)
    assert (life.record.state, life.dispatches, path.exists()) == (MessageState.REJECTED, (), False)
    path.write_bytes(bytes_before)  # as if we had been killed before its removal
    known = await house.parts.store.read(lambda tx: messages.known(tx, list(house.parts.spool.listing())))
    assert acceptance.mail_id in await asyncio.to_thread(house.parts.spool.sweep, lambda _: known)
    assert not path.exists()


async def test_a_fault_in_the_transaction_leaves_nothing_behind(house: House) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the door's own rows")

    with pytest.raises(RuntimeError):
        await house.hand_in(paper(6), PLANNING, alongside=fail)
    digest_known = await house.parts.store.read(lambda tx: tx.value("SELECT count(*) FROM message", {}))
    assert digest_known == 0


async def test_a_held_mail_goes_when_a_person_lets_it(house: House) -> None:
    desk = Desk(house.parts.store, lambda: house.snapshot.directory, house.parts.now, house.parts.bells.ring)
    box = "UEsDBBQAAQAAAAAAIQAAAAAAAAAAAAAAAAAFAAAAYS50eHQ="  # a zip member with the encryption flag
    raw = (
        f"From: <{FINANCE}>\r\nTo: <{PLANNING}>\r\nMessage-ID: <zip@pc>\r\nSubject: 8/BC-STC V/v nen\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\n'
        'Content-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="a.zip"\r\n\r\n{box}\r\n--b--\r\n'
    ).encode()
    acceptance = await house.hand_in(raw, PLANNING)
    life = await house.life(acceptance)
    assert [d.state for d in life.dispatches] == [DispatchState.HELD], [f.detail for f in life.record.findings]
    assert acceptance.mail_id is not None
    await desk.release(acceptance.mail_id, FINANCE)
    released = await house.settled(acceptance)
    assert [d.state for d in released.dispatches] == [DispatchState.DELIVERED]


async def test_a_mail_that_keeps_killing_its_sender_is_held(house: House) -> None:
    acceptance = await house.settled(await house.hand_in(paper(9), PLANNING))
    dispatch = acceptance.dispatches[0]

    def crash(tx: Transaction) -> None:
        # Four claims whose tries left no trace: what a sender leaves behind that dies in them.
        sql = "UPDATE dispatch SET state = 'queued', attempts = 5, next_attempt_at = 0 WHERE dispatch_id = :id"
        tx.execute(sql, {"id": dispatch.dispatch_id})

    await house.parts.store.write(crash)
    house.parts.bells.ring()
    async with asyncio.timeout(10):
        while (await house.life(Acceptance(dispatch.mail_id))).dispatches[0].state is not DispatchState.HELD:
            await asyncio.sleep(0.02)
    assert len(house.mails("sokhdt")) == 2  # the paper and its slip, once each


async def test_a_mail_that_runs_in_a_circle_is_refused(house: House) -> None:
    hops = b"".join(b"Received: from a by b; Sun, 22 Nov 2026 10:00:00 +0700\r\n" for _ in range(101))
    acceptance = await house.hand_in(hops + paper(10), PLANNING)
    assert acceptance.refusal == "loop"


async def test_blind_copies_of_a_drop_folder_are_not_given_away(house: House) -> None:
    raw = paper(11).replace(b"To: ", b"Bcc: <soyt@hoabinh.gov.vn>\r\nTo: ")
    start = raw.index(b"Bcc:")
    origin = Origin(Door.IMAP, login="sotc", account="drop")
    recipients = (Recipient(PLANNING), Recipient(HEALTH))
    draft = house.pipeline.draft()
    draft.write(raw)
    envelope = Envelope(FINANCE, recipients, origin, cuts=((start, raw.index(b"To: ", start)),))
    await house.settled(await house.pipeline.accept(envelope, draft))
    for local in ("sokhdt", "soyt"):
        (mail,) = [m for m in house.mails(local) if b"X-Mailrelay-Receipt" not in m]
        assert b"Bcc" not in mail
        assert mail.endswith(raw[:start][-20:] + raw[raw.index(b"To: ", start) :])


async def test_our_notices_bear_our_mark(house: House) -> None:
    await house.settled(await house.hand_in(paper(12), PLANNING))
    (slip,) = [m for m in house.mails("sokhdt") if b"X-Mailrelay-Receipt" in m]
    assert b"X-Mailrelay-Id: " in slip


async def test_an_automatic_mail_in_its_box_causes_no_slip(house: House) -> None:
    origin = Origin(Door.IMAP, account="stc", in_place=True)
    raw = paper(13, author="bo@mic.example").replace(b"To: ", b"Auto-Submitted: auto-generated\r\nTo: ")
    life = await house.settled(await house.hand_in(raw, PLANNING, sender="bo@mic.example", origin=origin))
    assert (life.receipts, life.dispatches, life.entries) == ((), (), ())
