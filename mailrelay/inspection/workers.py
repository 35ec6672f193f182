"""Worker processes as the parent sees them: start, ask under a time limit, kill with their whole group, start again.

Nothing that a worker sends is unpickled: one JSON object a line, bounded in length.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.faults import InspectionFault
from mailrelay.telemetry import count, log

_LONGEST_ANSWER = 16 * 1024 * 1024
_START_LIMIT = 20.0
_START_TRIES = 3
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


class WorkerLost(Exception):
    """The worker died or was killed while it worked on this request. `cause` is "time", "died" or "nonsense"."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class _Process:
    """One running process with its socket and private folder."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        folder: Path,
    ) -> None:
        self.process = process
        self.reader = reader
        self.writer = writer
        self.folder = folder
        self.answered = 0

    @property
    def pid(self) -> int:
        return self.process.pid

    async def exchange(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.writer.write(_ENCODER.encode(request).encode() + b"\n")
        await self.writer.drain()
        line = await self.reader.readline()
        if not line.endswith(b"\n"):
            raise WorkerLost("died")
        reply = json.loads(line)
        if not isinstance(reply, dict):
            raise WorkerLost("nonsense")
        self.answered += 1
        return reply

    async def end(self) -> None:
        """Kill the process with its group, wait for it, remove its folder."""
        self.writer.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Worker:
    """One place for a worker process. Requests wait their turn; a lost process is replaced before the next one."""

    def __init__(self, name: str, settings: InspectionSettings) -> None:
        self._name = name
        self._settings = settings
        self._turn = asyncio.Lock()
        self._running: _Process | None = None
        self.walls: tuple[str, ...] = ()

    @property
    def pid(self) -> int | None:
        return self._running.pid if self._running else None

    async def start(self) -> None:
        """Start the process. Raises InspectionFault when it does not come up."""
        async with self._turn:
            await self._process()

    async def close(self) -> None:
        async with self._turn:
            await self._end()

    async def ask(
        self, request: Mapping[str, Any], limit: float, charge: Callable[[float], None] | None = None
    ) -> dict[str, Any]:
        """Return the worker's answer to one request. Raises WorkerLost when it is lost over it within `limit` seconds.

        `charge` is told how many seconds the worker gave to it: waiting for a turn is other mails' doing.
        """
        async with self._turn:
            running = await self._process()
            finished = False
            began = time.monotonic()
            try:
                async with asyncio.timeout(limit):
                    reply = await running.exchange(request)
                finished = True
            except TimeoutError:
                raise WorkerLost("time") from None
            except (OSError, asyncio.IncompleteReadError):
                raise WorkerLost("died") from None
            except ValueError:  # no JSON, or longer than allowed
                raise WorkerLost("nonsense") from None
            finally:  # also when the asker was cancelled: a late answer must not meet the next question
                if charge is not None:
                    charge(time.monotonic() - began)
                if not finished:
                    await asyncio.shield(self._end())
            if running.answered >= self._settings.recycle_after:
                await self._end()
            return reply

    async def _process(self) -> _Process:
        """The running process; a new one when there is none, or when it ended by itself."""
        if self._running is not None and self._running.process.returncode is None:
            return self._running
        await self._end()
        for attempt in range(_START_TRIES):
            try:
                async with asyncio.timeout(_START_LIMIT):
                    self._running = await self._launch()
            except (OSError, TimeoutError, ValueError, WorkerLost) as fault:
                log.error("inspection-worker-start", worker=self._name, attempt=attempt, fault=type(fault).__name__)
                await self._end()
            else:
                return self._running
        raise InspectionFault("the inspection worker does not start")

    async def _launch(self) -> _Process:
        settings = self._settings
        folder = Path(tempfile.mkdtemp(prefix="inspection-", dir=settings.work_dir))
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "mailrelay.inspection.worker", str(theirs.fileno()), str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=_environment(folder),
            )
        except BaseException:
            ours.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_LONGEST_ANSWER)
        running = _Process(process, reader, writer, folder)
        try:
            reply = await running.exchange(_setup(settings))
        except BaseException:
            await running.end()
            raise
        self.walls = tuple(str(wall) for wall in reply.get("walls", ()))
        event = log.info if self.walls else log.warning
        event("inspection-worker-started", worker=self._name, pid=running.pid, walls=self.walls)
        return running

    async def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            count("inspection_worker_ended", worker=self._name)
            await running.end()


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "HOME": str(folder), "TMPDIR": str(folder)}


def _setup(settings: InspectionSettings) -> dict[str, Any]:
    return {
        "authserv_id": settings.authserv_id,
        "limits": settings.limits.as_json(),
        "memory": settings.memory_limit,
        "cpu": settings.cpu_limit,
        "gpg": settings.gpg,
        "trust_roots": str(settings.trust_roots or ""),
        "revocation": str(settings.revocation or ""),
    }
