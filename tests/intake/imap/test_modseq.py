"""Comparisons of a whole folder with a server that counts its changes (RFC 7162), and with one that does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from mailrelay.model.faults import StoreFault
from mailrelay.store import Store
from tests.intake.imap.box import Box
from tests.intake.imap.test_poller import Desk


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


class TestModseq:
    """A server that counts changes (RFC 7162) saves the searches, and is not believed for ever."""

    async def compared(self, desk: Desk, box: Box) -> list[str]:
        """What is asked in a session of its own, from its SELECT to its first wait."""
        box.said.clear()
        async with desk.polling():
            await until(lambda: any(said.startswith("WAIT") for said in box.said))
        said = list(box.said)
        return said[: next(n for n, word in enumerate(said) if word.startswith("WAIT"))]

    async def test_nothing_new_costs_one_select(self, store: Store, tmp_path: Path) -> None:
        box = Box({1: b"a", 2: b"b"}, modseq=10)
        desk = Desk(store, tmp_path, box)
        assert "UNMARKED 1:2" in await self.compared(desk, box)
        assert await self.compared(desk, box) == ["OPEN", "SELECT INBOX"]
        box.add(b"c")
        box.modseq += 1
        assert "SINCE 3:*" in await self.compared(desk, box)
        assert sorted(desk.taken) == [b"a", b"b", b"c"]
        assert await self.compared(desk, box) == ["OPEN", "SELECT INBOX"]

    async def test_a_server_that_does_not_count_is_searched(self, store: Store, tmp_path: Path) -> None:
        box = Box({1: b"a"})
        desk = Desk(store, tmp_path, box)
        for _ in range(2):
            assert "UNMARKED 1:1" in await self.compared(desk, box)

    async def test_it_is_doubted_after_an_hour(self, store: Store, tmp_path: Path) -> None:
        box = Box({1: b"a", 5: b"e"}, modseq=10)
        desk = Desk(store, tmp_path, box)
        await self.compared(desk, box)
        box.mails[3] = b"c"  # and the server has counted nothing
        desk.time += timedelta(minutes=59)
        assert await self.compared(desk, box) == ["OPEN", "SELECT INBOX"]
        desk.time += timedelta(minutes=2)
        assert "UNMARKED 1:5" in await self.compared(desk, box)
        assert sorted(desk.taken) == [b"a", b"c", b"e"]

    async def test_a_clock_that_went_back_is_no_reason_to_believe(self, store: Store, tmp_path: Path) -> None:
        box = Box({1: b"a"}, modseq=10)
        desk = Desk(store, tmp_path, box)
        await self.compared(desk, box)
        desk.time -= timedelta(minutes=1)
        assert "UNMARKED 1:1" in await self.compared(desk, box)

    async def test_what_was_put_off_is_not_forgotten_by_a_restart(self, store: Store, tmp_path: Path) -> None:
        box = Box({1: b"a", 2: b"b"}, modseq=10)
        desk = Desk(store, tmp_path, box)
        desk.fault = lambda raw: StoreFault("full") if raw == b"a" else None
        await self.compared(desk, box)
        desk.fault = lambda raw: None
        assert "UNMARKED 1:2" in await self.compared(desk, box)
        assert desk.taken == [b"b", b"a"]

    async def test_other_uids_make_the_count_worthless(self, store: Store, tmp_path: Path) -> None:
        box = Box({1: b"a"}, modseq=10)
        desk = Desk(store, tmp_path, box)
        await self.compared(desk, box)
        box.uidvalidity += 1
        assert "SINCE 1:*" in await self.compared(desk, box)

    async def test_within_a_session_a_select_asks_again(self, store: Store, tmp_path: Path) -> None:
        box = Box({1: b"a"}, modseq=10)
        desk = Desk(store, tmp_path, box)
        async with desk.polling(interval=0.01) as poller:
            await until(lambda: sum(said.startswith("WAIT") for said in box.said) >= 2)
            box.said.clear()
            desk.time += timedelta(minutes=11)
            await until(lambda: "SELECT INBOX" in box.said)
            await until(lambda: sum(said.startswith("WAIT") for said in box.said) >= 2)
            assert not any(said.startswith("UNMARKED") for said in box.said)
            box.mails[0] = b"below"
            box.modseq += 1
            box.uidvalidity += 1
            desk.time += timedelta(minutes=11)
            await until(lambda: box.sessions == 2)
            assert poller.state.last_fault == "the folder's UIDs have changed their meaning"

    async def test_who_asks_for_a_pass_gets_a_whole_one(self, store: Store, tmp_path: Path) -> None:
        box = Box({1: b"a"}, modseq=10)
        desk = Desk(store, tmp_path, box)
        await self.compared(desk, box)
        box.said.clear()
        async with desk.polling() as poller:
            await poller.poll()
        assert "UNMARKED 1:1" in box.said
