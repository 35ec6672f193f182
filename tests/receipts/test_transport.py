"""What the queue tells a sender: exactly what was asked for, once, and nothing to who asked for silence."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import timedelta

import pytest

from mailrelay.model.agency import Group
from mailrelay.model.decision import Action, Reason
from mailrelay.model.dispatch import DispatchState, Result
from mailrelay.model.document import MessageClass
from mailrelay.model.envelope import Door, Envelope, Notify, Origin, Recipient
from mailrelay.model.receipt import Receipt, ReceiptKind
from mailrelay.receipts import drawer, transport
from mailrelay.receipts.transport import Late
from tests.province import ARRIVED, DIRECTORY, DOMAIN, a_content, an_envelope, at
from tests.receipts.office import SIGNED_AT, a_decision, a_dispatch, a_record, an_outcome
from tests.receipts.samples import ALL, build, read

DELAY = frozenset({Notify.DELAY, Notify.FAILURE})
SUCCESS = frozenset({Notify.SUCCESS, Notify.FAILURE})
NEVER = frozenset({Notify.NEVER})
WHY = Reason("queue.poisoned", "dừng", "crashes", "Xem nhật ký.", "Look.")


def late(notify: frozenset[Notify] | None = None, to: str = "x@y.vn", number: int = 1) -> Late:
    dispatch = a_dispatch(to, DispatchState.DEFERRED, number=number, recipient=Recipient(to, notify))
    return Late(dispatch, ARRIVED + timedelta(days=7), an_outcome(Result.DEFERRED, "4.4.1"), ARRIVED)


def delayed(*those: Late) -> list[tuple[ReceiptKind, list[str]]]:
    record, *_ = a_record()
    made = transport.on_delayed(record, those, DIRECTORY, SIGNED_AT)
    return [(receipt.kind, [one["address"] for one in receipt.facts["recipients"]]) for receipt in made]


@pytest.mark.parametrize(
    ("notify", "kind"),
    [
        (None, ReceiptKind.DELAYED),
        (DELAY, ReceiptKind.DSN),
        (SUCCESS, None),
        (NEVER, None),
    ],
)
def test_a_delay_is_told_to_who_did_not_speak_of_it_and_to_who_asked(
    notify: frozenset[Notify] | None, kind: ReceiptKind | None
) -> None:
    assert delayed(late(notify)) == ([(kind, ["x@y.vn"])] if kind else [])


def test_one_mail_is_one_delay_however_many_recipients_wait() -> None:
    several = [late(None, f"{n}@y.vn", n) for n in range(3)] + [late(DELAY, f"{n}@z.vn", 10 + n) for n in range(3)]
    assert delayed(*several, late(NEVER, "still@y.vn", 20)) == [
        (ReceiptKind.DSN, ["0@z.vn", "1@z.vn", "2@z.vn"]),
        (ReceiptKind.DELAYED, ["0@y.vn", "1@y.vn", "2@y.vn"]),
    ]
    record, *_ = a_record()
    keys = {transport.on_delayed(record, [one], DIRECTORY, SIGNED_AT)[0].event_key for one in several[:3]}
    assert len(keys) == 1  # looked at again: the same event


def test_nobody_is_told_of_the_delay_of_a_notice_or_of_a_strangers_mail() -> None:
    record, *_ = a_record()
    own = replace(record, message_class=MessageClass.RECEIPT)
    assert transport.on_delayed(own, [late()], DIRECTORY, SIGNED_AT) == ()
    stranger = Envelope("a@mic.gov.vn", (Recipient(at("sotc")),), Origin(Door.MX, peer="203.0.113.5"))
    unproved, *_ = a_record(a_content("12/CV", "", sender="a@mic.gov.vn"), stranger)
    assert transport.on_delayed(unproved, [late()], DIRECTORY, SIGNED_AT) == ()


def status_blocks(receipt: Receipt) -> list[dict[str, str]]:
    """The blocks of the message/delivery-status part, by the standard library's parser."""
    message = email.message_from_bytes(build(receipt).raw, policy=email.policy.default)
    (part,) = [part for part in message.walk() if part.get_content_type() == "message/delivery-status"]
    return [dict(block.items()) for block in part.get_payload()]


