"""Mails: written, replaced, found again."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from mailrelay.model.dispatch import DispatchState
from mailrelay.model.document import MessageClass
from mailrelay.model.faults import NotFound
from mailrelay.model.identity import MailId
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptState
from mailrelay.model.record import MailRecord
from mailrelay.store import Store, Transaction, dispatches, messages, receipts
from tests.store.samples import NOW, at, dispatch, mail_id, receipt, record


def test_the_sample_leaves_no_field_at_its_default() -> None:
    """A field that a model type gains and the store forgets would come back as its default: the round trip shows it."""
    for value in (record(), record().message):
        defaults = {item.name: item.default for item in dataclasses.fields(value)}
        assert [name for name, default in defaults.items() if getattr(value, name) == default] == []


async def test_a_mail_comes_back_as_it_was(store: Store) -> None:
    mail = record()
    await store.write(lambda tx: messages.insert(tx, mail))
    assert await store.read(lambda tx: messages.get(tx, mail.message.mail_id)) == mail


async def test_a_pending_mail_is_empty_until_it_is_judged(store: Store) -> None:
    judged = record()
    pending = MailRecord(judged.message, MessageState.PENDING)
    await store.write(lambda tx: messages.insert(tx, pending))
    assert await store.read(lambda tx: messages.get(tx, judged.message.mail_id)) == pending
    await store.write(lambda tx: messages.update(tx, judged))
    assert await store.read(lambda tx: messages.get(tx, judged.message.mail_id)) == judged


async def test_header_bytes_that_are_no_text_are_kept_as_far_as_they_can_be(store: Store) -> None:
    mail = record(subject="a\0b\udce9", message_id="<\udcff@x>", warnings=("\0\udce9",))
    await store.write(lambda tx: messages.insert(tx, mail))
    back = await store.read(lambda tx: messages.get(tx, mail.message.mail_id))
    assert back == dataclasses.replace(mail, subject="a\ufffdb\ufffd", message_id="<\ufffd@x>")
    assert await store.read(lambda tx: messages.find(tx, message_id="<\udcff@x>")) == (mail.message.mail_id,)


async def test_what_is_not_there_is_said_so(store: Store) -> None:
    nobody = mail_id()
    assert await store.read(lambda tx: messages.get(tx, nobody)) is None
    with pytest.raises(NotFound):
        await store.write(lambda tx: messages.update(tx, record(nobody)))
    with pytest.raises(NotFound):
        await store.write(lambda tx: messages.set_state(tx, nobody, MessageState.DONE))


async def test_mails_are_found_by_message_id_and_by_digest(store: Store) -> None:
    same = [record(message_id="<same@x>") for _ in range(2)]
    other = record()
    nameless = record(message_id="")

    def fill(tx: Transaction) -> None:
        for mail in (*reversed(same), other, nameless):
            messages.insert(tx, mail)

    await store.write(fill)
    ids = tuple(mail.message.mail_id for mail in (*same, other, nameless))
    assert await store.read(lambda tx: messages.find(tx, message_id="<same@x>")) == ids[:2]
    assert await store.read(lambda tx: messages.find(tx, sha256="ab" * 32)) == ids
    assert await store.read(lambda tx: messages.find(tx, sha256="cd" * 32)) == ()
    assert await store.read(lambda tx: messages.find(tx, message_id="")) == ()
    for asked in ({}, {"message_id": "<x>", "sha256": "y"}):
        with pytest.raises(ValueError):
            await store.read(lambda tx, asked=asked: messages.find(tx, **asked))


async def test_mails_in_a_state_come_oldest_first(store: Store) -> None:
    pending = [record(state=MessageState.PENDING) for _ in range(3)]

    def fill(tx: Transaction) -> None:
        for mail in (*reversed(pending), record(state=MessageState.DONE)):
            messages.insert(tx, mail)

    await store.write(fill)
    ids = tuple(mail.message.mail_id for mail in pending)
    assert await store.read(lambda tx: messages.in_state(tx, MessageState.PENDING)) == ids
    assert await store.read(lambda tx: messages.in_state(tx, MessageState.PENDING, limit=2)) == ids[:2]
    await store.write(lambda tx: messages.set_state(tx, ids[0], MessageState.MOVING))
    assert await store.read(lambda tx: messages.in_state(tx, MessageState.PENDING)) == ids[1:]
    assert await store.read(lambda tx: messages.in_state(tx, MessageState.MOVING)) == ids[:1]


async def test_known_mail_ids_are_told_from_unknown_ones(store: Store) -> None:
    known = [record() for _ in range(3)]

    def fill(tx: Transaction) -> None:
        for mail in known:
            messages.insert(tx, mail)

    await store.write(fill)
    ids = [mail.message.mail_id for mail in known]
    strangers = [mail_id() for _ in range(600)]
    assert await store.read(lambda tx: messages.known(tx, ids + strangers)) == set(ids)
    assert await store.read(lambda tx: messages.known(tx, [])) == set()


async def test_a_letter_is_spent_when_everybody_has_it_and_no_notice_waits(store: Store) -> None:
    letters = {"message_class": MessageClass.LETTER, "state": MessageState.DONE}
    spent, paper, waiting, owed, placed = (record(**letters) for _ in range(5))
    paper = dataclasses.replace(paper, message_class=MessageClass.DOCUMENT)

    def enter(tx: Transaction) -> None:
        for mail in (spent, paper, waiting, owed, placed):
            messages.insert(tx, mail)
        for mail in (spent, paper, owed):
            dispatches.insert(tx, [dispatch(mail.message.mail_id, state=DispatchState.DELIVERED)])
        dispatches.insert(tx, [dispatch(waiting.message.mail_id, state=DispatchState.FAILED)])
        receipts.insert(tx, receipt(owed.message.mail_id, state=ReceiptState.DUE))
        receipts.insert(tx, receipt(spent.message.mail_id, "told", state=ReceiptState.SENT))

    await store.write(enter)
    ids = [mail.message.mail_id for mail in (spent, paper, waiting, owed, placed)]
    assert await store.read(lambda tx: messages.spent(tx, ids)) == {spent.message.mail_id}
    assert await store.read(lambda tx: messages.spent(tx, [])) == set()


async def test_the_bytes_of_a_refused_mail_are_not_known(store: Store) -> None:
    mail = record(state=MessageState.REJECTED)
    await store.write(lambda tx: messages.insert(tx, mail))
    assert await store.read(lambda tx: messages.known(tx, [mail.message.mail_id])) == set()


async def _sent(store: Store, key: str, **states: DispatchState) -> MailId:
    mail = record(repeat_key=key, message_class=MessageClass.DOCUMENT)
    mail_id = mail.message.mail_id

    def fill(tx: Transaction) -> None:
        messages.insert(tx, mail)
        sendings = [
            dispatch(mail_id, f"{local}@Hoabinh.gov.vn", state=state, lease_until=at(1) if state == "sending" else None)
            for local, state in states.items()
        ]
        dispatches.insert(tx, sendings)

    await store.write(fill)
    return mail_id


async def test_a_repeat_concerns_recipients_with_a_live_dispatch_only(store: Store) -> None:
    """What was returned or failed may be sent again."""
    first = await _sent(
        store,
        "k",
        Queued=DispatchState.QUEUED,
        sending=DispatchState.SENDING,
        delivered=DispatchState.DELIVERED,
        held=DispatchState.HELD,
        failed=DispatchState.FAILED,
        withdrawn=DispatchState.WITHDRAWN,
    )
    await _sent(store, "other", queued=DispatchState.QUEUED)
    found = await store.read(lambda tx: messages.repeats(tx, "k", NOW - timedelta(days=7)))
    assert found == {f"{local}@hoabinh.gov.vn": first for local in ("queued", "sending", "delivered", "held")}


async def test_the_first_live_mail_is_the_one_that_is_repeated(store: Store) -> None:
    first = await _sent(store, "k", a=DispatchState.DELIVERED, b=DispatchState.FAILED)
    second = await _sent(store, "k", a=DispatchState.QUEUED, b=DispatchState.QUEUED)
    found = await store.read(lambda tx: messages.repeats(tx, "k", NOW))
    assert found == {"a@hoabinh.gov.vn": first, "b@hoabinh.gov.vn": second}


async def test_a_mail_without_a_key_or_too_old_is_no_repeat(store: Store) -> None:
    await _sent(store, "", a=DispatchState.QUEUED)
    await _sent(store, "k", a=DispatchState.QUEUED)
    assert await store.read(lambda tx: messages.repeats(tx, "", NOW)) == {}
    assert await store.read(lambda tx: messages.repeats(tx, "k", at(1))) == {}
