"""The outbound quota across restarts: what the door remembers of each login is put back from the store, suspensions are kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta

from mailrelay.config.office import Office
from mailrelay.intake.smtp.quota import Quota
from mailrelay.model.envelope import Door, Origin
from mailrelay.model.faults import StoreFault
from mailrelay.model.identity import make_mail_id
from mailrelay.pipeline import entry
from mailrelay.pipeline.parts import Parts
from mailrelay.store import quotas
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import log


class Suspensions:
    """`note` is told by the door; `look` writes again what a sick store did not take."""

    def __init__(self, office: Callable[[], Office], parts: Parts) -> None:
        self._office = office
        self._parts = parts
        self._waiting: list[str] = []
        self._busy = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, login: str) -> None:
        """A login sent beyond its quota for too long: keep that and tell its owner, without making the door wait."""
        log.warning("login-suspended", login=login)
        self._waiting.append(login)
        task = asyncio.create_task(self.look(), name="suspension")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def look(self) -> None:
        """Write what waits, each login with its notice in one transaction."""
        async with self._busy:
            while self._waiting:
                try:
                    await self._keep(self._waiting[0])
                except StoreFault as fault:
                    log.error("suspension-not-kept", login=self._waiting[0], fault=str(fault))
                    return
                self._waiting.pop(0)

    async def _keep(self, login: str) -> None:
        office, parts = self._office(), self._parts
        now = parts.now()
        box = office.directory.account(login)
        mail_id = make_mail_id(int(now.timestamp() * 1000), os.urandom(10))
        complaint = entry.Complaint("login-suspended", {"login": login})

        def write(tx: Transaction) -> None:
            quotas.suspend(tx, login, now + office.settings.quota.suspension)
            if box is not None:
                origin = Origin(Door.SUBMISSION)
                entry.complain(tx, mail_id, box, origin, complaint, office.directory, now)

        await parts.store.write(write)
        parts.bells.ring()

    async def restore(self, quota: Quota) -> None:
        """Put back what a restart made the door forget. Before the doors open."""
        office, now = self._office(), self._parts.now()
        since = now - office.settings.quota.time
        spent, suspended = await self._parts.store.read(
            lambda tx: (quotas.spent(tx, since, office.directory.domain), quotas.suspended(tx, now))
        )
        clock = asyncio.get_running_loop().time()

        def on_clock(distance: timedelta) -> float:
            return clock + distance.total_seconds()

        for login, at, number in spent:
            quota.spend(login, number, on_clock(at - now))
        for login, until in suspended:
            quota.suspend(login, on_clock(until - now))
        if spent or suspended:
            log.info("quota-restored", mails=len(spent), suspended=len(suspended))
