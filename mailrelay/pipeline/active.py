"""The active queue: what this process has claimed and not yet sent, in memory and bounded. In the event loop only.

For each destination more is claimed than can go there at once, so that no connection waits for the store between two mails,
but never so much that the others find no room.
And a mail that comes in while there is room is claimed by the very transaction that enters it: nothing is read back.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.model.document import Urgency
from mailrelay.model.identity import MailId
from mailrelay.model.record import MailRecord

AHEAD = 4  # times as many mails are claimed for a destination as may go there at once
_URGENCIES = tuple(Urgency)


@dataclass(frozen=True, slots=True)
class Consignment:
    """One mail on its way to one destination: its dispatches there, at least one."""

    record: MailRecord
    dispatches: tuple[Dispatch, ...]

    @property
    def mail_id(self) -> MailId:
        return self.record.message.mail_id

    @property
    def destination(self) -> str:
        return self.dispatches[0].destination

    @property
    def ids(self) -> frozenset[int]:
        return frozenset(dispatch.dispatch_id for dispatch in self.dispatches)

    @property
    def rank(self) -> tuple[int, datetime]:
        """Urgent first, then by time."""
        first = self.dispatches[0]
        return -_URGENCIES.index(first.urgency), first.next_attempt_at


@dataclass(frozen=True, slots=True)
class Terms:
    """What the dispatcher that serves the queue grants: how it begins a sending, how many at once to one destination, leases.

    `now` is its clock: a lease is counted from the moment of a claim, not from when its mail was begun to be written.
    """

    begin: Callable[[Consignment], None]
    at_once: Callable[[], int]
    lease: timedelta
    node: str
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Claim:
    """Room for one mail that is about to be entered. Dispatches to these destinations may be claimed from the beginning."""

    destinations: frozenset[str]
    until: datetime | None
    node: str

    def on(self, dispatches: Iterable[Dispatch]) -> tuple[Dispatch, ...]:
        """The dispatches as they are to be stored: those that wait for nothing but their turn are claimed where there is room."""
        return tuple(map(self._claimed, dispatches))

    def _claimed(self, dispatch: Dispatch) -> Dispatch:
        if dispatch.state is not DispatchState.QUEUED or dispatch.destination not in self.destinations:
            return dispatch
        return dispatch.taken(self.until)


NO_CLAIM = Claim(frozenset(), None, "")


@dataclass(slots=True)
class ActiveQueue:
    """At most `most` mails are in it. Closed until a dispatcher serves it: nothing is claimed before, nor after.

    `backlog`: something due waits in the store, so what comes in waits behind it. `in_doubt`: something may have been claimed
    that we did not hear of.
    """

    most: int = 256
    backlog: bool = True
    in_doubt: bool = False
    coming: set[MailId] = field(default_factory=set)  # mails whose entry is being written, with room kept for them
    in_hand: set[int] = field(default_factory=set)  # dispatches that wait here, are being sent, or were not yet settled
    _again: set[int] = field(default_factory=set)  # of those, what a claim took that did not see them settled
    _count: int = 0
    _terms: Terms | None = None
    _taken: Counter[str] = field(default_factory=Counter)  # room kept, waiting or being sent, by destination
    _running: Counter[str] = field(default_factory=Counter)
    _waiting: dict[str, list[tuple[tuple[int, datetime], int, Consignment]]] = field(default_factory=dict)
    _order: Iterator[int] = field(default_factory=itertools.count)

    @property
    def room(self) -> int:
        """How many mails more can be claimed. More than `most` are here when some came in while a claim was under way."""
        return max(0, self.most - self._count)

    @property
    def share(self) -> int:
        """How many mails for one destination may be here now: the fewer the fuller it is, so that slow ones leave room."""
        ahead = AHEAD * self._terms.at_once() if self._terms else 1
        return max(1, min(ahead, self.room // 4))

    def open(self, terms: Terms) -> None:
        """A dispatcher begins to serve."""
        self._terms = terms
        for destination in list(self._waiting):
            self._begin_next(destination)

    def close(self) -> list[Consignment]:
        """It stops: return what it has not begun."""
        self._terms = None
        return [consignment for destination in list(self._waiting) for consignment in self.withdraw(destination)]

    @contextmanager
    def claim(self, mail_id: MailId, destinations: Collection[str]) -> Iterator[Claim]:
        """Keep room for a mail while it is being entered. Whether its rows were claimed is told by `admit`, within.

        Left by an exception the claim is in doubt: the transaction may have been committed all the same.
        """
        terms, granted = self._terms, self._grant(destinations)
        if terms is None or not granted:
            yield NO_CLAIM
            return
        self._taken.update(granted)
        self._count += len(granted)
        self.coming.add(mail_id)
        try:
            yield Claim(granted, terms.now() + terms.lease, terms.node)
        except BaseException:
            self.in_doubt = True
            raise
        finally:
            self.coming.discard(mail_id)
            self._count -= len(granted)
            for destination in granted:
                self._leave(destination)

    def _grant(self, destinations: Collection[str]) -> frozenset[str]:
        if self._terms is None or self.backlog or self.in_doubt or self.room < len(destinations):
            return frozenset()
        share = self.share
        return frozenset(one for one in destinations if self._taken[one] < share)

    def admit(self, record: MailRecord, dispatches: Sequence[Dispatch]) -> None:
        """Take in what was claimed of one mail; each destination's share begins when it is its turn."""
        shares: dict[str, dict[int, Dispatch]] = {}
        for dispatch in dispatches:
            # What we hold already is renewed by a claim after a lease ran out meanwhile, and goes once.
            if dispatch.state is DispatchState.SENDING and dispatch.dispatch_id not in self.in_hand:
                shares.setdefault(dispatch.destination, {})[dispatch.dispatch_id] = dispatch
        for destination, share in shares.items():
            consignment = Consignment(record, tuple(share.values()))
            self._count += 1
            self._taken[destination] += 1
            self.in_hand |= consignment.ids
            entry = (consignment.rank, next(self._order), consignment)
            heapq.heappush(self._waiting.setdefault(destination, []), entry)
            self._begin_next(destination)

    def claimed_again(self, dispatch_ids: Collection[int]) -> None:
        """What was in hand when a claim was asked for, and taken by it all the same: its lease had run out, or it had been settled
        and was due again. Which of them, only the store can tell, when it has been settled here too."""
        self._again |= self.in_hand.intersection(dispatch_ids)
        if not self.in_hand.issuperset(dispatch_ids):
            self.in_doubt = True

    def sent(self, consignment: Consignment) -> bool:
        """Its sending has ended, for good or ill: another may begin, while what came of it is written down.

        True: more should be claimed, for its destination will soon have nothing to do.
        """
        destination = consignment.destination
        self._running[destination] -= 1
        self._leave(destination)
        self._begin_next(destination)
        few = self._terms is not None and len(self._waiting.get(destination, ())) < self._terms.at_once()
        return self.backlog and few

    def settled(self, consignment: Consignment) -> bool:
        """Nothing is left to do for it. True: more should be claimed, for there had been no room, or a claim is in doubt."""
        self._count -= 1
        self.in_hand -= consignment.ids
        if not self._again.isdisjoint(consignment.ids):
            self._again -= consignment.ids
            self.in_doubt = True
            return True
        return self.backlog and self.room == self.most // 4

    def withdraw(self, destination: str) -> list[Consignment]:
        """Take out what waits for a destination."""
        waiting = [consignment for _, _, consignment in self._waiting.pop(destination, [])]
        for consignment in waiting:
            self._leave(destination)
            self.settled(consignment)
        return waiting

    def _leave(self, destination: str) -> None:
        self._taken[destination] -= 1
        if self._taken[destination] <= 0:
            del self._taken[destination]

    def _begin_next(self, destination: str) -> None:
        while self._terms is not None and (waiting := self._waiting.get(destination)):
            if self._running[destination] >= self._terms.at_once():
                return
            consignment = heapq.heappop(waiting)[2]
            if not waiting:
                del self._waiting[destination]
            self._running[destination] += 1
            self._terms.begin(consignment)
        if not self._running[destination]:
            del self._running[destination]
