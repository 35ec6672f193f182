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
from mailrelay.store.durable import Fsync
from mailrelay.store.sqlite import SqliteBackend
from mailrelay.store.transaction import Transaction

T = TypeVar("T")
_SQLITE = "sqlite:///"


class Backend(Protocol):
    """What an engine must be able to do; `paths` are synced before the closure's commit."""

    @property
    def healthy(self) -> bool: ...
    async def write(self, closure: Callable[[Transaction], Any], paths: Sequence[Path]) -> Any: ...
    async def read(self, closure: Callable[[Transaction], Any]) -> Any: ...
    async def close(self) -> None: ...


class Store:
    """The rows of the house. Closures are re-runnable: they touch nothing but the transaction."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def write(self, fn: Callable[[Transaction], T], *, durable: Sequence[Path] = ()) -> T:
        """Run `fn` in a transaction; after the return its rows and the `durable` files survive a power cut.

        An exception of `fn` undoes what it did and reaches the caller. Raises StoreFault when the store could not commit,
        StoreUnhealthy when it takes nothing more. A caller that is cancelled does not stop the commit.
        """
        result: T = await self._backend.write(fn, durable)
        return result

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` on one snapshot, in a thread, on a connection that cannot write."""
        result: T = await self._backend.read(fn)
        return result

    @property
    def healthy(self) -> bool:
        """False for good after a failed sync, and after `close`."""
        return self._backend.healthy

    async def close(self) -> None:
        """Finish what was queued and close all connections."""
        await self._backend.close()


async def open_store(url: str, *, read_only: bool = False, fsync: Fsync = os.fsync) -> Store:
    """Open `sqlite:///PATH`, bring its schema up to date and verify its settings. Raises StoreFault.

    Call it before anything forks. With `read_only` nothing is migrated or written, and another process may own the store.
    """
    if not url.startswith(_SQLITE) or url == _SQLITE:
        raise StoreFault("the store's address must be sqlite:///PATH")
    path = Path(url.removeprefix(_SQLITE))
    return await asyncio.to_thread(_open_sqlite, path, fsync, read_only)


def _open_sqlite(path: Path, fsync: Fsync, read_only: bool) -> Store:
    # Imported here: a process that finds the schema up to date never loads SQLAlchemy and Alembic.
    from mailrelay.store import migration

    if read_only:
        migration.check_sqlite(path)
    else:
        migration.prepare_sqlite(path)
    return Store(SqliteBackend(path, fsync, read_only=read_only))


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
            raise Fault(f"another mailrelay process uses {self._path.parent}") from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
