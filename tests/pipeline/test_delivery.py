"""Dispatches go out: every kind of answer, every recipient to its end, nothing twice, nobody starved."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from mailrelay.delivery.courier import Courier
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.inspection.dns import Resolver
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.agency import Target, TargetKind
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.model.entry import Book, EntryStatus
from mailrelay.model.receipt import ReceiptKind
from mailrelay.pipeline.deliver import Dispatcher
from mailrelay.pipeline.hold import Desk
from mailrelay.reports.trace import Life
from mailrelay.store import dispatches
from tests.pipeline.house import PLANNING, House, blocks_of, locked, paper, text_of
from tests.servers.next_hop import DROP, HANG, QUICK
from tests.servers.process import free_port

pytestmark = pytest.mark.engines

DELIVERED, RELAYED, DEFERRED, FAILED = (
    DispatchState.DELIVERED,
    DispatchState.RELAYED,
    DispatchState.DEFERRED,
    DispatchState.FAILED,
)


class Answers:
    """What a next hop says to each recipient, one word for each of its tries; 250 when the words are used up."""

    def __init__(self, **said: str) -> None:
        self._said = {name: list(words.split(",")) for name, words in said.items()}

    def __call__(self, command: str) -> str:
        name = command[command.index("<") + 1 : command.index("@")].partition("-")[0]
        left = self._said.get(name, [])
        word = left.pop(0) if left else "250"
        return {"450": "450 4.2.1 busy", "550": "550 5.1.1 no such user", "250": "250 2.1.5 ok"}.get(word, word)


def states(life: Life) -> dict[str, DispatchState]:
    return {d.recipient.address.partition("@")[0]: d.state for d in life.dispatches}


async def tries(house: House, dispatch: Dispatch) -> list[str]:
    rows = await house.parts.store.read(lambda tx: dispatches.attempts(tx, dispatch.dispatch_id))
    return [outcome.status for _, outcome in rows]


async def test_twenty_recipients_and_every_kind_of_answer(serve, house: House) -> None:
    """One mail to one next hop: taken, put off, refused, a time-out, a cut connection. Each ends right, one notice tells."""
    names = [*(f"good-{n}" for n in range(8)), *(f"busy{n}" for n in range(4)), *(f"nobody{n}" for n in range(3))]
    names += ["slow0", "slow1", "cut0", "cut1", "long"]
    said = {f"busy{n}": "450" for n in range(4)} | {f"nobody{n}": "550" for n in range(3)}
    peer = await serve(
        rcpt=Answers(slow0=HANG, slow1=f"250,{HANG}", cut0=f"250,250,{DROP}", long="450," * 9 + "550", **said)
    )
    house.route("bo.example", peer.target())
    acceptance = await house.hand_in(paper(1), *(f"{name}@bo.example" for name in names))
    wanted = {name: FAILED if name.startswith("nobody") or name == "long" else RELAYED for name in names}
    for _ in range(40):
        life = await house.state(acceptance, RELAYED, FAILED, DEFERRED)
        if states(life) == wanted:
            break
        house.later(timedelta(hours=1))
        await asyncio.sleep(0.05)
    assert states(life) == wanted
    copies = Counter(name for taken in peer.taken for name in taken.recipients)
    assert {line.partition("<")[2].partition("@")[0]: count for line, count in copies.items()} == {
        name: 1 for name, state in wanted.items() if state is RELAYED
    }
    failures = [
        [one["address"] for one in r.facts["recipients"]] for r in life.receipts if r.kind is ReceiptKind.FAILED
    ]
    assert failures == [[f"nobody{n}@bo.example" for n in range(3)], ["long@bo.example"]]


async def test_twenty_recipients_and_a_reply_lost_after_the_dot(serve, house: House) -> None:
    """Who was taken before may have it twice, never more; who was refused is told of once; nobody is left."""
    names = [*(f"good-{n}" for n in range(12)), *(f"busy{n}" for n in range(4)), *(f"nobody{n}" for n in range(4))]
    said = {f"busy{n}": "450" for n in range(4)} | {f"nobody{n}": "550" for n in range(4)}
    dots = iter([DROP])
    peer = await serve(rcpt=Answers(**said), final=lambda command: next(dots, "250 2.0.0 taken"))
    house.route("bo.example", peer.target())
    acceptance = await house.hand_in(paper(1), *(f"{name}@bo.example" for name in names))
    wanted = {name: FAILED if name.startswith("nobody") else RELAYED for name in names}
    for _ in range(20):
        life = await house.state(acceptance, RELAYED, FAILED, DEFERRED)
        if states(life) == wanted:
            break
        house.later(timedelta(hours=1))
        await asyncio.sleep(0.05)
    assert states(life) == wanted
    copies = Counter(name for taken in peer.taken for name in taken.recipients)
    assert {line.partition("<")[2].partition("@")[0]: count for line, count in copies.items()} == {
        name: 2 if name.startswith("good") else 1 for name, state in wanted.items() if state is RELAYED
    }
    (failure,) = [r for r in life.receipts if r.kind is ReceiptKind.FAILED]
    assert [one["address"] for one in failure.facts["recipients"]] == [f"nobody{n}@bo.example" for n in range(4)]
    (report,) = house.notices("sotc", "failed")
    assert [block["Action"] for block in blocks_of(report)[1:]] == ["failed"] * 4


async def test_a_mail_is_one_transaction_for_all_its_recipients_at_a_next_hop(serve, house: House) -> None:
    peer = await serve()
    house.route("bo.example", peer.target())
    await house.settled(await house.hand_in(paper(1), *(f"r{n}@bo.example" for n in range(20))))
    assert [len(taken.recipients) for taken in peer.taken] == [20]


async def test_a_reply_lost_after_the_dot_is_tried_again_and_remembered(serve, house: House) -> None:
    said = iter([DROP])
    peer = await serve(final=lambda command: next(said, "250 2.0.0 taken"))
    house.route("bo.example", peer.target())
    acceptance = await house.hand_in(paper(1), "a@bo.example")
    await house.state(acceptance, DEFERRED)
    house.later(timedelta(minutes=2))
    (dispatch,) = (await house.settled(acceptance)).dispatches
    assert (dispatch.state, await tries(house, dispatch)) == (RELAYED, ["4.4.2", "2.0.0"])
    rows = await house.parts.store.read(lambda tx: dispatches.attempts(tx, dispatch.dispatch_id))
    assert [outcome.uncertain for _, outcome in rows] == [True, False]
    assert len({taken.data for taken in peer.taken}) == 1


async def test_what_never_gets_through_fails_after_five_working_days_with_one_notice(serve, house: House) -> None:
    peer = await serve(rcpt="450 4.2.1 busy")
    house.route("bo.example", peer.target())
    acceptance = await house.hand_in(paper(1), "a@bo.example", "b@bo.example")
    await house.state(acceptance, DEFERRED)
    house.later(timedelta(days=4))
    await asyncio.sleep(0.2)
    assert set(states(await house.state(acceptance, DEFERRED)).values()) == {DEFERRED}
    house.later(timedelta(days=4))
    life = await house.settled(acceptance)
    assert set(states(life).values()) == {FAILED}
    assert all(d.detail.startswith("4.4.7 quá thời hạn gửi lại") for d in life.dispatches)
    (notice,) = house.notices("sotc", "failed")
    (part,) = [part for part in notice.walk() if part.get_content_type() == "message/delivery-status"]
    _, *blocks = part.get_payload()
    assert [(block["Final-Recipient"], block["Status"], block["Diagnostic-Code"]) for block in blocks] == [
        ("rfc822; a@bo.example", "4.4.7", "smtp; 450 4.2.1 busy"),
        ("rfc822; b@bo.example", "4.4.7", "smtp; 450 4.2.1 busy"),
    ]
    assert "đã thử nhiều lần đến hết thời hạn mà chưa chuyển được" in text_of(notice)


async def test_a_success_after_a_failure_corrects_notice_and_book(serve, house: House) -> None:
    said = iter(["550 5.1.1 no such user"])
    peer = await serve(lmtp=True, rcpt=lambda command: next(said, "250 ok"))
    house.deliver_to(PLANNING, peer.target())
    acceptance = await house.hand_in(paper(1), PLANNING)
    failed = await house.settled(acceptance)
    incoming = [entry.status for entry in failed.entries if entry.book is Book.INCOMING]
    assert (states(failed), incoming) == ({"sokhdt": FAILED}, [EntryStatus.NOT_DELIVERED])
    desk = Desk(house.parts.store, lambda: house.snapshot.directory, house.now, house.parts.bells.ring)
    assert await desk.retry((failed.dispatches[0].dispatch_id,), "cntt") == 1
    life = await house.state(acceptance, DELIVERED)
    life = await house.settled(acceptance)
    incoming = [entry.status for entry in life.entries if entry.book is Book.INCOMING]
    assert (states(life), incoming) == ({"sokhdt": DELIVERED}, [EntryStatus.ARRIVED])
    (correction,) = house.notices("sotc", "dsn")
    assert correction.get_content_type() == "multipart/mixed"
    assert "trước đó báo không chuyển được, nay đã chuyển đến hộp thư" in text_of(correction)
    assert len(house.notices("sotc", "failed")) == 1


async def test_a_long_queue_for_a_dead_next_hop_starves_nobody(serve, house: House) -> None:
    dead, alive = await serve(greeting=HANG), await serve()
    house.route("chet.example", dead.target())
    house.route("song.example", alive.target())
    for number in range(30):
        await house.hand_in(paper(number, message_id=f"<{number}@chet>"), "a@chet.example")
    async with asyncio.timeout(10):
        acceptance = await house.hand_in(paper(99), "a@song.example")
        life = await house.state(acceptance, RELAYED)
    assert states(life) == {"a": RELAYED}


async def test_a_stop_lets_what_is_under_way_end(serve, house: House) -> None:
    asked = asyncio.Event()

    async def thinks(command: str) -> str:
        asked.set()
        await asyncio.sleep(0.3)
        return "250 2.0.0 taken"

    peer = await serve(final=thinks)
    acceptance = await unsent(house, peer.target)
    await stopped(house, asked, drain=5.0)
    (dispatch,) = (await house.life(acceptance)).dispatches
    assert (dispatch.state, len(peer.taken)) == (RELAYED, 1)


async def test_what_a_stop_cuts_short_goes_out_once_at_the_next_start(serve, house: House) -> None:
    asked = asyncio.Event()
    words: list[str | Callable[[], object]] = [HANG]

    async def says(command: str) -> str:
        asked.set()
        return words.pop() if words else "250 2.1.5 ok"  # type: ignore[return-value]

    peer = await serve(rcpt=says)
    acceptance = await unsent(house, peer.target)
    await stopped(house, asked, drain=0.1)
    (dispatch,) = (await house.life(acceptance)).dispatches
    assert (dispatch.state, await tries(house, dispatch)) == (DEFERRED, ["4.3.2"])
    assert dispatch.next_attempt_at <= house.now()
    loop = asyncio.create_task(Dispatcher(house.parts).run())
    await house.state(acceptance, RELAYED)
    loop.cancel()
    assert len(peer.taken) == 1


async def unsent(house: House, target) -> Acceptance:  # type: ignore[no-untyped-def]
    """A mail in the queue of a house whose own loop does not run."""
    house.loops[0].cancel()
    await asyncio.gather(house.loops[0], return_exceptions=True)
    house.route("bo.example", target())
    return await house.hand_in(paper(1), "a@bo.example")


async def stopped(house: House, asked: asyncio.Event, drain: float) -> None:
    """Run a loop of its own until the next hop was asked, then stop it."""
    loop = asyncio.create_task(Dispatcher(house.parts, drain=drain).run())
    async with asyncio.timeout(10):
        await asked.wait()
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_without_dns_only_what_needs_it_waits(house: House) -> None:
    house.loops[0].cancel()
    await asyncio.gather(house.loops[0], return_exceptions=True)
    courier = Courier(
        DeliverySettings(hostname="mail.hoabinh.gov.vn", times=QUICK),
        resolver=Resolver([f"127.0.0.1:{free_port()}"], 0.2),
    )
    loop = asyncio.create_task(Dispatcher(replace(house.parts, courier=courier)).run())
    house.route("bo.example", Target(TargetKind.SMTP, host="bo.example"))
    acceptance = await house.hand_in(paper(1), PLANNING, "a@bo.example")
    life = await house.state(acceptance, DELIVERED, DEFERRED)
    assert states(life) == {"sokhdt": DELIVERED, "a": DEFERRED}
    assert [await tries(house, d) for d in life.dispatches if d.state is DEFERRED] == [["4.4.3"]]
    loop.cancel()
    await courier.close()


async def test_a_clock_that_jumps_past_the_lease_sends_nothing_twice(serve, house: House) -> None:
    """So does a store that was away for as long: the sender knows what it holds itself."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def thinks(command: str) -> str:
        asked.set()
        await answer.wait()
        return "250 2.0.0 taken"

    peer = await serve(final=thinks)
    house.route("bo.example", peer.target())
    acceptance = await house.hand_in(paper(1), "a@bo.example")
    async with asyncio.timeout(20):
        await asked.wait()
        house.later(timedelta(hours=1))
        while (until := (await house.life(acceptance)).dispatches[0].lease_until) is None or until < house.now():
            await asyncio.sleep(0.02)
    answer.set()
    (dispatch,) = (await house.settled(acceptance)).dispatches
    assert (dispatch.state, await tries(house, dispatch)) == (RELAYED, ["2.0.0"])
    assert dispatch.attempts == 1  # to be in hand for long is no crash
    assert len(peer.taken) == 1


