"""The service of one office: opens the rooms, runs the loops in the only TaskGroup of the house, closes in order."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path

from mailrelay.config.office import Office
from mailrelay.daemon import memory, rooms
from mailrelay.daemon.clock import SteadyClock
from mailrelay.daemon.smtp import smtp_door
from mailrelay.daemon.suspensions import Suspensions
from mailrelay.daemon.verbs import key_desk, verbs
from mailrelay.delivery.backoff import longest_pause
from mailrelay.failpoint import failpoint
from mailrelay.intake.control import ControlDoor
from mailrelay.model.envelope import Door
from mailrelay.model.faults import Fault, StoreFault, StoreUnhealthy
from mailrelay.model.identity import MailId
from mailrelay.pipeline.accept import Pipeline
from mailrelay.pipeline.deliver import Dispatcher
from mailrelay.pipeline.hold import Desk
from mailrelay.pipeline.parts import Bells, Parts
from mailrelay.pipeline.reply import Replier
from mailrelay.schedule import Schedule, build_schedule
from mailrelay.store import backlog, leases, messages
from mailrelay.store.engine import DataLock, Store
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import log

_DRAIN = timedelta(seconds=10)
_CARRY_EVERY = 5.0  # seconds between looks for pending mail
_HEALTH_EVERY = 1.0  # seconds between looks at the store's health
_UNHEALTHY = (
    "Đĩa không còn giữ chắc những gì được ghi (xem nhật ký): đã ngừng nhận thư, hãy kiểm tra đĩa rồi khởi động lại."
    " (A sync failed: no more mail is taken; check the disk, then start the service again.)"
)


class Daemon:
    """`listeners` names the bound address of each door once `ready` is set; `desk` and `store` are those of the running house."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._stop = asyncio.Event()
        self.ready = asyncio.Event()
        self.listeners: dict[str, str] = {}
        self.desk: Desk | None = None
        self.store: Store | None = None

    def office(self) -> Office:
        return self._office

    def reload(self, office: Office) -> None:
        """Swap the snapshot whole: rules, directory and the settings that are looked up per mail."""
        self._office = office
        memory.settle()

    def stop(self) -> None:
        """Ask for an orderly end: doors first, then what is under way."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until `stop`. Raises a Fault when the office cannot be opened, OSError when a port cannot be had."""
        settings = self._office.settings
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        clock = SteadyClock()
        with DataLock(settings.data_dir):
            async with AsyncExitStack() as stack:
                parts = await rooms.open_parts(self.office, stack, clock.now)
                await _recover(parts)
                try:
                    await self._serve(parts, clock)
                except ExceptionGroup as group:
                    raise _only_fault(group) from group

    async def _serve(self, parts: Parts, clock: SteadyClock) -> None:
        pipeline = Pipeline(parts)
        desk = Desk(parts.store, lambda: self._office.directory, parts.now, parts.bells.ring)
        self.desk, self.store = desk, parts.store
        suspensions = Suspensions(self.office, parts)
        smtp = smtp_door(self.office, pipeline, parts, suspensions.note, lambda: rooms.hindrance(self._office, parts))
        await suspensions.restore(smtp.quota)
        silent: list[rooms.Silence] = []
        imap = rooms.imap_door(self.office, pipeline, parts, silent, smtp.quota)
        keys = key_desk(self._office.settings, parts.store, lambda: self._office.directory)
        control = ControlDoor(self._office.settings.listen.control, verbs(desk, keys, smtp.quota.release))
        schedule = build_schedule(rooms.ticks(self.office, parts, imap, suspensions, silent))
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(Dispatcher(parts).run(), name="deliver"),
                group.create_task(Replier(parts).run(), name="reply"),
                group.create_task(_carry(pipeline, parts.bells), name="carry"),
                group.create_task(_watch(parts, clock, schedule), name="watch"),
            ]
            try:
                self.listeners = _named(await smtp.start())
                await imap.start()
                await control.start()
                schedule.start()
                self._announce()
                await self._stop.wait()
            finally:
                log.info("stopping")
                await schedule.stop()
                await smtp.close(_DRAIN)
                await suspensions.look()
                await imap.close()
                await control.close()
                for loop in loops:
                    loop.cancel()

    def _announce(self) -> None:
        """Leave the bound addresses where commands and tests find them, and tell systemd that we are ready (sd_notify(3))."""
        path = self._office.settings.data_dir / "listeners.json"
        path.write_text(json.dumps(self.listeners) + "\n", encoding="utf-8")
        memory.settle()
        log.info("ready", **self.listeners)
        _notify("READY=1")
        self.ready.set()


