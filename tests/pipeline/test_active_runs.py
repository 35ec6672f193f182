"""The active queue over thousands of random steps: its bounds hold at each of them, and every count comes back to nothing."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mailrelay.model.document import Urgency
from mailrelay.model.envelope import Recipient
from mailrelay.pipeline.active import AHEAD, ActiveQueue, Claim, Consignment, Terms
from tests.store.samples import NOW, dispatch, record

LEASE = timedelta(minutes=20)
MOST = 24
PLACES = "abcdef"


class Run:
    """Drives a queue as doors, claims, sendings and reloads do, and keeps its own account of them."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.queue = ActiveQueue(MOST, backlog=False)
        self.at_once = 2
        self.begun: list[Consignment] = []  # being sent
        self.ended: list[Consignment] = []  # sent, not yet settled
        self.inside: set[int] = set()  # admitted, neither settled nor taken out
        self.numbers = 0
        self.serve()

    def serve(self) -> None:
        self.queue.open(Terms(self.begin, lambda: self.at_once, LEASE, "a", lambda: NOW))

    def begin(self, consignment: Consignment) -> None:
        assert consignment.ids <= self.inside
        assert not any(consignment.ids & other.ids for other in (*self.begun, *self.ended))
        self.begun.append(consignment)
        assert sum(one.destination == consignment.destination for one in self.begun) <= self.at_once

    def mail(self, claim: Claim | None = None, places: str = "") -> None:
        """Enter one mail: its rows as the claim leaves them, or all claimed from the store."""
        made = record()
        rows = []
        for place in places or self.dice.choices(PLACES, k=self.dice.choice((1, 1, 1, 3))):
            for _ in range(self.dice.choice((1, 1, 7))):
                self.numbers += 1
                row = dispatch(made.message.mail_id, destination=place, recipient=Recipient(f"r{self.numbers}@x"))
                rows.append(replace(row, dispatch_id=self.numbers, urgency=self.dice.choice(tuple(Urgency))))
        taken = claim.on(rows) if claim else [row.taken(NOW + LEASE) for row in rows]
        self.inside |= {row.dispatch_id for row in taken if row.state.value == "sending"}
        self.queue.admit(made, taken)
        if self.dice.random() < 0.2:
            self.queue.admit(made, taken)  # its lease had run out

    def enter(self) -> None:
        """Some doors at one moment; one in four commits fails."""
        with ExitStack() as stack:
            for _ in range(self.dice.randint(1, 4)):
                places = "".join(self.dice.sample(PLACES, self.dice.choice((1, 1, 2))))
                try:
                    with self.queue.claim(record().message.mail_id, set(places)) as claim:
                        assert claim.destinations <= set(places)
                        stack.enter_context(self.queue.claim(record().message.mail_id, set(places)))
                        if self.dice.random() < 0.25:
                            raise OSError("the store is away")
                        self.mail(claim, places)
                except OSError:
                    assert self.queue.in_doubt or not claim.destinations
        self.queue.in_doubt = False

    def claim(self) -> None:
        for _ in range(min(self.dice.randint(0, 5), self.queue.room)):
            self.mail()

    def send(self) -> None:
        if self.begun:
            one = self.begun.pop(self.dice.randrange(len(self.begun)))
            self.ended.append(one)
            if self.dice.random() < 0.2:
                self.out(self.queue.withdraw(one.destination))
            self.queue.sent(one)

    def settle(self) -> None:
        if self.ended:
            one = self.ended.pop(self.dice.randrange(len(self.ended)))
            if self.dice.random() < 0.1:
                self.queue.claimed_again(one.ids)
            self.queue.settled(one)
            self.inside -= one.ids

    def out(self, consignments: list[Consignment]) -> None:
        for one in consignments:
            assert one not in self.begun
            self.inside -= one.ids

    def restart(self) -> None:
        self.out(self.queue.close())
        self.enter()  # nothing is claimed
        self.serve()

    def reload(self) -> None:
        self.at_once = self.dice.choice((1, 2, 5))

    def step(self) -> None:
        weights = {self.enter: 6, self.claim: 3, self.send: 9, self.settle: 9, self.restart: 1, self.reload: 1}
        if self.begun and max(Counter(one.destination for one in self.begun).values()) > self.at_once:
            del weights[self.enter], weights[self.claim]  # limits were lowered: it drains first
        self.dice.choices(list(weights), list(weights.values()))[0]()
        self.check()

    def check(self) -> None:
        queue = self.queue
        assert queue.in_hand == self.inside
        assert queue.room >= 0
        assert 1 <= queue.share <= AHEAD * self.at_once
        assert queue.coming == set()
        assert not any(count <= 0 for count in (*queue._taken.values(), *queue._running.values()))
        assert Counter(one.destination for one in self.begun) == queue._running


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_bounds_hold_and_counts_return_to_nothing(seed: int) -> None:
    run = Run(seed)
    for _ in range(300):
        run.step()
    while run.begun or run.ended:
        run.send()
        run.settle()
        run.check()
    queue = run.queue
    assert (queue.in_hand, queue._waiting, queue._taken, queue._running) == (set(), {}, {}, {})
    assert (queue.room, queue._count, queue._again) == (MOST, 0, set())
