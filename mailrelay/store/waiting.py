"""Closures on their way to the writer: the queue before it, and how each caller hears what came of it."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mailrelay.store.transaction import Transaction

Closure = Callable[[Transaction], Any]


class Job:
    """One closure on its way through the writer, and how it ended."""

    __slots__ = ("_future", "_loop", "closure", "error", "files", "folders", "is_taken", "result")

    def __init__(self, closure: Closure, files: Sequence[Path], folders: Sequence[Path]) -> None:
        self.closure = closure
        self.files = files
        self.folders = folders
        self.result: Any = None
        self.error: Exception | None = None
        self.is_taken = False
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Any] = self._loop.create_future()

    async def wait(self) -> Any:
        return await self._future

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def settle(self) -> None:
        """Answer the caller; in the caller's loop only."""
        if self._future.done():
            return  # the caller was cancelled; what was committed stays committed
        if self.error is None:
            self._future.set_result(self.result)
        else:
            self._future.set_exception(self.error)


class Waiting:
    """The jobs before the writer. A patient one wakes nobody: it goes along with the next batch, or when its time is over."""

    def __init__(self) -> None:
        self._pressing: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._patient: deque[Job] = deque()

    def put(self, job: Job, patience: float = 0.0) -> None:
        """Queue a job; for `patience` seconds it waits for company. In the job's loop only."""
        if patience > 0:
            self._patient.append(job)
            job.loop.call_later(patience, self._press, job)
        else:
            self._pressing.put(job)

    def end(self) -> None:
        """Nothing comes after this."""
        self._pressing.put(None)

    def take(self, most: int) -> tuple[list[Job], bool]:
        """Wait for a job that cannot wait longer, and take what else is there, about `most`. False: nothing comes any more."""
        batch: list[Job] = []
        going_on = self._add(batch, self._pressing.get())
        while going_on and len(batch) < most:
            try:
                going_on = self._add(batch, self._pressing.get_nowait())
            except queue.Empty:
                break
        while self._patient and (len(batch) < most or not going_on):
            self._add(batch, self._patient.popleft())
        return batch, going_on

    def _press(self, job: Job) -> None:
        if not job.is_taken:
            with suppress(ValueError):  # taken at this moment
                self._patient.remove(job)
                self._pressing.put(job)

    @staticmethod
    def _add(batch: list[Job], job: Job | None) -> bool:
        if job is None:
            return False
        job.is_taken = True
        batch.append(job)
        return True


def answer(loop: asyncio.AbstractEventLoop, jobs: Sequence[Job]) -> None:
    """Answer the callers in one loop. Raises RuntimeError when it is closed."""
    loop.call_soon_threadsafe(_settle, jobs)


def _settle(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.settle()
