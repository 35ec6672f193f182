"""The embedded store: one SQLite file in WAL mode, one writer thread, a few query_only readers."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mailrelay.model.faults import StoreFault, StoreUnhealthy
from mailrelay.store import durable
from mailrelay.store.transaction import SqliteTransaction, Transaction, as_answer
from mailrelay.store.waiting import Closure, Job
from mailrelay.store.writer import Writer, is_damage

LARGE = 256 * 1024  # bytes: larger files are synced in their own thread, so that small mail does not wait for them
READERS = 3
_BUSY_MS = 5_000
_OLDEST = (3, 37, 0)  # STRICT tables, RETURNING
_SYNCHRONOUS_FULL = 2


def connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    """Open one connection with the settings that the store depends on, and check that they are in force."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise StoreFault(f"SQLite {sqlite3.sqlite_version} quá cũ, cần từ 3.37. (SQLite is too old: 3.37 is needed.)")
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA temp_store=MEMORY")  # what a savepoint may undo: worth nothing once the process ends
        connection.execute(f"PRAGMA query_only={'OFF' if writing else 'ON'}")
    except sqlite3.Error as error:
        raise StoreFault(f"Không mở được kho {path}: {error}. (The store cannot be opened.)") from error
    verify(connection, writing=writing)
    return connection


def verify(connection: sqlite3.Connection, *, writing: bool) -> None:
    """Raise StoreFault unless the durability settings of this connection are really in force."""
    wanted = {
        "journal_mode": "wal",
        "synchronous": _SYNCHRONOUS_FULL,
        "foreign_keys": 1,
        "query_only": int(not writing),
    }
    for name, value in wanted.items():
        found = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if found != value:
            raise StoreFault(
                f"Không khởi động: PRAGMA {name} là {found}, phải là {value}. (A durability setting is not in force.)"
            )


class SqliteBackend:
    """Runs closures on one SQLite file whose schema is in place. Without `fsync` it only reads."""

    def __init__(self, path: Path, fsync: durable.Fsync | None) -> None:
        self._path = path
        self._reader = threading.local()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._syncers = ThreadPoolExecutor(2, thread_name_prefix="store-sync")
        self._reading: list[sqlite3.Connection] = []
        self._writer: Writer | None = None
        self._closed = False
        if fsync is not None:
            self._writer = Writer(lambda: connect(path, writing=True), fsync)
            self._writer.start()

    @property
    def healthy(self) -> bool:
        return not self._closed and (self._writer is None or self._writer.healthy)

    @property
    def reachable(self) -> bool:
        return True  # a file is no server

    async def write(self, closure: Closure, paths: Sequence[Path], patience: float = 0.0) -> Any:
        if self._writer is None:
            raise StoreFault("the store was opened for reading only")
        small = await self._sync_large(self._writer, paths) if paths else ()
        job = Job(closure, small, [path.parent for path in paths])
        self._writer.put(job, patience)
        return await job.wait()

    async def _sync_large(self, writer: Writer, paths: Sequence[Path]) -> Sequence[Path]:
        """Sync the large files now, each in a thread; return the small ones, which the writer syncs."""
        try:
            large = [path for path in paths if os.stat(path).st_size > LARGE]  # noqa: PTH116 (Path.stat is slower)
            if not large:
                return paths
            loop = asyncio.get_running_loop()
            syncs = (loop.run_in_executor(self._syncers, durable.sync_file, path, writer.fsync) for path in large)
            await asyncio.gather(*syncs)
        except StoreUnhealthy as fault:
            writer.condemn(fault)
            raise
        except OSError as error:
            raise StoreFault(f"cannot be made durable: {error.strerror or error}") from error
        return [path for path in paths if path not in large]

    async def read(self, closure: Callable[[Transaction], Any]) -> Any:
        if self._closed:
            raise StoreFault("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, closure)

    def _read(self, closure: Callable[[Transaction], Any]) -> Any:
        try:
            connection = self._connection()
            connection.execute("BEGIN")  # one snapshot for all statements of the closure
            try:
                return closure(SqliteTransaction(connection))
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except (sqlite3.Error, StopIteration) as error:
            if isinstance(error, sqlite3.Error) and is_damage(error) and self._writer is not None:
                self._writer.condemn(StoreUnhealthy(f"the store cannot be read: {error}"))
            raise as_answer(error, sqlite3.Error) from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._reader, "connection", None)
        if connection is None:
            connection = self._reader.connection = connect(self._path, writing=False)
            self._reading.append(connection)
        return connection

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._syncers.shutdown()
        self._readers.shutdown()
        while self._reading:
            self._reading.pop().close()