async def _recover(parts: Parts) -> None:
    """At start, under the data lock: a file without a row was never promised to anybody and goes, as does what was refused
    and a letter that everybody has; what a killed process was sending is due again."""
    loop = asyncio.get_running_loop()
    spool, store = parts.spool, parts.store
    keep_letters = parts.office().settings.letters.keep

    def needed(tx: Transaction, mail_ids: Sequence[MailId]) -> Collection[MailId]:
        known = messages.known(tx, mail_ids)
        return known if keep_letters else known - messages.spent(tx, mail_ids)

    def ask(mail_ids: Sequence[MailId]) -> Collection[MailId]:
        return asyncio.run_coroutine_threadsafe(store.read(lambda tx: needed(tx, mail_ids)), loop).result()

    dropped = await asyncio.to_thread(spool.sweep, ask)
    failpoint("start.after-sweep")
    resumed = await store.write(lambda tx: leases.end(tx, parts.now(), parts.node, parts.under_way.left))
    parts.under_way.forget()
    longest = longest_pause(parts.office().settings.delivery.schedule)
    await store.write(lambda tx: backlog.retry_beyond(tx, parts.now(), longest))
    if dropped or resumed:
        log.info("recovered", swept=len(dropped), resumed=resumed)


async def _carry(pipeline: Pipeline, bells: Bells) -> None:
    while True:
        bells.pending.clear()
        try:
            await pipeline.carry_pending()
        except StoreFault as fault:
            log.error("pending-waits", fault=str(fault))
        with suppress(TimeoutError):
            async with asyncio.timeout(_CARRY_EVERY):
                await bells.pending.wait()


async def _watch(parts: Parts, clock: SteadyClock, schedule: Schedule) -> None:
    """After a sync that failed nothing may be promised any more, so the house closes in order; whoever starts it again begins
    with what the disk really holds. A clock that jumped is told and followed."""
    while True:
        if not parts.store.healthy:
            raise StoreUnhealthy(_UNHEALTHY)
        if (jump := clock.jump()) is not None:
            await _follow(parts, clock, jump)
            schedule.begin_anew()
            parts.bells.ring()
        await asyncio.sleep(_HEALTH_EVERY)


async def _follow(parts: Parts, clock: SteadyClock, jump: timedelta) -> None:
    """Set the house's clock by the machine's. What is under way keeps its age, and never looks older than it is meanwhile."""
    if jump < timedelta():
        clock.follow()
    while parts.store.healthy:
        try:
            await parts.store.write(lambda tx: _adjust(tx, jump, clock.now()))
            break
        except StoreFault:
            await asyncio.sleep(_HEALTH_EVERY)
    clock.follow()
    log.error("clock-jumped", seconds=round(jump.total_seconds()), now=clock.now().isoformat())


def _adjust(tx: Transaction, jump: timedelta, now: datetime) -> None:
    backlog.shift(tx, jump)
    if jump < timedelta():  # what waits would wait for so much longer
        backlog.retry_all(tx, now)


def _only_fault(group: ExceptionGroup) -> Exception:
    """What ended the loops, when it was a fault and nothing else; a surprise of ours stays as it is."""
    faults, surprises = group.split(Fault)
    if faults is None or surprises is not None:
        return group
    first = faults.exceptions[0]
    return _only_fault(first) if isinstance(first, ExceptionGroup) else first


def _named(bound: Mapping[Door, Sequence[tuple[str, int]]]) -> dict[str, str]:
    """The first address of each door as "host:port"; IPv6 in brackets."""
    return {
        door.value: f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        for door, addresses in bound.items()
        for host, port in addresses[:1]
    }


def _notify(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier, suppress(OSError):
        notifier.connect("\0" + address[1:] if address.startswith("@") else str(Path(address)))
        notifier.sendall(state.encode())
