"""The loop of one account: look, take what is new, wait for the bell, come back after a fault.

A search decides what there is to do and the ledger what is done; IDLE only saves waiting. Each UID ends once, faults leave no
trace, and the flags on the server are set after the commit and never read as the truth.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from mailrelay.failpoint import failpoint
from mailrelay.intake.imap.batch import Batch
from mailrelay.intake.imap.ledger import Ending, Ledger, Place
from mailrelay.intake.imap.source import BATCH, REFUSED, REGISTERED, MailSource, Selected, SourceLost, SourceRefused
from mailrelay.intake.imap.taking import House, Taking
from mailrelay.model.agency import ImapAccount, Purpose
from mailrelay.model.faults import Fault
from mailrelay.telemetry import count, log

WINDOW = 100_000  # UIDs in one search: a box of a million mails never comes in one answer
_MOST_LATER = 1000
_MOST_BREAKS = 3  # of the line at one mail
_FIRST_ECHO = 0.05  # seconds
_LONGEST_ECHO = 5.0
_FIRST_PAUSE = 1.0  # seconds
_LONGEST_PAUSE = 300.0
_FIRST_RETRY = timedelta(minutes=1)
_LONGEST_RETRY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often: `interval` between two looks, `reconcile` between two comparisons of folder and ledger, `alarm` without a look.

    `doubt` is how long a server is believed that says that nothing has changed since the last comparison.
    """

    interval: timedelta
    reconcile: timedelta = timedelta(minutes=10)
    alarm: timedelta = timedelta(minutes=15)
    doubt: timedelta = timedelta(hours=1)


@dataclass(slots=True)
class AccountState:
    """What is known of an account from outside."""

    name: str
    since: datetime
    connected: bool = False
    last_success: datetime | None = None
    last_fault: str = ""
    alarmed: bool = False


@dataclass(slots=True)
class _Later:
    tries: int
    due: datetime


class Stuck(Fault):
    """Several mails in a row could not be taken: the fault lies with the house, not with the mails."""


