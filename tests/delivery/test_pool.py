"""Kept connections: used again, never relied upon, never too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from mailrelay.delivery.courier import Courier
from mailrelay.model.agency import Target, TargetKind
from mailrelay.model.dispatch import Result


@pytest.fixture
async def tuned(courier) -> AsyncIterator:
    made: list[Courier] = []

    def make(**fields: object) -> Courier:
        made.append(Courier(replace(courier.settings, **fields)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def send(courier: Courier, parcel, peer, times: int = 1) -> list[Result]:
    return [(await courier.deliver(parcel(), peer.target()))[0].result for _ in range(times)]


async def test_a_dead_connection_is_replaced_at_once(serve, courier, parcel) -> None:
    peer = await serve(after_mails=1)
    assert await send(courier, parcel, peer, 3) == [Result.RELAYED] * 3
    assert (peer.connections, courier.counts.opened) == (3, 3)


@pytest.mark.parametrize("farewell", ["421 4.4.2 idle too long", "drop"])
async def test_a_farewell_to_the_next_mail_is_not_its_outcome(serve, courier, parcel, farewell) -> None:
    said = iter(["250 ok", farewell, "250 ok"])
    peer = await serve(mail=lambda command: next(said))
    assert await send(courier, parcel, peer, 2) == [Result.RELAYED] * 2
    assert (courier.counts.opened, courier.counts.reused, courier.counts.stale) == (2, 1, 1)


async def test_fresh_connection_is_tried_only_once(serve, courier, parcel) -> None:
    peer = await serve(mail="drop")
    assert await send(courier, parcel, peer) == [Result.DEFERRED]
    assert peer.connections == 1


async def test_later_transaction_of_a_mail_is_never_begun_again(serve, tuned, parcel) -> None:
    """Recipients whose mail was taken must not get it twice because the connection died in a later transaction."""
    courier = tuned(recipients_per_mail=1)
    peer = await serve()
    await send(courier, parcel, peer)
    said = iter(["250 ok", "drop"])
    peer.mail = lambda command: next(said)
    outcomes = await courier.deliver(parcel("a@x.vn", "b@x.vn", "c@x.vn"), peer.target())
    assert [o.result for o in outcomes] == [Result.RELAYED, Result.DEFERRED, Result.DEFERRED]
    assert [len(taken.recipients) for taken in peer.taken] == [1, 1]


async def test_idle_connections_are_closed_politely(serve, tuned, parcel) -> None:
    courier = tuned(idle=timedelta(seconds=0.05))
    peer = await serve()
    await send(courier, parcel, peer)
    await asyncio.sleep(0.15)
    assert (courier.counts.idle, peer.open_now, peer.commands[-1]) == (0, 0, "QUIT")


async def test_mails_per_connection(serve, tuned, parcel) -> None:
    courier = tuned(mails_per_connection=2)
    peer = await serve()
    await send(courier, parcel, peer, 5)
    assert (peer.connections, courier.counts.idle) == (3, 1)


async def slowly(command: str) -> str:
    await asyncio.sleep(0.05)
    return "250 ok"


async def test_limit_per_destination(serve, tuned, parcel) -> None:
    courier = tuned(connections_per_destination=2)
    one, two = await serve(final=slowly), await serve(final=slowly)
    mails = [courier.deliver(parcel(), peer.target()) for _ in range(6) for peer in (one, two)]
    outcomes = await asyncio.gather(*mails)
    assert {o.result for (o,) in outcomes} == {Result.RELAYED}
    assert (one.most_open, two.most_open, one.connections, two.connections) == (2, 2, 2, 2)


async def test_limit_of_a_slow_link(serve, tuned, parcel) -> None:
    courier = tuned(connections_per_destination=4)
    peer = await serve(final=slowly)
    target = replace(peer.target(), connections=1)
    outcomes = await asyncio.gather(*(courier.deliver(parcel(), target) for _ in range(4)))
    assert {o.result for (o,) in outcomes} == {Result.RELAYED}
    assert peer.most_open == 1


async def test_deliveries_share_the_speed_of_a_slow_link(serve, courier, parcel) -> None:
    """Three mails of 20 KiB at 40 KiB per second: not sooner than the link allows, byte for byte, the others undisturbed."""
    slow, quick = await serve(), await serve()
    body = b"Subject: x\r\n\r\n" + b"." + b"a" * 76 + b"\r\n"
    mail = body + (b"b" * 78 + b"\r\n") * 256
    loop = asyncio.get_running_loop()
    began = loop.time()
    target = replace(slow.target(), rate=40 * 1024)
    under_way = [asyncio.create_task(courier.deliver(parcel(mail=mail), target)) for _ in range(3)]
    await courier.deliver(parcel(mail=mail), quick.target())
    assert loop.time() - began < 0.5
    outcomes = await asyncio.gather(*under_way)
    assert {o.result for (o,) in outcomes} == {Result.RELAYED}
    assert 1.0 < loop.time() - began < 4.0
    assert {taken.data for taken in slow.taken} == {taken.data for taken in quick.taken}
    assert slow.taken[0].data.endswith(mail)


async def test_limit_of_all_together(serve, tuned, parcel) -> None:
    courier = tuned(connections=2)
    at_once = most = 0

    async def counted(command: str) -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1
        return "250 ok"

    peers = [await serve(final=counted) for _ in range(4)]
    outcomes = await asyncio.gather(*(courier.deliver(parcel(), peer.target()) for peer in peers))
    assert {o.result for (o,) in outcomes} == {Result.RELAYED}
    assert (most, courier.counts.idle) == (2, 2)


async def test_close_ends_idle_connections(serve, courier, parcel) -> None:
    peer = await serve()
    await send(courier, parcel, peer)
    await courier.close()
    await asyncio.sleep(0.05)
    assert (courier.counts.idle, peer.open_now) == (0, 0)


async def test_slow_destination_does_not_hold_the_others(serve, tuned, parcel) -> None:
    courier = tuned(connections_per_destination=1)
    slow, quick = await serve(final="hang"), await serve()
    held = [asyncio.create_task(courier.deliver(parcel(), slow.target())) for _ in range(3)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(send(courier, parcel, quick), 0.4) == [Result.RELAYED]
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)


async def test_source_address(serve, tuned, parcel) -> None:
    peer = await serve()
    seen: list[str] = []
    peer.on_connect = seen.append
    assert await send(tuned(source="127.0.0.9"), parcel, peer) == [Result.RELAYED]
    assert seen == ["127.0.0.9"]
    assert await send(tuned(source="::1"), parcel, peer) == [Result.DEFERRED]


async def test_in_place_needs_no_connection(courier, parcel) -> None:
    outcomes = await courier.deliver(parcel("a@x.vn", "b@x.vn"), Target(TargetKind.IN_PLACE))
    assert [(o.recipient, o.result) for o in outcomes] == [("a@x.vn", Result.DELIVERED), ("b@x.vn", Result.DELIVERED)]
