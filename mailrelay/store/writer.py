"""The one thread that writes to SQLite: it commits together what queued up during the last fsync.

A closure that fails is undone alone (SAVEPOINT); a fault of the engine or of a sync fails the whole batch. The thread never
dies silently: whatever happens, every caller gets an answer.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from mailrelay.failpoint import failpoint
from mailrelay.model.faults import StoreFault, StoreFull, StoreNotNow, StoreUnhealthy
from mailrelay.store import durable
from mailrelay.store.transaction import SqliteTransaction, Transaction, as_answer
from mailrelay.store.waiting import Job, Waiting, answer
from mailrelay.telemetry import count, log

BATCH = 128
ASIDE = 0.01  # seconds that the event loop stands aside, at most
TURN = 0.004  # seconds after which it gets a turn between two closures

# Result codes that concern one statement; with any other code the transaction is not to be trusted further.
_OF_THE_STATEMENT = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_MISUSE,
    }
)
# Result codes that pass: the disk may get room again, the lock may be freed.
_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT})


class _StandAside:
    """Keeps a loop off the interpreter while closures run: the two would otherwise fight for its lock at every statement.

    SQLite gives the lock away around each of its steps, and taking it back from a busy loop costs more than the step. The
    loop comes to no harm: whoever it works for waits for the closures anyway, and it stands still for `ASIDE` seconds at most.
    After `TURN` seconds it gets its turn between two closures, so that a large batch holds nobody up.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done = threading.Event()
        self._since = 0.0

    def __enter__(self) -> _StandAside:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()

    def pause(self) -> None:
        """Between two closures: let the loop have its turn when it has stood still for long enough."""
        if time.monotonic() - self._since > TURN:
            self._done.set()
            self._begin()

    def _begin(self) -> None:
        there, self._done = threading.Event(), threading.Event()
        with suppress(RuntimeError):  # the loop was closed: nobody is in the way
            self._loop.call_soon_threadsafe(_wait, there, self._done)
            there.wait(ASIDE)
        self._since = time.monotonic()


def _wait(there: threading.Event, done: threading.Event) -> None:
    there.set()
    done.wait(ASIDE)


class Writer:
    """Owns the only write connection. `connect` is called in the thread; `fsync` is injected by tests of its failure."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], fsync: durable.Fsync) -> None:
        self._connect = connect
        self.fsync = fsync
        self._waiting = Waiting()
        self._opening: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._entrance = threading.Lock()
        self._closed = False
        self._unhealthy: StoreUnhealthy | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Start the thread; raises what opening the connection raised."""
        self._thread.start()
        if (error := self._opening.get()) is not None:
            raise error

    @property
    def healthy(self) -> bool:
        return self._unhealthy is None and not self._closed

    def condemn(self, fault: StoreUnhealthy) -> None:
        """Take nothing more until the service is started again."""
        if self._unhealthy is None:
            self._unhealthy = fault
            log.error("store-unhealthy", reason=str(fault))

    def put(self, job: Job, patience: float = 0.0) -> None:
        """Queue a job, which waits for company for `patience` seconds. Raises StoreFault when the store takes none."""
        with self._entrance:
            if self._unhealthy is not None:
                raise StoreUnhealthy(str(self._unhealthy))
            if self._closed:
                raise StoreFault("the store is closed")
            self._waiting.put(job, patience)

    def close(self) -> None:
        """Finish what was queued, then end the thread. Blocks; again: nothing."""
        with self._entrance:
            if not self._closed:
                self._closed = True
                self._waiting.end()
        self._thread.join()

    def _run(self) -> None:
        try:
            connection = self._connect()
        except Exception as error:
            self._opening.put(error)
            return
        self._opening.put(None)
        going_on = True
        while going_on:
            batch, going_on = self._waiting.take(BATCH)
            try:
                self._serve(connection, batch)
            except Exception as error:
                self._fail(batch, error)
            _answer(batch)
        with suppress(sqlite3.Error):
            connection.close()

    def _serve(self, connection: sqlite3.Connection, batch: Sequence[Job]) -> None:
        if self._unhealthy is not None:
            raise StoreUnhealthy(str(self._unhealthy))
        if not batch:
            return
        failpoint("writer.before-sync")
        ready = self._sync(batch)
        if not ready:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            transaction = SqliteTransaction(connection)
            with _StandAside(ready[0].loop) as loop:
                for job in ready:
                    loop.pause()
                    _perform(connection, transaction, job)
            failpoint("writer.before-commit")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        failpoint("writer.after-commit")
        count("store_commits")

    def _sync(self, batch: Sequence[Job]) -> list[Job]:
        """Sync the files of the batch, then each folder once; leave out the jobs whose file or folder is not there."""
        done: dict[Path, StoreFault | None] = {}
        for job in batch:
            for path in job.files:
                done[path] = _attempt(durable.sync_file, path, self.fsync)
        for job in batch:
            for folder in job.folders:
                if folder not in done:
                    done[folder] = _attempt(durable.sync_folder, folder, self.fsync)
        for job in batch:
            job.error = next((fault for path in (*job.files, *job.folders) if (fault := done[path])), None)
        return [job for job in batch if job.error is None]

    def _fail(self, batch: Sequence[Job], error: Exception) -> None:
        """Give the whole batch one fault; condemn the store unless the trouble may pass."""
        if isinstance(error, sqlite3.Error) and _primary_code(error) in _PASSING:
            kind = StoreFull if _primary_code(error) == sqlite3.SQLITE_FULL else StoreNotNow
            fault: StoreFault = kind(f"the store cannot write now: {error}")
            log.error("store-batch-failed", reason=str(error), closures=len(batch))
        elif isinstance(error, StoreUnhealthy):
            fault = error
            self.condemn(error)
        else:
            fault = StoreUnhealthy(f"the store failed: {error or type(error).__name__}")
            self.condemn(StoreUnhealthy(str(fault)))
        for job in batch:
            job.error = type(fault)(str(fault))
            job.error.__cause__ = error


def _perform(connection: sqlite3.Connection, transaction: Transaction, job: Job) -> None:
    """Run one closure in a savepoint. Raises only what spoils the whole batch."""
    connection.execute("SAVEPOINT closure")
    try:
        job.result = job.closure(transaction)
    except BaseException as error:
        if isinstance(error, sqlite3.Error) and _primary_code(error) not in _OF_THE_STATEMENT:
            raise
        if not connection.in_transaction:
            raise StoreUnhealthy(f"the engine rolled the whole transaction back: {error}") from error
        connection.execute("ROLLBACK TO closure")
        job.error = as_answer(error, sqlite3.Error)
    connection.execute("RELEASE closure")


def _primary_code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code, or None when the error does not carry one."""
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return sqlite3.SQLITE_MISUSE  # wrong use of the sqlite3 module, found before the engine was asked
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Whether a reader met a disk that does not give back what was written, rather than a question that was wrong."""
    return (
        _primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_READ
    )


def _attempt(sync: Callable[[Path, durable.Fsync], None], path: Path, fsync: durable.Fsync) -> StoreFault | None:
    """Sync one path. A failed fsync is raised; a path that is not there is the fault of its own closure."""
    try:
        sync(path, fsync)
    except OSError as error:
        return StoreFault(f"cannot be made durable: {error.strerror or error}")
    return None


def _answer(batch: Sequence[Job]) -> None:
    for loop in {job.loop for job in batch}:
        jobs = [job for job in batch if job.loop is loop]
        try:
            answer(loop, jobs)
        except RuntimeError:  # the loop was closed: nobody waits any more
            log.warning("store-answer-lost", closures=len(jobs))
