"""More is claimed than is being sent: none of it is lost, counted as tried, or sent twice, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from mailrelay.delivery.courier import Courier
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.pipeline.deliver import Dispatcher
from mailrelay.store import dispatches
from tests.pipeline.house import House, paper
from tests.servers.next_hop import QUICK

pytestmark = pytest.mark.engines

AT_ONCE = 4  # the setting's default
MAILS = 11


@pytest.fixture
async def loop(house: House) -> AsyncIterator[asyncio.Task[None]]:
    """The delivery loop, with more time for a next hop than other tests give."""
    house.loops[0].cancel()
    await asyncio.gather(house.loops[0], return_exceptions=True)
    courier = Courier(
        DeliverySettings(hostname="mail.hoabinh.gov.vn", times=replace(QUICK, final=timedelta(seconds=30)))
    )
    running = asyncio.create_task(Dispatcher(replace(house.parts, courier=courier), drain=0.1).run())
    yield running
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await courier.close()


class Hop:
    """Keeps the mails that it was given waiting for `answer`, and tells when `AT_ONCE` wait."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.full = asyncio.Event()
        self.waiting = 0
        self.word = "250 2.0.0 taken"

    async def __call__(self, command: str) -> str:
        self.waiting += 1
        if self.waiting >= AT_ONCE:
            self.full.set()
        await self.answer.wait()
        return self.word


async def handed_in(house: House) -> list[Acceptance]:
    return await asyncio.gather(*(house.hand_in(paper(number), f"a{number}@bo.example") for number in range(MAILS)))


async def sendings(house: House, mails: Sequence[Acceptance]) -> list[Dispatch]:
    return [(await house.life(mail)).dispatches[0] for mail in mails]


async def all_claimed(house: House, hop: Hop) -> list[Acceptance]:
    """Mails of which as many as may go are being sent, and the rest is claimed and waits."""
    mails = await handed_in(house)
    async with asyncio.timeout(20):
        await hop.full.wait()
        while {d.state for d in await sendings(house, mails)} != {DispatchState.SENDING}:
            await asyncio.sleep(0.02)
    return mails


async def test_what_comes_in_is_claimed_and_goes_out_once_and_in_its_turn(serve, house: House, loop) -> None:
    hop = Hop()
    peer = await serve(final=hop)
    house.route("bo.example", peer.target())
    mails = await all_claimed(house, hop)
    assert peer.most_open == AT_ONCE
    hop.answer.set()
    for mail in mails:
        life = await house.state(mail, DispatchState.RELAYED)
        assert life.dispatches[0].attempts == 1
    assert len(peer.taken) == MAILS
    assert peer.most_open == AT_ONCE


async def test_a_next_hop_in_trouble_is_not_asked_again_for_each_mail_that_waits_here(
    serve, house: House, loop
) -> None:
    hop = Hop()
    hop.word = "421 4.3.2 closing down"
    peer = await serve(final=hop)
    house.route("bo.example", peer.target())
    mails = await all_claimed(house, hop)
    peer.greeting = "421 4.3.2 closed"
    hop.answer.set()
    for mail in mails:
        await house.state(mail, DispatchState.DEFERRED, DispatchState.QUEUED)
    found = await sendings(house, mails)
    assert sorted(d.attempts for d in found) == [0] * (MAILS - AT_ONCE) + [1] * AT_ONCE
    assert all(d.next_attempt_at > house.now() for d in found)
    assert peer.connections == AT_ONCE


async def test_slow_next_hops_do_not_take_all_the_room(serve, house: House, loop) -> None:
    """Each of them takes less the fuller the queue is: whoever comes later finds room, urgent or not."""
    house.parts.active.most = 32
    for name in ("mot", "hai", "ba"):
        slow = await serve(final=Hop())
        house.route(f"{name}.example", slow.target())
        for number in range(20):
            await house.hand_in(paper(number, message_id=f"<{number}@{name}>"), f"a@{name}.example")
    fast = await serve()
    house.route("nhanh.example", fast.target())
    async with asyncio.timeout(15):
        for number in range(5):
            await house.state(await house.hand_in(paper(100 + number), "a@nhanh.example"), DispatchState.RELAYED)


async def test_a_stop_leaves_what_was_not_begun_as_it_was(serve, house: House, loop) -> None:
    hop = Hop()
    peer = await serve(final=hop)
    house.route("bo.example", peer.target())
    mails = await all_claimed(house, hop)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    found = await sendings(house, mails)
    tried = [await house.parts.store.read(lambda tx, d=d: dispatches.attempts(tx, d.dispatch_id)) for d in found]
    assert sorted((d.state.value, d.attempts, len(t)) for d, t in zip(found, tried, strict=True)) == [
        *[("deferred", 1, 1)] * AT_ONCE,
        *[("queued", 0, 0)] * (MAILS - AT_ONCE),
    ]


async def test_a_mail_whose_client_left_during_the_commit_is_sent_once(serve, house: House) -> None:
    peer = await serve()
    house.route("bo.example", peer.target())
    await house.settled(await house.hand_in(paper(1), "a@bo.example"))
    entering = asyncio.create_task(house.hand_in(paper(2), "b@bo.example"))
    async with asyncio.timeout(20):
        while not house.parts.active.coming:
            await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    async with asyncio.timeout(20):
        while len(peer.taken) < 2:
            await asyncio.sleep(0.02)
    queue = await house.parts.store.read(dispatches.listing)
    (mail,) = [one for one in queue if one.recipient.address == "b@bo.example"]
    life = await house.settled(Acceptance(mail.mail_id))
    assert [(d.state, d.attempts) for d in life.dispatches] == [(DispatchState.RELAYED, 1)]
    assert (len(peer.taken), house.parts.active.in_doubt) == (2, False)
