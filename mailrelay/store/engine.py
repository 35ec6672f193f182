"""Opening the store: the schema brought up to date, durability verified, then closures `fn(tx)` run on either engine."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from mailrelay.model.faults import Fault, StoreFault
from mailrelay.store import migration
from mailrelay.store.durable import Fsync
from mailrelay.store.sqlite import SqliteBackend
from mailrelay.store.transaction import Transaction

T = TypeVar("T")
_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://")


class Backend(Protocol):
    """What an engine must be able to do; `paths` are synced before the closure's commit."""

    @property
    def healthy(self) -> bool: ...
    @property
    def reachable(self) -> bool: ...
    async def write(self, closure: Callable[[Transaction], Any], paths: Sequence[Path], patience: float) -> Any: ...
    async def read(self, closure: Callable[[Transaction], Any]) -> Any: ...
    async def close(self) -> None: ...


class Store:
    """The rows of the house. Closures are re-runnable: they touch nothing but the transaction."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def write(self, fn: Callable[[Transaction], T], *, durable: Sequence[Path] = (), patience: float = 0.0) -> T:
        """Run `fn` in a transaction; after the return its rows and the `durable` files survive a power cut.

        For `patience` seconds it may wait for others to share a commit with: for what no client waits for.

        An exception of `fn` undoes what it did and reaches the caller. Raises StoreFault when the store could not commit,
        StoreUnhealthy when it takes nothing more. A caller that is cancelled does not stop the commit.
        """
        result: T = await self._backend.write(fn, durable, patience)
        return result

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` on one snapshot, in a thread, on a connection that cannot write."""
        result: T = await self._backend.read(fn)
        return result

    @property
    def healthy(self) -> bool:
        """False for good after a failed sync, and after `close`."""
        return self._backend.healthy

    @property
    def reachable(self) -> bool:
        """False while the database server is away: nothing needs to be taken in, for it could not be entered."""
        return self._backend.reachable

    async def close(self) -> None:
        """Finish what was queued and close all connections."""
        await self._backend.close()


async def open_store(url: str, *, fsync: Fsync = os.fsync) -> Store:
    """Open `sqlite:///PATH` or `postgresql://…`, bring its schema up to date and verify its settings. Raises StoreFault.

    Call it before anything forks, and for a file only under the lock of its folder.
    """
    return Store(await asyncio.to_thread(_open, url, fsync))


async def open_reader(url: str) -> Store:
    """Open a store for reading beside the process that owns it. Raises StoreFault when it is not there or not up to date."""
    return Store(await asyncio.to_thread(_open, url, None))


def _open(url: str, fsync: Fsync | None) -> Backend:
    if url.startswith(_SQLITE) and url != _SQLITE:
        path = Path(url.removeprefix(_SQLITE))
        (migration.check_sqlite if fsync is None else migration.prepare_sqlite)(path)
        return SqliteBackend(path, fsync)
    if url.startswith(_POSTGRESQL):
        # Imported here: the embedded store needs no client library.
        from mailrelay.store.postgresql import PostgresqlBackend

        (migration.check_postgresql if fsync is None else migration.prepare_postgresql)(url)
        return PostgresqlBackend(url, fsync)
    raise StoreFault(
        "Địa chỉ kho phải là sqlite:///ĐƯỜNG-DẪN hoặc postgresql://… (The store's address must have one of these forms.)"
    )


class DataLock:
    """The exclusive lock of a data folder, held by `serve`, or by a command that changes something without a daemon.

    The system frees it when the process ends, however it ends.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            folder = self._path.parent
            raise Fault(f"Một tiến trình mailrelay khác đang dùng {folder}. (Another one uses {folder}.)") from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
