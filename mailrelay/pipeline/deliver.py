"""Queued dispatches go out: claimed with a lease, sent, settled in one transaction with what follows from the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

from mailrelay.config.office import Office
from mailrelay.delivery.outcome import Trouble, of_trouble
from mailrelay.delivery.queue import CRASHES, is_poisoned, settlement
from mailrelay.delivery.route import route
from mailrelay.failpoint import failpoint
from mailrelay.model.agency import Target, TargetKind
from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome, Parcel, Scope
from mailrelay.model.document import MessageClass, Urgency
from mailrelay.model.entry import Book, EntryStatus, EventKind, LogEvent
from mailrelay.model.faults import StoreFault
from mailrelay.model.identity import MailId
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptState
from mailrelay.model.record import MailRecord
from mailrelay.pipeline.parts import Parts
from mailrelay.receipts import drawer
from mailrelay.register import books
from mailrelay.store import dispatches, entries, log, messages, receipts
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import log as telemetry

_CLAIM = 64  # dispatches taken at once
_LOOK = 5.0  # seconds between looks at the queue when no bell rings
_POISONED = "việc gửi thư này nhiều lần làm dịch vụ dừng đột ngột (sending it kept crashing the service)"
_EVENTS = {
    DispatchState.DELIVERED: EventKind.DELIVERED,
    DispatchState.RELAYED: EventKind.RELAYED,
    DispatchState.DEFERRED: EventKind.DEFERRED,
    DispatchState.FAILED: EventKind.FAILED,
}


class Dispatcher:
    """The delivery loop of one process. Claims are leases in the store: several dispatchers may run beside each other."""

    def __init__(self, parts: Parts, *, lease: timedelta = timedelta(minutes=20), parallel: int = 16) -> None:
        self._parts = parts
        self._lease = lease
        self._free = asyncio.Semaphore(parallel)
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver until cancelled; what is being sent then finishes or falls back to the queue when its lease ends."""
        try:
            while True:
                bell = self._parts.bells.dispatches
                bell.clear()
                if await self._round() == 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(await self._pause()):
                            await bell.wait()
        finally:
            if self._sending:
                _, unfinished = await asyncio.wait(self._sending, timeout=10)
                for task in unfinished:
                    task.cancel()

    async def _round(self) -> int:
        parts = self._parts
        now = parts.now()
        concurrency = parts.office().settings.delivery.per_destination
        claimed = await parts.store.write(lambda tx: _claim(tx, now, self._lease, concurrency))
        consignments: dict[tuple[MailId, str], list[Dispatch]] = {}
        for dispatch in claimed:
            consignments.setdefault((dispatch.mail_id, dispatch.destination), []).append(dispatch)
        for consignment in consignments.values():
            await self._free.acquire()
            task = asyncio.create_task(self._carry(consignment), name=f"deliver-{consignment[0].mail_id}")
            self._sending.add(task)
            task.add_done_callback(self._done)
        return len(claimed)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._free.release()
        self._parts.bells.dispatches.set()
        if not task.cancelled() and (fault := task.exception()) is not None:
            # The lease brings these dispatches back; one mail's fault never stops the others.
            telemetry.error("delivery-fault", task=task.get_name(), fault=type(fault).__name__, exc_info=fault)

    async def _pause(self) -> float:
        due = await self._parts.store.read(dispatches.next_due)
        if due is None:
            return _LOOK
        return min(_LOOK, max(0.05, (due - self._parts.now()).total_seconds()))

    async def _carry(self, consignment: Sequence[Dispatch]) -> None:
        parts = self._parts
        mail_id = consignment[0].mail_id
        record = await parts.store.read(lambda tx: messages.get(tx, mail_id))
        assert record is not None  # a dispatch references its message
        office = parts.office()
        target = route(consignment[0].recipient.address, office.directory, office.settings.delivery.routes)
        if target is None:
            outcomes = tuple(of_trouble(d.recipient.address, Trouble.NO_ROUTE) for d in consignment)
        else:
            failpoint("deliver.before-send")
            parcel = await self._signed(self._parcel(record, consignment), record, target)
            async with self._renewed(consignment):
                outcomes = await parts.courier.deliver(parcel, target)
            failpoint("deliver.after-send")
        settled = tuple(zip(consignment, outcomes, strict=True))
        await parts.store.write(lambda tx: settle(tx, parts, record, settled))
        failpoint("deliver.after-settle")
        parts.bells.receipts.set()
        await self._forget_letter(record)

    @asynccontextmanager
    async def _renewed(self, consignment: Sequence[Dispatch]) -> AsyncIterator[None]:
        """Keep the leases while a slow next hop takes its time: a second claim meanwhile would send the mail twice."""
        ids = [dispatch.dispatch_id for dispatch in consignment]
        store, now = self._parts.store, self._parts.now

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._lease.total_seconds() / 3)
                await store.write(lambda tx: dispatches.renew_leases(tx, ids, now() + self._lease))

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError, StoreFault):
                await renewing

    def _parcel(self, record: MailRecord, consignment: Sequence[Dispatch]) -> Parcel:
        message = record.message
        return Parcel(
            mail_id=message.mail_id,
            sender=message.envelope.sender,
            recipients=tuple(dispatch.recipient for dispatch in consignment),
            path=self._parts.spool.path(message.mail_id),
            size=message.size,
            rendering=record.rendering,
            body=message.envelope.body,
            smtputf8=message.envelope.smtputf8,
            requiretls=message.envelope.requiretls,
            ret=message.envelope.ret,
            envid=message.envelope.envid,
            attempts=max(dispatch.attempts for dispatch in consignment),
        )

    async def _signed(self, parcel: Parcel, record: MailRecord, target: Target) -> Parcel:
        """DKIM-sign our own notices, and what our officials send to another system. A mail never leaves unsigned by mistake:
        a key that does not work is a fault, and the mail waits."""
        signer = self._parts.signer
        leaving = target.kind is TargetKind.SMTP and record.message.envelope.origin.is_authenticated
        if signer is None or not (leaving or record.message_class is MessageClass.RECEIPT):
            return parcel
        field = await asyncio.to_thread(signer.sign, parcel.path, parcel.rendering)
        return replace(parcel, rendering=replace(parcel.rendering, prefix=field + parcel.rendering.prefix))

    async def _forget_letter(self, record: MailRecord) -> None:
        """Delete the bytes of a letter after its final delivery, where the setting says so."""
        parts = self._parts
        keep = parts.office().settings.letters.keep
        if record.message_class is not MessageClass.LETTER or keep:
            return
        mail_id = record.message.mail_id
        sendings = await parts.store.read(lambda tx: dispatches.of_mail(tx, mail_id))
        if all(s.state in (DispatchState.DELIVERED, DispatchState.RELAYED) for s in sendings):
            with suppress(FileNotFoundError):
                await asyncio.to_thread(parts.spool.remove, mail_id)


