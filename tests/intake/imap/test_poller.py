"""The loop of an account, on a server that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailrelay.intake.imap.marked import Marked
from mailrelay.intake.imap.poller import Pace, Poller, Stuck
from mailrelay.intake.imap.source import SourceLost
from mailrelay.intake.imap.taking import Alongside, Gates, House
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.agency import Directory, ImapAccount, Purpose, SecretRef
from mailrelay.model.envelope import Envelope
from mailrelay.spool import Draft, Spool
from mailrelay.store import Store, polls
from tests.intake.imap.box import Box, BoxSource

ACCOUNT = ImapAccount("stc", "imap.test", 993, "stc", SecretRef("file", "x"), Purpose.INCOMING, "stc@hoabinh.gov.vn")
START = datetime(2026, 11, 22, 8, tzinfo=UTC)


class Desk:
    """A poller with everything around it; `fault` says what is wrong with a mail."""

    def __init__(self, store: Store, folder: Path, box: Box, account: ImapAccount = ACCOUNT) -> None:
        self.store = store
        self.box = box
        self.account = account
        self.time = START
        self.taken: list[bytes] = []
        self.refused: set[bytes] = set()
        self.fault: Callable[[bytes], Exception | None] = lambda raw: None
        self.spool = Spool(folder / "spool", now=lambda: datetime.now(UTC))
        self.house = House(
            store,
            self.spool.draft,
            self.accept,
            lambda: Directory("hoabinh.gov.vn", (), ()),
            self.delivered_by_us,
            None,
            1_000_000,
            Gates(4, 2),
        )

    async def delivered_by_us(self, found: Marked, owner: str) -> bool:
        return False

    async def accept(self, envelope: Envelope, draft: Draft, *, alongside: Alongside | None = None) -> Acceptance:
        draft.finish()
        raw = draft.path.read_bytes()
        draft.discard()
        if (fault := self.fault(raw)) is not None:
            raise fault
        answer = Acceptance(draft.mail_id, "policy" if raw in self.refused else "")
        assert alongside is not None
        await self.store.write(lambda tx: alongside(tx, answer))
        if not answer.refusal:
            self.taken.append(raw)
        return answer

    def poller(self, *, interval: float = 60.0) -> Poller:
        pace = Pace(timedelta(seconds=interval))
        return Poller(self.account, self.house, pace, lambda _: BoxSource(self.box), lambda: self.time, lambda: 1.0)

    @asynccontextmanager
    async def polling(self, *, interval: float = 60.0) -> AsyncIterator[Poller]:
        poller = self.poller(interval=interval)
        task = asyncio.create_task(poller.run())
        try:
            yield poller
        finally:
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()

    def said(self, word: str) -> list[str]:
        return [command for command in self.box.said if command.startswith(word)]


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def desk(store: Store, tmp_path: Path, box: Box) -> Desk:
    return Desk(store, tmp_path, box)


class TestLooking:
    async def test_a_pass_in_an_empty_box(self, desk: Desk, box: Box) -> None:
        async with desk.polling() as poller:
            await poller.poll()
            assert poller.state.last_success == START
        assert [command for command in box.said if command.split()[0] not in ("WAIT", "CLOSE")][:3] == [
            "OPEN",
            "SELECT INBOX",
            "SINCE 1:*",
        ]

    async def test_batches_of_two_hundred(self, desk: Desk, box: Box) -> None:
        for number in range(450):
            box.add(b"Subject: %d\r\n\r\n" % number)
        async with desk.polling() as poller:
            await poller.poll()
        assert desk.said("LIST") == ["LIST 200", "LIST 200", "LIST 50"]
        assert desk.said("MARK") == ["MARK $Registered 200", "MARK $Registered 200", "MARK $Registered 50"]
        assert len(desk.taken) == 450

    async def test_a_sparse_box_is_searched_in_windows(self, desk: Desk, box: Box) -> None:
        for uid in (5, 150_000, 350_000):
            box.add(b"Subject: %d\r\n\r\n" % uid, uid)
        async with desk.polling() as poller:
            await poller.poll()
            box.add(b"Subject: new\r\n\r\n")
            await poller.poll()
        searches = desk.said("SINCE")
        assert searches[:4] == ["SINCE 1:100000", "SINCE 100001:200000", "SINCE 200001:300000", "SINCE 300001:*"]
        assert len(desk.taken) == 4

    async def test_what_came_after_select_is_seen_too(self, desk: Desk, box: Box) -> None:
        box.uid_next = 1
        box.add(b"Subject: late\r\n\r\n", 900_000)
        async with desk.polling() as poller:
            await poller.poll()
        assert len(desk.taken) == 1

    async def test_a_plain_look_after_every_interval(self, desk: Desk, box: Box) -> None:
        async with desk.polling(interval=0.02) as poller:
            await poller.poll()
            box.add(b"Subject: unannounced\r\n\r\n")
            async with asyncio.timeout(5):
                while not desk.taken:
                    await asyncio.sleep(0.01)

    async def test_reconciles_every_ten_minutes(self, desk: Desk, box: Box) -> None:
        box.add(b"Subject: one\r\n\r\n")
        async with desk.polling(interval=0.01) as poller:
            await poller.poll()
            before = len(desk.said("UNMARKED"))
            await asyncio.sleep(0.1)
            assert len(desk.said("UNMARKED")) == before
            desk.time += timedelta(minutes=10)
            async with asyncio.timeout(5):
                while len(desk.said("UNMARKED")) == before:
                    await asyncio.sleep(0.01)

    async def test_a_box_without_keywords_is_compared_with_the_ledger(self, desk: Desk, box: Box) -> None:
        box.keywords = False
        box.add(b"Subject: two\r\n\r\n", 2)
        async with desk.polling() as poller:
            await poller.poll()
            box.add(b"Subject: one\r\n\r\n", 1)  # below the cursor
            await poller.poll()
        assert desk.taken == [b"Subject: two\r\n\r\n", b"Subject: one\r\n\r\n"]
        assert desk.said("MARK") == desk.said("UNMARKED") == []


class TestMarking:
    @pytest.mark.parametrize("refuse", ["MARK", "MOVE"])
    async def test_a_mark_that_is_refused_is_no_fault(self, desk: Desk, box: Box, refuse: str) -> None:
        desk.account = replace(ACCOUNT, done_folder="Done")
        box.refuse = {refuse, "MARK"}
        box.add(b"Subject: one\r\n\r\n")
        async with desk.polling() as poller:
            await poller.poll()
            assert poller.state.last_fault == ""
        assert len(desk.taken) == 1

    async def test_a_folder_that_cannot_be_moved_to_leaves_the_keyword(self, desk: Desk, box: Box) -> None:
        desk.account = replace(ACCOUNT, done_folder="Done", failed_folder="Failed")
        box.refuse = {"MOVE"}
        desk.refused.add(b"Subject: bad\r\n\r\n")
        box.add(b"Subject: good\r\n\r\n")
        box.add(b"Subject: bad\r\n\r\n")
        async with desk.polling() as poller:
            await poller.poll()
        assert box.marks == {1: {"$Registered"}, 2: {"$Refused"}}

    async def test_what_was_not_marked_is_marked_later(self, desk: Desk, box: Box) -> None:
        box.lose = {"MARK"}
        box.add(b"Subject: one\r\n\r\n")
        async with desk.polling() as poller:
            with pytest.raises(SourceLost):
                await poller.poll()
            box.lose = set()
            await poller.poll()
        assert box.marks == {1: {"$Registered"}}
        assert len(desk.taken) == 1

    async def test_nothing_is_tried_in_a_box_for_reading_only(self, desk: Desk, box: Box) -> None:
        desk.account = replace(ACCOUNT, done_folder="Done")
        box.read_only = True
        box.add(b"Subject: one\r\n\r\n")
        async with desk.polling() as poller:
            await poller.poll()
            await poller.poll()
        assert desk.said("MARK") == desk.said("MOVE") == []
        assert len(desk.taken) == 1


class TestFaults:
    async def test_pauses_grow_to_five_minutes_and_begin_anew_after_a_success(
        self, desk: Desk, box: Box, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        poller = desk.poller()
        pauses: list[float] = []

        async def rest(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 12:
                box.lose = set()
            if len(pauses) == 13:
                raise asyncio.CancelledError

        monkeypatch.setattr(poller, "_rest", rest)
        box.lose = {"OPEN"}
        box.refuse = {"WAIT"}  # a session that has had one good look ends
        with pytest.raises(asyncio.CancelledError):
            await poller.run(0.25)
        assert pauses == [0.25, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 1]

    async def test_pauses_of_accounts_differ(self, desk: Desk, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
        box.lose = {"OPEN"}

        async def second_pause(jitter: float) -> float:
            pace = Pace(timedelta(1))
            poller = Poller(desk.account, desk.house, pace, lambda _: BoxSource(box), lambda: START, lambda: jitter)
            pauses: list[float] = []

            async def rest(seconds: float) -> None:
                pauses.append(seconds)
                if len(pauses) == 2:
                    raise asyncio.CancelledError

            monkeypatch.setattr(poller, "_rest", rest)
            with pytest.raises(asyncio.CancelledError):
                await poller.run()
            return pauses[1]

        assert [await second_pause(jitter) for jitter in (0.0, 0.5, 1.0)] == [0.5, 0.75, 1.0]

    async def test_three_faults_in_a_row_end_the_session(self, desk: Desk, box: Box) -> None:
        for number in range(10):
            box.add(b"Subject: %d\r\n\r\n" % number)
        desk.fault = lambda raw: OSError("disk full")
        async with desk.polling() as poller:
            with pytest.raises(Stuck, match="disk full"):
                await poller.poll()
        assert len(desk.said("BLOCK")) <= 3 + 4  # what was in hand when the third fault came

    async def test_mails_put_off_are_tried_again_in_growing_steps(self, desk: Desk, box: Box) -> None:
        box.add(b"Subject: poison\r\n\r\n")
        desk.fault = lambda raw: RuntimeError("a bug")
        tries = []
        async with desk.polling() as poller:
            for _ in range(200):
                await poller.poll()
                tries.append(len(desk.said("BLOCK")))
                desk.time += timedelta(minutes=1)
        moments = [
            minute for minute, (before, after) in enumerate(zip([0, *tries], tries, strict=False)) if after > before
        ]
        assert moments == [0, 1, 3, 7, 15, 31, 63, 123, 183]

    async def test_our_own_fault_never_ends_the_loop(
        self, desk: Desk, box: Box, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def select(self: BoxSource, folder: str) -> None:
            raise KeyError("a bug")

        async with desk.polling() as poller:
            with monkeypatch.context() as patch:
                patch.setattr(BoxSource, "select", select)
                with pytest.raises(KeyError):
                    await poller.poll()
            await poller.poll()
            assert poller.state.last_fault == ""

    async def test_a_store_that_fails_is_no_end(self, desk: Desk, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
        box.add(b"Subject: one\r\n\r\n")

        def full(*_: object) -> None:
            raise OSError("store")

        async with desk.polling() as poller:
            with monkeypatch.context() as patch:
                patch.setattr(polls, "record", full)
                await poller.poll()
            assert desk.taken == []
            desk.time += timedelta(minutes=2)
            await poller.poll()
        assert desk.taken == [b"Subject: one\r\n\r\n"]
        assert box.marks == {1: {"$Registered"}}

    async def test_a_caller_of_poll_is_told_when_the_account_is_switched_off(self, desk: Desk, box: Box) -> None:
        box.refuse = {"SELECT"}
        async with desk.polling() as poller:
            await asyncio.sleep(0.05)
            box.refuse = set()
            waiting = asyncio.create_task(poller.poll())
            await asyncio.sleep(0)
        with pytest.raises(SourceLost, match="switched off"):
            await waiting

    async def test_a_missing_drop_folder_is_made_but_never_a_missing_inbox(self, desk: Desk, box: Box) -> None:
        box.missing = True
        async with desk.polling() as poller:
            with pytest.raises(Exception, match="SELECT"):
                await poller.poll()
        assert desk.said("CREATE") == []
        desk.account = replace(ACCOUNT, purpose=Purpose.OUTGOING, folder="Chờ gửi")
        async with desk.polling() as poller:
            await poller.poll()
        assert desk.said("CREATE") == ["CREATE Chờ gửi"]
