"""An empty store for each test: a copy of one that was migrated once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailrelay.store import Store, open_store


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite store, closed."""
    path = tmp_path_factory.mktemp("template") / "store.db"

    async def make() -> None:
        store = await open_store(f"sqlite:///{path}")
        await store.close()

    asyncio.run(make())
    return path


@pytest.fixture
def sqlite_path(sqlite_template: Path, tmp_path: Path) -> Path:
    """The file of an empty SQLite store of this test alone."""
    path = tmp_path / "store.db"
    shutil.copy(sqlite_template, path)
    return path


@pytest.fixture(params=["sqlite"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty store, once for each engine."""
    return f"sqlite:///{request.getfixturevalue('sqlite_path')}"


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = await open_store(store_url)
    yield opened
    await opened.close()
