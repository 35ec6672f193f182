"""The courier against servers that give every kind of answer."""

from __future__ import annotations

import asyncio

import pytest

from mailrelay.model.agency import Target, TargetKind
from mailrelay.model.dispatch import Result, Scope


def one(outcomes):
    (outcome,) = outcomes
    return outcome


async def test_relays_byte_identical(serve, courier, parcel) -> None:
    peer = await serve()
    sent = parcel()
    outcome = one(await courier.deliver(sent, peer.target()))
    assert (outcome.result, outcome.status, outcome.code, outcome.dsn) == (Result.RELAYED, "2.0.0", 250, True)
    assert f"127.0.0.1:{peer.port}" == outcome.remote
    (taken,) = peer.taken
    expected = sent.rendering.prefix + sent.path.read_bytes()
    assert expected == taken.data
    size = len(expected)
    assert f"MAIL FROM:<a@hoabinh.gov.vn> SIZE={size} BODY=8BITMIME" == taken.sender
    assert taken.recipients == ["RCPT TO:<b@example.vn>"]


async def test_keeps_the_connection(serve, courier, parcel) -> None:
    peer = await serve()
    for _ in range(3):
        one(await courier.deliver(parcel(), peer.target()))
    assert (peer.connections, len(peer.taken)) == (1, 3)
    assert (courier.counts.idle, courier.counts.opened, courier.counts.reused) == (1, 1, 2)


async def test_twenty_recipients_with_every_kind_of_answer(serve, courier, parcel) -> None:
    answers = {
        "RCPT TO:<r3@x.vn>": "450 4.2.1 busy",
        "RCPT TO:<r5@x.vn>": "550 5.1.1 no such user",
        "RCPT TO:<r7@x.vn>": "451 greylisted",
        "RCPT TO:<r11@x.vn>": "553-5.1.3 bad\r\n553 5.1.3 address",
        "RCPT TO:<r13@x.vn>": "252 2.1.5 cannot verify",
    }
    peer = await serve(rcpt=lambda command: answers.get(command, "250 2.1.5 ok"))
    outcomes = await courier.deliver(parcel(*(f"r{n}@x.vn" for n in range(20))), peer.target())
    assert [f"r{n}@x.vn" for n in range(20)] == [o.recipient for o in outcomes]
    special = {
        n: (o.result, o.status, o.code, o.text) for n, o in enumerate(outcomes) if o.result is not Result.RELAYED
    }
    assert special == {
        3: (Result.DEFERRED, "4.2.1", 450, "busy"),
        5: (Result.FAILED, "5.1.1", 550, "no such user"),
        7: (Result.DEFERRED, "4.0.0", 451, "greylisted"),
        11: (Result.FAILED, "5.1.3", 553, "bad address"),
    }
    assert len(peer.taken[0].recipients) == 16


async def test_lmtp_answers_for_each_recipient(serve, courier, parcel) -> None:
    answers = {"RCPT TO:<b@x.vn>": "452 4.2.2 full", "RCPT TO:<c@x.vn>": "554 5.7.1 no"}
    peer = await serve(lmtp=True, final=lambda to: answers.get(to, "250 2.1.5 stored"))
    outcomes = await courier.deliver(parcel("a@x.vn", "b@x.vn", "c@x.vn", "d@x.vn"), peer.target())
    assert [o.result for o in outcomes] == [Result.DELIVERED, Result.DEFERRED, Result.FAILED, Result.DELIVERED]
    assert peer.commands[0] == "LHLO relay.test"


async def test_reply_lost_after_the_dot_is_uncertain(serve, courier, parcel) -> None:
    for answer in ("drop", "hang", "what?"):
        peer = await serve(final=answer)
        outcome = one(await courier.deliver(parcel(), peer.target()))
        assert (outcome.result, outcome.uncertain, outcome.status) == (Result.DEFERRED, True, "4.4.2")


