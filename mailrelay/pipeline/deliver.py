"""Queued dispatches go out: claimed with a lease, sent, settled. What a stop cuts short goes back into the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailrelay.delivery.outcome import Trouble, of_trouble
from mailrelay.delivery.queue import CRASHES, detail_of, is_poisoned
from mailrelay.delivery.route import route
from mailrelay.failpoint import failpoint
from mailrelay.model.agency import Target, TargetKind
from mailrelay.model.decision import Reason
from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome, Parcel, Result
from mailrelay.model.document import MessageClass
from mailrelay.model.entry import EventKind, LogEvent
from mailrelay.model.faults import StoreFault
from mailrelay.model.identity import MailId
from mailrelay.model.record import MailRecord
from mailrelay.pipeline.letters import forget_letter
from mailrelay.pipeline.parts import Parts
from mailrelay.pipeline.settle import close, settle
from mailrelay.receipts import transport
from mailrelay.store import dispatches, log, messages, receipts
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import count
from mailrelay.telemetry import log as telemetry

_PATIENCE = 0.025  # seconds that a claim or a settlement waits for company in one commit
_LOOK = 5.0  # seconds between looks at the queue when no bell rings, and after a fault of the store
_POISONED = Reason(
    "queue.poisoned",
    "Việc gửi thư này nhiều lần làm dịch vụ dừng đột ngột",
    "sending it kept crashing the service",
    "Cán bộ CNTT xem nhật ký dịch vụ, rồi cho gửi tiếp (mailrelay queue release) hoặc không gửi (mailrelay queue return).",
    "Read the service's journal, then release it or return it.",
)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """What one claim took: what may be sent with its mails, and what is held instead because the sender keeps dying in it.

    `left` tells that something due waits for its destination, `due` when something will be due again, None for never.
    """

    sound: tuple[Dispatch, ...]
    poisoned: tuple[Dispatch, ...]
    records: Mapping[MailId, MailRecord]
    left: bool
    due: datetime | None


class Dispatcher:
    """The delivery loop of one process. Claims are leases in the store: several dispatchers may run beside each other."""

    def __init__(
        self, parts: Parts, *, lease: timedelta = timedelta(minutes=20), parallel: int = 64, drain: float = 10.0
    ) -> None:
        """`parallel` mails are under way at most; `drain` seconds have those to end in when the service stops."""
        self._parts = parts
        self._drain_time = drain
        self._lease = lease
        self._parallel = parallel
        self._sending: set[asyncio.Task[bool]] = set()
        self._in_hand: set[int] = set()  # dispatches of those tasks
        self._unsettled: set[int] = (
            set()
        )  # what a fault of ours let go of after it may have been sent: its lease runs out
        self._left = False  # something due waits until a destination, or this process, has less to do
        self._in_doubt = False  # a claim may have been committed that we did not hear of
        self._ending = False

    async def run(self) -> None:
        """Deliver until cancelled. What is being sent then has a little time to end, or goes back into the queue."""
        try:
            while True:
                bell = self._parts.bells.dispatches
                bell.clear()
                pause = await self._step()
                if pause > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await bell.wait()
        finally:
            await self._drain()

    async def _step(self) -> float:
        """One round; return for how long nothing will be due, in seconds. A store that fails is asked again later."""
        try:
            return await self._round()
        except StoreFault as fault:
            self._in_doubt = True
            telemetry.error("delivery-store-fault", fault=str(fault))
            await asyncio.sleep(_LOOK)
            return 0.0

    async def _round(self) -> float:
        """Claim as many mails as can be sent at once, so that none of them lies claimed and waits; return the pause after it."""
        while len(self._sending) >= self._parallel:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
        parts = self._parts
        if self._in_doubt:
            held = self._in_hand | self._unsettled
            await parts.store.write(lambda tx: dispatches.give_back(tx, parts.now(), held, parts.node))
            self._in_doubt = False
        claimed = await self._claimed(self._parallel - len(self._sending))
        for dispatch in claimed.poisoned:
            count("dispatches_poisoned")
            telemetry.error("dispatch-poisoned", mail_id=dispatch.mail_id, dispatch=dispatch.dispatch_id)
            parts.bells.receipts.set()
        self._begin(claimed)
        self._left = claimed.left
        if claimed.left and (claimed.sound or claimed.poisoned):
            return 0.0
        if claimed.due is None:
            return _LOOK
        return min(_LOOK, max(0.05, (claimed.due - parts.now()).total_seconds()))

    async def _claimed(self, room: int) -> _Claimed:
        asked = self._parts.store.write(lambda tx: _claim(tx, self._parts, self._lease, room), patience=_PATIENCE)
        claiming = asyncio.ensure_future(asked)
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await self._put_back((await claiming).sound)  # what nobody will send
            raise

    def _begin(self, claimed: _Claimed) -> None:
        """Start one sending for each mail and destination."""
        consignments: dict[tuple[MailId, str], list[Dispatch]] = {}
        for dispatch in claimed.sound:
            # The store was away for longer than a lease: what we hold ourselves is renewed by the claim, and goes once.
            if dispatch.dispatch_id not in self._in_hand:
                consignments.setdefault((dispatch.mail_id, dispatch.destination), []).append(dispatch)
        for consignment in consignments.values():
            ids = {dispatch.dispatch_id for dispatch in consignment}
            self._in_hand |= ids
            self._unsettled -= ids
            record = claimed.records[consignment[0].mail_id]
            task = asyncio.create_task(self._carry(record, consignment), name=f"deliver-{record.message.mail_id}")
            self._sending.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[bool]) -> None:
        """Look into the queue again where the end of this try may let another begin, or has set the moment of the next."""
        self._sending.discard(task)
        if self._left or task.cancelled() or task.exception() is not None or not task.result():
            self._parts.bells.dispatches.set()
        if not task.cancelled() and (fault := task.exception()) is not None:
            # The lease brings these dispatches back; one mail's fault never stops the others.
            telemetry.error("delivery-fault", task=task.get_name(), fault=type(fault).__name__, exc_info=fault)

    async def _drain(self) -> None:
        self._ending = True
        if not self._sending:
            return
        _, unfinished = await asyncio.wait(self._sending, timeout=self._drain_time)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _carry(self, record: MailRecord, consignment: Sequence[Dispatch]) -> bool:
        ids = {dispatch.dispatch_id for dispatch in consignment}
        try:
            return await self._send(record, consignment)
        except Exception:
            self._unsettled |= ids
            raise
        finally:
            self._in_hand -= ids

    async def _send(self, record: MailRecord, consignment: Sequence[Dispatch]) -> bool:
        """Send and settle. False: some recipient is to be tried again."""
        parts = self._parts
        mail_id = record.message.mail_id
        try:
            outcomes = await self._outcomes(record, consignment)
        except asyncio.CancelledError:
            await self._put_back(consignment)
            raise
        failpoint("deliver.after-send")
        tried = tuple(zip(consignment, outcomes, strict=True))
        settling = asyncio.ensure_future(self._write_down(record, tried))
        try:
            await asyncio.shield(settling)
        except asyncio.CancelledError:
            await settling  # what has happened is written down, even at the very end
            raise
        failpoint("deliver.after-settle")
        parts.bells.receipts.set()
        await forget_letter(parts, mail_id, record.message_class)
        return all(outcome.result is not Result.DEFERRED for outcome in outcomes)

    async def _put_back(self, claimed: Sequence[Dispatch]) -> None:
        if claimed:
            await self._parts.store.write(lambda tx: _put_back(tx, claimed, self._parts.now()))

    async def _write_down(self, record: MailRecord, tried: Sequence[tuple[Dispatch, Outcome]]) -> None:
        """Settle. A store that is full or locked for a while is asked again: a try without an end would be made twice."""
        parts = self._parts
        while True:
            try:
                await parts.store.write(
                    lambda tx: settle(tx, parts.office(), record, tried, parts.now()), patience=_PATIENCE
                )
            except StoreFault as fault:
                if self._ending or not parts.store.healthy:
                    raise
                telemetry.error("delivery-store-fault", mail_id=record.message.mail_id, fault=str(fault))
                await asyncio.sleep(_LOOK)
            else:
                return

    async def _outcomes(self, record: MailRecord, consignment: Sequence[Dispatch]) -> tuple[Outcome, ...]:
        """Send. A fault of ours puts the mail off like any other trouble: only the death of the process is a crash."""
        try:
            return await self._sent(record, consignment)
        except Exception as fault:
            telemetry.error(
                "delivery-fault", mail_id=record.message.mail_id, fault=type(fault).__name__, exc_info=fault
            )
            return tuple(of_trouble(d.recipient.address, Trouble.SURPRISE) for d in consignment)

    async def _sent(self, record: MailRecord, consignment: Sequence[Dispatch]) -> tuple[Outcome, ...]:
        parts = self._parts
        office = parts.office()
        delivery = office.settings.delivery
        target = route(consignment[0].recipient.address, office.directory, delivery.routes, delivery.back)
        if target is None:
            return tuple(of_trouble(d.recipient.address, Trouble.NO_ROUTE) for d in consignment)
        failpoint("deliver.before-send")
        parcel = await self._signed(self._parcel(record, consignment), record, target)
        async with self._renewed(consignment):
            return await parts.courier.deliver(parcel, target)

    @asynccontextmanager
    async def _renewed(self, consignment: Sequence[Dispatch]) -> AsyncIterator[None]:
        """Keep the leases while a slow next hop takes its time: a second claim meanwhile would send the mail twice."""
        ids = [dispatch.dispatch_id for dispatch in consignment]
        store, now = self._parts.store, self._parts.now

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._lease.total_seconds() / 3)
                with suppress(StoreFault):  # it may be back at the next of three times
                    await store.write(
                        lambda tx: dispatches.renew_leases(tx, ids, now() + self._lease, self._parts.node)
                    )

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
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


def _claim(tx: Transaction, parts: Parts, lease: timedelta, room: int) -> _Claimed:
    """Claim what is due, and hold what keeps killing its sender."""
    office = parts.office()
    now = parts.now()
    concurrency = office.settings.delivery.per_destination
    sound: list[Dispatch] = []
    poisoned: list[Dispatch] = []
    for dispatch in dispatches.claim(tx, now, lease, room, per_destination=concurrency, holder=parts.node):
        ended = len(dispatches.attempts(tx, dispatch.dispatch_id)) if dispatch.attempts > CRASHES else dispatch.attempts
        # The try that begins now has no row either.
        (poisoned if is_poisoned(dispatch, ended + 1) else sound).append(dispatch)
    for dispatch in poisoned:
        dispatches.hold(tx, dispatch.dispatch_id, f"{_POISONED.vi} ({_POISONED.en})")
        detail = {"dispatch": dispatch.dispatch_id, "reason": "crashes"}
        log.append(tx, LogEvent(now, EventKind.HELD, dispatch.mail_id, actor="mailrelay", detail=detail))
        record = messages.get(tx, dispatch.mail_id)
        assert record is not None
        for receipt in transport.on_poisoned(record, dispatch, _POISONED, office.directory, now):
            receipts.insert(tx, receipt)
        close(tx, dispatch.mail_id)
    return _Claimed(
        tuple(sound),
        tuple(poisoned),
        messages.read(tx, {dispatch.mail_id for dispatch in sound}),
        left=dispatches.left_behind(tx, now),
        due=dispatches.next_due(tx, now),
    )


def _put_back(tx: Transaction, claimed: Sequence[Dispatch], now: datetime) -> None:
    """Tries that the end of the service cut short: noted, so that they count as no crash, and due at the next start."""
    for dispatch in claimed:
        current = dispatches.get(tx, dispatch.dispatch_id)
        if current is not None and current.state is DispatchState.SENDING:
            outcome = of_trouble(dispatch.recipient.address, Trouble.STOPPED)
            dispatches.settle(
                tx,
                dispatch.dispatch_id,
                DispatchState.DEFERRED,
                next_attempt_at=now,
                outcome=outcome,
                at=now,
                detail=detail_of(outcome),
            )
