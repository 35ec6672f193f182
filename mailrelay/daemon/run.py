"""The service of one office: opens the rooms, runs the loops in the only TaskGroup of the house, closes in order."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path

from mailrelay.config.office import Office
from mailrelay.daemon import rooms
from mailrelay.daemon.verbs import verbs
from mailrelay.intake.control import ControlDoor
from mailrelay.model.envelope import Door
from mailrelay.model.identity import MailId
from mailrelay.pipeline.accept import Pipeline
from mailrelay.pipeline.deliver import Dispatcher
from mailrelay.pipeline.hold import Desk
from mailrelay.pipeline.parts import Bells, Parts
from mailrelay.pipeline.reply import Replier
from mailrelay.schedule import build_schedule
from mailrelay.store import dispatches, messages
from mailrelay.store.engine import DataLock, Store
from mailrelay.telemetry import log

_DRAIN = timedelta(seconds=10)
_CARRY_EVERY = 5.0  # seconds between looks for pending mail


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

    def stop(self) -> None:
        """Ask for an orderly end: doors first, then what is under way."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until `stop`. Raises a Fault when the office cannot be opened, OSError when a port cannot be had."""
        settings = self._office.settings
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with DataLock(settings.data_dir):
            async with AsyncExitStack() as stack:
                parts = await rooms.open_parts(self.office, stack)
                await _recover(parts)
                await self._serve(parts, stack)

    async def _serve(self, parts: Parts, stack: AsyncExitStack) -> None:
        pipeline = Pipeline(parts)
        desk = Desk(parts.store, lambda: self._office.directory, parts.now, parts.bells.ring)
        self.desk, self.store = desk, parts.store
        smtp = rooms.smtp_door(self.office, pipeline, parts)
        imap = rooms.imap_door(self.office, pipeline, parts)
        control = ControlDoor(self._office.settings.listen.control, verbs(desk))
        schedule = build_schedule(rooms.ticks(parts, imap))
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(Dispatcher(parts).run(), name="deliver"),
                group.create_task(Replier(parts).run(), name="reply"),
                group.create_task(_carry(pipeline, parts.bells), name="carry"),
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
                await imap.close()
                await control.close()
                for loop in loops:
                    loop.cancel()

    def _announce(self) -> None:
        """Leave the bound addresses where commands and tests find them, and tell systemd that we are ready (sd_notify(3))."""
        path = self._office.settings.data_dir / "listeners.json"
        path.write_text(json.dumps(self.listeners) + "\n", encoding="utf-8")
        log.info("ready", **self.listeners)
        _notify("READY=1")
        self.ready.set()


async def _recover(parts: Parts) -> None:
    """At start, under the data lock: a file without a row was never promised to anybody and goes; what a killed process was
    sending is due again."""
    loop = asyncio.get_running_loop()
    spool, store = parts.spool, parts.store

    def known(mail_ids: Sequence[MailId]) -> Collection[MailId]:
        return asyncio.run_coroutine_threadsafe(store.read(lambda tx: messages.known(tx, mail_ids)), loop).result()

    dropped = await asyncio.to_thread(spool.sweep, known)
    resumed = await store.write(lambda tx: dispatches.end_leases(tx, parts.now()))
    if dropped or resumed:
        log.info("recovered", swept=len(dropped), resumed=resumed)


async def _carry(pipeline: Pipeline, bells: Bells) -> None:
    while True:
        bells.pending.clear()
        await pipeline.carry_pending()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CARRY_EVERY):
                await bells.pending.wait()


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
