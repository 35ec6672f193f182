"""Queued dispatches go out: claimed with a lease, sent, settled. What a stop cuts short goes back into the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailrelay.delivery.outcome import Trouble, of_trouble
from mailrelay.delivery.queue import CRASHES, detail_of, is_poisoned
from mailrelay.delivery.route import route
from mailrelay.failpoint import failpoint
from mailrelay.model.agency import Target, TargetKind
from mailrelay.model.decision import Reason
from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome, Parcel, Result, Scope
from mailrelay.model.document import MessageClass
from mailrelay.model.entry import EventKind, LogEvent
from mailrelay.model.faults import StoreFault
from mailrelay.model.identity import MailId
from mailrelay.model.record import MailRecord
from mailrelay.pipeline.active import Consignment, Terms
from mailrelay.pipeline.letters import forget_letter
from mailrelay.pipeline.parts import Parts
from mailrelay.pipeline.settle import close, settle
from mailrelay.receipts import transport
from mailrelay.store import dispatches, leases, log, messages, receipts
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import count
from mailrelay.telemetry import log as telemetry

_PATIENCE = 0.025  # seconds that a claim or a settlement waits for company in one commit
_CROWDED = 0.25  # seconds between looks for room when there is none
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
    """The delivery loop of one process: serves its active queue. Several may run beside each other, for claims are leases."""

    def __init__(self, parts: Parts, *, lease: timedelta = timedelta(minutes=20), drain: float = 10.0) -> None:
        """`drain` seconds have the sendings to end in when the service stops."""
        self._parts = parts
        self._active = parts.active
        self._drain_time = drain
        self._lease = lease
        self._sending: set[asyncio.Task[bool]] = set()
        # What a fault of ours let go of after it may have been sent: its lease runs out.
        self._unsettled: set[int] = set()
        self._ending = False
        self._sure_until = parts.now() + lease  # before that no lease of what is in hand runs out

    async def run(self) -> None:
        """Deliver until cancelled. What is being sent then has a little time to end, or goes back into the queue."""
        parts = self._parts
        self._active.open(Terms(self._begin, self._at_once, self._lease, parts.node, parts.now))
        renewing = asyncio.create_task(self._renew(), name="renew-leases")
        try:
            while True:
                bell = parts.bells.dispatches
                bell.clear()
                pause = await self._step()
                if pause > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await bell.wait()
        finally:
            renewing.cancel()
            await self._drain()

    async def _step(self) -> float:
        """One round; return for how long nothing will be due, in seconds. A store that fails is asked again later."""
        try:
            return await self._round()
        except StoreFault as fault:
            self._active.in_doubt = True
            telemetry.error("delivery-store-fault", fault=str(fault))
            await asyncio.sleep(_LOOK)
            return 0.0

    async def _round(self) -> float:
        """Claim what there is room for; return the pause after it."""
        parts, active = self._parts, self._active
        if active.in_doubt:
            await self._clear_up()
        if not active.room:
            active.backlog = True
            return _CROWDED
        asked = (active.room + 1) // 2  # what is left shrinks the shares of the next claim
        before = frozenset(active.in_hand)
        claimed = await self._claimed(asked)
        for dispatch in claimed.poisoned:
            count("dispatches_poisoned")
            telemetry.error("dispatch-poisoned", mail_id=dispatch.mail_id, dispatch=dispatch.dispatch_id)
            parts.bells.receipts.set()
        shares: dict[MailId, list[Dispatch]] = {}
        for dispatch in claimed.sound:
            if dispatch.dispatch_id not in before:
                shares.setdefault(dispatch.mail_id, []).append(dispatch)
        active.claimed_again(before.intersection(dispatch.dispatch_id for dispatch in claimed.sound))
        for mail_id, share in shares.items():
            active.admit(claimed.records[mail_id], share)
        active.backlog = claimed.left
        if active.in_doubt:
            return 0.0
        mails = {(dispatch.mail_id, dispatch.destination) for dispatch in (*claimed.sound, *claimed.poisoned)}
        if claimed.left and (len(mails) >= asked or claimed.poisoned or len(claimed.sound) > len(claimed.records)):
            return 0.0  # mails with many recipients may have hidden others from the claim
        if claimed.due is None:
            return _LOOK
        return min(_LOOK, max(0.05, (claimed.due - parts.now()).total_seconds()))

    async def _clear_up(self) -> None:
        """Find what may have been claimed without our hearing of it."""
        parts, active = self._parts, self._active
        held, coming, before = active.in_hand | self._unsettled, set(active.coming), parts.now() + self._lease
        active.in_doubt = False
        await parts.store.write(
            lambda tx: leases.give_back(tx, parts.now(), held, parts.node, before=before, coming=coming)
        )

    async def _claimed(self, room: int) -> _Claimed:
        patience = 0.0 if self._active.backlog else _PATIENCE
        share, now = self._active.share, self._parts.now()
        # The clock jumped or the store was away: what is in hand is no crash, and is not to be claimed again.
        held = sorted(self._active.in_hand) if now >= self._sure_until else []
        asked = self._parts.store.write(
            lambda tx: _claim(tx, self._parts, self._lease, room, share, held), patience=patience
        )
        claiming = asyncio.ensure_future(asked)
        try:
            claimed = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with suppress(StoreFault):  # the next start finds them
                await self._hand_back((await claiming).sound)  # what nobody will send
            raise
        if held:
            self._sure_until = now + self._lease
        return claimed

    def _at_once(self) -> int:
        return self._parts.office().settings.delivery.per_destination

    def _begin(self, consignment: Consignment) -> None:
        self._unsettled -= consignment.ids
        task = asyncio.create_task(self._carry(consignment), name=f"deliver-{consignment.mail_id}")
        self._sending.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[bool]) -> None:
        """Look into the queue again where the end of this try has set the moment of the next."""
        self._sending.discard(task)
        if task.cancelled() or task.exception() is not None or not task.result():
            self._parts.bells.dispatches.set()
        if not task.cancelled() and (fault := task.exception()) is not None:
            # The lease brings these dispatches back; one mail's fault never stops the others.
            telemetry.error("delivery-fault", task=task.get_name(), fault=type(fault).__name__, exc_info=fault)

    async def _drain(self) -> None:
        self._ending = True
        with suppress(StoreFault):  # the next start finds them
            await self._hand_back([one for consignment in self._active.close() for one in consignment.dispatches])
        if not self._sending:
            return
        _, unfinished = await asyncio.wait(self._sending, timeout=self._drain_time)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _renew(self) -> None:
        """Keep the leases while a slow next hop takes its time: a second claim meanwhile would send the mail twice."""
        parts = self._parts

        def renew(tx: Transaction) -> None:
            leases.renew(tx, held, parts.now() + self._lease, parts.node)

        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            held, now = sorted(self._active.in_hand), parts.now()
            with suppress(StoreFault):  # it may be back at the next of three times
                await parts.store.write(renew)
                self._sure_until = now + self._lease

    async def _carry(self, consignment: Consignment) -> bool:
        slot = self._parts.under_way.begin(consignment.mail_id)
        try:
            return await self._send(consignment)
        except Exception:
            self._unsettled |= consignment.ids
            raise
        finally:
            self._parts.under_way.end(slot)
            if self._active.settled(consignment):
                self._parts.bells.dispatches.set()

    async def _send(self, consignment: Consignment) -> bool:
        """Send and settle. False: some recipient is to be tried again."""
        parts, record, sendings = self._parts, consignment.record, consignment.dispatches
        stranded: list[int] = []
        try:
            outcomes = await self._outcomes(record, sendings)
            if any(outcome.scope is Scope.DESTINATION and outcome.result is Result.DEFERRED for outcome in outcomes):
                stranded = [one for other in self._active.withdraw(consignment.destination) for one in other.ids]
                self._unsettled.update(stranded)  # nobody else may put them back meanwhile
        except asyncio.CancelledError:
            await self._put_back(sendings)
            raise
        finally:
            if self._active.sent(consignment):
                parts.bells.dispatches.set()
        failpoint("deliver.after-send")
        tried = tuple(zip(sendings, outcomes, strict=True))
        settling = asyncio.ensure_future(self._write_down(record, tried, stranded))
        try:
            await asyncio.shield(settling)
        except asyncio.CancelledError:
            await settling  # what has happened is written down, even at the very end
            raise
        failpoint("deliver.after-settle")
        parts.bells.receipts.set()
        await forget_letter(parts, consignment.mail_id, record.message_class)
        return all(outcome.result is not Result.DEFERRED for outcome in outcomes)

    async def _put_back(self, begun: Sequence[Dispatch]) -> None:
        await self._parts.store.write(lambda tx: _put_back(tx, begun, self._parts.now()))

    async def _hand_back(self, claimed: Sequence[Dispatch]) -> None:
        if claimed:
            ids = [dispatch.dispatch_id for dispatch in claimed]
            await self._parts.store.write(lambda tx: leases.hand_back(tx, ids))

    async def _write_down(
        self, record: MailRecord, tried: Sequence[tuple[Dispatch, Outcome]], stranded: list[int]
    ) -> None:
        """Settle. A store that is full or locked for a while is asked again: a try without an end would be made twice.

        `stranded` are dispatches that waited here for a next hop in trouble: they go back, and are put off with the rest.
        """
        parts = self._parts

        def write_down(tx: Transaction) -> None:
            leases.hand_back(tx, stranded)
            settle(tx, parts.office(), record, tried, parts.now())

        while True:
            try:
                await parts.store.write(write_down, patience=_PATIENCE)
            except Exception as fault:
                if stranded:  # it may have been committed, and these may be ours again before the next try
                    self._unsettled.difference_update(stranded)
                    stranded = []
                    self._active.in_doubt = True
                if not isinstance(fault, StoreFault) or self._ending or not parts.store.healthy:
                    raise
                telemetry.error("delivery-store-fault", mail_id=record.message.mail_id, fault=str(fault))
                await asyncio.sleep(_LOOK)
            else:
                self._unsettled.difference_update(stranded)
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
        return await parts.courier.deliver(parcel, target)

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


def _claim(tx: Transaction, parts: Parts, lease: timedelta, room: int, share: int, held: Sequence[int]) -> _Claimed:
    """Claim what is due, at most `share` mails for each destination, and hold what keeps killing its sender. `held` stays ours."""
    office = parts.office()
    now = parts.now()
    leases.renew(tx, held, now + lease, parts.node)
    sound: list[Dispatch] = []
    poisoned: list[Dispatch] = []
    for dispatch in dispatches.claim(tx, now, lease, room, per_destination=share, holder=parts.node):
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
    left, due = dispatches.outlook(tx, now)
    return _Claimed(
        tuple(sound),
        tuple(poisoned),
        messages.read(tx, {dispatch.mail_id for dispatch in sound}),
        left=left,
        due=due,
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