class Poller:
    """Polls one account until it is cancelled. `open_source` gives a source that is not yet open."""

    def __init__(
        self,
        account: ImapAccount,
        house: House,
        pace: Pace,
        open_source: Callable[[ImapAccount], MailSource],
        now: Callable[[], datetime],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.state = AccountState(account.name, now())
        self._account = account
        self._pace = pace
        self._open_source = open_source
        self._now = now
        self._jitter = jitter
        self._ledger = Ledger(house.store, account.name)
        self._batch = Batch(Taking(account, house, self._ledger), self._ledger)
        self._source: MailSource | None = None
        self._selected = Selected(0, 0, 0, False)
        self._later: dict[int, _Later] = {}
        self._rung_at = -1  # the last UID when the bell last rang
        self._echo = 0.0  # seconds
        self._broken_at: int | None = None
        self._breaks = 0  # in a row, at that UID
        self._later_place = ("", 0)  # what the UIDs in `_later` mean
        self._reconciled_at: datetime | None = None
        self._is_fresh = True  # `_selected` is what the server says now
        self._pause = _FIRST_PAUSE
        self._asked: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()

    async def run(self, delay: float = 0.0) -> None:
        """Poll for ever, from `delay` seconds on. Faults of the world, and our own, end a session and never this loop."""
        try:
            await self._rest(delay)
            while True:
                try:
                    await self._session()
                except Exception as fault:
                    await self._recover(fault)
        finally:
            self._answer(SourceLost("the account was switched off"))

    async def poll(self) -> None:
        """Ask for one full pass, reconciliation included, and wait for its end. Raises the fault that ended it."""
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self._reconciled_at = None
        self.ring()
        await asked

    def ring(self) -> None:
        """Look now, even during a pause after a fault."""
        self._wake.set()
        if self._source is not None:
            self._source.ring()

    def check(self) -> None:
        """Raise the alarm when the account was not looked at for too long, once per silence."""
        quiet = self._now() - (self.state.last_success or self.state.since)
        if quiet >= self._pace.alarm and not self.state.alarmed:
            self.state.alarmed = True
            minutes = int(quiet.total_seconds() // 60)
            log.error(
                "imap-no-successful-poll", account=self._account.name, minutes=minutes, fault=self.state.last_fault
            )
            count("imap_alarms")

    async def _session(self) -> None:
        source = self._source = self._open_source(self._account)
        try:
            await source.open()
            self._selected = await self._select(source)
            place = await self._ledger.begin(self._account.folder, self._selected.uidvalidity, self._selected.uid_next)
            self._keep_later(place)
            self._reconciled_at = None
            self._is_fresh = True
            self.state.connected = True
            while True:
                await self._pass(source, place)
                if not self._wake.is_set():
                    await self._wait(source, place)
        except SourceLost as fault:
            self._blame(fault)
            raise
        finally:
            self._source = None
            self.state.connected = False
            await source.close()

    async def _wait(self, source: MailSource, place: Place) -> None:
        """Wait for the bell. One that rings for nothing, over and over, is heard later each time: no server keeps us busy."""
        interval, clock = self._pace.interval.total_seconds(), asyncio.get_running_loop().time
        if place.last_uid != self._rung_at:
            self._echo = 0.0  # the last ring was true
        began = clock()
        await source.wait(interval)
        if clock() - began >= min(interval, _LONGEST_ECHO) or self._asked:
            self._echo = 0.0
            return
        self._rung_at = place.last_uid
        await self._rest(self._echo)
        self._echo = min(max(self._echo * 2, _FIRST_ECHO), _LONGEST_ECHO)

    def _blame(self, fault: SourceLost) -> None:
        """A mail at which the line breaks again and again (damage on the server, a proxy) must not block those behind it."""
        uid, self._batch.fetching = self._batch.fetching, None
        self._breaks = self._breaks + 1 if uid is not None and uid == self._broken_at else 1
        self._broken_at = uid
        if uid is not None and (self._breaks >= _MOST_BREAKS or uid in self._later):
            self._put_off(uid, fault)

    async def _select(self, source: MailSource) -> Selected:
        try:
            return await source.select(self._account.folder)
        except SourceRefused:
            if self._account.purpose is not Purpose.OUTGOING:
                raise
            await source.create(self._account.folder)  # a drop folder is our idea: nobody else makes it
            return await source.select(self._account.folder)

    async def _pass(self, source: MailSource, place: Place) -> None:
        self._wake.clear()
        asked, self._asked = self._asked, []
        try:
            if self._reconciled_at is None or self._now() - self._reconciled_at >= self._pace.reconcile:
                await self._compare(source, place, doubted=bool(asked))
            else:
                await self._take_new(source, place)
                await self._take_later(source, place)
        except BaseException:
            self._asked = asked + self._asked
            raise
        self._succeed()
        for waiting in asked:
            if not waiting.done():
                waiting.set_result(None)

    async def _compare(self, source: MailSource, place: Place, *, doubted: bool) -> None:
        """Bring the whole folder and the ledger together, unless the server counts changes and there were none since the last time.

        So a large box with nothing new costs one SELECT. The count is read before the searches: what changes in between has a
        higher one. Our own marks change it too: the comparison after them is the one that is noted.
        """
        if not self._is_fresh and self._selected.modseq:
            self._selected = await source.select(self._account.folder)
            if self._selected.uidvalidity != place.uidvalidity:
                raise SourceLost("the folder's UIDs have changed their meaning")
        self._is_fresh = False
        began = self._now()
        if doubted or not self._is_unchanged(place, began):
            await self._take_new(source, place)
            await self._take_later(source, place)
            await self._reconcile(source, place)
            if self._selected.modseq and not self._later:
                await self._ledger.compared(place, self._selected.modseq, began)
        self._reconciled_at = self._now()

    def _is_unchanged(self, place: Place, now: datetime) -> bool:
        return (
            place.compared_at is not None
            and 0 < self._selected.modseq == place.modseq
            and timedelta(0) <= now - place.compared_at < self._pace.doubt
            and not self._later
        )

    async def _take_new(self, source: MailSource, place: Place) -> None:
        while True:
            first = place.last_uid + 1
            last = place.last_uid + WINDOW
            closing = last >= self._selected.uid_next  # beyond what was there at the beginning: to the end
            found = await source.since(first, None if closing else last)
            for batch in _batches([uid for uid in found if uid not in self._later]):
                await self._take(source, place, batch)
                place.last_uid = batch[-1]
            if closing:
                place.last_uid = max(place.last_uid, *found, 0)
                return
            place.last_uid = last

    async def _take_later(self, source: MailSource, place: Place) -> None:
        now = self._now()
        for batch in _batches(sorted(uid for uid, later in self._later.items() if later.due <= now)):
            await self._take(source, place, batch)

    async def _reconcile(self, source: MailSource, place: Place) -> None:
        """Find what appeared below the cursor, what was put off, and what was committed but not marked.

        A server restored from a copy, or one of several that write the same box, can bring mail in below the cursor.
        """
        if place.last_uid == 0:
            return
        first = 1
        while first <= place.last_uid:
            last = min(first + WINDOW - 1, place.last_uid)
            found = await (source.unmarked(first, last) if self._selected.keywords else source.since(first, last))
            for batch in _batches([uid for uid in found if uid not in self._later]):
                await self._take(source, place, batch)
            first = last + 1

    async def _take(self, source: MailSource, place: Place, uids: Sequence[int]) -> None:
        """Bring each of the UIDs to its end, put off what has a fault, and mark on the server what has ended."""
        result = await self._batch.take(source, place, uids)
        for uid in result.ended:
            self._later.pop(uid, None)
        for uid, fault in result.faults:
            self._put_off(uid, fault)
        failpoint("imap.before-mark")
        await self._mark(source, result.ended)
        if result.ended:
            self.state.last_success = self._now()  # a first pass may last for hours
        if result.faults and (result.stuck or len(self._later) > _MOST_LATER):
            raise Stuck(f"mails cannot be taken: {_line(result.faults[-1][1])}")

    def _keep_later(self, place: Place) -> None:
        """Mails put off in an earlier session stay put off, so that a few bad ones never block those behind them."""
        meaning = (place.folder, place.uidvalidity)
        if meaning != self._later_place or len(self._later) > _MOST_LATER:
            self._later.clear()
        self._later_place = meaning

    def _put_off(self, uid: int, fault: Exception) -> None:
        name = type(fault).__name__
        log.warning("imap-mail-put-off", account=self._account.name, uid=uid, fault=name, text=_line(fault))
        count("imap_put_off")
        tries = self._later[uid].tries + 1 if uid in self._later else 0
        self._later[uid] = _Later(tries, self._now() + min(_FIRST_RETRY * 2 ** min(tries, 10), _LONGEST_RETRY))

    async def _mark(self, source: MailSource, ended: dict[int, Ending]) -> None:
        """Show people and other programs what was done. Failing is no fault: the ledger knows, and the next look tries again."""
        done = sorted(uid for uid, ending in ended.items() if ending in (Ending.TAKEN, Ending.REPEATED))
        own = sorted(uid for uid, ending in ended.items() if ending is Ending.OWN)
        failed = sorted(uid for uid, ending in ended.items() if ending in (Ending.REFUSED, Ending.TOO_BIG))
        await self._show(source, done, REGISTERED, self._account.done_folder)
        await self._show(source, own, REGISTERED, "")  # what we delivered stays where its owner looks for it
        await self._show(source, failed, REFUSED, self._account.failed_folder)

    async def _show(self, source: MailSource, uids: Sequence[int], keyword: str, folder: str) -> None:
        if not uids or self._selected.read_only:
            return
        try:
            if folder:
                await source.move(uids, folder)
            elif self._selected.keywords:
                await source.mark(uids, keyword)
        except SourceRefused as refusal:
            log.warning("imap-mark-refused", account=self._account.name, folder=folder, text=_line(refusal))
            if folder:
                await self._show(source, uids, keyword, "")

    def _succeed(self) -> None:
        if self.state.alarmed or self.state.last_fault:
            log.info("imap-polls-again", account=self._account.name)
        self.state.last_success = self._now()
        self.state.last_fault = ""
        self.state.alarmed = False
        self._pause = _FIRST_PAUSE

    async def _recover(self, fault: Exception) -> None:
        """Tell of a fault, answer who waits, and pause: 1 s, then longer to 5 minutes, never all accounts in step."""
        expected = isinstance(fault, Fault | OSError)
        self.state.last_fault = _line(fault)
        seconds = self._pause * (0.5 + self._jitter() / 2)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        log.warning(
            "imap-session-ended",
            account=self._account.name,
            fault=type(fault).__name__,
            text=self.state.last_fault,
            again_in=round(seconds, 1),
            exc_info=None if expected else fault,
        )
        count("imap_session_faults")
        self._answer(fault)
        self.check()
        self._wake.clear()
        await self._rest(seconds)

    async def _rest(self, seconds: float) -> None:
        """Pause, unless somebody asks for a look."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _answer(self, fault: Exception) -> None:
        asked, self._asked = self._asked, []
        for waiting in asked:
            if not waiting.done():
                waiting.set_exception(fault)


def _batches(uids: Sequence[int]) -> list[tuple[int, ...]]:
    rest = iter(uids)
    return list(iter(lambda: tuple(islice(rest, BATCH)), ()))


def _line(fault: Exception) -> str:
    """A fault as one short line. Its text comes from the server or the system, never from a mail."""
    return " ".join(str(fault).split())[:200] or type(fault).__name__
