"""Lost lines and IDLE against servers that misbehave."""

from __future__ import annotations

import asyncio
import time

import pytest

from mailrelay.intake.imap import connection as module
from mailrelay.intake.imap.source import SourceLost
from tests.intake.imap.scripted import Dialog, Selecting, connect


class TestLoss:
    async def test_no_answer_throws_the_connection_away(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()

        async with Selecting(script, patience=0.2) as source:
            with pytest.raises(SourceLost, match="no answer to NOOP"):
                await source.since(1)
            with pytest.raises(SourceLost, match="no answer to NOOP"):  # a late answer cannot be mistaken
                await source.since(1)

    async def test_hang_up_wakes_a_waiter_at_once(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            server.writer.transport.abort()

        async with Selecting(script) as source:
            began = time.monotonic()
            with pytest.raises(SourceLost):
                await source.since(1)
            assert time.monotonic() - began < 1

    async def test_hang_up_wakes_a_sleeper_at_once(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(b"+ idling")
            server.writer.transport.abort()

        async with Selecting(script) as source:
            began = time.monotonic()
            with pytest.raises(SourceLost):
                await source.wait(60)
            assert time.monotonic() - began < 1

    async def test_hang_up_wakes_a_sleeper_without_idle(self) -> None:
        async def script(server: Dialog) -> None:
            await asyncio.sleep(0.1)
            server.writer.transport.abort()

        async with Selecting(script, b"IMAP4rev1") as source:
            with pytest.raises(SourceLost):
                await source.wait(60)

    async def test_goodbye(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(b"+ idling", b"* BYE shutting down")

        async with Selecting(script) as source:
            with pytest.raises(SourceLost, match="goodbye"):
                await source.wait(60)

    async def test_silent_death_is_found_at_the_end_of_idle(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(b"+ idling")

        async with Selecting(script, patience=0.3) as source:
            began = time.monotonic()
            with pytest.raises(SourceLost, match="no answer to IDLE"):
                await source.wait(0.2)
            assert time.monotonic() - began < 2

    async def test_an_answer_to_another_command(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(b"ZZZ9 OK what")

        async with Selecting(script) as source:
            with pytest.raises(SourceLost, match="not given"):
                await source.since(1)

    async def test_an_endless_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mailrelay.intake.imap.wire.REPLY_LIMIT", 100)

        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(*[b"* 1 FETCH (FLAGS ())"] * 200)

        async with Selecting(script) as source:
            with pytest.raises(SourceLost, match="endless answer"):
                await source.since(1)

    async def test_cancelled_in_a_command(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()

        async with Selecting(script) as source:
            task = asyncio.create_task(source.since(1))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(SourceLost, match="cancelled"):
                await source.since(1)

    async def test_before_open_and_after_close(self) -> None:
        source = connect(1)
        await source.close()
        with pytest.raises(SourceLost):
            await source.since(1)


class TestIdle:
    async def test_the_bell(self) -> None:
        async def script(server: Dialog) -> None:
            assert await server.hear() != b""
            await server.say(b"+ idling", b"* 3 EXISTS")
            assert await server.hear() == b"DONE"
            await server.say(server.heard[-2].partition(b" ")[0] + b" OK")
            await server.answer()
            await server.answer(b"* SEARCH 3")
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ idling")
            assert await server.hear() == b"DONE"
            await server.say(tag + b" OK")

        async with Selecting(script) as source:
            began = time.monotonic()
            await source.wait(60)
            assert time.monotonic() - began < 2
            assert await source.since(3) == (3,)
            began = time.monotonic()
            await source.wait(0.2)
            assert time.monotonic() - began >= 0.2

    async def test_what_is_announced_while_leaving_idle_is_not_lost(self) -> None:
        """RFC 2177: EXISTS may come between DONE and the tagged OK. The search that follows sees it, so no second bell."""

        async def script(server: Dialog) -> None:
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ idling")
            assert await server.hear() == b"DONE"
            await server.say(b"* 3 EXISTS", tag + b" OK")
            await server.answer()
            await server.answer(b"* SEARCH 9")

        async with Selecting(script) as source:
            await source.wait(0.1)
            assert await source.since(9) == (9,)

    async def test_what_is_announced_during_a_pass_ends_the_next_wait(self) -> None:
        async def script(server: Dialog) -> None:
            await server.answer()
            await server.answer(b"* SEARCH", b"* 4 EXISTS")
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ idling")
            assert await server.hear() == b"DONE"
            await server.say(tag + b" OK")

        async with Selecting(script) as source:
            await source.since(1)
            async with asyncio.timeout(2):
                await source.wait(60)

    async def test_idle_that_is_refused_is_not_ended(self) -> None:
        """The bell has rung already: DONE sent too early would be an unknown command."""

        async def script(server: Dialog) -> None:
            await server.answer(b"* SEARCH", b"* 4 EXISTS")
            tag = (await server.hear()).partition(b" ")[0]
            await asyncio.sleep(0.1)
            await server.say(tag + b" NO not today")
            assert await server.answer(b"* SEARCH") == b"UID SEARCH UID 1:5"

        async with Selecting(script) as source:
            await source.since(1, 5)
            await source.wait(5)
            await source.since(1, 5)

    async def test_idle_that_is_never_agreed_to(self) -> None:
        async with Selecting(Dialog.silence, patience=0.2) as source:
            with pytest.raises(SourceLost, match="no answer to IDLE"):
                await source.wait(60)

    async def test_flags_that_others_change_do_not_ring(self) -> None:
        """A burst of 1,000 lines kills aioimaplib's protocol."""

        async def script(server: Dialog) -> None:
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ idling", *[b"* %d FETCH (FLAGS (\\Seen))" % n for n in range(1, 3001)])
            assert await server.hear() == b"DONE"
            await server.say(tag + b" OK")

        async with Selecting(script) as source:
            began = time.monotonic()
            await source.wait(0.5)
            assert 0.5 <= time.monotonic() - began < 2

    async def test_ring(self) -> None:
        async def script(server: Dialog) -> None:
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ idling")
            assert await server.hear() == b"DONE"
            await server.say(tag + b" OK")

        async with Selecting(script) as source:
            asyncio.get_running_loop().call_later(0.1, source.ring)
            async with asyncio.timeout(2):
                await source.wait(60)

    @pytest.mark.parametrize(("capabilities", "idle"), [(b"IMAP4rev1", True), (b"IMAP4rev1 IDLE", False)])
    async def test_without_idle(self, capabilities: bytes, idle: bool) -> None:
        async def script(server: Dialog) -> None:
            assert (await server.hear()).endswith(b" UID SEARCH UID 1:9")

        async with Selecting(script, capabilities, idle=idle, patience=0.2) as source:
            began = time.monotonic()
            await source.wait(0.2)
            assert time.monotonic() - began >= 0.2
            with pytest.raises(SourceLost):
                await source.since(1, 9)

    async def test_idle_that_is_announced_and_refused(self) -> None:
        async def script(server: Dialog) -> None:
            assert await server.answer(done=b"NO not today") == b"IDLE"
            assert await server.answer() == b"NOOP"
            assert await server.answer(b"* SEARCH") == b"UID SEARCH UID 1:*"

        async with Selecting(script) as source:
            await source.wait(0.1)
            await source.wait(0.1)
            assert await source.since(1) == ()

    async def test_idle_is_asked_for_again_before_a_firewall_forgets(self) -> None:
        assert module.IDLE_LIMIT <= 9 * 60
