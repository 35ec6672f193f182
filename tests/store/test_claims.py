"""Claims: who goes first, how many at once, and what becomes of a claim whose sender died."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailrelay.model.dispatch import DispatchState
from mailrelay.model.document import Urgency
from mailrelay.store import Store, dispatches, leases
from mailrelay.store.transaction import Engine
from tests.store.queued import LEASE, claim, copies, get, mail_of, mail_to, queue, settle
from tests.store.samples import NOW, at, dispatch, mail_id


async def test_a_claim_takes_what_is_due_and_leases_it(store: Store) -> None:
    due, later, held = [(await queue(store, "d", **changes))[0] for changes in (
        {"detail": "lần đầu"}, {"next_attempt_at": at(60)}, {"state": DispatchState.HELD},
    )]  # fmt: skip
    taken = dataclasses.replace(due, state=DispatchState.SENDING, attempts=1, lease_until=NOW + LEASE)
    assert await claim(store) == (taken,)
    assert await get(store, due.dispatch_id) == taken
    assert await claim(store) == ()
    assert [d.dispatch_id for d in await claim(store, 60)] == [later.dispatch_id]
    assert await get(store, held.dispatch_id) == held


async def test_urgent_ones_go_first_then_those_that_waited_longest(store: Store) -> None:
    wanted = []
    for urgency in reversed(Urgency):
        for seconds in (-20, -10, -10):
            wanted.append((urgency, at(seconds)))
    for urgency, moment in sorted(wanted, key=repr):
        await queue(store, "d", urgency=urgency, next_attempt_at=moment)
    claimed = await claim(store)
    assert [(d.urgency, d.next_attempt_at) for d in claimed] == wanted
    same = [d.dispatch_id for d in claimed]
    assert [same[1::3], same[2::3]] == [same[1::3], [number + 1 for number in same[1::3]]]


async def test_a_limited_claim_takes_the_first_of_that_order(store: Store) -> None:
    slow = await queue(store, *("d1", "d2", "d3"), urgency=Urgency.NORMAL)
    (fast,) = await queue(store, "d4", urgency=Urgency.TIMED_FLASH)
    assert [d.dispatch_id for d in await claim(store, limit=2)] == [fast.dispatch_id, slow[0].dispatch_id]


async def test_one_destination_gets_no_more_than_its_share(store: Store) -> None:
    await queue(store, *["slow"] * 5, *["other"] * 2)
    first = await claim(store, each=3)
    assert sorted(d.destination for d in first) == ["other"] * 2 + ["slow"] * 3
    assert await claim(store, each=3) == ()
    done = next(d for d in first if d.destination == "slow")
    await settle(store, done.dispatch_id, DispatchState.RELAYED)
    assert [d.destination for d in await claim(store, each=3)] == ["slow"]


async def test_a_mail_takes_all_its_recipients_at_a_destination_along(store: Store) -> None:
    ids = await mail_to(store, *["d"] * 20, "elsewhere")
    (later,) = await store.write(
        lambda tx: dispatches.insert(
            tx, [dispatch(mail_of(tx, ids[0]), "late@x", destination="d", next_attempt_at=at(60))]
        )
    )
    await queue(store, *["d"] * 3)
    claimed = await claim(store, each=1)
    assert [d.dispatch_id for d in claimed] == ids
    assert await claim(store, each=1) == ()  # a mail is under way to d
    second = await claim(store, each=2)
    assert [d.destination for d in second] == ["d"]
    for dispatch_id in ids:
        await settle(store, dispatch_id, DispatchState.RELAYED)
    assert later in [d.dispatch_id for d in await claim(store, 60, each=9)]


async def test_what_a_dead_sender_left_goes_with_the_rest_of_its_mail(store: Store) -> None:
    ids = await mail_to(store, "d", "d")
    await claim(store)
    await settle(store, ids[1], DispatchState.DEFERRED, next_attempt_at=at(60))
    claimed = await claim(store, LEASE.total_seconds(), each=1)
    assert [(d.dispatch_id, d.attempts) for d in claimed] == [(ids[0], 2), (ids[1], 2)]


async def test_a_long_queue_for_one_destination_hides_no_other(store: Store) -> None:
    """Ten thousand mails for a dead next hop, and one each for fifty others: those go in the first claim."""
    others = [f"quick{n}" for n in range(50)]
    (slow,) = await queue(store, "slow", next_attempt_at=at(-100))
    await copies(store, slow, 10_000)
    await queue(store, *others, next_attempt_at=at(-1))
    first = await claim(store, limit=64, each=4)
    assert sorted(d.destination for d in first) == sorted([*others, *["slow"] * 4])
    assert await claim(store, limit=64, each=4) == ()


async def test_an_urgent_mail_overtakes_a_long_queue(store: Store) -> None:
    await queue(store, *["d"] * 200, urgency=Urgency.NORMAL, next_attempt_at=at(-100))
    (urgent,) = await queue(store, "d", urgency=Urgency.FLASH, next_attempt_at=at(0))
    assert [d.dispatch_id for d in await claim(store, each=1)] == [urgent.dispatch_id]


async def test_a_dead_destination_spares_what_is_more_urgent(store: Store) -> None:
    for urgency in (Urgency.NORMAL, Urgency.URGENT, Urgency.FLASH):
        await queue(store, "d", urgency=urgency)
    await queue(store, "other", urgency=Urgency.NORMAL)
    assert await store.write(lambda tx: dispatches.put_off(tx, "d", at(60), Urgency.URGENT)) == 2
    assert [(d.urgency, d.destination) for d in await claim(store)] == [
        (Urgency.FLASH, "d"),
        (Urgency.NORMAL, "other"),
    ]


async def test_a_lease_that_ran_out_is_taken_over(store: Store) -> None:
    (lost,) = await queue(store, "d")
    await claim(store)
    seconds = LEASE.total_seconds()
    assert await claim(store, seconds - 1) == ()
    assert [(d.dispatch_id, d.attempts) for d in await claim(store, seconds)] == [(lost.dispatch_id, 2)]


async def test_the_leases_of_a_dead_process_can_be_ended_at_once(store: Store) -> None:
    lost = await queue(store, "d", "e")
    assert len(await claim(store)) == 2
    assert await store.write(lambda tx: leases.end(tx, at(1))) == 2
    assert await store.write(lambda tx: leases.end(tx, at(1))) == 0
    assert [d.dispatch_id for d in await claim(store, 1)] == [d.dispatch_id for d in lost]


async def test_a_node_that_starts_again_ends_its_own_leases(store: Store) -> None:
    """Several nodes may share a PostgreSQL; the embedded store has one process, whatever it is called now."""
    await queue(store, "d", "e")
    (first,) = await claim(store, limit=1, holder="a")
    (second,) = await claim(store, limit=1, holder="b")
    both = await store.read(lambda tx: tx.engine) is Engine.SQLITE
    assert await store.write(lambda tx: leases.end(tx, at(1), "b")) == (2 if both else 1)
    again = [d.dispatch_id for d in await claim(store, 1, holder="b")]
    assert again == ([first.dispatch_id] if both else []) + [second.dispatch_id]


async def test_a_lease_is_renewed_by_its_holder_only(store: Store) -> None:
    (queued,) = await queue(store, "d")
    await claim(store, holder="a")
    for holder, until in (("b", NOW + LEASE), ("a", at(5000))):
        await store.write(lambda tx, h=holder: leases.renew(tx, [queued.dispatch_id], at(5000), h))
        assert (await get(store, queued.dispatch_id)).lease_until == until


async def test_what_was_claimed_without_its_holder_hearing_of_it_is_due_again(store: Store) -> None:
    """Its try never began, so it counts as none; what is being sent and what others hold stays."""
    sending, lost, foreign = await queue(store, "d", "e", "f")
    await claim(store, limit=2, holder="a")
    await claim(store, holder="b")
    assert (
        await store.write(lambda tx: leases.give_back(tx, at(1), {sending.dispatch_id}, "a", before=at(1) + LEASE)) == 1
    )
    assert [(d.dispatch_id, d.attempts) for d in await claim(store, 1, holder="a")] == [(lost.dispatch_id, 1)]
    assert (await get(store, foreign.dispatch_id)).lease_until == NOW + LEASE


async def test_expired_leases_count_within_the_share(store: Store) -> None:
    await queue(store, *["d"] * 4)
    assert len(await claim(store, each=2)) == 2
    assert len(await claim(store, LEASE.total_seconds(), each=2)) == 2


async def test_concurrent_claims_never_take_one_dispatch_twice(store: Store) -> None:
    await queue(store, *[f"d{n % 10}" for n in range(60)])
    claims = await asyncio.gather(*(claim(store, limit=10, each=4) for _ in range(12)))
    ids = [d.dispatch_id for claimed in claims for d in claimed]
    assert len(ids) == len(set(ids)) == 40  # ten destinations, four each
    under_way = "SELECT max(n) FROM (SELECT count(*) AS n FROM dispatch WHERE state = 'sending' GROUP BY destination) x"
    assert await store.read(lambda tx: tx.value(under_way)) == 4


_ACT = st.tuples(
    st.sampled_from(["claim", "deliver", "defer", "queue"]),
    st.integers(0, 5),
    st.sampled_from(["a", "b"]),
    st.integers(0, 1500),
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(acts=st.lists(_ACT, max_size=25), each=st.integers(1, 3))
async def test_claims_keep_their_promises_whatever_happens(
    store: Store, acts: list[tuple[str, int, str, int]], each: int
) -> None:
    """Model: never one dispatch in two live leases, never more than `each` live leases to a destination."""
    leased: dict[int, tuple[str, float]] = {}
    clock = 0.0
    tag = f"{mail_id()}-"  # the store is shared by the examples
    for act, number, destination, seconds in acts:
        live = {i: where for i, (where, until) in leased.items() if until > clock}
        if act == "queue":
            await queue(store, *[tag + destination] * number, next_attempt_at=at(clock))
        elif act == "claim":
            clock += seconds
            live = {i: where for i, (where, until) in leased.items() if until > clock}
            for claimed in await claim(store, clock, limit=number + 1, each=each):
                if claimed.destination.startswith(tag):
                    assert claimed.dispatch_id not in live
                    live[claimed.dispatch_id] = claimed.destination
                    leased[claimed.dispatch_id] = (claimed.destination, clock + LEASE.total_seconds())
            assert all(list(live.values()).count(where) <= each for where in set(live.values()))
        elif live:
            dispatch_id = sorted(live)[number % len(live)]
            state = DispatchState.DELIVERED if act == "deliver" else DispatchState.DEFERRED
            await settle(store, dispatch_id, state, next_attempt_at=at(clock + seconds))
            del leased[dispatch_id]


async def test_the_next_claim_is_known_in_advance(store: Store) -> None:
    async def outlook(seconds: float) -> tuple[bool, datetime | None]:
        return await store.read(lambda tx: dispatches.outlook(tx, at(seconds)))

    assert await outlook(0) == (False, None)
    await queue(store, "d", state=DispatchState.HELD)
    assert await outlook(0) == (False, None)
    await queue(store, "d", next_attempt_at=at(5000))
    await queue(store, "d", next_attempt_at=at(0))
    assert await outlook(-1) == (False, NOW)
    assert await outlook(0) == (True, at(5000))
    await claim(store)
    assert await outlook(0) == (False, NOW + LEASE)
    assert await outlook(5000) == (True, None)


async def test_what_nobody_has_begun_to_send_goes_back_as_it_was(store: Store) -> None:
    new, tried = await queue(store, "d", "e")
    await store.write(
        lambda tx: tx.execute("UPDATE dispatch SET attempts = 2 WHERE dispatch_id = :id", {"id": tried.dispatch_id})
    )
    claimed = await claim(store)
    await store.write(lambda tx: leases.hand_back(tx, [d.dispatch_id for d in claimed]))
    found = [await get(store, d.dispatch_id) for d in (new, tried)]
    assert [(d.state.value, d.attempts, d.lease_until) for d in found] == [("queued", 0, None), ("deferred", 2, None)]
    await store.write(lambda tx: leases.hand_back(tx, [new.dispatch_id]))  # not under way: left alone
    assert (await get(store, new.dispatch_id)).attempts == 0


async def test_only_what_was_being_sent_counts_against_a_mail(store: Store) -> None:
    """A process that keeps dying: the mail that kills it is found, those that it had only claimed are not suspected."""
    guilty, innocent = await queue(store, "d", "e")
    for _ in range(4):
        assert len(await claim(store)) == 2
        assert await store.write(lambda tx: leases.end(tx, at(0), begun={guilty.mail_id})) == 2
    assert [d.attempts for d in await claim(store)] == [5, 2]  # of one try it is kept that it may have begun
    assert innocent.attempts == 0


async def test_what_is_being_entered_is_not_taken_for_lost(store: Store) -> None:
    coming, lost, later = await queue(store, "d", "e", "f")
    await claim(store, limit=2, holder="a")
    await claim(store, 1, holder="a")
    given = await store.write(
        lambda tx: leases.give_back(tx, at(1), set(), "a", before=at(1) + LEASE, coming={coming.mail_id})
    )
    assert given == 1
    found = [(await get(store, d.dispatch_id)).state.value for d in (coming, lost, later)]
    assert found == ["sending", "queued", "sending"]