def _claim(tx: Transaction, now: datetime, lease: timedelta, concurrency: int) -> list[Dispatch]:
    """Claim what is due. A mail in whose tries the sender keeps dying is held with an alarm instead of killing it again."""
    sound = []
    for dispatch in dispatches.claim(tx, now, lease, _CLAIM, per_destination=concurrency):
        ended = len(dispatches.attempts(tx, dispatch.dispatch_id)) if dispatch.attempts > CRASHES else dispatch.attempts
        if is_poisoned(dispatch, ended + 1):  # the try that begins now has no row either
            dispatches.hold(tx, dispatch.dispatch_id, _POISONED)
            detail = {"dispatch": dispatch.dispatch_id, "reason": "crashes"}
            log.append(tx, LogEvent(now, EventKind.HELD, dispatch.mail_id, actor="mailrelay", detail=detail))
            close(tx, dispatch.mail_id)
        else:
            sound.append(dispatch)
    return sound


def settle(tx: Transaction, parts: Parts, record: MailRecord, settled: Sequence[tuple[Dispatch, Outcome]]) -> None:
    """One transaction: states and attempts, log events, arrivals in the books, receipts, the state of the mail."""
    now = parts.now()
    office = parts.office()
    chosen = office.settings.delivery
    mail_id = record.message.mail_id
    final: list[tuple[Dispatch, Outcome]] = []
    for dispatch, outcome in settled:
        ordinary = dispatch.urgency is Urgency.NORMAL  # urgent papers keep the built-in denser tries
        state, next_attempt_at, detail = settlement(
            dispatch, outcome, now, chosen.schedule if ordinary else (), working_days=chosen.give_up_days
        )
        dispatches.settle(
            tx, dispatch.dispatch_id, state, next_attempt_at=next_attempt_at, outcome=outcome, at=now, detail=detail
        )
        if outcome.scope is Scope.DESTINATION and state is DispatchState.DEFERRED:
            dispatches.put_off(tx, dispatch.destination, next_attempt_at)
        log.append(tx, _event(record, dispatch, outcome, state, office, parts))
        final.append((replace(dispatch, state=state, detail=detail), outcome))
    arrived = [d.recipient.address for d, _ in final if d.state in (DispatchState.DELIVERED, DispatchState.RELAYED)]
    failed = [d.recipient.address for d, _ in final if d.state is DispatchState.FAILED]
    if record.message_class is MessageClass.DOCUMENT:
        _note_in_books(tx, record, office, arrived, failed, parts)
    booked = [entry for entry in entries.of_mail(tx, mail_id) if entry.book is Book.INCOMING]
    for receipt in drawer.on_settled(record, final, office.directory, now, entries=booked):
        receipts.insert(tx, receipt)
    close(tx, mail_id)