async def test_lmtp_connection_lost_between_replies(serve, courier, parcel) -> None:
    answers = iter(["250 2.1.5 stored", "drop"])
    peer = await serve(lmtp=True, final=lambda to: next(answers))
    outcomes = await courier.deliver(parcel("a@x.vn", "b@x.vn", "c@x.vn"), peer.target())
    assert [(o.result, o.uncertain) for o in outcomes] == [
        (Result.DELIVERED, False),
        (Result.DEFERRED, True),
        (Result.DEFERRED, True),
    ]


async def test_faults_before_the_dot_are_certain(serve, courier, parcel) -> None:
    for place in ("greeting", "mail", "rcpt", "data"):
        for answer in ("drop", "hang", "250", "hello"):
            if answer == "250" and place in ("mail", "rcpt"):
                continue
            peer = await serve(**{place: answer})
            outcome = one(await courier.deliver(parcel(), peer.target()))
            expected = (Result.DEFERRED, False, Scope.DESTINATION)
            assert expected == (outcome.result, outcome.uncertain, outcome.scope), (place, answer)
            assert not peer.taken


async def test_421_speaks_for_the_whole_destination(serve, courier, parcel) -> None:
    for place in ("greeting", "mail", "rcpt", "data", "final"):
        peer = await serve(**{place: "421 4.3.2 closing"})
        outcomes = await courier.deliver(parcel("a@x.vn", "b@x.vn"), peer.target())
        assert {(Result.DEFERRED, 421, "4.3.2", Scope.DESTINATION, False)} == {
            (o.result, o.code, o.status, o.scope, o.uncertain) for o in outcomes
        }, place


async def test_refused_mail_leaves_the_connection_usable(serve, courier, parcel) -> None:
    replies = iter(["550 5.7.1 no", "250 ok"])
    peer = await serve(rcpt=lambda command: next(replies))
    assert Result.FAILED is one(await courier.deliver(parcel(), peer.target())).result
    assert Result.RELAYED is one(await courier.deliver(parcel(), peer.target())).result
    assert peer.connections == 1
    assert "RSET" in peer.commands


async def test_server_that_asks_for_a_mail_without_recipients(serve, courier, parcel) -> None:
    peer = await serve(rcpt="550 5.1.1 no", asks_anyway=True)
    outcome = one(await courier.deliver(parcel(), peer.target()))
    assert (outcome.result, outcome.status) == (Result.FAILED, "5.1.1")
    assert [taken.data for taken in peer.taken] == [b""]


async def test_cancelled_delivery_drops_the_connection(serve, courier, parcel) -> None:
    peer = await serve(final="hang")
    task = asyncio.create_task(courier.deliver(parcel(), peer.target()))
    while not peer.taken:
        await asyncio.sleep(0.01)
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
    assert courier.counts.idle == 0


async def test_nothing_listens(courier, parcel, serve) -> None:
    outcome = one(await courier.deliver(parcel(), Target(TargetKind.SMTP, host="127.0.0.1", port=1)))
    assert (outcome.result, outcome.status) == (Result.DEFERRED, "4.4.1")
    assert "không kết nối được" in outcome.text


@pytest.mark.parametrize("place", ["greeting", "mail", "rcpt", "data", "final", "body"])
async def test_cancelling_at_any_point_leaves_no_connection(serve, courier, parcel, place) -> None:
    fields = {"reads_data": False, "ehlo": ["mx.test", "PIPELINING"]} if place == "body" else {place: "hang"}
    peer = await serve(**fields)
    mail = parcel(mail=(b"x" * 998 + b"\r\n") * 9_000)
    task = asyncio.create_task(courier.deliver(mail, peer.target()))
    await asyncio.sleep(0.15)
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(result, asyncio.CancelledError)
    assert courier.counts.idle == 0
    good = type(peer)()
    for name in fields:
        setattr(peer, name, getattr(good, name))
    many = [courier.deliver(parcel(), peer.target()) for _ in range(courier.settings.connections_per_destination + 1)]
    assert {o.result for (o,) in await asyncio.gather(*many)} == {Result.RELAYED}  # no slot was lost, either
