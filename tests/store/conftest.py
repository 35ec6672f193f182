"""An empty store for each test, on each engine: a copy of one that was migrated once, or an emptied database."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailrelay.store import Store, open_store
from mailrelay.store.schema import metadata
from tests.servers.postgresql import Postgresql

DATABASE = "contract"


def _migrate(url: str) -> None:
    async def make() -> None:
        store = await open_store(url)
        await store.close()

    asyncio.run(make())


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite store, closed."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_path(sqlite_template: Path, tmp_path: Path) -> Path:
    """The file of an empty SQLite store of this test alone."""
    path = tmp_path / "store.db"
    shutil.copy(sqlite_template, path)
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: Postgresql) -> str:
    """The address of a migrated database."""
    postgresql.sql(f"CREATE DATABASE {DATABASE}")
    _migrate(postgresql.url(DATABASE))
    return postgresql.url(DATABASE)


@pytest.fixture
def postgresql_url(postgresql: Postgresql, postgresql_template: str) -> str:
    """The address of an empty store on PostgreSQL."""
    # Our triggers forbid to empty the tables; only a superuser can pass them by. (TRUNCATE makes new files: slow.)
    empty = "SET session_replication_role = replica;" + "".join(f"DELETE FROM {table};" for table in metadata.tables)
    empty += "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
    postgresql.sql(empty, DATABASE)
    return postgresql_template


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty store, once for each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = await open_store(store_url)
    yield opened
    await opened.close()