def close(tx: Transaction, mail_id: MailId) -> None:
    """Set the mail's state from its dispatches; a notice's receipt follows its mail."""
    states = {dispatch.state for dispatch in dispatches.of_mail(tx, mail_id)}
    if any(not state.is_final and state is not DispatchState.HELD for state in states):
        messages.set_state(tx, mail_id, MessageState.MOVING)
        return
    held = DispatchState.HELD in states
    messages.set_state(tx, mail_id, MessageState.HELD if held else MessageState.DONE)
    receipt = receipts.by_notice(tx, mail_id)
    if receipt is not None and not held:
        went = states <= {DispatchState.DELIVERED, DispatchState.RELAYED}
        receipts.mark(tx, receipt.receipt_id, ReceiptState.SENT if went else ReceiptState.FAILED)


def _note_in_books(
    tx: Transaction, record: MailRecord, office: Office, arrived: Sequence[str], failed: Sequence[str], parts: Parts
) -> None:
    now = parts.now()
    for entry in entries.of_mail(tx, record.message.mail_id):
        agency = office.directory.agency(entry.agency)
        if entry.book is not Book.INCOMING or agency is None:
            continue
        own = {address.lower() for address in entry.recipients}
        if own & {address.lower() for address in arrived}:
            after = books.arrive(tx, entry, agency, now)
            if after.seq is not None and entry.seq is None:
                detail = {"entry": entry.entry_id, "seq": after.seq, "year": after.year}
                event = LogEvent(now, EventKind.ACCEPTED, record.message.mail_id, entry.agency, "mailrelay", detail)
                log.append(tx, event)
        elif entry.status is EntryStatus.AWAITING and own <= {address.lower() for address in failed}:
            entries.set_status(tx, entry.entry_id, EntryStatus.NOT_DELIVERED, at=now, actor="mailrelay")


def _event(
    record: MailRecord, dispatch: Dispatch, outcome: Outcome, state: DispatchState, office: Office, parts: Parts
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
    return LogEvent(parts.now(), _EVENTS[state], record.message.mail_id, agency_id, "mailrelay", detail)
