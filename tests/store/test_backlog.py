"""What waits, as a whole: its shape, what has become late, and trying all of it again."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from mailrelay.model.dispatch import DispatchState
from mailrelay.model.document import Urgency
from mailrelay.model.receipt import ReceiptKind
from mailrelay.store import Store, backlog, receipts
from tests.store.queued import claim, get, queue
from tests.store.samples import NOW, at, receipt

MINUTE = 60.0
BOUNDS = [timedelta(minutes=5), timedelta(minutes=10)]


async def test_the_shape_counts_by_age_and_destination(store: Store) -> None:
    await queue(store, "a", created_at=at(-MINUTE), next_attempt_at=at(7))
    await queue(store, "a", created_at=at(-7 * MINUTE), next_attempt_at=at(5), state=DispatchState.DEFERRED)
    await queue(store, "a", created_at=at(-99 * MINUTE), next_attempt_at=at(9))
    await queue(store, "a", created_at=at(-5 * MINUTE), next_attempt_at=at(9))  # exactly five minutes: the next age
    await queue(store, "a", created_at=at(-99 * MINUTE), state=DispatchState.HELD)
    await queue(store, "a", created_at=at(-99 * MINUTE), state=DispatchState.DELIVERED)
    await queue(store, "b", created_at=at(-MINUTE), next_attempt_at=at(0))
    await claim(store)
    rows = await store.read(lambda tx: backlog.shape(tx, NOW, BOUNDS))
    assert rows == (
        backlog.Ages("a", 4, 0, 1, (1, 2, 1), at(-99 * MINUTE), at(5)),
        backlog.Ages("b", 0, 1, 0, (1, 0, 0), at(-MINUTE), None),
    )
    (one,) = await store.read(lambda tx: backlog.shape(tx, NOW, (), "b"))
    assert (one.destination, one.counts) == ("b", (1,))
    assert await store.read(lambda tx: backlog.shape(tx, NOW, (), "nowhere")) == ()


async def test_everything_or_one_destination_is_tried_again_at_once(store: Store) -> None:
    waiting = [*await queue(store, *"aab", next_attempt_at=at(60)), *await queue(store, "a", next_attempt_at=at(-1))]
    held = await queue(store, "a", next_attempt_at=at(60), state=DispatchState.HELD)
    assert await store.write(lambda tx: backlog.retry_all(tx, NOW, "a")) == 2  # one was due already
    assert [(await get(store, d.dispatch_id)).next_attempt_at for d in waiting] == [NOW, NOW, at(60), at(-1)]
    assert await store.write(lambda tx: backlog.retry_all(tx, NOW)) == 1
    assert await get(store, held[0].dispatch_id) == held[0]
    assert await store.write(lambda tx: backlog.retry_all(tx, NOW)) == 0


async def test_what_a_clock_set_too_far_ahead_is_due_now(store: Store) -> None:
    usual, far = await queue(store, "a", next_attempt_at=at(60)), await queue(store, "a", next_attempt_at=at(90_000))
    held = await queue(store, "a", next_attempt_at=at(90_000), state=DispatchState.HELD)
    assert await store.write(lambda tx: backlog.retry_beyond(tx, NOW, timedelta(hours=1))) == 1
    moments = [(await get(store, d.dispatch_id)).next_attempt_at for d in (*usual, *far, *held)]
    assert moments == [at(60), NOW, at(90_000)]


async def test_what_is_under_way_keeps_its_age_when_the_clock_is_set(store: Store) -> None:
    (waiting,) = await queue(store, "a", created_at=at(-100))
    (held,) = await queue(store, "a", created_at=at(-100), state=DispatchState.HELD)
    (sending,) = await queue(store, "b", created_at=at(-100), next_attempt_at=at(-100))
    await claim(store, -50)
    for seconds, created in ((-3600, -3700), (3600, -100)):
        assert await store.write(lambda tx, by=seconds: backlog.shift(tx, timedelta(seconds=by))) == 2
        moments = [(await get(store, d.dispatch_id)).created_at for d in (waiting, sending, held)]
        assert moments == [at(created), at(created), at(-100)]


async def test_what_has_become_late_in_a_span_of_time(store: Store) -> None:
    hour, quarter = (None, at(-60 * MINUTE)), (None, at(-15 * MINUTE))
    calm = [(await queue(store, "d", urgency=Urgency.NORMAL, created_at=at(-m * MINUTE)))[0] for m in (59, 60, 90)]
    fast = [(await queue(store, "d", urgency=Urgency.URGENT, created_at=at(-m * MINUTE)))[0] for m in (14, 15, 40)]
    await queue(store, "d", urgency=Urgency.NORMAL, created_at=at(-99 * MINUTE), state=DispatchState.HELD)
    await queue(store, "d", urgency=Urgency.NORMAL, created_at=at(-99 * MINUTE), state=DispatchState.RELAYED)

    async def late(normal=hour, urgent=quarter) -> set[str]:  # type: ignore[no-untyped-def]
        return set(await store.read(lambda tx: backlog.late(tx, normal, urgent)))

    assert await late() == {d.mail_id for d in (*calm[1:], *fast[1:])}
    assert await late(normal=(at(-90 * MINUTE), at(-60 * MINUTE))) == {d.mail_id for d in (calm[1], *fast[1:])}
    await claim(store)  # under way, and late all the same
    assert await late() == {d.mail_id for d in (*calm[1:], *fast[1:])}


async def test_a_delay_that_was_told_is_not_late_again(store: Store) -> None:
    (one,) = await queue(store, "d", urgency=Urgency.NORMAL, created_at=at(-99 * MINUTE))
    for number, (kind, event) in enumerate(((ReceiptKind.DSN, "delivered:1"), (ReceiptKind.DELAYED, "delayed"))):
        assert await store.read(lambda tx: backlog.late(tx, (None, NOW), (None, NOW))) == (one.mail_id,), number
        told = dataclasses.replace(receipt(one.mail_id), kind=kind, event_key=f"{one.mail_id}:{kind.value}:a@b:{event}")
        await store.write(lambda tx, told=told: receipts.insert(tx, told))  # type: ignore[misc]
    assert await store.read(lambda tx: backlog.late(tx, (None, NOW), (None, NOW))) == ()
