"""The books: numbers without gaps, entries, arrivals, statuses."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import random
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailrelay.model.entry import Book, EntryStatus, RegisterEntry
from mailrelay.model.faults import NotAllowed, NotFound, StoreFault
from mailrelay.model.identity import AgencyId, MailId
from mailrelay.store import Store, Transaction, entries, messages
from tests.store.samples import FINANCE, NOW, at, entry, mail_id, record


async def _mail(store: Store) -> MailId:
    mail = record()
    await store.write(lambda tx: messages.insert(tx, mail))
    return mail.message.mail_id


async def _entered(store: Store, key: str | None = None, **changes: object) -> RegisterEntry:
    mail = await _mail(store)
    new = entry(mail, **changes)
    entry_id = await store.write(lambda tx: entries.insert(tx, new, key))
    return dataclasses.replace(new, entry_id=entry_id)


async def test_an_entry_comes_back_as_it_was(store: Store) -> None:
    new = await _entered(store, "key", seq=7, accepted_on=date(2026, 11, 22))
    defaults = {item.name: item.default for item in dataclasses.fields(new)}
    assert [name for name, default in defaults.items() if getattr(new, name) == default] == []
    assert await store.read(lambda tx: entries.get(tx, new.entry_id)) == new
    assert await store.read(lambda tx: entries.find(tx, FINANCE, Book.INCOMING, "key")) == new
    assert await store.read(lambda tx: entries.of_mail(tx, new.mail_id)) == (new,)


async def test_an_entry_with_nothing_known_comes_back_as_it_was(store: Store) -> None:
    new = await _entered(store, arrived_at=None, note="", recipients=())
    assert await store.read(lambda tx: entries.get(tx, new.entry_id)) == new
    assert await store.read(lambda tx: entries.get(tx, new.entry_id + 1)) is None


async def test_an_entry_without_any_moment_is_refused(store: Store) -> None:
    with pytest.raises(ValueError):
        await _entered(store, arrived_at=None, entered_at=None)


async def test_one_paper_stands_once_in_a_book(store: Store) -> None:
    first = await _entered(store, "key")
    with pytest.raises(StoreFault):
        await _entered(store, "key")
    await _entered(store, "key", book=Book.OUTGOING)
    await _entered(store, "key", agency=AgencyId("H28.03"))
    await _entered(store, None)
    await _entered(store, None)
    assert await store.read(lambda tx: entries.find(tx, FINANCE, Book.INCOMING, "key")) == first
    assert await store.read(lambda tx: entries.find(tx, FINANCE, Book.INCOMING, "other")) is None


async def test_numbers_begin_at_one_in_every_book_and_year(store: Store) -> None:
    def count(tx: Transaction) -> list[int]:
        places = [(FINANCE, Book.INCOMING, 2026)] * 2 + [
            (FINANCE, Book.OUTGOING, 2026),
            (FINANCE, Book.INCOMING, 2027),
            (AgencyId("H28.03"), Book.INCOMING, 2026),
        ]
        return [entries.next_seq(tx, *place) for place in places]

    assert await store.write(count) == [1, 2, 1, 1, 1]


_YEARS = itertools.count(1945)
_STEP = st.tuples(st.sampled_from(["H28.02", "H28.03"]), st.sampled_from(list(Book)), st.booleans())


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(_STEP, min_size=1, max_size=30), order=st.randoms(use_true_random=False))
async def test_numbers_have_no_gap_whatever_is_broken_off(
    store: Store, steps: list[tuple[str, Book, bool]], order: random.Random
) -> None:
    """Whichever closures fail, after taking a number or after using it: in the end every book has 1..n."""
    year = next(_YEARS)  # the examples share a store: each has its own books
    mails = [await _mail(store) for _ in steps]

    def enter(tx: Transaction, mail: MailId, step: tuple[str, Book, bool]) -> None:
        agency, book, broken = step
        seq = entries.next_seq(tx, AgencyId(agency), book, year)
        if broken and order.random() < 0.5:
            raise KeyError
        entries.insert(tx, entry(mail, agency=AgencyId(agency), book=book, year=year, seq=seq), None)
        if broken:
            raise KeyError

    writing = [
        store.write(lambda tx, mail=mail, step=step: enter(tx, mail, step))
        for mail, step in zip(mails, steps, strict=True)
    ]
    await asyncio.gather(*writing, return_exceptions=True)
    sql = (
        "SELECT agency, book, min(seq), max(seq), count(*) FROM register_entry WHERE year = :year GROUP BY agency, book"
    )
    books = await store.read(lambda tx: tx.rows(sql, {"year": year}))
    assert all((first, last) == (1, count) for _, _, first, last, count in books)
    assert sum(row[4] for row in books) == sum(not broken for _, _, broken in steps)


async def test_the_same_paper_by_two_mails_is_one_entry_with_two_arrivals(store: Store) -> None:
    first = await _entered(store, "key")
    second = await _mail(store)
    await store.write(lambda tx: entries.add_arrival(tx, first.entry_id, second, ["stc@hoabinh.gov.vn"], at(60)))
    assert await store.read(lambda tx: entries.of_mail(tx, second)) == (first,)
    assert await store.read(lambda tx: entries.of_mail(tx, first.mail_id)) == (first,)
    assert await store.read(lambda tx: entries.of_mail(tx, mail_id())) == ()


async def test_an_arrival_noted_again_only_gains_recipients(store: Store) -> None:
    new = await _entered(store)

    def again(tx: Transaction) -> list[tuple[object, ...]]:
        entries.add_arrival(tx, new.entry_id, new.mail_id, new.recipients, at(99))
        entries.add_arrival(tx, new.entry_id, new.mail_id, ("lanhdao@hoabinh.gov.vn", *new.recipients), at(99))
        return tx.rows("SELECT recipients, at FROM entry_arrival")

    assert await store.write(again) == [
        ('["sotc@hoabinh.gov.vn","lanhdao@hoabinh.gov.vn"]', 1795332601123456),
    ]


async def test_statuses_are_appended_and_the_last_is_the_present_one(store: Store) -> None:
    new = await _entered(store)

    def accept(tx: Transaction) -> None:
        entries.set_status(
            tx,
            new.entry_id,
            EntryStatus.ACCEPTED,
            at=at(10),
            actor="sotc",
            seq=12,
            year=2027,
            accepted_on=date(2027, 1, 1),
        )
        entries.set_status(tx, new.entry_id, EntryStatus.ASSIGNED, at=at(20), actor="lanhdao", note="giao phòng NS")

    await store.write(accept)
    assert await store.read(lambda tx: entries.get(tx, new.entry_id)) == dataclasses.replace(
        new, status=EntryStatus.ASSIGNED, seq=12, year=2027, accepted_on=date(2027, 1, 1), note="giao phòng NS"
    )
    assert await store.read(lambda tx: entries.statuses(tx, new.entry_id)) == (
        (at(1), EntryStatus.ARRIVED, "", "bản giấy gửi sau"),
        (at(10), EntryStatus.ACCEPTED, "sotc", ""),
        (at(20), EntryStatus.ASSIGNED, "lanhdao", "giao phòng NS"),
    )


async def test_a_number_is_given_once(store: Store) -> None:
    new = await _entered(store, seq=1)
    with pytest.raises(NotAllowed):
        await store.write(
            lambda tx: entries.set_status(tx, new.entry_id, EntryStatus.ACCEPTED, at=NOW, actor="sotc", seq=2)
        )
    await store.write(lambda tx: entries.set_status(tx, new.entry_id, EntryStatus.VOID, at=NOW, actor="sotc", seq=1))
    found = await store.read(lambda tx: entries.get(tx, new.entry_id))
    assert found == dataclasses.replace(new, status=EntryStatus.VOID)


async def test_the_status_of_no_entry_cannot_be_set(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.write(lambda tx: entries.set_status(tx, 7, EntryStatus.VOID, at=NOW, actor="sotc"))


async def test_a_book_is_read_page_by_page(store: Store) -> None:
    rows = [await _entered(store) for _ in range(5)]
    await _entered(store, year=2025)
    await _entered(store, book=Book.OUTGOING)

    def page(after_id: int) -> object:
        return store.read(lambda tx: entries.listing(tx, FINANCE, Book.INCOMING, 2026, after_id=after_id, limit=3))

    assert await page(0) == tuple(rows[:3])
    assert await page(rows[2].entry_id) == tuple(rows[3:])
    assert await page(rows[4].entry_id) == ()


async def test_an_entry_can_be_searched_without_marks(store: Store) -> None:
    await _entered(store)
    (folded,) = (await store.read(lambda tx: tx.rows("SELECT text_fold FROM register_entry")))[0]
    assert folded == "59/kh-ubnd ung dung van ban dien tu trong hoat dong cua co quan nha nuoc h28.ub"
