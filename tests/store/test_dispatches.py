"""The queue: what a dispatch keeps, settlements, the acts of people, listings."""

from __future__ import annotations

import dataclasses

import pytest

from mailrelay.model.dispatch import DispatchState, Outcome, Result
from mailrelay.model.envelope import Recipient
from mailrelay.model.faults import NotAllowed, NotFound
from mailrelay.store import Store, Transaction, dispatches
from tests.store.queued import SENT, claim, get, mail_in, queue, settle
from tests.store.samples import at, dispatch


async def test_a_dispatch_comes_back_as_it_was(store: Store) -> None:
    mail = await mail_in(store)
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
    mail = await mail_in(store)
    new = dispatch(mail, recipient=Recipient("a@b", notify), created_at=None)  # type: ignore[arg-type]
    (dispatch_id,) = await store.write(lambda tx: dispatches.insert(tx, [new]))
    assert await get(store, dispatch_id) == dataclasses.replace(new, dispatch_id=dispatch_id)


async def test_a_recipient_has_one_dispatch_of_a_mail(store: Store) -> None:
    mail = await mail_in(store)
    first = await store.write(lambda tx: dispatches.insert(tx, [dispatch(mail, "a@x"), dispatch(mail, "b@x")]))
    again = await store.write(lambda tx: dispatches.insert(tx, [dispatch(mail, "c@x"), dispatch(mail, "a@x")]))
    assert again[1] == first[0]
    assert len(await store.read(lambda tx: dispatches.of_mail(tx, mail))) == 3


async def test_a_settlement_appends_its_attempt(store: Store) -> None:
    (one,) = await queue(store, "d")
    await claim(store)
    later = Outcome("r0@x", Result.DEFERRED, "4.4.1", 421, "quá tải")
    assert await settle(store, one.dispatch_id, DispatchState.DEFERRED, next_attempt_at=at(60), outcome=later)
    assert await get(store, one.dispatch_id) == dataclasses.replace(
        one, state=DispatchState.DEFERRED, attempts=1, next_attempt_at=at(60), detail="quá tải"
    )
    await claim(store, 60)
    assert await settle(store, one.dispatch_id, DispatchState.RELAYED, at=at(61), detail="đã chuyển")
    done = await get(store, one.dispatch_id)
    assert (done.state, done.attempts, done.next_attempt_at, done.detail, done.lease_until) == (
        DispatchState.RELAYED, 2, at(60), "đã chuyển", None,
    )  # fmt: skip
    assert await store.read(lambda tx: dispatches.attempts(tx, one.dispatch_id)) == ((at(5), later), (at(61), SENT))


async def test_what_is_final_stays_but_for_a_success_known_later(store: Store) -> None:
    states = (DispatchState.DELIVERED, DispatchState.RELAYED, DispatchState.FAILED, DispatchState.WITHDRAWN)
    ends = {}
    for final in states:
        for then in (DispatchState.DEFERRED, DispatchState.FAILED, DispatchState.DELIVERED):
            (one,) = await queue(store, "d", state=final)
            moved = await settle(store, one.dispatch_id, then, next_attempt_at=at(1))
            ends[final, then] = (moved, (await get(store, one.dispatch_id)).state)
            assert len(await store.read(lambda tx, one=one: dispatches.attempts(tx, one.dispatch_id))) == 1
    corrected = {(final, DispatchState.DELIVERED) for final in (DispatchState.FAILED, DispatchState.WITHDRAWN)}
    assert ends == {
        (final, then): (True, then) if (final, then) in corrected else (False, final) for final, then in ends
    }


async def test_settling_what_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        await settle(store, 7, DispatchState.DELIVERED)


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
    (one,) = await queue(store, "d", state=state, lease_until=at(99) if state is DispatchState.SENDING else None)

    def do(tx: Transaction) -> None:
        _ACTS[act](tx, one.dispatch_id)

    if state not in _ALLOWED[act]:
        with pytest.raises(NotAllowed):
            await store.write(do)
        assert await get(store, one.dispatch_id) == one
        return
    await store.write(do)
    changed = dataclasses.replace(one, state=DispatchState.QUEUED, next_attempt_at=at(9))
    if act == "release" or state is DispatchState.FAILED:  # its time begins anew
        changed = dataclasses.replace(changed, created_at=at(9))
    if act == "withdraw":
        changed = dataclasses.replace(one, state=DispatchState.WITHDRAWN, detail="thu hồi", lease_until=None)
    assert await get(store, one.dispatch_id) == changed


@pytest.mark.parametrize("act", _ACTS)
async def test_a_persons_act_needs_a_dispatch(store: Store, act: str) -> None:
    with pytest.raises(NotFound):
        await store.write(lambda tx: _ACTS[act](tx, 7))


async def test_the_queue_is_listed_page_by_page(store: Store) -> None:
    rows = await queue(store, *"aabba", next_attempt_at=at(1))
    (held,) = await queue(store, "a", state=DispatchState.HELD)

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


async def test_dispatches_are_counted_by_state(store: Store) -> None:
    await queue(store, *"abc")
    await queue(store, "a", state=DispatchState.FAILED)
    wanted = {state: 0 for state in DispatchState} | {DispatchState.QUEUED: 3, DispatchState.FAILED: 1}
    assert await store.read(dispatches.counts) == wanted
