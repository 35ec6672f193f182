"""The house, opened for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mailrelay.cli.demo import outside, stage
from mailrelay.config.office import load_office
from mailrelay.daemon import rooms
from mailrelay.delivery.courier import Courier
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.pipeline.accept import Pipeline
from mailrelay.pipeline.deliver import Dispatcher
from mailrelay.pipeline.reply import Replier
from tests.pipeline.house import House
from tests.servers.next_hop import QUICK, Peer, serving


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """Start next hops, given the fields of Peer that differ from a good server."""
    async with serving() as start:
        yield start


@pytest.fixture
async def house(tmp_path: Path, new_store: Callable[[], str]) -> AsyncIterator[House]:
    async with opened_house(tmp_path, new_store()) as opened:
        yield opened


@asynccontextmanager
async def opened_house(place: Path, store: str, **inspection: object) -> AsyncIterator[House]:
    """A house in `place`; `inspection` are settings of that section which differ from the sample."""
    transport, port = await outside.start_name_server({})
    stage.build(place, port, store)
    office = load_office(place)
    chosen = replace(office.settings.inspection, **inspection)  # type: ignore[arg-type]
    opened = House(replace(office, settings=replace(office.settings, inspection=chosen)))
    async with AsyncExitStack() as stack:
        parts = await rooms.open_parts(opened.office, stack)
        courier = Courier(DeliverySettings(hostname="mail.hoabinh.gov.vn", times=QUICK))
        stack.push_async_callback(courier.close)
        opened.parts = replace(parts, now=opened.now, courier=courier)
        opened.pipeline = Pipeline(opened.parts)
        opened.loops = [asyncio.create_task(loop.run()) for loop in (Dispatcher(opened.parts), Replier(opened.parts))]
        yield opened
        for loop in opened.loops:
            loop.cancel()
        await asyncio.gather(*opened.loops, return_exceptions=True)
    transport.close()
