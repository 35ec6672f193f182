"""The SQLite writer: group commit, savepoints, and what becomes of a batch when something breaks."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from mailrelay import failpoint
from mailrelay.model.faults import StoreFault, StoreFull, StoreUnhealthy
from mailrelay.store import Store, Transaction, log, open_store, writer
from mailrelay.store.sqlite import LARGE
from mailrelay.telemetry import counters
from tests.store.samples import event


class Syncs:
    """Notes what is synced, by name, in order; can be made to fail."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.threads: dict[str, str] = {}
        self.broken = ""

    def __call__(self, descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        self.names.append(name)
        self.threads[name] = threading.current_thread().name
        if name == self.broken:
            raise OSError(5, "Input/output error")
        os.fsync(descriptor)


@pytest.fixture
def syncs() -> Syncs:
    return Syncs()


@pytest.fixture
async def store(sqlite_path: Path, syncs: Syncs) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite:///{sqlite_path}", fsync=syncs)
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoint.arm("")


@asynccontextmanager
async def batch(store: Store) -> AsyncIterator[Callable[[Awaitable[object]], None]]:
    """What is handed to the yielded function queues up while the writer is busy, and is then committed as one batch."""
    busy, go_on = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        busy.set()
        assert go_on.wait(10)

    holding = asyncio.ensure_future(store.write(hold))
    assert await asyncio.to_thread(busy.wait, 10)
    queued: list[asyncio.Future[object]] = []
    try:
        yield lambda writing: queued.append(asyncio.ensure_future(writing))
        await asyncio.sleep(0.02)  # all are in the queue
    finally:
        go_on.set()
        await holding
        await asyncio.wait(queued)


def _append(actor: str) -> Callable[[Transaction], int]:
    return lambda tx: log.append(tx, event(actor=actor))


async def _actors(store: Store) -> set[str]:
    return {found.actor for found in await store.read(lambda tx: log.search(tx, limit=1000))}


async def test_what_queues_up_during_a_sync_is_committed_together(store: Store) -> None:
    before = counters[("store_commits", ())]
    await asyncio.gather(*(store.write(_append(str(number))) for number in range(64)))
    assert counters[("store_commits", ())] - before <= 8
    assert len(await _actors(store)) == 64


async def test_a_batch_has_at_most_128_closures(store: Store) -> None:
    before = counters[("store_commits", ())]
    async with batch(store) as queue:
        for number in range(300):
            queue(store.write(_append(str(number))))
    assert counters[("store_commits", ())] - before == 1 + 3  # the one that held the writer, then 128 + 128 + 44


async def test_a_large_batch_leaves_the_loop_its_turns(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop stands aside for the closures, here for as long as it takes; between two of them it goes on."""
    turns, seen = 0, []

    def slow(tx: Transaction) -> None:
        seen.append(turns)
        time.sleep(2 * writer.TURN)
        seen.append(turns)

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    async with batch(store) as queue:
        for _ in range(6):
            queue(store.write(slow))
        monkeypatch.setattr(writer, "ASIDE", 10.0)
    counting.cancel()
    before, after = seen[::2], seen[1::2]
    assert before == after  # it stood still for each closure
    assert all(later > earlier for earlier, later in pairwise(before))


async def test_a_failing_closure_is_undone_alone(store: Store) -> None:
    def fail(tx: Transaction) -> None:
        log.append(tx, event(actor="undone"))
        raise ValueError("not this one")

    def refuse(tx: Transaction) -> None:
        log.append(tx, event(actor="undone, too"))
        tx.execute("INSERT INTO log_event (at) VALUES (1)")

    outcomes: list[asyncio.Future[object]] = []
    async with batch(store) as queue:
        for number, closure in enumerate((_append("a"), fail, _append("b"), refuse, _append("c"))):
            outcomes.append(asyncio.ensure_future(store.write(closure)))
            queue(outcomes[number])
    results = await asyncio.gather(*outcomes, return_exceptions=True)
    assert [type(result) for result in results] == [int, ValueError, int, StoreFault, int]
    assert await _actors(store) == {"a", "b", "c"}


async def test_each_folder_of_a_batch_is_synced_once_and_after_its_files(
    store: Store, syncs: Syncs, tmp_path: Path
) -> None:
    folder = tmp_path / "22"
    folder.mkdir()
    paths = [folder / f"{number}.eml" for number in range(3)]
    for path in paths:
        path.write_bytes(b"x")
    async with batch(store) as queue:
        for path in paths:
            queue(store.write(_append(path.name), durable=[path]))
    assert syncs.names == ["0.eml", "1.eml", "2.eml", "22"]


async def test_a_large_file_is_synced_beside_the_writer(store: Store, syncs: Syncs, tmp_path: Path) -> None:
    small, large = tmp_path / "small.eml", tmp_path / "large.eml"
    small.write_bytes(b"x" * LARGE)
    large.write_bytes(b"x" * (LARGE + 1))
    await store.write(_append("both"), durable=[large, small])
    assert syncs.names == ["large.eml", "small.eml", tmp_path.name]
    assert syncs.threads["large.eml"].startswith("store-sync")
    assert {syncs.threads["small.eml"], syncs.threads[tmp_path.name]} == {"store-writer"}


@pytest.mark.parametrize("broken", ["mail.eml", "22"])
async def test_a_failed_sync_fails_its_batch_and_everything_after(
    store: Store, syncs: Syncs, tmp_path: Path, broken: str
) -> None:
    (tmp_path / "22").mkdir()
    mail = tmp_path / "22" / "mail.eml"
    mail.write_bytes(b"x")
    syncs.broken = broken
    outcomes: list[asyncio.Future[object]] = []
    async with batch(store) as queue:
        for closure, paths in ((_append("innocent"), []), (_append("mail"), [mail])):
            outcomes.append(asyncio.ensure_future(store.write(closure, durable=paths)))
            queue(outcomes[-1])
    results = await asyncio.gather(*outcomes, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnhealthy, StoreUnhealthy]
    syncs.broken = ""
    with pytest.raises(StoreUnhealthy):
        await store.write(_append("later"), durable=[mail])
    assert not store.healthy
    assert syncs.names.count(broken) == 1
    assert await _actors(store) == set()


async def test_a_failed_sync_of_a_large_file_condemns_the_store(store: Store, syncs: Syncs, tmp_path: Path) -> None:
    large = tmp_path / "large.eml"
    large.write_bytes(b"x" * (LARGE + 1))
    syncs.broken = "large.eml"
    with pytest.raises(StoreUnhealthy):
        await store.write(_append("large"), durable=[large])
    assert not store.healthy


async def _fails_with(store: Store, closure: Callable[[Transaction], object]) -> list[type]:
    """The outcomes of one batch: an innocent closure, `closure`, another innocent one."""
    outcomes: list[asyncio.Future[object]] = []
    async with batch(store) as queue:
        for one in (_append("before"), closure, _append("after")):
            outcomes.append(asyncio.ensure_future(store.write(one)))
            queue(outcomes[-1])
    return [type(result) for result in await asyncio.gather(*outcomes, return_exceptions=True)]


async def test_a_full_disk_fails_the_whole_batch_and_passes(store: Store) -> None:
    def fill(tx: Transaction) -> None:
        pages = tx.value("PRAGMA page_count")
        tx.rows(f"PRAGMA max_page_count = {pages}")
        for _ in range(100):
            log.append(tx, event(actor="x" * 10_000))

    assert await _fails_with(store, fill) == [StoreFull] * 3
    assert store.healthy
    assert await _actors(store) == set()
    await store.write(lambda tx: tx.rows("PRAGMA max_page_count = 1000000"))
    await store.write(_append("room again"))
    assert await _actors(store) == {"room again"}


async def test_an_input_output_error_fails_the_whole_batch_for_good(store: Store) -> None:
    def break_off(tx: Transaction) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    assert await _fails_with(store, break_off) == [StoreUnhealthy] * 3
    assert not store.healthy
    assert await _actors(store) == set()


async def test_a_transaction_that_the_engine_rolled_back_fails_the_whole_batch(store: Store) -> None:
    def roll_back(tx: Transaction) -> None:
        log.append(tx, event(actor="gone"))
        tx.execute("ROLLBACK")
        raise ValueError("the closure does not know")

    assert await _fails_with(store, roll_back) == [StoreUnhealthy] * 3
    assert await _actors(store) == set()


async def test_a_locked_file_fails_the_batch_and_passes(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailrelay.store.sqlite._BUSY_MS", 50)
    store = await open_store(f"sqlite:///{sqlite_path}")
    other = sqlite3.connect(sqlite_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreFault):
        await store.write(_append("locked out"))
    other.execute("ROLLBACK")
    await store.write(_append("let in"))
    assert await _actors(store) == {"let in"}
    other.close()
    await store.close()


@pytest.mark.parametrize("name", ["writer.before-sync", "writer.before-commit"])
async def test_a_fault_of_the_writer_itself_answers_every_caller(store: Store, name: str) -> None:
    failpoint.arm(f"{name}@2:raise")
    assert await asyncio.wait_for(_fails_with(store, _append("x")), 20) == [StoreUnhealthy] * 3
    assert not store.healthy
    assert await _actors(store) == set()


async def test_what_ends_a_closure_by_force_does_not_end_the_writer(store: Store) -> None:
    def leave(tx: Transaction) -> None:
        log.append(tx, event(actor="undone"))
        raise SystemExit(3)

    with pytest.raises(StoreFault):
        await asyncio.wait_for(store.write(leave), 10)
    await store.write(_append("still here"))
    assert await _actors(store) == {"still here"}


def test_a_loop_that_was_closed_does_not_end_the_writer(sqlite_path: Path) -> None:
    """A caller whose loop is gone gets no answer; callers of another loop still do."""
    stores: list[Store] = []
    go_on = threading.Event()

    async def leave_a_closure_behind() -> None:
        stores.append(await open_store(f"sqlite:///{sqlite_path}"))
        asyncio.ensure_future(stores[0].write(lambda tx: go_on.wait(10))).cancel()
        await asyncio.sleep(0)
        writing = asyncio.ensure_future(stores[0].write(lambda tx: go_on.wait(10)))
        await asyncio.sleep(0.05)
        writing.cancel()

    async def go_on_with_another() -> None:
        go_on.set()
        await asyncio.wait_for(stores[0].write(_append("other loop")), 10)
        assert await _actors(stores[0]) == {"other loop"}
        await stores[0].close()

    asyncio.run(leave_a_closure_behind())
    asyncio.run(go_on_with_another())
