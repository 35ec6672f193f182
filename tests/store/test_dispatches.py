"""The queue: claims, leases, limits per destination, settlements."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome, Result, Scope
from mailrelay.model.document import Urgency
from mailrelay.model.envelope import Recipient
from mailrelay.model.faults import NotAllowed, NotFound
from mailrelay.model.identity import MailId
from mailrelay.store import Store, Transaction, dispatches, messages
from tests.store.samples import NOW, at, dispatch, mail_id, record

LEASE = timedelta(minutes=20)
SENT = Outcome(
    "sotc@hoabinh.gov.vn", Result.RELAYED, "2.0.0", 250, "OK", "mail.example", "TLSv1.3", True, True, Scope.MAIL
)


async def _mail(store: Store) -> MailId:
    mail = record()
    await store.write(lambda tx: messages.insert(tx, mail))
    return mail.message.mail_id


async def _queue(store: Store, *destinations: str, **changes: object) -> list[Dispatch]:
    """One dispatch per destination, all of one mail."""
    mail = await _mail(store)
    new = [dispatch(mail, f"r{n}@x", destination=d, **changes) for n, d in enumerate(destinations)]
    ids = await store.write(lambda tx: dispatches.insert(tx, new))
    return [dataclasses.replace(d, dispatch_id=i) for d, i in zip(new, ids, strict=True)]


async def _claim(store: Store, seconds: float = 0, limit: int = 100, each: int = 100) -> tuple[Dispatch, ...]:
    return await store.write(lambda tx: dispatches.claim(tx, at(seconds), LEASE, limit, per_destination=each))


async def _settle(store: Store, dispatch_id: int, state: DispatchState, **changes: object) -> bool:
    settled = {"next_attempt_at": None, "outcome": SENT, "at": at(5)} | changes
    return await store.write(lambda tx: dispatches.settle(tx, dispatch_id, state, **settled))  # type: ignore[arg-type]


async def _get(store: Store, dispatch_id: int) -> Dispatch:
    found = await store.read(lambda tx: dispatches.get(tx, dispatch_id))
    assert found is not None
    return found


async def test_a_dispatch_comes_back_as_it_was(store: Store) -> None:
    mail = await _mail(store)
    new = dispatch(mail, state=DispatchState.SENDING, attempts=3, detail="đang gửi", lease_until=at(9))
    (dispatch_id,) = await store.write(lambda tx: dispatches.insert(tx, [new]))
    new = dataclasses.replace(new, dispatch_id=dispatch_id)
    defaults = {item.name: item.default for item in dataclasses.fields(new)}
    assert [name for name, default in defaults.items() if getattr(new, name) == default] == []
    assert await store.read(lambda tx: dispatches.get(tx, dispatch_id)) == new
    assert await store.read(lambda tx: dispatches.of_mail(tx, mail)) == (new,)
    assert await store.read(lambda tx: dispatches.get(tx, dispatch_id + 1)) is None


@pytest.mark.parametrize("notify", [None, frozenset()])
async def test_what_a_client_did_not_ask_for_stays_unasked(store: Store, notify: frozenset[object] | None) -> None:
    mail = await _mail(store)
    new = dispatch(mail, recipient=Recipient("a@b", notify), created_at=None)  # type: ignore[arg-type]
    (dispatch_id,) = await store.write(lambda tx: dispatches.insert(tx, [new]))
    assert await _get(store, dispatch_id) == dataclasses.replace(new, dispatch_id=dispatch_id)


async def test_a_recipient_has_one_dispatch_of_a_mail(store: Store) -> None:
    mail = await _mail(store)
    first = await store.write(lambda tx: dispatches.insert(tx, [dispatch(mail, "a@x"), dispatch(mail, "b@x")]))
    again = await store.write(lambda tx: dispatches.insert(tx, [dispatch(mail, "c@x"), dispatch(mail, "a@x")]))
    assert again[1] == first[0]
    assert len(await store.read(lambda tx: dispatches.of_mail(tx, mail))) == 3


async def test_a_claim_takes_what_is_due_and_leases_it(store: Store) -> None:
    due, later, held = [(await _queue(store, "d", **changes))[0] for changes in (
        {"detail": "lần đầu"}, {"next_attempt_at": at(60)}, {"state": DispatchState.HELD},
    )]  # fmt: skip
    taken = dataclasses.replace(due, state=DispatchState.SENDING, attempts=1, lease_until=NOW + LEASE)
    assert await _claim(store) == (taken,)
    assert await _get(store, due.dispatch_id) == taken
    assert await _claim(store) == ()
    assert [d.dispatch_id for d in await _claim(store, 60)] == [later.dispatch_id]
    assert await _get(store, held.dispatch_id) == held


async def test_urgent_ones_go_first_then_those_that_waited_longest(store: Store) -> None:
    wanted = []
    for urgency in reversed(Urgency):
        for seconds in (-20, -10, -10):
            wanted.append((urgency, at(seconds)))
    for urgency, moment in sorted(wanted, key=repr):
        await _queue(store, "d", urgency=urgency, next_attempt_at=moment)
    claimed = await _claim(store)
    assert [(d.urgency, d.next_attempt_at) for d in claimed] == wanted
    same = [d.dispatch_id for d in claimed]
    assert [same[1::3], same[2::3]] == [same[1::3], [number + 1 for number in same[1::3]]]


async def test_a_limited_claim_takes_the_first_of_that_order(store: Store) -> None:
    slow = await _queue(store, *("d1", "d2", "d3"), urgency=Urgency.NORMAL)
    (fast,) = await _queue(store, "d4", urgency=Urgency.TIMED_FLASH)
    assert [d.dispatch_id for d in await _claim(store, limit=2)] == [fast.dispatch_id, slow[0].dispatch_id]


async def test_one_destination_gets_no_more_than_its_share(store: Store) -> None:
    await _queue(store, *["slow"] * 5, *["other"] * 2)
    first = await _claim(store, each=3)
    assert sorted(d.destination for d in first) == ["other"] * 2 + ["slow"] * 3
    assert await _claim(store, each=3) == ()
    done = next(d for d in first if d.destination == "slow")
    await _settle(store, done.dispatch_id, DispatchState.RELAYED)
    assert [d.destination for d in await _claim(store, each=3)] == ["slow"]


async def test_a_long_queue_for_one_destination_hides_no_other(store: Store) -> None:
    await _queue(store, *["slow"] * 50, next_attempt_at=at(-100))
    await _queue(store, "quick", next_attempt_at=at(-1))
    seen: list[str] = []
    while claimed := await _claim(store, limit=2, each=2):
        seen += [d.destination for d in claimed]
    assert sorted(seen) == ["quick", "slow", "slow"]


async def test_a_lease_that_ran_out_is_taken_over(store: Store) -> None:
    (lost,) = await _queue(store, "d")
    await _claim(store)
    seconds = LEASE.total_seconds()
    assert await _claim(store, seconds - 1) == ()
    assert [(d.dispatch_id, d.attempts) for d in await _claim(store, seconds)] == [(lost.dispatch_id, 2)]


async def test_the_leases_of_a_dead_process_can_be_ended_at_once(store: Store) -> None:
    lost = await _queue(store, "d", "e")
    assert len(await _claim(store)) == 2
    assert await store.write(lambda tx: dispatches.end_leases(tx, at(1))) == 2
    assert await store.write(lambda tx: dispatches.end_leases(tx, at(1))) == 0
    assert [d.dispatch_id for d in await _claim(store, 1)] == [d.dispatch_id for d in lost]


async def test_expired_leases_count_within_the_share(store: Store) -> None:
    await _queue(store, *["d"] * 4)
    assert len(await _claim(store, each=2)) == 2
    assert len(await _claim(store, LEASE.total_seconds(), each=2)) == 2


async def test_concurrent_claims_never_take_one_dispatch_twice(store: Store) -> None:
    await _queue(store, *[f"d{n % 10}" for n in range(60)])
    claims = await asyncio.gather(*(_claim(store, limit=10, each=4) for _ in range(12)))
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
            await _queue(store, *[tag + destination] * number, next_attempt_at=at(clock))
        elif act == "claim":
            clock += seconds
            live = {i: where for i, (where, until) in leased.items() if until > clock}
            for claimed in await _claim(store, clock, limit=number + 1, each=each):
                if claimed.destination.startswith(tag):
                    assert claimed.dispatch_id not in live
                    live[claimed.dispatch_id] = claimed.destination
                    leased[claimed.dispatch_id] = (claimed.destination, clock + LEASE.total_seconds())
            assert all(list(live.values()).count(where) <= each for where in set(live.values()))
        elif live:
            dispatch_id = sorted(live)[number % len(live)]
            state = DispatchState.DELIVERED if act == "deliver" else DispatchState.DEFERRED
            await _settle(store, dispatch_id, state, next_attempt_at=at(clock + seconds))
            del leased[dispatch_id]


async def test_a_settlement_appends_its_attempt(store: Store) -> None:
    (one,) = await _queue(store, "d")
    await _claim(store)
    later = Outcome("r0@x", Result.DEFERRED, "4.4.1", 421, "quá tải")
    assert await _settle(store, one.dispatch_id, DispatchState.DEFERRED, next_attempt_at=at(60), outcome=later)
    assert await _get(store, one.dispatch_id) == dataclasses.replace(
        one, state=DispatchState.DEFERRED, attempts=1, next_attempt_at=at(60), detail="quá tải"
    )
    await _claim(store, 60)
    assert await _settle(store, one.dispatch_id, DispatchState.RELAYED, at=at(61), detail="đã chuyển")
    done = await _get(store, one.dispatch_id)
    assert (done.state, done.attempts, done.next_attempt_at, done.detail, done.lease_until) == (
        DispatchState.RELAYED, 2, at(60), "đã chuyển", None,
    )  # fmt: skip
    assert await store.read(lambda tx: dispatches.attempts(tx, one.dispatch_id)) == ((at(5), later), (at(61), SENT))


async def test_what_is_final_stays_but_for_a_success_known_later(store: Store) -> None:
    states = (DispatchState.DELIVERED, DispatchState.RELAYED, DispatchState.FAILED, DispatchState.WITHDRAWN)
    ends = {}
    for final in states:
        for then in (DispatchState.DEFERRED, DispatchState.FAILED, DispatchState.DELIVERED):
            (one,) = await _queue(store, "d", state=final)
            moved = await _settle(store, one.dispatch_id, then, next_attempt_at=at(1))
            ends[final, then] = (moved, (await _get(store, one.dispatch_id)).state)
            assert len(await store.read(lambda tx, one=one: dispatches.attempts(tx, one.dispatch_id))) == 1
    corrected = {(final, DispatchState.DELIVERED) for final in (DispatchState.FAILED, DispatchState.WITHDRAWN)}
    assert ends == {
        (final, then): (True, then) if (final, then) in corrected else (False, final) for final, then in ends
    }


async def test_settling_what_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        await _settle(store, 7, DispatchState.DELIVERED)


_ACTS = {
    "release": lambda tx, i: dispatches.release(tx, i, at(9)),
    "withdraw": lambda tx, i: dispatches.withdraw(tx, i, "thu hồi"),
    "retry": lambda tx, i: dispatches.retry(tx, i, at(9)),
}
_ALLOWED = {
    "release": {DispatchState.HELD},
    "withdraw": {DispatchState.QUEUED, DispatchState.SENDING, DispatchState.DEFERRED, DispatchState.HELD},
    "retry": {DispatchState.QUEUED, DispatchState.DEFERRED, DispatchState.FAILED},
}


@pytest.mark.parametrize("act", _ACTS)
@pytest.mark.parametrize("state", DispatchState)
async def test_a_persons_act_needs_its_state(store: Store, act: str, state: DispatchState) -> None:
    (one,) = await _queue(store, "d", state=state, lease_until=at(99) if state is DispatchState.SENDING else None)

    def do(tx: Transaction) -> None:
        _ACTS[act](tx, one.dispatch_id)

    if state not in _ALLOWED[act]:
        with pytest.raises(NotAllowed):
            await store.write(do)
        assert await _get(store, one.dispatch_id) == one
        return
    await store.write(do)
    changed = dataclasses.replace(one, state=DispatchState.QUEUED, next_attempt_at=at(9))
    if act == "withdraw":
        changed = dataclasses.replace(one, state=DispatchState.WITHDRAWN, detail="thu hồi", lease_until=None)
    assert await _get(store, one.dispatch_id) == changed


@pytest.mark.parametrize("act", _ACTS)
async def test_a_persons_act_needs_a_dispatch(store: Store, act: str) -> None:
    with pytest.raises(NotFound):
        await store.write(lambda tx: _ACTS[act](tx, 7))


async def test_the_queue_is_listed_page_by_page(store: Store) -> None:
    rows = await _queue(store, *"aabba", next_attempt_at=at(1))
    (held,) = await _queue(store, "a", state=DispatchState.HELD)

    async def listed(**asked: object) -> list[int]:
        found = await store.read(lambda tx: dispatches.listing(tx, **asked))  # type: ignore[arg-type]
        return [d.dispatch_id for d in found]

    ids = [row.dispatch_id for row in rows]
    assert await listed() == [*ids, held.dispatch_id]
    assert await listed(limit=2) == ids[:2]
    assert await listed(after_id=ids[1], limit=2) == ids[2:4]
    assert await listed(destination="b") == ids[2:4]
    assert await listed(states={DispatchState.HELD}) == [held.dispatch_id]
    assert await listed(states={DispatchState.HELD, DispatchState.QUEUED}, destination="a") == [
        ids[0], ids[1], ids[4], held.dispatch_id,
    ]  # fmt: skip
    assert await listed(states=()) == []


async def test_the_next_claim_is_known_in_advance(store: Store) -> None:
    assert await store.read(dispatches.next_due) is None
    await _queue(store, "d", state=DispatchState.HELD)
    assert await store.read(dispatches.next_due) is None
    await _queue(store, "d", next_attempt_at=at(5000))
    await _queue(store, "d", next_attempt_at=at(0))
    assert await store.read(dispatches.next_due) == NOW
    await _claim(store)
    assert await store.read(dispatches.next_due) == NOW + LEASE


async def test_dispatches_are_counted_by_state(store: Store) -> None:
    await _queue(store, *"abc")
    await _queue(store, "a", state=DispatchState.FAILED)
    wanted = {state: 0 for state in DispatchState} | {DispatchState.QUEUED: 3, DispatchState.FAILED: 1}
    assert await store.read(dispatches.counts) == wanted
