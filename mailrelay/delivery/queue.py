"""Which state follows an outcome. Pure: the store keeps the rows, the pipeline asks here what to write into them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

from mailrelay.delivery.backoff import WORKING_DAYS, expires_at, next_attempt
from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome, Result

_SETTLED = {
    Result.DELIVERED: DispatchState.DELIVERED,
    Result.RELAYED: DispatchState.RELAYED,
    Result.FAILED: DispatchState.FAILED,
}

EXPIRED_STATUS = "4.4.7"  # RFC 3463: delivery time expired
EXPIRED = "quá thời hạn gửi lại (delivery time expired)"
CRASHES = 3


def settlement(
    dispatch: Dispatch,
    outcome: Outcome,
    now: datetime,
    schedule: Sequence[timedelta] = (),
    *,
    working_days: int = WORKING_DAYS,
    holidays: Collection[date] = (),
) -> tuple[DispatchState, datetime, str]:
    """Return the state after a try, the moment of the next one (`now` for a final state) and the detail to show.

    `dispatch.attempts` counts the try that has just ended. A deferred mail fails when its time is over; the last try is made
    at that very moment, and a mail delivered then counts as delivered. `schedule` as in `backoff.next_attempt`.
    """
    if outcome.result in _SETTLED:
        return _SETTLED[outcome.result], now, detail_of(outcome)
    expiry = expires_at(dispatch.created_at or now, working_days, holidays)
    detail = detail_of(outcome)
    if now >= expiry:
        return DispatchState.FAILED, now, f"{EXPIRED_STATUS} {EXPIRED}: {detail}"
    due = next_attempt(dispatch.attempts, dispatch.urgency, now, schedule)
    return DispatchState.DEFERRED, min(due, expiry), detail


def detail_of(outcome: Outcome) -> str:
    """One line for people: reply code, status, text and the machine that said it."""
    words = [str(outcome.code) if outcome.code else "", outcome.status, outcome.text]
    line = " ".join(word for word in words if word)
    return f"{line} [{outcome.remote}]" if outcome.remote else line


def is_poisoned(dispatch: Dispatch, recorded: int, crashes: int = CRASHES) -> bool:
    """Tell whether tries of this dispatch keep ending without an outcome: the sender died in them.

    `recorded` is the number of attempt rows; a claim counts up `attempts` before the try, so the difference is what crashed.
    Such a dispatch is held with an alarm instead of being tried again.
    """
    return dispatch.attempts - recorded >= crashes
