"""Servers that mean harm: memory and time stay bounded, the line is given up, and no mail is lost or made up."""

from __future__ import annotations

import asyncio
import random
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailrelay.intake.imap import connection
from mailrelay.intake.imap import wire as module
from mailrelay.intake.imap.connection import Connection
from mailrelay.intake.imap.framing import LITERAL_LIMIT, Framing
from mailrelay.intake.imap.login import Fixed
from mailrelay.intake.imap.poller import Pace, Poller
from mailrelay.intake.imap.source import SourceLost, SourceRefused
from mailrelay.intake.imap.wire import Wire
from mailrelay.model.agency import SecretRef
from mailrelay.store import Store
from tests.intake.imap.box import Box, BoxSource
from tests.intake.imap.scripted import Dialog, Script, Selecting, connect, scripted
from tests.intake.imap.test_modseq import until
from tests.intake.imap.test_poller import ACCOUNT, Desk

MIB = 1024 * 1024


@asynccontextmanager
async def bounded(most: int = 16 * MIB) -> AsyncIterator[None]:
    """Whatever happens within needs at most so many octets, the test's own server included."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak / MIB:.1f} MiB"


async def flood(server: Dialog, *lines: bytes, head: bytes = b"") -> None:
    """Say the same for ever, as fast as the line takes it."""
    server.writer.write(head)
    whole = b"".join(lines)
    block = whole * max(1, 65536 // len(whole))
    while True:
        server.writer.write(block)
        await server.writer.drain()


FLOODS = {
    "a line without end": (b"* SEARCH", b" 1" * 1000),
    "lines": (b"", b"* 1 FETCH (FLAGS (\\Seen))\r\n"),
    "empty lines": (b"", b"\r\n"),
    "searches": (b"", b"* SEARCH 1 2 3 4 5 6 7 8 9\r\n"),
    "literals in one reply": (b"* 5 FETCH (X ", b"{65536}\r\n" + b"x" * 65536 + b" Y "),
    "empty literals": (b"* 5 FETCH (", b"X {0}\r\n "),
    "requests to go on": (b"", b"+ go on\r\n"),
    "announcements": (b"", b"* 9 EXISTS\r\n"),
    "octets": (b"", bytes(range(256))),
}


@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.parametrize("when", ["search", "idle"])
async def test_a_server_that_never_stops(name: str, when: str) -> None:
    await never_stops(name, when)


@pytest.mark.parametrize("when", ["greeting", "login", "quiet"])
@pytest.mark.parametrize("name", ["a line without end", "lines", "literals in one reply"])
async def test_a_server_that_never_stops_at_other_times(name: str, when: str) -> None:
    await never_stops(name, when)


async def use(source: Connection, when: str) -> None:
    await source.open()
    await source.select("INBOX")
    if when == "search":
        await source.since(1, 100)
    while True:
        await source.wait(2.0)


async def never_stops(name: str, when: str) -> None:
    head, line = FLOODS[name]

    async def script(server: Dialog) -> None:
        if when == "greeting":
            await flood(server, line, head=b"* OK " + head)
        await server.say(b"* OK [CAPABILITY IMAP4rev1 IDLE] ready")
        if when == "login":
            await server.hear()
            await flood(server, line, head=head)
        await server.answer(done=b"OK [CAPABILITY IMAP4rev1 IDLE] in")
        await server.select()
        if when == "search":
            await server.hear()
        if when == "idle":
            await server.hear()
            await server.say(b"+ idling")
        await flood(server, line, head=head)

    began = time.monotonic()
    async with bounded(), scripted(script) as port:
        source = connect(port, patience=3.0)
        with pytest.raises((SourceLost, SourceRefused)):
            await use(source, when)
        await source.close()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("size", [LITERAL_LIMIT + 1, 2**31, 2**63, 10**18])
async def test_a_huge_literal_is_not_waited_for(size: int) -> None:
    async def script(server: Dialog) -> None:
        await server.hear()
        await server.say(b"* 1 FETCH (UID 5 BODY[]<0> {%d}" % size)
        await flood(server, b"x" * 1000)

    async with bounded(), Selecting(script) as source:
        with pytest.raises(SourceLost, match="larger piece"):
            await source.block(5, 0)


async def test_a_literal_that_is_shorter_than_announced_is_no_mail() -> None:
    """The rest of the answer is swallowed by it; what comes after is never taken for content."""

    async def script(server: Dialog) -> None:
        tag = (await server.hear()).partition(b" ")[0]
        await server.say(b"* 1 FETCH (UID 5 BODY[]<0> {500}", b"short)", tag + b" OK done")

    async with Selecting(script, patience=0.3) as source:
        with pytest.raises(SourceLost, match="no answer to FETCH"):
            await source.block(5, 0)


async def test_a_server_that_asks_on_and_on_in_a_login_and_never_reads() -> None:
    """Each request would be answered by an empty line, into a buffer that nobody empties."""

    async def script(server: Dialog) -> None:
        await server.say(b"* OK [CAPABILITY IMAP4rev1 SASL-IR] ready")
        await server.hear()
        await flood(server, b"+ \r\n")

    async with bounded(), scripted(script) as port:
        with pytest.raises(SourceLost, match="more than there is"):
            await connect(port, "token", auth="xoauth2").open()


MANY = b"* SEARCH" + b" 1234567890" * 200_000
SAME = b"* SEARCH" + b" 7" * 200_000


async def test_more_uids_than_anybody_asked_for() -> None:
    async with bounded(), Selecting(lambda server: server.answer(MANY), patience=30) as source:
        with pytest.raises(SourceLost, match="endless line"):
            await source.since(5, 10)
    async with bounded(), Selecting(lambda server: server.answer(SAME), patience=30) as source:
        assert await source.since(5, 10) == (7,)


async def test_capabilities_without_end_are_not_kept() -> None:
    async def script(server: Dialog) -> None:
        await server.say(b"* OK ready")
        await server.answer(b"* CAPABILITY IMAP4rev1 " + b" ".join(b"X%d" % n for n in range(100_000)))
        await server.answer()
        await server.answer(b"* CAPABILITY IMAP4rev1 " + b" ".join(b"X%d" % n for n in range(100_000)))

    async with scripted(script) as port:
        source = connect(port)
        await source.open()
        assert source._wire is not None and len(source._wire.capabilities) < 2000
        source._throw_away("test over")


PIECES = [
    *(b"* ", b"1 FETCH ", b"(UID 5 ", b"BODY[]<0> ", b"{3}\r\n", b"{99999999}\r\n", b"abc", b")", b"(", b'"', b"NIL"),
    *(b"\r\n", b"\n", b"\r", b"TAG ", b"OK", b"NO ", b"BAD", b"* BYE\r\n", b"+ ", b"* SEARCH 5 ", b"\x00"),
    *(b"\xff", b" ", b"* 3 EXISTS"),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_comes_costs_only_the_line(data: st.DataObject) -> None:
    """Pieces of the protocol in any order and any cut: no exception leaves the wire, no wait is forgotten."""
    pieces = st.sampled_from(PIECES)
    stream = b"".join(data.draw(st.lists(pieces, max_size=60)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))

    async def run() -> None:
        wire = Wire(asyncio.get_running_loop(), 0.01)
        wire.data_received(b"* OK hello\r\n")
        asking = asyncio.create_task(wire.ask("FETCH", "5", "(UID)", uid=True))
        await asyncio.sleep(0)
        command = wire.pending_sync_command
        said = stream.replace(b"TAG", command.tag.encode())
        for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True):
            wire.data_received(said[start:end])
        try:
            replies, _ = await asking
            assert all(isinstance(reply, tuple) for reply in replies)
        except (SourceLost, SourceRefused):
            pass
        assert wire.pending_sync_command is None

    asyncio.run(run())


def test_many_empty_literals_are_a_limit_too() -> None:
    framing = Framing()
    with pytest.raises(SourceLost):
        list(framing.feed(b"* 1 FETCH (" + b"X {0}\r\n " * 5000))


class TestPoller:
    async def run_against(
        self, desk: Desk, script: Script, condition: object, *, rings: bool = False, patience: float = 0.5
    ) -> Poller:
        """The real poller on a real line until the condition holds."""
        async with scripted(script) as port:
            credential = Fixed(lambda _: "secret", SecretRef("file", "x"))
            poller = Poller(
                ACCOUNT,
                desk.house,
                Pace(timedelta(seconds=1)),
                lambda _: connect(port, credential=credential, patience=patience),
                lambda: desk.time,
                lambda: 0.0,
            )
            task = asyncio.create_task(poller.run())
            try:
                async with asyncio.timeout(60):
                    while not condition():  # type: ignore[operator]
                        await asyncio.sleep(0.02)
                        if not poller.state.connected and rings:
                            poller.ring()  # no pause
            finally:
                task.cancel()
                await asyncio.wait({task})
        return poller

    async def test_a_mail_that_breaks_the_line_does_not_block_those_behind_it(
        self, store: Store, tmp_path: Path
    ) -> None:
        """Exchange hangs up over some damaged items: then nothing behind such a mail would ever come."""
        box = Box({1: b"one", 2: b"cursed", 3: b"three", 4: b"four"})
        desk = Desk(store, tmp_path, box)

        class Cursed(BoxSource):
            async def block(self, uid: int, offset: int) -> bytes | None:
                if uid == 2 and cursed:
                    raise SourceLost("the server hung up")
                return await super().block(uid, offset)

        cursed = True
        poller = Poller(
            ACCOUNT, desk.house, Pace(timedelta(seconds=60)), lambda _: Cursed(box), lambda: desk.time, lambda: -0.98
        )
        task = asyncio.create_task(poller.run())
        await until(lambda: len(desk.taken) == 3)
        assert sorted(desk.taken) == [b"four", b"one", b"three"]
        assert box.sessions == 4, "three times may be chance"
        cursed = False
        desk.time += timedelta(minutes=2)
        poller.ring()
        await until(lambda: len(desk.taken) == 4)
        task.cancel()
        await asyncio.wait({task})

    async def test_a_server_that_answers_with_other_mails(self, store: Store, tmp_path: Path) -> None:
        """Other UIDs, UIDs twice, NIL bodies, other offsets: never the content of one mail under the UID of another."""
        desk = Desk(store, tmp_path, Box())
        asked = 0

        async def script(server: Dialog) -> None:
            nonlocal asked
            await server.log_in(b"IMAP4rev1")
            await server.select(uid_next=7)
            while line := await server.hear():
                tag, _, command = line.partition(b" ")
                said: list[bytes] = [
                    b"* 9 EXPUNGE",
                    b"* 8 FETCH (FLAGS (\\Seen))",
                    b"* SEARCH 5 5 5 0 99",
                    b"* LIST () NIL x",
                ]
                if b"BODY" in command:
                    asked += 1
                    said += [
                        b"* 1 FETCH (UID 6 BODY[]<0> {6}",
                        b"wrong!)",
                        b"* 1 FETCH (UID 5 BODY[]<0> NIL)",
                        b"* 1 FETCH (UID 5 BODY[]<700> {6}",
                        b"wrong!)",
                        b"* 1 FETCH (BODY[]<0> {6}",
                        b"wrong!)",
                        b"* 1 FETCH (UID 5 BODY[TEXT]<0> {6}",
                        b"wrong!)",
                        b"* 1 FETCH (UID 5 BODY[]<0>)",
                        b"* 1 FETCH UID 5",
                    ]
                elif b"FETCH" in command:
                    said += [b"* 1 FETCH (UID 5 RFC822.SIZE 9 FLAGS ())"] * 2 + [b"* 1 FETCH (UID 6 RFC822.SIZE 9)"]
                await server.say(*said, tag + b" OK done")

        await self.run_against(desk, script, lambda: asked >= 1)
        assert desk.taken == []
        assert await store.read(lambda tx: tx.rows("SELECT uid, outcome FROM poll_outcome WHERE uid > 0")) == []

    async def test_a_bell_that_never_stops_ringing_is_answered_seldom(self, store: Store, tmp_path: Path) -> None:
        desk = Desk(store, tmp_path, Box())
        looks = 0

        async def script(server: Dialog) -> None:
            nonlocal looks
            await server.log_in(b"IMAP4rev1 IDLE")
            await server.select(uid_next=1)
            while line := await server.hear():
                tag, _, command = line.partition(b" ")
                if command == b"IDLE":
                    await server.say(b"+ idling", b"* 1 EXISTS")
                    assert await server.hear() == b"DONE"
                looks += command == b"NOOP"
                await server.say(b"* SEARCH", tag + b" OK done")

        began = time.monotonic()
        await self.run_against(desk, script, lambda: time.monotonic() - began > 3)
        assert 2 <= looks <= 9, looks

    async def test_fuzz(self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A hundred answers and more of a server that says whatever comes into its mind: the loop lives, nothing is made up."""
        monkeypatch.setattr(connection, "CONNECT_TIME", 0.2)  # for a greeting
        desk = Desk(store, tmp_path, Box())
        dice = random.Random(4)
        words = b'* OK NO BAD FETCH (UID 5 BODY[]<0> {4} NIL ) SEARCH [UIDVALIDITY EXISTS + " RFC822.SIZE 4294967295'.split()
        lines = 0

        async def script(server: Dialog) -> None:
            nonlocal lines
            if dice.random() < 0.9:
                await server.log_in()
            if dice.random() < 0.9:
                await server.select(uid_next=9)
            while line := await server.hear():
                tag = line.partition(b" ")[0]
                for _ in range(dice.randrange(12)):
                    lines += 1
                    said = b" ".join(dice.choice(words) for _ in range(dice.randrange(12)))
                    end = dice.choice([b"\r\n", b"\r\n", b"\r\n", b"\n", b""])
                    server.writer.write((b"* " if dice.random() < 0.7 else b"") + said + end)
                done = [b" OK", b" OK done", b" OK", b" NO", b" BAD x", b"", b" BYE", b" ok [TRYCREATE]"]
                await server.say(tag + dice.choice(done))

        async with bounded(32 * MIB):
            await self.run_against(desk, script, lambda: lines > 150, rings=True, patience=0.1)
        assert all(len(raw) == 4 for raw in desk.taken), "only what a literal held whole"


async def test_slow_servers_take_no_turns_from_the_others(store: Store, tmp_path: Path) -> None:
    """A hundred accounts on a server that hangs in the middle of a mail; one on a server that does not."""
    desk = Desk(store, tmp_path, Box())
    gates = desk.house.gates
    held = [gates.of("slow.example") for _ in range(100)]
    for gate in held[:2]:
        await gate.acquire()
    assert gates.of("slow.example").locked()
    assert not gates.of("quick.example").locked()
    assert not gates.all.locked()


def test_limits_hold_together() -> None:
    """One answer of one block fits in every limit, with room."""
    from mailrelay.intake.imap.source import BLOCK

    assert BLOCK * 2 <= LITERAL_LIMIT <= module.TEXT_LIMIT <= module.OCTET_LIMIT
