"""What follows from a try, in one transaction: states, log events, books, notices, the state of the mail as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from mailrelay.config.office import Office
from mailrelay.delivery.queue import EXPIRED_STATUS, settlement
from mailrelay.model.agency import Directory
from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome, Result, Scope
from mailrelay.model.document import MessageClass, Urgency
from mailrelay.model.entry import Book, EntryStatus, EventKind, LogEvent, RegisterEntry
from mailrelay.model.identity import MailId
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptKind, ReceiptState
from mailrelay.model.record import MailRecord
from mailrelay.receipts import drawer
from mailrelay.register import books
from mailrelay.store import dispatches, entries, log, messages, receipts
from mailrelay.store.transaction import Transaction

_ARRIVED = frozenset({DispatchState.DELIVERED, DispatchState.RELAYED})
_LOST = frozenset({DispatchState.FAILED, DispatchState.WITHDRAWN})
_EVENTS = {
    DispatchState.DELIVERED: EventKind.DELIVERED,
    DispatchState.RELAYED: EventKind.RELAYED,
    DispatchState.DEFERRED: EventKind.DEFERRED,
    DispatchState.FAILED: EventKind.FAILED,
}


def settle(
    tx: Transaction, office: Office, record: MailRecord, tried: Sequence[tuple[Dispatch, Outcome]], now: datetime
) -> None:
    """Write down what came of a try and everything that it causes.

    A dispatch that another sender or a person has brought to its end meanwhile only gets its attempt row: no event, no notice.
    """
    moved = [pair for pair in (_moved(tx, office, record, *one, now) for one in tried) if pair is not None]
    mail_id = record.message.mail_id
    if record.message_class is MessageClass.RECEIPT:
        # It has one recipient, stands in no book, and nobody is told what became of it.
        _close(tx, mail_id, [dispatch for dispatch, _ in moved] or dispatches.of_mail(tx, mail_id))
        return
    sendings = dispatches.of_mail(tx, mail_id)
    booked: list[RegisterEntry] = []
    if record.message_class is MessageClass.DOCUMENT:
        booked = _note_in_books(tx, record, office, [dispatch for dispatch, _ in moved], sendings, now)
    # Who was reached at the first try was never told of as lost.
    again = {dispatch.dispatch_id for dispatch in sendings if dispatch.attempts > 1}
    is_news = any(d.state in _ARRIVED and d.dispatch_id in again for d, _ in moved)
    told_failed = _told_failed(tx, mail_id) if is_news else frozenset()
    for receipt in drawer.on_settled(record, moved, office.directory, now, entries=booked, told_failed=told_failed):
        receipts.insert(tx, receipt)
    _close(tx, mail_id, sendings, is_notice=False)


def close(tx: Transaction, mail_id: MailId) -> None:
    """Set the mail's state from its dispatches; a notice's receipt follows its mail."""
    _close(tx, mail_id, dispatches.of_mail(tx, mail_id))


def _close(tx: Transaction, mail_id: MailId, sendings: Sequence[Dispatch], *, is_notice: bool = True) -> None:
    states = {dispatch.state for dispatch in sendings}
    if any(not state.is_final and state is not DispatchState.HELD for state in states):
        messages.set_state(tx, mail_id, MessageState.MOVING)
        return
    held = DispatchState.HELD in states
    messages.set_state(tx, mail_id, MessageState.HELD if held else MessageState.DONE)
    if is_notice and not held:
        receipts.mark_notice(tx, mail_id, ReceiptState.SENT if states <= _ARRIVED else ReceiptState.FAILED)


def _moved(
    tx: Transaction, office: Office, record: MailRecord, dispatch: Dispatch, outcome: Outcome, now: datetime
) -> tuple[Dispatch, Outcome] | None:
    """Settle one dispatch; return it as it stands then with what is to be told of it, or None when it was final already."""
    chosen = office.settings.delivery
    ordinary = dispatch.urgency is Urgency.NORMAL  # urgent papers keep the built-in denser tries
    following = partial(
        settlement,
        outcome=outcome,
        now=now,
        schedule=chosen.schedule if ordinary else (),
        working_days=chosen.give_up_days,
    )
    state, next_attempt_at, detail = following(dispatch)
    if state is DispatchState.FAILED and outcome.result is Result.DEFERRED:
        # Its time is over, unless the clock jumped while it was being sent: the row knows how old it really is.
        stored = dispatches.get(tx, dispatch.dispatch_id)
        state, next_attempt_at, detail = following(replace(dispatch, created_at=stored.created_at if stored else None))
    moved = dispatches.settle(
        tx, dispatch.dispatch_id, state, next_attempt_at=next_attempt_at, outcome=outcome, at=now, detail=detail
    )
    if not moved:
        return None
    if outcome.scope is Scope.DESTINATION and state is DispatchState.DEFERRED:
        dispatches.put_off(tx, dispatch.destination, next_attempt_at, dispatch.urgency)
    log.append(tx, _event(record, dispatch, outcome, state, office, now))
    if state is DispatchState.FAILED and outcome.result is Result.DEFERRED:
        said = f"{outcome.status} {outcome.text}" if outcome.code else outcome.text
        outcome = replace(outcome, status=EXPIRED_STATUS, text=said)
    return replace(dispatch, state=state, detail=detail, next_attempt_at=next_attempt_at), outcome


def _told_failed(tx: Transaction, mail_id: MailId) -> frozenset[str]:
    """The recipients (lower case) of whom the sender was told that the mail did not reach them."""
    told = receipts.of_kind(tx, mail_id, ReceiptKind.FAILED)
    return frozenset(one["address"].lower() for receipt in told for one in receipt.facts["recipients"])


def _note_in_books(
    tx: Transaction,
    record: MailRecord,
    office: Office,
    moved: Sequence[Dispatch],
    sendings: Sequence[Dispatch],
    now: datetime,
) -> list[RegisterEntry]:
    """An agency has the paper when one of its boxes has it; it does not get it when none of them will.

    Returns the incoming entries as they stand then.
    """
    mail_id = record.message.mail_id
    incoming = [entry for entry in entries.of_mail(tx, mail_id) if entry.book is Book.INCOMING]
    for index, entry in enumerate(incoming):
        agency = office.directory.agency(entry.agency)
        if agency is None:
            continue
        if any(d.state in _ARRIVED and _is_for(d, entry, office.directory) for d in moved):
            after = incoming[index] = books.arrive(tx, entry, agency, now)
            if after.seq is not None and entry.seq is None:
                detail = {"entry": entry.entry_id, "seq": after.seq, "year": after.year}
                log.append(tx, LogEvent(now, EventKind.ACCEPTED, mail_id, entry.agency, "mailrelay", detail))
        elif entry.status is EntryStatus.AWAITING:
            states = {d.state for d in sendings if _is_for(d, entry, office.directory)}
            if DispatchState.FAILED in states and states <= _LOST:
                entries.set_status(tx, entry.entry_id, EntryStatus.NOT_DELIVERED, at=now, actor="mailrelay")
                incoming[index] = replace(entry, status=EntryStatus.NOT_DELIVERED)
    return incoming


def give_up_entries(tx: Transaction, mail_id: MailId, directory: Directory, now: datetime) -> None:
    """Note in the receivers' books that a paper will not come: nothing of it is under way to the agency any more."""
    sendings = dispatches.of_mail(tx, mail_id)
    for entry in entries.of_mail(tx, mail_id):
        states = {d.state for d in sendings if _is_for(d, entry, directory)}
        if entry.book is Book.INCOMING and entry.status is EntryStatus.AWAITING and states and states <= _LOST:
            entries.set_status(tx, entry.entry_id, EntryStatus.NOT_DELIVERED, at=now, actor="mailrelay")


def _is_for(dispatch: Dispatch, entry: RegisterEntry, directory: Directory) -> bool:
    agency = directory.agency_of(dispatch.recipient.address)
    return agency is not None and agency.agency_id == entry.agency


def _event(
    record: MailRecord, dispatch: Dispatch, outcome: Outcome, state: DispatchState, office: Office, now: datetime
) -> LogEvent:
    agency = office.directory.agency_of(dispatch.recipient.address)
    detail = {
        "dispatch": dispatch.dispatch_id,
        "status": outcome.status,
        "code": outcome.code,
        "remote": outcome.remote,
        "tls": outcome.tls,
        "uncertain": outcome.uncertain,
    }
    agency_id = agency.agency_id if agency else None
    return LogEvent(now, _EVENTS[state], record.message.mail_id, agency_id, "mailrelay", detail)
