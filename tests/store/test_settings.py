"""What is refused at start: a store whose durability settings are not in force, or that another version made."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mailrelay.model.faults import StoreFault
from mailrelay.store import open_store, sqlite
from mailrelay.store.engine import open_reader


@pytest.mark.parametrize("pragma", ["synchronous=NORMAL", "foreign_keys=OFF", "journal_mode=DELETE", "query_only=ON"])
def test_a_connection_with_a_setting_that_is_off_is_refused(sqlite_path: Path, pragma: str) -> None:
    connection = sqlite.connect(sqlite_path, writing=True)
    sqlite.verify(connection, writing=True)
    connection.execute(f"PRAGMA {pragma}")
    with pytest.raises(StoreFault, match=pragma.partition("=")[0]):
        sqlite.verify(connection, writing=True)
    connection.close()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreFault):
        await open_store(f"sqlite:///{path}")


async def test_a_store_of_a_newer_version_is_refused(sqlite_path: Path) -> None:
    with sqlite3.connect(sqlite_path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreFault, match="9999"):
        await open_store(f"sqlite:///{sqlite_path}")
    with pytest.raises(StoreFault, match="9999"):
        await open_reader(f"sqlite:///{sqlite_path}")


async def test_a_reader_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreFault):
        await open_reader(f"sqlite:///{tmp_path}/none.db")
    assert list(tmp_path.iterdir()) == []


async def test_a_new_store_is_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "store.db"
    store = await open_store(f"sqlite:///{path}")
    await store.close()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
