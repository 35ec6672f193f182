"""The active queue: bounded, urgent first, as many at once as may be, and what waits can be taken out again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.model.document import Urgency
from mailrelay.pipeline.active import AHEAD, NO_CLAIM, ActiveQueue, Consignment, Terms
from tests.store.samples import NOW, at, dispatch, record

LEASE = timedelta(minutes=20)
AT_ONCE = 2


class Sender:
    """A queue that is served, and what was begun by it."""

    def __init__(self, most: int = 100) -> None:
        self.begun: list[Consignment] = []
        self.now = NOW
        self.queue = ActiveQueue(most, backlog=False)
        self.queue.open(Terms(self.begun.append, lambda: AT_ONCE, LEASE, "a", lambda: self.now))
        self._numbers = iter(range(1, 1000))

    def claimed(self, destination: str = "d", **changes: object) -> Dispatch:
        number = next(self._numbers)
        made = dispatch(record().message.mail_id, f"r{number}@x", destination=destination)
        return replace(made.taken(NOW + LEASE), dispatch_id=number, **changes)  # type: ignore[arg-type]

    def admit(self, *dispatches: Dispatch) -> None:
        for one in dispatches:
            mail = record()
            self.queue.admit(mail, [replace(one, mail_id=mail.message.mail_id)])

    @property
    def numbers(self) -> list[list[int]]:
        return [sorted(consignment.ids) for consignment in self.begun]


def test_no_more_begin_than_may_go_at_once_and_the_end_of_one_begins_the_next() -> None:
    sender = Sender()
    sender.admit(*(sender.claimed() for _ in range(4)), sender.claimed("e"))
    assert sender.numbers == [[1], [2], [5]]
    sender.queue.sent(sender.begun[0])
    assert sender.numbers == [[1], [2], [5], [3]]
    assert sender.queue.in_hand == {1, 2, 3, 4, 5}
    sender.queue.settled(sender.begun[0])
    assert sender.queue.in_hand == {2, 3, 4, 5}
    assert sender.queue.room == 96


def test_urgent_mails_overtake_those_that_wait() -> None:
    sender = Sender()
    sender.admit(*(sender.claimed() for _ in range(3)))
    sender.admit(sender.claimed(next_attempt_at=at(-5)), sender.claimed(urgency=Urgency.TIMED_FLASH))
    for begun in range(3):
        sender.queue.sent(sender.begun[begun])
    assert sender.numbers == [[1], [2], [5], [4], [3]]


def test_the_shares_of_one_mail_go_by_destination_and_what_is_in_hand_goes_once() -> None:
    sender = Sender()
    first, second, third = sender.claimed(), sender.claimed("e"), sender.claimed()
    mail = record()
    sender.queue.admit(mail, [first, second, third, first])
    sender.queue.admit(mail, [replace(first, attempts=2)])  # its lease ran out while it was in hand
    assert sender.numbers == [[1, 3], [2]]


def test_what_is_held_or_only_queued_is_not_admitted() -> None:
    sender = Sender()
    sender.admit(*(sender.claimed(state=state) for state in (DispatchState.HELD, DispatchState.QUEUED)))
    assert (sender.begun, sender.queue.room) == ([], 100)


def test_a_mail_that_comes_in_is_claimed_while_there_is_room() -> None:
    sender = Sender()
    mail = record()
    new = [dispatch(mail.message.mail_id, f"{name}@x", destination=name) for name in ("d", "e")]
    held = dispatch(mail.message.mail_id, "h@x", destination="d", state=DispatchState.HELD)
    with sender.queue.claim(mail.message.mail_id, {"d"}) as claim:
        assert sender.queue.coming == {mail.message.mail_id}
        stored = claim.on([*new, held])
        assert [(d.state.value, d.attempts, d.lease_until) for d in stored] == [
            ("sending", 1, NOW + LEASE),
            ("queued", 0, None),
            ("held", 0, None),
        ]
        sender.queue.admit(mail, [replace(d, dispatch_id=number) for number, d in enumerate(stored, 1)])
    assert sender.numbers == [[1]]
    assert (sender.queue.coming, sender.queue.room, sender.queue.in_doubt) == (set(), 99, False)


def test_a_lease_is_counted_from_the_claim_however_long_the_mail_was_in_the_making() -> None:
    """Who looks for claims that nobody knows of passes by those that were made after its look began."""
    sender = Sender()
    sender.now = at(30)
    with sender.queue.claim(record().message.mail_id, {"d"}) as claim:
        assert claim.until == at(30) + LEASE


def test_room_is_kept_while_mails_are_entered() -> None:
    """Many at one moment are no more than fit; what has been sent makes room before it is settled."""
    sender = Sender()
    sender.admit(*(sender.claimed() for _ in range(AHEAD * AT_ONCE - 1)))
    one, two = record().message.mail_id, record().message.mail_id
    with sender.queue.claim(one, {"d"}) as first, sender.queue.claim(two, {"d"}) as second:
        assert (first.destinations, second) == ({"d"}, NO_CLAIM)
    sender.queue.sent(sender.begun[0])
    with sender.queue.claim(one, {"d"}) as first, sender.queue.claim(two, {"d"}) as second:
        assert (first.destinations, second.destinations) == ({"d"}, {"d"})


def test_a_destination_may_take_the_less_the_fuller_the_queue_is() -> None:
    sender = Sender(most=40)
    shares = []
    for name in "abcde":
        taken = 0
        while sender.queue.share > taken:
            sender.admit(sender.claimed(name))
            taken += 1
        shares.append(taken)
    assert shares == [8, 6, 5, 4, 3]  # four times as many as may go at once, then a fourth part of the room
    sender.admit(*(sender.claimed(str(number)) for number in range(20)))
    assert (sender.queue.room, sender.queue.share) == (0, 1)


@pytest.mark.parametrize("change", ["backlog", "doubt", "full", "closed"])
def test_nothing_is_claimed_from_the_beginning(change: str) -> None:
    """While something older waits in the store, while claims are in doubt, without room, and when nobody would send it."""
    sender = Sender(most=3)
    sender.queue.backlog = change == "backlog"
    sender.queue.in_doubt = change == "doubt"
    if change == "full":
        sender.admit(*(sender.claimed(name) for name in "xyz"))
    if change == "closed":
        sender.queue.close()
    with sender.queue.claim(record().message.mail_id, {"d"}) as claim:
        assert claim == NO_CLAIM


def test_room_is_never_less_than_nothing() -> None:
    """Mails that came in while a claim was asked for are more than there was room for: LIMIT -1 would take the whole queue."""
    sender = Sender(most=3)
    sender.admit(*(sender.claimed(name) for name in "vwxyz"))
    assert sender.queue.room == 0
    assert [sender.queue.settled(one) for one in sender.begun[:2]] == [False, False]
    assert sender.queue.room == 0
    sender.queue.settled(sender.begun[2])
    assert sender.queue.room == 1


def test_an_entry_that_failed_leaves_its_claim_in_doubt() -> None:
    sender = Sender()
    with pytest.raises(OSError, match="away"), sender.queue.claim(record().message.mail_id, {"d"}):
        raise OSError("away")
    assert (sender.queue.in_doubt, sender.queue.room, sender.queue.coming) == (True, 100, set())


def test_what_waits_for_a_destination_can_be_taken_out() -> None:
    sender = Sender()
    sender.admit(*(sender.claimed() for _ in range(4)), *(sender.claimed("e") for _ in range(3)))
    assert [sorted(one.ids) for one in sender.queue.withdraw("d")] == [[3], [4]]
    assert (sender.queue.in_hand, sender.queue.room) == ({1, 2, 5, 6, 7}, 95)
    sender.queue.sent(sender.begun[0])
    assert len(sender.begun) == 4
    assert [sorted(one.ids) for one in sender.queue.close()] == [[7]]
    sender.queue.sent(sender.begun[2])
    assert len(sender.begun) == 4


def test_a_claim_is_asked_for_when_something_waits_in_the_store_and_little_here() -> None:
    sender = Sender(most=4)
    sender.admit(*(sender.claimed() for _ in range(4)))
    assert sender.queue.sent(sender.begun[0]) is False  # nothing waits
    sender.queue.backlog = True
    assert sender.queue.sent(sender.begun[1]) is True
    assert [sender.queue.settled(one) for one in sender.begun[:2]] == [True, False]  # there was no room


def test_what_a_claim_took_again_is_in_doubt_once_it_is_settled() -> None:
    """It was settled and due again before the claim, or its lease had run out: in the second case nothing is found then."""
    sender = Sender()
    sender.admit(*(sender.claimed() for _ in range(2)))
    sender.queue.claimed_again({1})
    assert sender.queue.in_doubt is False
    assert sender.queue.settled(sender.begun[1]) is False
    assert sender.queue.settled(sender.begun[0]) is True
    assert sender.queue.in_doubt is True
    sender.queue.in_doubt = False
    sender.queue.claimed_again({1})  # settled since the claim was asked for
    assert sender.queue.in_doubt is True
