"""The collector of cycles does not walk over what a service was built of, and still collects what comes and goes."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailrelay.cli.demo import outside, stage
from mailrelay.config.office import load_office
from mailrelay.daemon import memory
from mailrelay.daemon.run import Daemon


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()


class Knot:
    """An object in a cycle."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_there_is_left_alone_and_what_comes_is_collected() -> None:
    old = Knot()
    gone = weakref.ref(Knot())
    memory.settle()
    assert gone() is None
    assert gc.get_freeze_count() > 0
    assert not any(one is old for one in gc.get_objects())
    later = weakref.ref(Knot())
    gc.collect()
    assert later() is None


async def test_a_service_settles_when_it_is_ready_and_when_it_was_reloaded(tmp_path: Path) -> None:
    transport, port = await outside.start_name_server({})
    stage.build(tmp_path, port)
    daemon = Daemon(load_office(tmp_path))
    running = asyncio.create_task(daemon.run())
    async with asyncio.timeout(30):
        await daemon.ready.wait()
    assert gc.get_freeze_count() > 10_000
    gc.unfreeze()
    daemon.reload(load_office(tmp_path))
    assert gc.get_freeze_count() > 10_000
    daemon.stop()
    await running
    transport.close()
