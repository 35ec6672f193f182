"""The store on PostgreSQL, when one machine is outgrown: the same closures, one transaction each, several at a time.

READ COMMITTED with locks, not SERIALIZABLE: closures of one busy book made each other fail again and again there (three
tries a mail, a third of the rate). What a writing closure reads by key through the rooms stays as it is until its end (see
Transaction.hold and hold_key), so it may read, decide and write as if it were alone. Pages, searches and counts are not held.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors
from psycopg.types.numeric import Int8Dumper

from mailrelay.model.faults import StoreFault, StoreFull, StoreNotNow, StoreUnhealthy
from mailrelay.store import durable
from mailrelay.store.transaction import Engine, Parameters, Row, Transaction, as_answer
from mailrelay.telemetry import count, log

WRITERS = 8
READERS = 3
TRIES = 5  # of one closure, before its caller is told
_OLDEST = 150_000
_SESSION = "-c lock_timeout=5000 -c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000"
# A server that vanished without a word (power, network) is given up like one that said so: libpq would wait a quarter of an hour.
_NETWORK: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_WANTED = {
    "synchronous_commit": ("on", "remote_apply"),
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "server_encoding": ("UTF8",),
}
_SETTINGS = f"SELECT {', '.join(f'current_setting({name!r})' for name in _WANTED)}"
_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Run again: two closures that waited for each other, and one whose row somebody else made while it looked.
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation)
_NOTHING: Parameters = {}

Connection = psycopg.Connection[Row]


def connect(url: str) -> Connection:
    """Open one connection and check the settings that the store depends on. Raises StoreFault, StoreNotNow when it is away."""
    try:
        connection: Connection = psycopg.connect(url, autocommit=True, options=_SESSION, connect_timeout=5, **_NETWORK)
        connection.prepare_threshold = 2
        # One type for every number: else each width of number makes a prepared statement of its own.
        connection.adapters.register_dumper(int, Int8Dumper)
        verify(connection)
    except psycopg.Error as error:
        raise StoreNotNow(f"Không kết nối được PostgreSQL: {error}. (The database cannot be reached.)") from error
    return connection


def verify(connection: Connection) -> None:
    """Raise StoreFault unless the server is new enough, speaks UTF-8, and every commit of this session is durable."""
    if connection.info.server_version < _OLDEST:
        raise StoreFault("PostgreSQL quá cũ, cần từ 15. (PostgreSQL is too old: 15 is needed.)")
    found: Row = connection.execute(_SETTINGS).fetchone() or ()
    for (name, values), value in zip(_WANTED.items(), found, strict=True):
        if value not in values:
            raise StoreFault(
                f"Không khởi động: {name} của PostgreSQL là {value}, phải là {values[0]}."
                " (A setting of the server that the store depends on is not in force.)"
            )


@lru_cache(maxsize=512)
def translate(sql: str) -> str:
    """`:name` becomes psycopg's `%(name)s`; a cast `::type` stays."""
    return re.sub(r"(?<![:\w]):([a-z_]\w*)", r"%(\1)s", sql.replace("%", "%%"))


class PostgresqlTransaction(Transaction):
    """One transaction of one connection. Only a `writing` one takes locks."""

    engine = Engine.POSTGRESQL

    def __init__(self, connection: Connection, *, writing: bool) -> None:
        self._connection = connection
        self.locks = writing
        self.held = set()

    def hold(self, sql: str, parameters: Parameters = _NOTHING) -> list[Row]:
        return self.rows(f"{sql} FOR NO KEY UPDATE" if self.locks else sql, parameters)

    def hold_key(self, *key: str) -> None:
        name = "|".join(key)
        if self.locks and name not in self.held:
            self.held.add(name)
            self.rows("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", {"name": name})

    def _run(self, sql: str, parameters: Parameters) -> psycopg.Cursor[Row]:
        if parameters:
            return self._connection.execute(translate(sql), parameters)
        return self._connection.execute(sql)

    def execute(self, sql: str, parameters: Parameters = _NOTHING) -> int:
        return self._run(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Parameters, key: str) -> int | None:
        number: int | None = self.value(f"{sql} RETURNING {key}", parameters)
        return number

    def rows(self, sql: str, parameters: Parameters = _NOTHING) -> list[Row]:
        return self._run(sql, parameters).fetchall()