async def test_a_clock_that_is_put_back_holds_nothing_up_for_good(serve, house: House) -> None:
    """Moments of the queue are of the wall clock: put back by an hour, what is new goes at once, what waited waits that hour."""
    said = iter(["450 4.2.1 busy"])
    peer = await serve(rcpt=lambda command: next(said, "250 2.1.5 ok"))
    house.route("bo.example", peer.target())
    late = await house.hand_in(paper(1), "a@bo.example")
    await house.state(late, DEFERRED)
    house.later(-timedelta(hours=1))
    await house.state(await house.hand_in(paper(2), "b@bo.example"), RELAYED)
    assert states(await house.life(late)) == {"a": DEFERRED}
    house.later(timedelta(hours=2))
    await house.state(late, RELAYED)


async def test_a_claim_that_was_committed_unheard_is_due_again_when_the_store_is_back(serve, house: House) -> None:
    """The answer to a commit was lost: nobody sends what was claimed, and a lease lasts 20 minutes."""
    peer = await serve()
    acceptance = await unsent(house, peer.target)
    lease, node = timedelta(minutes=20), house.parts.node
    sent = await house.parts.store.write(
        lambda tx: dispatches.claim(tx, house.now(), lease, 9, per_destination=9, holder=node)
    )
    assert acceptance.mail_id in {dispatch.mail_id for dispatch in sent}
    dispatcher = Dispatcher(house.parts)
    with locked(house):
        loop = asyncio.create_task(dispatcher.run())
        async with asyncio.timeout(60):
            while not house.parts.active.in_doubt:  # the store waits five seconds for its lock, for each batch before
                await asyncio.sleep(0.05)
    life = await house.state(acceptance, RELAYED)
    assert [(d.attempts, len(await tries(house, d))) for d in life.dispatches] == [(1, 1)]
    loop.cancel()
    assert len(peer.taken) == 1


