"""The queue before the writer: patient work shares the commit of others, is done in time without them, and never lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailrelay.store import Store, Transaction, open_store, writer
from mailrelay.telemetry import counters

LONG = 60.0  # seconds that no test waits


@pytest.fixture
async def store(sqlite_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite:///{sqlite_path}")
    yield opened
    await opened.close()


def commits() -> int:
    return sum(number for name, number in counters.items() if "store_commits" in str(name))


def number(tx: Transaction) -> int:
    return int(tx.value("SELECT 1"))


async def patient(store: Store, count: int, patience: float = LONG) -> list[asyncio.Future[int]]:
    waiting = [asyncio.ensure_future(store.write(number, patience=patience)) for _ in range(count)]
    await asyncio.sleep(0)  # they are in the queue
    return waiting


async def test_patient_work_goes_along_with_what_cannot_wait(store: Store) -> None:
    before = commits()
    waiting = await patient(store, 5)
    await asyncio.sleep(0.05)
    assert not any(one.done() for one in waiting)
    assert await store.write(number) == 1
    assert await asyncio.wait_for(asyncio.gather(*waiting), 10) == [1] * 5
    assert commits() == before + 1


async def test_patient_work_alone_is_done_in_its_time(store: Store) -> None:
    began = time.monotonic()
    waiting = await patient(store, 3, 0.2)
    await asyncio.wait_for(asyncio.gather(*waiting), 10)
    assert time.monotonic() - began >= 0.19


async def test_closing_ends_patient_work_first(store: Store) -> None:
    waiting = await patient(store, 2 * writer.BATCH)
    await store.close()
    assert [one.result() for one in waiting] == [1] * (2 * writer.BATCH)


async def test_the_loop_stands_still_for_a_bounded_time(store: Store) -> None:
    """A closure that takes long, or never ends by itself, does not take the loop with it."""
    let_go = threading.Event()
    slow = asyncio.ensure_future(store.write(lambda tx: let_go.wait(10)))
    began = time.monotonic()
    await asyncio.sleep(0.1)
    assert time.monotonic() - began < 5  # and not the ten seconds of the closure
    assert not slow.done()
    let_go.set()
    assert await slow
