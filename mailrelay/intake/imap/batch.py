"""A batch of mails brought to their ends: the next is fetched while those before it are looked at and written down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailrelay.intake.imap.ledger import Ending, Ledger, Place
from mailrelay.intake.imap.source import Listed, MailSource, SourceLost, SourceRefused
from mailrelay.intake.imap.taking import Fetched, Taking

_IN_HAND = 4  # fetched and not yet settled: on disk, not in memory
_FAULTS_IN_A_ROW = 3  # then it is not the mail


@dataclass(slots=True)
class Result:
    """`ended` holds every UID that has ended, now or earlier; `faults` what could not be taken, in order.

    `stuck`: several in a row could not be taken, so the rest of the batch was left alone.
    """

    ended: dict[int, Ending]
    faults: list[tuple[int, Exception]] = field(default_factory=list)
    stuck: bool = False


class Batch:
    """Takes batches from one source. `close` waits for what is in hand: a mail that is being written down is never cut off."""

    def __init__(self, taking: Taking, ledger: Ledger) -> None:
        self._taking = taking
        self._ledger = ledger
        self._in_hand: dict[asyncio.Task[None], str] = {}
        self._faults_in_a_row = 0
        self.fetching: int | None = None  # the UID at which a line that was lost has broken

    async def take(self, source: MailSource, place: Place, uids: Sequence[int]) -> Result:
        """Bring the UIDs (at most BATCH) to their ends. Raises SourceLost, after what was in hand has come to its end."""
        self.fetching = None
        result = Result(await self._ledger.endings(place, uids))
        self._faults_in_a_row = 0
        fresh = [uid for uid in uids if uid not in result.ended]
        if not fresh:
            return result
        listed = {mail.uid: mail for mail in await source.list(fresh)}
        missing = [uid for uid in fresh if uid not in listed]
        present = await source.present(missing) if missing else frozenset()
        try:
            for uid in fresh:
                if self._faults_in_a_row >= _FAULTS_IN_A_ROW:
                    break
                await self._begin(source, place, uid, listed.get(uid), uid in present, result)
        finally:
            await self.close()
        result.stuck = self._faults_in_a_row >= _FAULTS_IN_A_ROW
        return result

    async def close(self) -> None:
        """Wait for what is in hand. A cancellation is passed on after it, so that nothing is cut off."""
        cancelled: asyncio.CancelledError | None = None
        while self._in_hand:
            try:
                await asyncio.wait(self._in_hand)
            except asyncio.CancelledError as fault:
                cancelled = fault
        if cancelled is not None:
            raise cancelled

    async def _begin(
        self, source: MailSource, place: Place, uid: int, mail: Listed | None, present: bool, result: Result
    ) -> None:
        try:
            if mail is not None:
                self.fetching = uid
                found = await self._taking.fetch(source, place, mail)
                self.fetching = None
            elif present:
                raise SourceRefused("the server does not list this mail")
            else:
                found = await self._taking.end(place, uid, Ending.VANISHED)
        except SourceLost:
            raise
        except Exception as fault:
            self.fetching = None
            self._fault(uid, fault, result)
            return
        if isinstance(found, Fetched):
            await self._hold(place, found, result)
        elif found is not None:
            result.ended[uid] = found

    async def _hold(self, place: Place, fetched: Fetched, result: Result) -> None:
        try:
            # The same mail twice at once: the second must find the first in the store.
            while len(self._in_hand) >= _IN_HAND or fetched.digest in self._in_hand.values():
                await asyncio.wait(self._in_hand, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            fetched.draft.discard()
            raise
        task = asyncio.create_task(self._settle(place, fetched, result))
        self._in_hand[task] = fetched.digest
        task.add_done_callback(self._in_hand.pop)

    async def _settle(self, place: Place, fetched: Fetched, result: Result) -> None:
        try:
            result.ended[fetched.uid] = await self._taking.settle(place, fetched)
            self._faults_in_a_row = 0
        except Exception as fault:
            self._fault(fetched.uid, fault, result)

    def _fault(self, uid: int, fault: Exception, result: Result) -> None:
        result.faults.append((uid, fault))
        self._faults_in_a_row += 1