def test_a_delay_says_until_when_it_is_tried() -> None:
    _, recipient = status_blocks(ALL["delayed"]())
    assert recipient == {
        "Final-Recipient": "rfc822; x@y.vn",
        "Action": "delayed",
        "Status": "4.4.1",
        "Remote-MTA": "dns; mx.y.vn",
        "Diagnostic-Code": "x-mailrelay; no route to host",
        "Last-Attempt-Date": "Tue, 29 Oct 2013 13:05:00 +0700",
        "Will-Retry-Until": "Tue, 5 Nov 2013 09:05:00 +0700",
    }


# Groups


def group_record(*wanted: Recipient, action: Action = Action.RELAY) -> tuple[Receipt, ...]:
    decision = a_decision({"sotc": action, "sokhdt": action})
    record, content, recognition = a_record(envelope=replace(an_envelope(), recipients=wanted), decision=decision)
    directory = replace(
        DIRECTORY,
        groups=(
            Group(at("hai"), "Hai sở", (at("sotc"), at("sokhdt"))),
            Group(at("mot"), "Một sở", (at("sotc"),)),
        ),
    )
    made = drawer.on_accept(record, content, recognition, directory, (), SIGNED_AT)
    return tuple(receipt for receipt in made if receipt.kind is ReceiptKind.DSN)


def test_who_asked_for_success_hears_that_a_group_was_expanded() -> None:
    (report,) = group_record(Recipient(at("hai"), SUCCESS, "rfc822;Hai@hoabinh.gov.vn"), Recipient(at("sotc"), SUCCESS))
    per_message, recipient = status_blocks(report)
    assert per_message["Reporting-MTA"] == f"dns; mail.{DOMAIN}"
    assert recipient == {
        "Original-Recipient": f"rfc822; Hai@{DOMAIN}",
        "Final-Recipient": f"rfc822; hai@{DOMAIN}",
        "Action": "expanded",
        "Status": "2.0.0",
        "Last-Attempt-Date": "Tue, 29 Oct 2013 09:05:01 +0700",
    }


def test_nothing_is_told_of_a_group_that_was_not_asked_about_or_did_not_go() -> None:
    for wanted in (Recipient(at("hai")), Recipient(at("hai"), NEVER), Recipient(at("hai"), DELAY)):
        assert group_record(wanted) == ()
    assert group_record(Recipient(at("hai"), SUCCESS), action=Action.RETURN) == ()
    assert group_record(Recipient(at("mot"), SUCCESS)) == ()  # a group of one is an alias: its member's report counts


# Corrections


def after_failure(state: DispatchState, notify: frozenset[Notify] | None, *, dsn: bool = False) -> list[Receipt]:
    record, *_ = a_record()
    pair = (
        a_dispatch("x@y.vn", state, recipient=Recipient("X@y.vn", notify)),
        an_outcome(Result(state.value), "2.0.0", dsn=dsn),
    )
    return transport.reports(record, [pair], DIRECTORY, SIGNED_AT, {"x@y.vn"})


@pytest.mark.parametrize(
    ("state", "notify", "dsn", "unasked"),
    [
        (DispatchState.DELIVERED, None, False, True),
        (DispatchState.RELAYED, None, True, True),
        (
            DispatchState.RELAYED,
            SUCCESS,
            True,
            True,
        ),  # the next hop reports the success; that we were wrong is ours to say
        (DispatchState.RELAYED, SUCCESS, False, False),
        (DispatchState.DELIVERED, SUCCESS, False, False),
    ],
)
def test_a_success_after_a_failure_is_told_once(
    state: DispatchState, notify: frozenset[Notify] | None, dsn: bool, unasked: bool
) -> None:
    (only,) = after_failure(state, notify, dsn=dsn)
    assert (only.kind, only.facts["corrects"]) == (ReceiptKind.DSN, True)
    assert only.facts.get("unasked", False) is unasked
    kind = "multipart/mixed" if unasked else "multipart/report"
    assert read(build(only)).get_content_type() == kind


# Mails that kill the sender


def test_the_operator_is_told_of_a_poisoned_mail() -> None:
    record, *_ = a_record()
    held = a_dispatch("sotc", DispatchState.HELD, number=7)
    (only,) = transport.on_poisoned(record, held, WHY, DIRECTORY, SIGNED_AT)
    assert (only.kind, only.to, only.facts["to_holder"]) == (ReceiptKind.HELD, f"postmaster@{DOMAIN}", True)
    assert only.facts["recipients"][0]["reasons"][0]["rule"] == "queue.poisoned"
    own = replace(record, message_class=MessageClass.RECEIPT)
    assert transport.on_poisoned(own, held, WHY, DIRECTORY, SIGNED_AT) == ()
