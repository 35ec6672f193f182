"""The books: one paper is one row, numbers are gapless and begin anew each Vietnamese year, nothing is numbered unasked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from mailrelay.model.agency import Agency, Directory, Level, Mailbox, Role, Target, TargetKind
from mailrelay.model.document import Document, DocumentCode
from mailrelay.model.entry import Book, EntryStatus, RegisterEntry
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.faults import NotAllowed, NotFound
from mailrelay.model.identity import AgencyId, MailId, make_mail_id
from mailrelay.model.message import Message, MessageState
from mailrelay.model.record import MailRecord
from mailrelay.register import books
from mailrelay.store import entries, messages
from mailrelay.store.engine import Store, open_store
from mailrelay.store.transaction import Transaction

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
PLAN = Document(code=DocumentCode("59", "KH-UBND"), type="KH", issued_on=date(2026, 11, 20), summary="Kế hoạch")
FINANCE = Agency(AgencyId("H28.3"), "Sở Tài chính", Level.PROVINCE, "STC", clerk="sotc@x.vn")
PROVINCE = Agency(AgencyId("H28"), "UBND tỉnh", Level.PROVINCE, "UBND", clerk="vpubnd@x.vn")
OFFICE = Agency(AgencyId("H28.1"), "Văn phòng UBND tỉnh", Level.PROVINCE, "VPUBND", clerk="vpubnd@x.vn")
EAGER = replace(FINANCE, automatic_acceptance=True)


def _box(address: str, agency: Agency) -> Mailbox:
    return Mailbox(address, address, agency.agency_id, frozenset({Role.CLERK}), Target(TargetKind.MAILDIR, path="/m"))


DIRECTORY = Directory(
    "x.vn",
    (PROVINCE, OFFICE, FINANCE),
    (_box("vpubnd@x.vn", OFFICE), _box("sotc@x.vn", FINANCE), _box("an@x.vn", FINANCE)),
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield opened
    await opened.close()


def _mail(tx: Transaction, number: int) -> MailId:
    mail_id = make_mail_id(number, b"0123456789")
    envelope = Envelope("vpubnd@x.vn", (Recipient("sotc@x.vn"),), Origin(Door.SUBMISSION, login="vpubnd"))
    messages.insert(tx, MailRecord(Message(mail_id, envelope, "00" * 32, 1, NOW), MessageState.MOVING))
    return mail_id


def _incoming(tx: Transaction, number: int, document: Document = PLAN, agency: Agency = FINANCE) -> RegisterEntry:
    return books.enter_incoming(tx, document, agency, "H28", ["sotc@x.vn"], _mail(tx, number), NOW)


async def test_an_incoming_paper_waits_without_a_number(store: Store) -> None:
    entry = await store.write(lambda tx: _incoming(tx, 1))
    assert (entry.seq, entry.status, entry.accepted_on) == (None, EntryStatus.AWAITING, None)


async def test_numbers_are_given_at_acceptance_and_gapless(store: Store) -> None:
    def act(tx: Transaction) -> list[int | None]:
        papers = [replace(PLAN, code=DocumentCode(str(n), "KH-UBND")) for n in range(1, 5)]
        waiting = [_incoming(tx, n, paper) for n, paper in enumerate(papers, 1)]
        books.give_back(tx, waiting[1].entry_id, reason="nhầm nơi nhận", actor="sotc", now=NOW)
        return [books.accept(tx, waiting[n].entry_id, actor="sotc", now=NOW).seq for n in (3, 0, 2)]

    assert await store.write(act) == [1, 2, 3]


async def test_the_day_of_acceptance_is_vietnamese(store: Store) -> None:
    new_year = datetime(2026, 12, 31, 17, 0, tzinfo=UTC)  # 00:00 on 1 January in Hòa Bình

    def act(tx: Transaction) -> tuple[RegisterEntry, RegisterEntry]:
        first, second = _incoming(tx, 1), _incoming(tx, 2, replace(PLAN, code=DocumentCode("60", "KH-UBND")))
        before = books.accept(tx, first.entry_id, actor="sotc", now=new_year - timedelta(seconds=1))
        return before, books.accept(tx, second.entry_id, actor="sotc", now=new_year)

    before, after = await store.write(act)
    assert (before.seq, before.year, before.accepted_on) == (1, 2026, date(2026, 12, 31))
    assert (after.seq, after.year, after.accepted_on) == (1, 2027, date(2027, 1, 1))


async def test_the_same_paper_by_two_ways_is_one_entry(store: Store) -> None:
    def act(tx: Transaction) -> tuple[RegisterEntry, RegisterEntry, int]:
        first = _incoming(tx, 1)
        again = _incoming(tx, 2, replace(PLAN, code=DocumentCode("059", "kh-ubnd")))
        return first, again, len(entries.of_mail(tx, make_mail_id(2, b"0123456789")))

    first, again, of_second = await store.write(act)
    assert (again.entry_id, of_second) == (first.entry_id, 1)


async def test_papers_of_two_issuers_or_years_are_two(store: Store) -> None:
    def act(tx: Transaction) -> set[int]:
        mail_id = _mail(tx, 9)
        district = books.enter_incoming(tx, PLAN, FINANCE, "H28.30", ["sotc@x.vn"], mail_id, NOW)
        older = replace(PLAN, issued_on=date(2025, 11, 20))
        return {district.entry_id, _incoming(tx, 1).entry_id, _incoming(tx, 2, older).entry_id}

    assert len(await store.write(act)) == 3


async def test_unnumbered_papers_are_never_merged(store: Store) -> None:
    nameless = Document(type="GM", summary="Giấy mời")

    def act(tx: Transaction) -> set[int]:
        return {_incoming(tx, number, nameless).entry_id for number in (1, 2)}

    assert len(await store.write(act)) == 2


async def test_a_returned_paper_may_come_again(store: Store) -> None:
    def act(tx: Transaction) -> tuple[RegisterEntry, RegisterEntry]:
        first = _incoming(tx, 1)
        books.give_back(tx, first.entry_id, reason="thiếu phụ lục", actor="sotc", now=NOW)
        return first, _incoming(tx, 2)

    first, again = await store.write(act)
    assert again.entry_id != first.entry_id
    assert again.status is EntryStatus.AWAITING


async def test_accepting_twice_is_not_allowed(store: Store) -> None:
    entry = await store.write(lambda tx: _incoming(tx, 1))
    await store.write(lambda tx: books.accept(tx, entry.entry_id, actor="sotc", now=NOW))
    with pytest.raises(NotAllowed):
        await store.write(lambda tx: books.accept(tx, entry.entry_id, actor="sotc", now=NOW))
    with pytest.raises(NotAllowed):
        await store.write(lambda tx: books.give_back(tx, entry.entry_id, reason="muộn", actor="sotc", now=NOW))
    with pytest.raises(NotFound):
        await store.write(lambda tx: books.accept(tx, 999, actor="sotc", now=NOW))


async def test_returning_needs_a_reason(store: Store) -> None:
    entry = await store.write(lambda tx: _incoming(tx, 1))
    with pytest.raises(NotAllowed):
        await store.write(lambda tx: books.give_back(tx, entry.entry_id, reason="  ", actor="sotc", now=NOW))


async def test_an_agency_that_opted_in_numbers_at_arrival(store: Store) -> None:
    def act(tx: Transaction) -> tuple[RegisterEntry, RegisterEntry]:
        waiting = _incoming(tx, 1)
        return waiting, books.arrive(tx, waiting, EAGER, NOW)

    waiting, arrived = await store.write(act)
    assert waiting.seq is None
    assert (arrived.seq, arrived.status) == (1, EntryStatus.ACCEPTED)


async def test_an_outgoing_paper_is_entered_once_under_its_issuer(store: Store) -> None:
    def act(tx: Transaction) -> tuple[RegisterEntry, RegisterEntry, RegisterEntry]:
        first = books.enter_outgoing(tx, PLAN, PROVINCE, ["sotc@x.vn"], _mail(tx, 1), NOW)
        again = books.enter_outgoing(tx, PLAN, PROVINCE, ["an@x.vn"], _mail(tx, 2), NOW)
        other = books.enter_outgoing(
            tx, replace(PLAN, code=DocumentCode("60", "KH-UBND")), PROVINCE, [], _mail(tx, 3), NOW
        )
        return first, again, other

    first, again, other = await store.write(act)
    assert (first.seq, again.entry_id, other.seq) == (1, first.entry_id, 2)
    assert first.book is Book.OUTGOING


def test_a_clerk_of_two_agencies_enters_under_the_issuer_recognised() -> None:
    plan = replace(PLAN, issuer=PROVINCE.agency_id)
    assert books.issuing_agency(plan, "vpubnd@x.vn", DIRECTORY) == PROVINCE
    assert books.issuing_agency(PLAN, "vpubnd@x.vn", DIRECTORY) == OFFICE
    # An official of another agency cannot enter a paper in the province's book by writing its symbol.
    assert books.issuing_agency(plan, "an@x.vn", DIRECTORY) == FINANCE
    assert books.issuing_agency(plan, "la@ngoai.vn", DIRECTORY) is None


def test_a_paper_inside_one_agency_is_not_incoming() -> None:
    grouped = books.receiving_agencies(
        ["sotc@x.vn", "an@x.vn", "vpubnd@x.vn", "la@ngoai.vn"], DIRECTORY, FINANCE.agency_id
    )
    assert grouped == {OFFICE.agency_id: ["vpubnd@x.vn"]}
