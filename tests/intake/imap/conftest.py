"""A real store for each test, copied from one that is made once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailrelay.store import Store, open_store


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "mailrelay.db"

    async def make() -> None:
        await (await open_store(f"sqlite:///{path}")).close()

    asyncio.run(make())
    return path


@pytest.fixture
async def store(empty_store: Path, tmp_path: Path) -> AsyncIterator[Store]:
    shutil.copy(empty_store, tmp_path / "mailrelay.db")
    opened = await open_store(f"sqlite:///{tmp_path}/mailrelay.db")
    yield opened
    await opened.close()