async def test_a_mail_that_keeps_killing_its_sender_is_held_and_the_operator_told(serve, house: House) -> None:
    peer = await serve()
    acceptance = await unsent(house, peer.target)
    sql = "UPDATE dispatch SET attempts = 4 WHERE mail_id = :id"  # claims whose tries left no trace
    await house.parts.store.write(lambda tx: tx.execute(sql, {"id": acceptance.mail_id}))
    loop = asyncio.create_task(Dispatcher(house.parts).run())
    life = await house.state(acceptance, DispatchState.HELD)
    assert "làm dịch vụ dừng đột ngột" in life.dispatches[0].detail
    (told,) = [receipt for receipt in life.receipts if receipt.kind is ReceiptKind.HELD]
    assert told.to == house.snapshot.directory.resolve("postmaster@hoabinh.gov.vn")
    assert peer.taken == []
    local = told.to.partition("@")[0]
    (notice,) = [n for n in house.notices(local, "held") if "làm dịch vụ dừng" in text_of(n)]
    assert "mailrelay queue release" in text_of(notice)
    desk = Desk(house.parts.store, lambda: house.snapshot.directory, house.now, house.parts.bells.ring)
    await desk.release(life.record.message.mail_id, "cntt")  # the cause is mended: it gets its tries again
    await house.state(acceptance, RELAYED)
    loop.cancel()
    assert len(peer.taken) == 1
