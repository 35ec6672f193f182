"""What is claimed without anybody's knowing comes back at once, and a stop comes to its end: whatever the store says meanwhile."""

from __future__ import annotations

import asyncio
import threading

import psycopg
import pytest

from mailrelay.delivery.under_way import UnderWay
from mailrelay.model.dispatch import DispatchState
from mailrelay.pipeline.deliver import Dispatcher
from mailrelay.pipeline.hold import Desk
from mailrelay.store import dispatches
from tests.pipeline.house import House, locked, paper

pytestmark = pytest.mark.engines

READERS = 32  # more than a store has threads that read


async def stopped(loop: asyncio.Task[None]) -> None:
    loop.cancel()
    done, _ = await asyncio.wait({loop}, timeout=15)  # to await it would cancel it once more
    assert done and loop.cancelled()


async def test_a_stop_while_the_store_does_not_answer_a_claim_comes_to_its_end(house: House) -> None:
    await stopped(house.loops[0])
    with locked(house):
        loop = asyncio.create_task(Dispatcher(house.parts).run())
        await asyncio.sleep(0.5)  # it has asked
        await stopped(loop)


async def test_who_could_not_settle_at_the_end_is_not_taken_for_a_crash(serve, house: House) -> None:
    """The process lived on after that sending: its mail is no suspect at the next start."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def thinks(command: str) -> str:
        asked.set()
        await answer.wait()
        return "250 2.0.0 taken"

    peer = await serve(final=thinks)
    house.parts.under_way.forget()
    house.route("bo.example", peer.target())
    await house.hand_in(paper(1), "a@bo.example")
    async with asyncio.timeout(20):
        await asked.wait()
    with locked(house):
        house.loops[0].cancel()
        answer.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*house.loops[:1], return_exceptions=True)
    left = UnderWay(house.snapshot.settings.data_dir / "under-way")
    left.close()
    assert left.left == frozenset()


async def test_what_is_retried_while_its_try_is_being_finished_goes_out_at_once(serve, house: House) -> None:
    """A claim takes it before this process has let go of it: nobody would send it until the lease ran out."""
    said = iter(["450 4.2.1 busy"])
    peer = await serve(rcpt=lambda command: next(said, "250 2.1.5 ok"))
    house.route("bo.example", peer.target())
    letter = paper(1).replace(b"1/BC-STC V/v thu nghiem", b"chao anh")
    release = threading.Event()
    held: list[asyncio.Task[bool]] = []
    try:
        acceptance = await house.hand_in(letter, "a@bo.example")
        mail_id = acceptance.mail_id
        assert mail_id is not None
        reading = house.parts.store.read
        held = [asyncio.create_task(reading(lambda tx: release.wait(30))) for _ in range(READERS)]
        desk = Desk(house.parts.store, lambda: house.snapshot.directory, house.now, house.parts.bells.ring)
        async with asyncio.timeout(20):
            while (found := await house.parts.store.write(lambda tx: dispatches.of_mail(tx, mail_id))) and (
                found[0].state is not DispatchState.DEFERRED
            ):
                await asyncio.sleep(0.01)
        assert await desk.retry((found[0].dispatch_id,), "cntt") == 1
        await asyncio.sleep(0.3)  # the claim
    finally:
        release.set()
        await asyncio.gather(*held)
    life = await house.state(acceptance, DispatchState.RELAYED)
    assert [d.attempts for d in life.dispatches] == [2]
    assert len(peer.taken) == 1


async def test_a_retry_passes_over_what_a_claim_takes_at_that_moment(serve, house: House) -> None:
    """On PostgreSQL a claim may come between a look at a row and its change; the others are tried all the same."""
    url = house.snapshot.settings.store.url
    if not url.startswith("postgresql:"):
        return  # one writer: nothing comes between
    peer = await serve(rcpt=lambda command: "450 4.2.1 busy")
    house.route("bo.example", peer.target())
    mails = [await house.hand_in(paper(number), f"a{number}@bo.example") for number in range(2)]
    ids = tuple([(await house.state(mail, DispatchState.DEFERRED)).dispatches[0].dispatch_id for mail in mails])
    await stopped(house.loops[0])
    desk = Desk(house.parts.store, lambda: house.snapshot.directory, house.now, house.parts.bells.ring)
    with psycopg.connect(url) as other:
        other.execute("UPDATE dispatch SET state = 'sending', lease_until = 1 WHERE dispatch_id = %s", (ids[0],))
        asking = asyncio.create_task(desk.retry(ids, "cntt"))
        await asyncio.sleep(0.5)
        other.commit()
        assert await asking == 1
    assert (await house.life(mails[1])).dispatches[0].state is DispatchState.QUEUED
