"""A storm: next hops that say anything, a sender that is stopped and breaks in the middle. Nothing is lost, no count is left."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from mailrelay.delivery.courier import Courier
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.delivery.under_way import UnderWay
from mailrelay.failpoint import arm
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.dispatch import DispatchState
from mailrelay.pipeline.deliver import Dispatcher
from mailrelay.pipeline.hold import Desk
from mailrelay.store import dispatches
from tests.pipeline.house import House, paper
from tests.servers.next_hop import DROP, HANG, QUICK

pytestmark = pytest.mark.engines

MAILS = 70
HOPS = ("mot", "hai", "ba")
SLOTS = 512


class Weather:
    """What next hops answer: anything until the sun comes out."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.is_fair = False

    def answers(self, good: str, *bad: str) -> Callable[[str], str]:
        return lambda command: good if self.is_fair or self._dice.random() < 0.6 else self._dice.choice(bad)


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_lost_in_a_storm_and_no_count_is_left(serve, house: House, seed: int) -> None:
    dice = random.Random(seed)
    weather = Weather(dice)
    house.parts.under_way.forget()
    house.parts.active.most = 20
    peers = {}
    for name in HOPS:
        peer = peers[name] = await serve(
            greeting=weather.answers("220 mx.test ESMTP", "421 4.3.2 closing", DROP),
            rcpt=weather.answers("250 2.1.5 ok", "450 4.2.1 busy", DROP),
            final=weather.answers("250 2.0.0 taken", "451 4.3.0 later", "421 4.3.2 closing", HANG),
        )
        house.route(f"{name}.example", peer.target())
    courier = Courier(
        DeliverySettings(hostname="mail.hoabinh.gov.vn", times=replace(QUICK, final=timedelta(seconds=1)))
    )
    parts = replace(house.parts, courier=courier)
    desk = Desk(parts.store, lambda: house.snapshot.directory, house.now, parts.bells.ring)
    await ended(house.loops[0])
    loop = asyncio.create_task(Dispatcher(parts, drain=0.05).run())
    entering: list[asyncio.Task[Acceptance]] = []
    try:
        for number in range(MAILS):
            names = dice.sample(HOPS, dice.choice((1, 1, 2, 3)))
            to = [f"a{n}@{name}.example" for name in names for n in range(dice.choice((1, 1, 40)))]
            entering.append(asyncio.create_task(house.hand_in(paper(number), *to)))
            await asyncio.sleep(dice.random() * 0.05)
            match dice.randrange(12):
                case 0:
                    await ended(loop)
                    loop = asyncio.create_task(Dispatcher(parts, drain=0.05).run())
                case 1:
                    arm(dice.choice(("deliver.before-send", "deliver.after-send", "deliver.after-settle")) + "@2:raise")
                case 2:
                    house.later(timedelta(minutes=dice.choice((1, 30))))
                case 3:
                    await desk.retry_waiting("cntt")
                case 4:
                    parts.active.in_doubt = True
                    parts.bells.dispatches.set()
        mails = await asyncio.gather(*entering)
        arm("")
        weather.is_fair = True
        await at_rest(house, desk)
    finally:
        arm("")
        await ended(loop)
        await courier.close()
    queue = parts.active
    assert (queue.in_hand, queue.coming, queue.room) == (set(), set(), 20)
    assert (queue._waiting, queue._taken, queue._running, queue._again) == ({}, {}, {}, set())
    assert (len(parts.under_way._free), UnderWay(house.snapshot.settings.data_dir / "under-way").left) == (
        SLOTS,
        frozenset(),
    )
    taken = Counter(who for peer in peers.values() for mail in peer.taken for who in mail.recipients)
    for mail in mails:
        life = await house.life(mail)
        assert {d.state for d in life.dispatches} == {DispatchState.RELAYED}
    rows = await parts.store.read(lambda tx: dispatches.counts(tx))
    assert sum(taken.values()) >= rows[DispatchState.RELAYED]


async def ended(loop: asyncio.Task[None]) -> None:
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def at_rest(house: House, desk: Desk) -> None:
    """Wait until everything has arrived; leases of what broke run out as time passes."""
    unfinished = (DispatchState.QUEUED, DispatchState.SENDING, DispatchState.DEFERRED)
    async with asyncio.timeout(60):
        while True:
            counts = await house.parts.store.read(dispatches.counts)
            if not any(counts[state] for state in unfinished) and not house.parts.active.in_hand:
                return
            house.later(timedelta(minutes=10))
            await desk.retry_waiting("cntt")
            await asyncio.sleep(0.3)