class PostgresqlBackend:
    """Runs closures on pools of threads, each with a connection of its own. Without `fsync` it only reads."""

    def __init__(self, url: str, fsync: durable.Fsync | None) -> None:
        self._url = url
        self._fsync = fsync
        self._unhealthy: StoreUnhealthy | None = None
        self._closed = False
        self._away = False  # by the last try to connect
        self._own = threading.local()
        self._connections: list[Connection] = []
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    @property
    def healthy(self) -> bool:
        return self._unhealthy is None and not self._closed

    @property
    def reachable(self) -> bool:
        return not self._away

    async def write(self, closure: Callable[[Transaction], Any], paths: Sequence[Path], patience: float = 0.0) -> Any:
        """`patience` is nothing here: every closure has a transaction of its own."""
        if self._fsync is None:
            raise StoreFault("the store was opened for reading only")
        if self._unhealthy is not None:
            raise StoreUnhealthy(str(self._unhealthy))
        return await self._in(self._writers, self._write, closure, paths, self._fsync)

    async def read(self, closure: Callable[[Transaction], Any]) -> Any:
        return await self._in(self._readers, self._attempt, closure, _READING)

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Any:
        """Work in a thread; a caller that is cancelled does not stop it."""
        if self._closed:
            raise StoreFault("the store is closed")
        working = asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            working.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    def _write(self, closure: Callable[[Transaction], Any], paths: Sequence[Path], fsync: durable.Fsync) -> Any:
        self._sync(paths, fsync)
        for tries in range(1, TRIES + 1):
            try:
                return self._attempt(closure, _WRITING)
            except _AGAIN as error:
                if tries == TRIES:
                    raise as_answer(error, psycopg.Error) from error
                count("store_retries")
                time.sleep(random.uniform(0, 0.005 * 2**tries))  # noqa: S311 (only spreads the tries)
        raise AssertionError("not reached")

    def _sync(self, paths: Sequence[Path], fsync: durable.Fsync) -> None:
        """Sync the files, then each folder once. A failed fsync condemns the store."""
        try:
            for path in paths:
                durable.sync_file(path, fsync)
            for folder in dict.fromkeys(path.parent for path in paths):
                durable.sync_folder(folder, fsync)
        except StoreUnhealthy as fault:
            self._unhealthy = fault
            log.error("store-unhealthy", reason=str(fault))
            raise
        except OSError as error:
            raise StoreFault(f"cannot be made durable: {error.strerror or error}") from error

    def _attempt(self, closure: Callable[[Transaction], Any], begin: str) -> Any:
        """Run a closure once. Raises what it raised, StoreFault for the engine's errors, or one of _AGAIN.

        A server that goes away before it was told to commit has surely kept nothing (StoreNotNow); after that nobody knows.
        """
        connection = self._begun(begin)
        told = False
        try:
            result = closure(PostgresqlTransaction(connection, writing=begin is _WRITING))
            told = True
            # A transaction that an error spoilt answers COMMIT with ROLLBACK, without an error.
            if connection.execute("COMMIT").statusmessage != "COMMIT":
                raise StoreFault("the engine rolled the transaction back")
        except _AGAIN:
            self._undo(connection)
            raise
        except errors.DiskFull as error:
            self._undo(connection)
            raise StoreFull(f"the store cannot write now: {error}") from error
        except BaseException as error:
            self._undo(connection)
            if isinstance(error, psycopg.OperationalError) and not told:
                raise StoreNotNow(f"the store went away: {error}") from error
            raise as_answer(error, psycopg.Error) from error
        return result

    def _begun(self, begin: str) -> Connection:
        """A connection with a transaction open; one that the server dropped since its last use is replaced once."""
        connection = self._connection()
        try:
            connection.execute(begin)
        except psycopg.OperationalError:
            connection.close()
            connection = self._connection()
            try:
                connection.execute(begin)
            except psycopg.Error as error:
                connection.close()
                raise StoreNotNow(f"the store went away: {error}") from error
        return connection

    def _undo(self, connection: Connection) -> None:
        """Roll back; a connection that cannot even do that is given up, and the next closure opens a new one."""
        with suppress(psycopg.Error):
            if connection.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
            return
        connection.close()

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None or connection.closed:
            try:
                connection = self._own.connection = connect(self._url)
            except StoreNotNow:
                self._away = True
                raise
            self._away = False
            self._connections = [*(other for other in self._connections if not other.closed), connection]
        return connection

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writers.shutdown()
        self._readers.shutdown()
        while self._connections:
            self._connections.pop().close()
