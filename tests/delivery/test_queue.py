"""Which state follows an outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailrelay.delivery.backoff import expires_at
from mailrelay.delivery.outcome import NOWHERE, Hop, Trouble, of_refusal, of_success, of_trouble
from mailrelay.delivery.queue import detail_of, is_poisoned, settlement
from mailrelay.delivery.replies import Reply
from mailrelay.model.dispatch import Dispatch, DispatchState, Result, Scope
from mailrelay.model.document import Urgency
from mailrelay.model.envelope import Recipient
from mailrelay.model.identity import MailId

CREATED = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
DISPATCH = Dispatch(
    MailId("x"), Recipient("b@x.vn"), "smtp:x", DispatchState.SENDING, CREATED, attempts=1, created_at=CREATED
)
DEFERRED = of_refusal("b@x.vn", Reply(450, ("4.2.1 busy",)), hop=Hop("mx[::1]:25"), scope=Scope.RECIPIENT)


@pytest.mark.parametrize("result", [Result.DELIVERED, Result.RELAYED])
def test_success(result: Result) -> None:
    now = CREATED + timedelta(days=30)
    outcome = of_success("b@x.vn", result, reply=Reply(250, ("2.6.0 queued",)))
    assert (DispatchState(result.value), now, "250 2.6.0 queued") == settlement(DISPATCH, outcome, now)


def test_permanent_refusal() -> None:
    outcome = of_refusal("b@x.vn", Reply(550, ("5.1.1 unknown",)), hop=NOWHERE, scope=Scope.RECIPIENT)
    assert settlement(DISPATCH, outcome, CREATED) == (DispatchState.FAILED, CREATED, "550 5.1.1 unknown")


def test_deferred_follows_the_schedule() -> None:
    state, due, detail = settlement(DISPATCH, DEFERRED, CREATED)
    assert (DispatchState.DEFERRED, CREATED + timedelta(minutes=1)) == (state, due)
    assert detail == "450 4.2.1 busy [mx[::1]:25]"
    flash = replace(DISPATCH, urgency=Urgency.FLASH, attempts=2)
    assert CREATED + timedelta(seconds=30) == settlement(flash, DEFERRED, CREATED)[1]


def test_last_try_is_at_the_very_end() -> None:
    end = expires_at(CREATED)
    many = replace(DISPATCH, attempts=100)
    assert (DispatchState.DEFERRED, end) == settlement(many, DEFERRED, end - timedelta(minutes=5))[:2]
    state, due, detail = settlement(many, DEFERRED, end)
    assert (DispatchState.FAILED, end) == (state, due)
    assert detail.startswith("4.4.7 quá thời hạn gửi lại (delivery time expired): 450 4.2.1 busy")
    assert DispatchState.RELAYED is settlement(many, of_success("b@x.vn", Result.RELAYED), end)[0]


def test_uncertain_is_tried_again() -> None:
    outcome = of_trouble("b@x.vn", Trouble.UNCERTAIN)
    assert (outcome.uncertain, outcome.result) == (True, Result.DEFERRED)
    assert DispatchState.DEFERRED is settlement(DISPATCH, outcome, CREATED)[0]


def test_poison() -> None:
    assert [is_poisoned(replace(DISPATCH, attempts=n + 1), 1) for n in range(4)] == [False, False, False, True]
    assert detail_of(of_trouble("b@x.vn", Trouble.NULL_MX)) == (
        "5.1.10 tên miền không nhận thư (the domain takes no mail (null MX))"
    )
