"""What closures may rely on, the same on every engine."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from mailrelay.model.entry import Book
from mailrelay.model.faults import Fault, StoreFault
from mailrelay.store import DataLock, Store, Transaction, entries, log, messages, open_store
from mailrelay.store.engine import open_reader
from tests.store.samples import FINANCE, event, record


async def test_a_committed_row_is_read_back(store: Store) -> None:
    event_id = await store.write(lambda tx: log.append(tx, event()))
    assert (await store.read(lambda tx: log.get(tx, event_id))) is not None


async def test_rows_are_there_after_opening_again(store_url: str) -> None:
    store = await open_store(store_url)
    mail = record()
    await store.write(lambda tx: messages.insert(tx, mail))
    await store.close()
    store = await open_store(store_url)
    assert await store.read(lambda tx: messages.get(tx, mail.message.mail_id)) == mail
    await store.close()


async def test_an_exception_of_a_closure_undoes_its_rows_and_reaches_its_caller(store: Store) -> None:
    def break_off(tx: Transaction) -> None:
        log.append(tx, event(actor="lost"))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await store.write(break_off)
    assert await store.read(lambda tx: log.search(tx)) == ()
    assert store.healthy


async def test_a_refused_row_is_a_fault_of_the_store(store: Store) -> None:
    mail = record()
    await store.write(lambda tx: messages.insert(tx, mail))
    with pytest.raises(StoreFault) as caught:
        await store.write(lambda tx: messages.insert(tx, mail))
    assert "IntegrityError" in repr(caught.value.__cause__) or "UniqueViolation" in repr(caught.value.__cause__)
    assert store.healthy


async def test_numbers_have_no_gap_and_no_twin_under_concurrency(store: Store) -> None:
    numbers = await asyncio.gather(
        *(store.write(lambda tx: entries.next_seq(tx, FINANCE, Book.OUTGOING, 2026)) for _ in range(40))
    )
    assert sorted(numbers) == list(range(1, 41))


async def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(StoreFault):
        await store.read(lambda tx: log.append(tx, event()))
    assert await store.read(lambda tx: log.search(tx)) == ()


async def test_a_read_sees_one_snapshot(store: Store) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def look_twice(tx: Transaction) -> tuple[int, int]:
        first = tx.value("SELECT count(*) FROM log_event")
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        return first, tx.value("SELECT count(*) FROM log_event")

    reading = asyncio.create_task(store.read(look_twice))
    await begun.wait()
    await store.write(lambda tx: log.append(tx, event()))
    go_on.set()
    assert await reading == (0, 0)


async def test_a_closure_that_waits_in_the_queue_runs_though_its_caller_was_cancelled(store: Store) -> None:
    go_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(tx: Transaction) -> None:
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)

    busy = [asyncio.create_task(store.write(hold)) for _ in range(8)]
    await asyncio.sleep(0.05)
    writing = asyncio.create_task(store.write(lambda tx: log.append(tx, event())))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    go_on.set()
    await asyncio.gather(*busy)
    await store.write(lambda tx: None)
    for _ in range(100):
        if await store.read(lambda tx: log.search(tx)):
            return
        await asyncio.sleep(0.02)
    pytest.fail("the closure never ran")


async def test_a_caller_that_is_cancelled_does_not_stop_the_commit(store: Store) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(tx: Transaction) -> None:
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        log.append(tx, event())

    writing = asyncio.create_task(store.write(slow))
    await started.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    go_on.set()
    await store.write(lambda tx: None)
    assert len(await store.read(lambda tx: log.search(tx))) == 1


async def test_a_closure_that_ends_in_stop_iteration_leaves_nobody_waiting(store: Store) -> None:
    def stop(tx: Transaction) -> None:
        raise StopIteration

    for attempt in (store.write, store.read):
        with pytest.raises(StoreFault):
            await asyncio.wait_for(attempt(stop), 5)
    assert store.healthy


async def test_files_that_are_gone_fail_their_own_closure_only(store: Store, tmp_path: Path) -> None:
    kept = tmp_path / "kept.eml"
    kept.write_bytes(b"x")
    outcomes = await asyncio.gather(
        store.write(lambda tx: log.append(tx, event(actor="gone")), durable=[tmp_path / "gone.eml"]),
        store.write(lambda tx: log.append(tx, event(actor="kept")), durable=[kept]),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], StoreFault)
    assert [found.actor for found in await store.read(lambda tx: log.search(tx))] == ["kept"]
    assert store.healthy


async def test_a_failed_sync_ends_accepting_for_good(store_url: str, tmp_path: Path) -> None:
    calls = []

    def broken(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(5, "Input/output error")

    mail = tmp_path / "mail.eml"
    mail.write_bytes(b"x")
    store = await open_store(store_url, fsync=broken)
    with pytest.raises(StoreFault):
        await store.write(lambda tx: log.append(tx, event()), durable=[mail])
    assert not store.healthy
    with pytest.raises(StoreFault):
        await store.write(lambda tx: log.append(tx, event()), durable=[mail])
    with pytest.raises(StoreFault):
        await store.write(lambda tx: log.append(tx, event()))
    assert len(calls) == 1  # never tried again
    assert await store.read(lambda tx: log.search(tx)) == ()  # reading goes on
    await store.close()


async def test_a_closed_store_takes_nothing(store: Store) -> None:
    await store.close()
    assert not store.healthy
    with pytest.raises(StoreFault):
        await store.write(lambda tx: None)
    with pytest.raises(StoreFault):
        await store.read(lambda tx: None)


async def test_closing_finishes_what_was_queued(store_url: str) -> None:
    store = await open_store(store_url)
    writing = [asyncio.create_task(store.write(lambda tx: log.append(tx, event()))) for _ in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writing)
    store = await open_store(store_url)
    assert len(await store.read(lambda tx: log.search(tx))) == 20
    await store.close()


async def test_a_reader_sees_the_rows_and_writes_none(store: Store, store_url: str) -> None:
    await store.write(lambda tx: log.append(tx, event()))
    reader = await open_reader(store_url)
    assert len(await reader.read(lambda tx: log.search(tx))) == 1
    with pytest.raises(StoreFault):
        await reader.write(lambda tx: log.append(tx, event()))
    await reader.close()


@pytest.mark.parametrize("url", ["", "sqlite:///", "mysql://localhost/x", "/var/lib/store.db"])
async def test_an_address_of_no_store_is_refused(url: str) -> None:
    with pytest.raises(StoreFault):
        await open_store(url)


def test_the_lock_of_a_data_folder_is_taken_once(tmp_path: Path) -> None:
    with DataLock(tmp_path / "data"), pytest.raises(Fault), DataLock(tmp_path / "data"):
        pass
    with DataLock(tmp_path / "data"):
        pass


def test_the_lock_is_free_when_its_process_ended(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from mailrelay.store import DataLock\n"
    code += "DataLock(Path(sys.argv[1])).__enter__(); print('held', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        with pytest.raises(Fault), DataLock(tmp_path):
            pass
        child.kill()
    with DataLock(tmp_path):
        pass
