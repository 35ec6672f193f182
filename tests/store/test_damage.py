"""A disk that does not give back what was written: readers notice it, and the store takes nothing more."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailrelay.model.entry import EventKind, LogEvent
from mailrelay.model.faults import StoreFault, StoreNotNow, StoreUnhealthy
from mailrelay.store import log
from mailrelay.store.engine import open_store
from tests.store.samples import NOW


async def test_damage_that_a_reader_meets_stops_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "mailrelay.db"
    store = await open_store(f"sqlite:///{path}")
    for _ in range(50):
        await store.write(lambda tx: log.append(tx, LogEvent(NOW, EventKind.RECEIVED, None, actor="x" * 5000)))
    await store.close()
    store = await open_store(f"sqlite:///{path}")
    with path.open("r+b") as file:
        half = path.stat().st_size // 2
        file.seek(half)
        file.write(b"\xff" * half)
    assert store.healthy
    with pytest.raises(StoreFault, match="malformed"):
        await store.read(lambda tx: tx.rows("SELECT * FROM log_event"))
    assert not store.healthy
    with pytest.raises(StoreUnhealthy):
        await store.write(lambda tx: log.append(tx, LogEvent(NOW, EventKind.RECEIVED, None)))
    await store.close()


async def test_a_wrong_question_is_no_damage(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'mailrelay.db'}")
    with pytest.raises(StoreFault):
        await store.read(lambda tx: tx.rows("SELECT * FROM nowhere"))
    assert store.healthy
    await store.close()


async def test_a_locked_store_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mailrelay.db"
    store = await open_store(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreNotNow) as fault:
            await store.write(lambda tx: log.append(tx, LogEvent(NOW, EventKind.RECEIVED, None)))
        assert not isinstance(fault.value, StoreUnhealthy)
        other.execute("ROLLBACK")
    assert await store.read(lambda tx: tx.value("SELECT count(*) FROM log_event")) == 0
    await store.close()
