"""Receipts: once per event, from due to sent."""

from __future__ import annotations

import dataclasses

import pytest

from mailrelay.model.faults import NotFound
from mailrelay.model.receipt import Receipt, ReceiptKind, ReceiptState
from mailrelay.store import Store, messages, receipts
from tests.store.samples import mail_id, receipt, record


async def _insert(store: Store, new: Receipt) -> Receipt:
    receipt_id = await store.write(lambda tx: receipts.insert(tx, new))
    assert receipt_id is not None
    return dataclasses.replace(new, receipt_id=receipt_id)


async def test_a_receipt_comes_back_as_it_was(store: Store) -> None:
    notice = record()
    await store.write(lambda tx: messages.insert(tx, notice))
    new = await _insert(store, receipt(mail_id(), state=ReceiptState.QUEUED, notice_id=notice.message.mail_id))
    defaults = {item.name: item.default for item in dataclasses.fields(new)}
    assert [name for name, default in defaults.items() if getattr(new, name) == default] == []
    assert await store.read(lambda tx: receipts.state(tx, new.receipt_id)) is ReceiptState.QUEUED
    assert await store.read(lambda tx: receipts.by_notice(tx, notice.message.mail_id)) == new


async def test_one_event_makes_one_receipt(store: Store) -> None:
    mail = mail_id()
    first = await _insert(store, receipt(mail))
    again = receipt(mail, kind=ReceiptKind.ALERT)
    assert await store.write(lambda tx: receipts.insert(tx, again)) is None
    assert await store.read(lambda tx: receipts.of_mail(tx, mail)) == (first,)


async def test_due_receipts_come_oldest_first_and_leave_when_marked(store: Store) -> None:
    due = [await _insert(store, receipt(mail_id())) for _ in range(3)]
    await _insert(store, receipt(mail_id(), state=ReceiptState.SUPPRESSED))
    assert await store.read(lambda tx: receipts.due(tx, 10)) == tuple(due)
    assert await store.read(lambda tx: receipts.due(tx, 1)) == tuple(due[:1])
    notice = record()

    def queue(tx: object) -> None:
        messages.insert(tx, notice)  # type: ignore[arg-type]
        receipts.mark(tx, due[0].receipt_id, ReceiptState.QUEUED, notice.message.mail_id)  # type: ignore[arg-type]

    await store.write(queue)
    assert await store.read(lambda tx: receipts.due(tx, 10)) == tuple(due[1:])
    queued = dataclasses.replace(due[0], state=ReceiptState.QUEUED, notice_id=notice.message.mail_id)
    assert await store.read(lambda tx: receipts.by_notice(tx, notice.message.mail_id)) == queued
    await store.write(lambda tx: receipts.mark(tx, due[0].receipt_id, ReceiptState.SENT))
    sent = dataclasses.replace(queued, state=ReceiptState.SENT)
    assert await store.read(lambda tx: receipts.by_notice(tx, notice.message.mail_id)) == sent


async def test_what_is_not_there_is_said_so(store: Store) -> None:
    assert await store.read(lambda tx: receipts.state(tx, 7)) is None
    assert await store.read(lambda tx: receipts.by_notice(tx, mail_id())) is None
    with pytest.raises(NotFound):
        await store.write(lambda tx: receipts.mark(tx, 7, ReceiptState.SENT))
