"""The Inspector: has a mail read in a worker, looks up what that asks for, and gathers the findings. Never judges."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mailrelay.inspection.dns import TxtAnswer
from mailrelay.inspection.exchange import content_from_json, findings_from_json
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.inspection.slugs import note
from mailrelay.inspection.workers import Worker, WorkerLost
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check, Finding, Findings, Verdict
from mailrelay.model.message import Content, Message
from mailrelay.telemetry import log


class Inspector:
    """Facts about mails. One per process; `start` before the first mail, `close` at the end."""

    def __init__(self, settings: InspectionSettings, *, txt: Callable[[str], Awaitable[TxtAnswer]]) -> None:
        self._settings = settings
        self._txt = txt
        self._small = Worker("small", settings)
        self._large = Worker("large", settings) if settings.workers > 1 else self._small

    async def start(self) -> None:
        """Start the worker processes. Raises InspectionFault when they do not come up."""
        await asyncio.gather(*(worker.start() for worker in {self._small, self._large}))

    async def close(self) -> None:
        await asyncio.gather(*(worker.close() for worker in {self._small, self._large}))

    def pids(self) -> list[int]:
        """The process ids of the running workers: the small one first."""
        return [worker.pid for worker in dict.fromkeys((self._small, self._large)) if worker.pid is not None]

    async def examine(self, message: Message, path: Path, directory: Directory) -> Findings:
        """Return what can be known of a mail. Raises InspectionFault only, when no worker can be started."""
        return await _Examination(self, message, path, directory).run()


class _Examination:
    """One mail on its way through the steps, with what is left of its time."""

    def __init__(self, inspector: Inspector, message: Message, path: Path, directory: Directory) -> None:
        settings = inspector._settings
        self._settings = settings
        self._message = message
        self._path = path
        self._directory = directory
        self._worker = inspector._large if message.size >= settings.large else inspector._small
        self._budget = settings.budget
        self._findings: list[Finding] = []

    async def run(self) -> Findings:
        content = await self._read()
        return Findings(content, tuple(self._findings))

    async def _ask(self, worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
        """One step, charged to this mail's budget. Raises WorkerLost."""
        began = time.monotonic()
        try:
            return await worker.ask(request, min(self._settings.time_limit, self._budget))
        finally:
            self._budget -= time.monotonic() - began

    async def _read(self) -> Content:
        request = {"step": "read", "path": str(self._path), "smtputf8": self._message.envelope.smtputf8}
        for attempt in (request, {**request, "header_only": True}):
            try:
                reply = await self._ask(self._worker, attempt)
                content = content_from_json(reply.get("content"))
                self._findings += findings_from_json(reply.get("findings"))
            except (WorkerLost, ValueError) as fault:
                self._lost(Check.STRUCTURE, "", fault)
            else:
                return content
        return Content()

    def _lost(self, check: Check, subject: str, fault: Exception) -> None:
        cause = fault.cause if isinstance(fault, WorkerLost) else "nonsense"
        log.warning("inspection-worker-killed", mail_id=self._message.mail_id, check=check.value, cause=cause)
        self._findings.append(note(check, Verdict.TEMPERROR, "worker-killed", subject, cause=cause))
