"""The running service: a stop finishes what is under way or takes it up again, a bad configuration is not taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.papers import paper
from tests.servers.next_hop import HANG, Peer, serving
from tests.servers.process import LOOPBACK, wait_until
from tests.servers.relay import Relay

pytestmark = [pytest.mark.e2e, pytest.mark.engines]

SENDER, MINISTRY, RECEIVER = "vpubnd@hoabinh.gov.vn", "vanthu@bo.example", "sotc@hoabinh.gov.vn"


@pytest.fixture
def relay(tmp_path: Path, new_store: Callable[[], str]) -> Iterator[Relay]:
    office = Relay(tmp_path / "office", store=new_store())
    yield office
    office.close()
    if office.log.exists():
        print(office.log.read_text()[-6000:])


def send(relay: Relay, recipient: str, code: str = "60/BC-UBND") -> None:
    with relay.client("vpubnd") as client:
        client.sendmail(SENDER, [recipient], paper(SENDER, recipient, code, "báo cáo quý"))


async def started(relay: Relay, peer: Peer) -> None:
    relay.add_settings(f'\n[delivery.routes]\n"bo.example" = "smtp://{LOOPBACK}:{peer.port}?tls=none"\n')
    await asyncio.to_thread(relay.start)


def outgoing(relay: Relay) -> dict[str, Any]:
    """The dispatch to the ministry, explained."""
    listed = relay.json("queue", "list", "--destination", "bo.example", "--state", "relayed", "--state", "deferred")
    (row,) = listed["dispatches"]
    found: dict[str, Any] = relay.json("queue", "explain", str(row["id"]))
    return found


async def test_sigterm_lets_a_delivery_under_way_end(relay: Relay) -> None:
    asked = asyncio.Event()

    async def thinks(command: str) -> str:
        asked.set()
        await asyncio.sleep(2)
        return "250 2.0.0 taken"

    async with serving() as start:
        peer = await start(final=thinks)
        await started(relay, peer)
        await asyncio.to_thread(send, relay, MINISTRY)
        async with asyncio.timeout(20):
            await asked.wait()
        assert await asyncio.to_thread(relay.stop) == 0
        told = await asyncio.to_thread(outgoing, relay)
        assert (told["state"], told["tries"]) == ("relayed", 1)
        await asyncio.to_thread(relay.start)
        await asyncio.sleep(1)
        assert len(peer.taken) == 1


async def test_what_a_stop_cuts_short_is_sent_once_after_the_next_start(relay: Relay) -> None:
    asked = asyncio.Event()
    words = [HANG]

    async def says(command: str) -> str:
        asked.set()
        return words.pop() if words else "250 2.1.5 ok"

    async with serving() as start:
        peer = await start(rcpt=says)
        await started(relay, peer)
        await asyncio.to_thread(send, relay, MINISTRY)
        async with asyncio.timeout(20):
            await asked.wait()
        assert await asyncio.to_thread(relay.stop) == 0
        told = await asyncio.to_thread(outgoing, relay)
        assert (told["state"], told["last_try"]["status"], peer.taken) == ("deferred", "4.3.2", [])
        await asyncio.to_thread(relay.start)
        async with asyncio.timeout(20):
            while not peer.taken:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        assert [len(taken.recipients) for taken in peer.taken] == [1]


def test_a_configuration_with_mistakes_is_not_taken(relay: Relay) -> None:
    relay.start()
    mailboxes = relay.folder / "mailboxes.yaml"
    good = mailboxes.read_text()
    for bad in (good.replace("version: 1", "version: 7"), good.replace("agencies:", "agencies: [", 1), "\x00", ""):
        mailboxes.write_text(bad)
        assert relay.reload() == "reload-refused"
    mailboxes.unlink()
    assert relay.reload() == "reload-refused"
    send(relay, RECEIVER)
    wait_until(lambda: any(b"60/BC-UBND" in mail or b"60_BC" in mail for mail in relay.mails("sotc")), "the paper")
    mailboxes.write_text(good)
    assert relay.reload() == "reloaded"
    send(relay, RECEIVER, "61/BC-UBND")
    wait_until(lambda: len([m for m in relay.mails("sotc") if b"X-Mailrelay-Receipt" not in m]) == 2, "the next paper")
