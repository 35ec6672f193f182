"""A door full of clients that do nothing, or next to nothing, still opens to everybody else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from mailrelay.intake.smtp.crowd import make_room
from mailrelay.intake.smtp.limits import Limits
from mailrelay.model.envelope import Door
from tests.intake.smtp.office import Client

FULL = Limits(connections=4, connections_per_address=4, crowded_time=timedelta(milliseconds=50))
NEWCOMER = "127.0.0.2"


async def newcomer(office: Any) -> Client:
    address = ("127.0.0.1", office.ports[Door.MX])
    return Client(*await asyncio.open_connection(*address, local_addr=(NEWCOMER, 0)))


@pytest.fixture
async def office(open_office: Any) -> AsyncIterator[Any]:
    async with open_office(limits=FULL) as opened:
        yield opened


@pytest.mark.parametrize("doing", ["nothing", "noop", "mail", "handshake", "half a line"])
async def test_who_does_nothing_gives_way(office: Any, doing: str) -> None:
    idle = [await office.connect() for _ in range(4)]
    for client in idle:
        match doing:
            case "mail":
                await client.ask("MAIL FROM:<a@example.vn>")
            case "handshake":
                assert (await client.ask("STARTTLS")).startswith("220")
            case "half a line":
                await client.send("MAIL FR")
    await asyncio.sleep(0.1)
    if doing == "noop":
        for client in idle:  # to say something is no progress
            assert (await client.ask("NOOP")).startswith("250")
    fresh = await newcomer(office)
    assert (await fresh.reply()).startswith("220")
    first = idle[0]
    if doing == "handshake":
        with contextlib.suppress(ConnectionError):
            assert await first.reply() == ""
    else:
        assert "[too-many-connections]" in await first.reply()
    assert office.door._desk.connections.total == 4


async def test_data_that_crawls_gives_way_and_data_that_flows_stays(office: Any) -> None:
    slow = await office.connect()
    others = [await office.connect() for _ in range(3)]
    for client in (slow, *others):
        await client.ask("MAIL FROM:<a@example.vn>")
        await client.ask("RCPT TO:<vanthu.stc@hoabinh.gov.vn>")
        assert (await client.ask("DATA")).startswith("354")
    await asyncio.sleep(0.1)
    for client in others:
        await client.send(b"x" * 60_000 + b"\r\n")
    await slow.send(b"x")
    await asyncio.sleep(0.05)
    assert (await (await newcomer(office)).reply()).startswith("220")
    for client in others:
        await client.send(".\r\n")
        assert (await client.reply()).startswith("250")
    with contextlib.suppress(ConnectionError):
        assert await slow.reply() == ""
    assert office.recorder.left == []


async def test_who_has_a_login_or_is_listed_stays(open_office: Any) -> None:
    async with open_office(
        limits=FULL, rights_of=lambda peer: frozenset({"xforward"} if peer == "127.0.0.1" else ())
    ) as office:
        known = [await office.connect() for _ in range(4)]
        await asyncio.sleep(0.1)
        assert "[too-many-connections]" in await (await newcomer(office)).reply()
    async with open_office(limits=FULL) as office:
        known = [await office.connect(Door.SUBMISSIONS) for _ in range(4)]
        assert [(await client.login())[:3] for client in known] == ["235"] * 4
        await asyncio.sleep(0.1)
        assert "[too-many-connections]" in await (await newcomer(office)).reply()


async def test_an_address_at_its_own_limit_drives_nobody_out(open_office: Any) -> None:
    limits = Limits(connections=4, connections_per_address=2, crowded_time=timedelta(0))
    async with open_office(limits=limits) as office:
        here = [await office.connect() for _ in range(2)]
        await asyncio.sleep(0.05)
        late = await office.connect(greet=False)
        assert "[too-many-connections]" in await late.reply()
        assert office.door._desk.connections.total == len(here) == 2


def test_who_has_just_come_is_left_alone() -> None:
    class Guest:
        progressed_at = 10.0

        def must_stay(self, now: float) -> bool:
            return False

        def give_way(self) -> None:
            raise AssertionError

    assert make_room([Guest()], 12.0, 5.0) is False
