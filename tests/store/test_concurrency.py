"""What a writing closure reads by key stays as it is until its end: each closure may act as if it were alone.

Every test lets many closures meet that read, decide and write; the outcome must be one of running them one by one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome, Result
from mailrelay.model.entry import Book, EntryStatus
from mailrelay.model.faults import NotAllowed
from mailrelay.model.identity import MailId
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptState
from mailrelay.store import Store, Transaction, dispatches, entries, log, messages, polls, receipts
from tests.store.samples import FINANCE, NOW, at, dispatch, entry, event, mail_id, receipt, record


async def _all(store: Store, *closures: Callable[[Transaction], object]) -> list[object]:
    """Their outcomes, exceptions included. Each dwells after its reads in `_dwell`, so that they do meet."""
    return await asyncio.gather(*(store.write(closure) for closure in closures), return_exceptions=True)


def _dwell(tx: Transaction) -> None:
    if tx.locks:  # elsewhere closures never run side by side
        time.sleep(0.01)


async def test_no_update_is_lost_among_concurrent_read_modify_writes(store: Store) -> None:
    await store.write(lambda tx: polls.set_cursor(tx, "a", "INBOX", 1, 0))

    def count_up(tx: Transaction) -> None:
        before = polls.cursor(tx, "a", "INBOX")
        assert before is not None
        _dwell(tx)
        polls.set_cursor(tx, "a", "INBOX", 1, before[1] + 1)

    assert await _all(store, *[count_up] * 30) == [None] * 30
    assert await store.read(lambda tx: polls.cursor(tx, "a", "INBOX")) == (1, 30)


async def test_a_mail_that_comes_in_many_times_at_once_is_dispatched_once(store: Store) -> None:
    def accept(tx: Transaction) -> bool:
        if messages.repeats(tx, "same", NOW):
            return False
        _dwell(tx)
        mail = record(repeat_key="same")
        messages.insert(tx, mail)
        dispatches.insert(tx, [dispatch(mail.message.mail_id)])
        return True

    assert sorted(await _all(store, *[accept] * 12)) == [False] * 11 + [True]  # type: ignore[type-var]


async def test_a_paper_that_comes_by_many_ways_at_once_is_one_entry(store: Store) -> None:
    mails = [record() for _ in range(12)]

    def enter(tx: Transaction, mail: MailId) -> int:
        messages.insert(tx, mails[[m.message.mail_id for m in mails].index(mail)])
        known = entries.find(tx, FINANCE, Book.OUTGOING, "59/KH-UBND")
        _dwell(tx)
        if known is not None:
            entries.add_arrival(tx, known.entry_id, mail, ("a@x",), NOW)
            return known.entry_id
        seq = entries.next_seq(tx, FINANCE, Book.OUTGOING, 2026)
        return entries.insert(tx, entry(mail, book=Book.OUTGOING, seq=seq), "59/KH-UBND")

    ids = await _all(store, *(lambda tx, m=m.message.mail_id: enter(tx, m) for m in mails))  # type: ignore[misc]
    assert len(set(ids)) == 1
    (one,) = await store.read(lambda tx: entries.listing(tx, FINANCE, Book.OUTGOING, 2026))
    assert one.seq == 1
    assert await store.read(lambda tx: tx.value("SELECT count(*) FROM entry_arrival")) == 12


async def test_an_entry_is_accepted_once(store: Store) -> None:
    mail = record()

    def prepare(tx: Transaction) -> int:
        messages.insert(tx, mail)
        return entries.insert(tx, entry(mail.message.mail_id), None)

    entry_id = await store.write(prepare)

    def accept(tx: Transaction) -> int:
        found = entries.get(tx, entry_id)
        assert found is not None
        if found.status is not EntryStatus.ARRIVED:
            raise NotAllowed("accepted already")
        _dwell(tx)
        seq = entries.next_seq(tx, FINANCE, Book.INCOMING, 2026)
        entries.set_status(tx, entry_id, EntryStatus.ACCEPTED, at=NOW, actor="sotc", seq=seq)
        return seq

    outcomes = await _all(store, *[accept] * 6)
    assert sorted(map(repr, outcomes)) == sorted(["1"] + ["NotAllowed('accepted already')"] * 5)
    assert await store.write(lambda tx: entries.next_seq(tx, FINANCE, Book.INCOMING, 2026)) == 2


async def test_the_last_dispatch_that_settles_closes_the_mail(store: Store) -> None:
    mail = record()
    mail_id = mail.message.mail_id

    def prepare(tx: Transaction) -> tuple[int, ...]:
        messages.insert(tx, mail)
        return dispatches.insert(tx, [dispatch(mail_id, f"r{n}@x", destination=f"d{n}") for n in range(12)])

    ids = await store.write(prepare)
    await store.write(lambda tx: dispatches.claim(tx, NOW, timedelta(minutes=1), 50, per_destination=9))

    def settle(tx: Transaction, dispatch_id: int) -> None:
        outcome = Outcome("r@x", Result.DELIVERED, "2.0.0")
        dispatches.settle(tx, dispatch_id, DispatchState.DELIVERED, next_attempt_at=None, outcome=outcome, at=NOW)
        states = {one.state for one in dispatches.of_mail(tx, mail_id)}
        _dwell(tx)
        done = all(state.is_final for state in states)
        messages.set_state(tx, mail_id, MessageState.DONE if done else MessageState.MOVING)

    started = time.monotonic()
    assert await _all(store, *(lambda tx, i=i: settle(tx, i) for i in ids)) == [None] * 12  # type: ignore[misc]
    assert time.monotonic() - started < 5  # no deadlocks, each of which would take a second to be found
    found = await store.read(lambda tx: messages.get(tx, mail_id))
    assert found is not None and found.state is MessageState.DONE


async def test_a_receipt_is_issued_once(store: Store) -> None:
    receipt_id = await store.write(lambda tx: receipts.insert(tx, receipt(mail_id())))
    assert receipt_id is not None

    def issue(tx: Transaction) -> bool:
        if receipts.state(tx, receipt_id) is not ReceiptState.DUE:
            return False
        _dwell(tx)
        notice = record()
        messages.insert(tx, notice)
        receipts.mark(tx, receipt_id, ReceiptState.QUEUED, notice.message.mail_id)
        return True

    assert sorted(await _all(store, *[issue] * 8)) == [False] * 7 + [True]  # type: ignore[type-var]


async def test_a_message_of_a_folder_is_taken_once(store: Store) -> None:
    def take(tx: Transaction) -> bool:
        if polls.outcome(tx, "a", "INBOX", 1, 7) is not None:
            return False
        _dwell(tx)
        log.append(tx, event(actor="taken"))
        return polls.record(tx, "a", "INBOX", 1, 7, "taken")

    assert sorted(await _all(store, *[take] * 8)) == [False] * 7 + [True]  # type: ignore[type-var]
    assert len(await store.read(lambda tx: log.search(tx))) == 1


@pytest.mark.parametrize("first", ["withdraw", "settle"])
async def test_a_withdrawal_and_a_settlement_meet_in_one_order_or_the_other(store: Store, first: str) -> None:
    mail = record()

    def prepare(tx: Transaction) -> Dispatch:
        messages.insert(tx, mail)
        dispatches.insert(tx, [dispatch(mail.message.mail_id)])
        return dispatches.claim(tx, NOW, timedelta(minutes=1), 1, per_destination=1)[0]

    one = (await store.write(prepare)).dispatch_id
    later = Outcome("r@x", Result.DEFERRED, "4.0.0")
    acts = {
        "withdraw": lambda tx: dispatches.withdraw(tx, one, "thu hồi"),
        "settle": lambda tx: dispatches.settle(
            tx, one, DispatchState.DEFERRED, next_attempt_at=at(60), outcome=later, at=NOW
        ),
    }
    order = [first, *(act for act in acts if act != first)]
    outcomes = dict(zip(order, await _all(store, *(acts[act] for act in order)), strict=True))
    found = await store.read(lambda tx: dispatches.get(tx, one))
    assert found is not None and found.state is DispatchState.WITHDRAWN
    assert outcomes["withdraw"] is None and outcomes["settle"] in (True, False)
    assert len(await store.read(lambda tx: dispatches.attempts(tx, one))) == 1
