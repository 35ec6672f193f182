"""What people decide about waiting things: held dispatches and entries that wait for their văn thư.

Each act is one transaction with its log event; each raises NotFound or NotAllowed for what cannot be done.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from mailrelay.model.agency import Directory
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.model.entry import EntryStatus, EventKind, LogEvent, RegisterEntry
from mailrelay.model.faults import NotAllowed, NotFound
from mailrelay.model.identity import MailId
from mailrelay.pipeline.settle import close, give_up_entries
from mailrelay.receipts import drawer
from mailrelay.register import books
from mailrelay.store import backlog, dispatches, entries, log, messages, quotas, receipts
from mailrelay.store.engine import Store
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import log as telemetry

T = TypeVar("T")
_TRIED_AGAIN = frozenset({DispatchState.DEFERRED, DispatchState.QUEUED, DispatchState.FAILED})
History = tuple[tuple[datetime, EntryStatus, str, str], ...]  # at, status, actor, note


class Desk:
    """The acts of văn thư and admins; `actor` is who acts, as the log shall name them. `ring` wakes the loops, if any run."""

    def __init__(
        self, store: Store, directory: Callable[[], Directory], now: Callable[[], datetime], ring: Callable[[], None]
    ) -> None:
        self._store = store
        self._directory = directory
        self._now = now
        self._ring = ring

    async def accept_entry(self, entry_id: int, actor: str, note: str = "") -> tuple[RegisterEntry, History]:
        """`mailrelay register accept`: status 03, the next số đến."""

        def act(tx: Transaction, now: datetime) -> tuple[RegisterEntry, History]:
            entry = books.accept(tx, entry_id, actor=actor, now=now, note=note)
            detail = {"entry": entry_id, "seq": entry.seq, "year": entry.year}
            log.append(tx, LogEvent(now, EventKind.ACCEPTED, entry.mail_id, entry.agency, actor, detail))
            return entry, entries.statuses(tx, entry_id)

        return await self._act(act)

    async def return_entry(self, entry_id: int, actor: str, reason: str) -> tuple[RegisterEntry, History]:
        """`mailrelay register return`: status 02 with a reason; the sender is told at once."""

        def act(tx: Transaction, now: datetime) -> tuple[RegisterEntry, History]:
            entry = books.give_back(tx, entry_id, reason=reason, actor=actor, now=now)
            log.append(tx, LogEvent(now, EventKind.RETURNED, entry.mail_id, entry.agency, actor, {"entry": entry_id}))
            record = messages.get(tx, entry.mail_id)
            if record is not None:
                directory = self._directory()
                for receipt in drawer.on_entry_returned(entry, record, reason, actor, now, directory=directory):
                    receipts.insert(tx, receipt)
            return entry, entries.statuses(tx, entry_id)

        return await self._act(act)

    async def release(self, mail_id: MailId, actor: str, recipient: str | None = None) -> tuple[Dispatch, ...]:
        """Let held dispatches of a mail go, all or one recipient's."""

        def act(tx: Transaction, now: datetime) -> tuple[Dispatch, ...]:
            held = _waiting(tx, mail_id, recipient)
            for dispatch in held:
                dispatches.release(tx, dispatch.dispatch_id, now)
            detail = {"dispatches": [d.dispatch_id for d in held]}
            log.append(tx, LogEvent(now, EventKind.RELEASED, mail_id, actor=actor, detail=detail))
            close(tx, mail_id)
            return dispatches.of_mail(tx, mail_id)

        return await self._act(act)

    async def return_held(
        self, mail_id: MailId, actor: str, reason: str, recipient: str | None = None
    ) -> tuple[Dispatch, ...]:
        """Do not let held dispatches go: withdrawn, and the sender is told why."""
        if not reason.strip():
            raise NotAllowed("Không chuyển một thư phải nêu lý do. (Returning a held mail needs a reason.)")

        def act(tx: Transaction, now: datetime) -> tuple[Dispatch, ...]:
            held = _waiting(tx, mail_id, recipient)
            for dispatch in held:
                dispatches.withdraw(tx, dispatch.dispatch_id, reason.strip())
            detail = {"dispatches": [d.dispatch_id for d in held]}
            log.append(tx, LogEvent(now, EventKind.RETURNED, mail_id, actor=actor, detail=detail))
            record = messages.get(tx, mail_id)
            if record is not None:
                for receipt in drawer.on_held_returned(
                    record, held, reason.strip(), actor, now, directory=self._directory()
                ):
                    receipts.insert(tx, receipt)
            close(tx, mail_id)
            give_up_entries(tx, mail_id, self._directory(), now)
            return dispatches.of_mail(tx, mail_id)

        return await self._act(act)

    async def retry(self, dispatch_ids: tuple[int, ...], actor: str) -> int:
        """Try dispatches now that wait or that failed; return how many there were. Others are passed over."""

        def act(tx: Transaction, now: datetime) -> int:
            waiting = [d for d in (dispatches.get(tx, i) for i in dispatch_ids) if d is not None]
            retried: list[MailId] = []
            for dispatch in waiting:
                if dispatch.state in _TRIED_AGAIN:
                    with suppress(NotAllowed):  # claimed since: it is being tried already
                        dispatches.retry(tx, dispatch.dispatch_id, now)
                        retried.append(dispatch.mail_id)
            for mail_id in set(retried):
                close(tx, mail_id)
            return len(retried)

        return await self._act(act)

    async def retry_waiting(self, actor: str, destination: str | None = None) -> int:
        """Try everything now that waits, or that waits for one destination; return how many that brought forward.

        They leave as the limits of their destinations let them.
        """
        count = await self._act(lambda tx, now: backlog.retry_all(tx, now, destination))
        telemetry.info("queue-retried", actor=actor, destination=destination or "", dispatches=count)
        return count

    async def lift_suspension(self, login: str, actor: str) -> str:
        """Let a login send to the outside again, whatever it sent before; return its name as the directory writes it."""
        box = self._directory().account(login) or self._directory().mailbox(login)
        if box is None or not box.login:
            raise NotFound(f"Không có tài khoản {login}. (There is no login {login}.)")
        name = box.login

        def act(tx: Transaction, now: datetime) -> None:
            quotas.lift(tx, name, now)
            log.append(tx, LogEvent(now, EventKind.RELEASED, None, box.agency, actor, {"login": name}))

        await self._act(act)
        return name

    async def _act(self, act: Callable[[Transaction, datetime], T]) -> T:
        now = self._now()
        result = await self._store.write(lambda tx: act(tx, now))
        self._ring()
        return result


def _waiting(tx: Transaction, mail_id: MailId, recipient: str | None) -> list[Dispatch]:
    sendings = dispatches.of_mail(tx, mail_id)
    if not sendings:
        raise NotFound(f"Không có thư {mail_id} trong hàng đợi. (No such mail in the queue.)")
    held = [d for d in sendings if d.state is DispatchState.HELD]
    if recipient is not None:
        held = [d for d in held if d.recipient.address.lower() == recipient.lower()]
    if not held:
        raise NotAllowed(f"Thư {mail_id} không có phần nào đang tạm giữ. (Nothing of this mail is held.)")
    return held
