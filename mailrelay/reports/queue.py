"""The queue as its keeper reads it: why one dispatch waits, and how old what waits is, by next hop. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mailrelay.config.settings import DeliverySettings
from mailrelay.delivery.backoff import expires_at, next_attempt, warns_at
from mailrelay.delivery.queue import CRASHES
from mailrelay.model.calendar import VIETNAM, format_moment
from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome, Scope
from mailrelay.model.document import Urgency
from mailrelay.model.rule import Text
from mailrelay.reports.trace import dispatch_row
from mailrelay.store import backlog, dispatches
from mailrelay.store.backlog import Ages
from mailrelay.store.transaction import Transaction

# Minutes, each twice the one before: the columns of Postfix's qshape, which administrators know.
BOUNDS = (5, 10, 20, 40, 80, 160, 320, 640, 1280)
_AHEAD = 5  # tries that are told in advance
_WAITING = (DispatchState.QUEUED, DispatchState.DEFERRED)
Tries = tuple[tuple[datetime, Outcome], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a dispatch stands where it stands: a word for programs, a sentence for people."""

    why: str
    reason: Text


def explanation(tx: Transaction, dispatch_id: int, settings: DeliverySettings, now: datetime) -> dict[str, Any] | None:
    """Everything that decides about a dispatch (`queue explain --json`); None when there is no such dispatch."""
    dispatch = dispatches.get(tx, dispatch_id)
    if dispatch is None:
        return None
    tries = dispatches.attempts(tx, dispatch_id)
    found = backlog.shape(tx, now, (), dispatch.destination)
    queue = found[0] if found else Ages(dispatch.destination, 0, 0, 0, (0,), None, None)
    explained = explain(dispatch, tries, queue, settings, now)
    is_open = not dispatch.state.is_final
    created = dispatch.created_at or now
    return {
        **dispatch_row(dispatch),
        "why": explained.why,
        "reason": {"vi": explained.reason.vi, "en": explained.reason.en},
        "created_at": _moment(dispatch.created_at),
        "lease_until": _moment(dispatch.lease_until),
        "last_try": try_row(*tries[-1]) if tries else None,
        "tries": len(tries),
        "next_tries": [_moment(at) for at in upcoming(dispatch, settings)],
        "late_at": _moment(warns_at(created, dispatch.urgency, settings.delayed_after)) if is_open else None,
        "expires_at": _moment(expires_at(created, settings.give_up_days)) if is_open else None,
        "queue": {
            "destination": queue.destination,
            "waiting": queue.waiting,
            "sending": queue.sending,
            "held": queue.held,
            "at_once": settings.per_destination,
            "oldest_at": _moment(queue.oldest),
            "next_attempt_at": _moment(queue.next_attempt_at),
        },
    }


def explain(dispatch: Dispatch, tries: Tries, queue: Ages, settings: DeliverySettings, now: datetime) -> Explanation:
    """Say why a dispatch is not where it shall go, or that it is."""
    if dispatch.state is DispatchState.SENDING:
        return _of_sending(dispatch, now)
    if dispatch.state is DispatchState.HELD:
        return _of_held(dispatch, tries)
    if dispatch.state not in _WAITING:
        return Explanation(dispatch.state.value, _ENDED[dispatch.state])
    if dispatch.next_attempt_at > now:
        return _of_later(dispatch, tries)
    if queue.sending >= settings.per_destination:
        return Explanation(
            "turn",
            Text(
                f"Chờ đến lượt: {queue.sending} lượt đến chặng này đang gửi hoặc sắp gửi, mỗi lúc {settings.per_destination} thư.",
                f"Waits for its turn: {queue.sending} are being sent there or about to be, {settings.per_destination} at once.",
            ),
        )
    return Explanation(
        "due", Text("Đến hạn, sẽ gửi ngay khi dịch vụ chạy.", "Due: it goes as soon as the service runs.")
    )


def upcoming(dispatch: Dispatch, settings: DeliverySettings) -> tuple[datetime, ...]:
    """The moments of the next tries if none succeeds, at most five, the last one at the end of its time."""
    if dispatch.state not in _WAITING:
        return ()
    schedule = settings.schedule if dispatch.urgency is Urgency.NORMAL else ()
    end = expires_at(dispatch.created_at or dispatch.next_attempt_at, settings.give_up_days)
    moments = [dispatch.next_attempt_at]
    while len(moments) < _AHEAD and moments[-1] < end:
        due = next_attempt(dispatch.attempts + len(moments), dispatch.urgency, moments[-1], schedule)
        moments.append(min(due, end))
    return tuple(moments)


def shape(tx: Transaction, now: datetime) -> dict[str, Any]:
    """The age of what is under way, by next hop (`queue shape --json`); what is held is counted apart."""
    rows = backlog.shape(tx, now, [timedelta(minutes=bound) for bound in BOUNDS])
    return {
        "minutes": list(BOUNDS),
        "destinations": [
            {
                "destination": row.destination,
                **_counted([row]),
                "oldest_at": _moment(row.oldest),
                "next_attempt_at": _moment(row.next_attempt_at),
            }
            for row in rows
        ],
        "total": _counted(rows),
    }


def try_row(at: datetime, outcome: Outcome) -> dict[str, Any]:
    """One try and what came of it."""
    return {
        "at": _moment(at),
        "result": outcome.result.value,
        "status": outcome.status,
        "code": outcome.code,
        "text": outcome.text,
        "remote": outcome.remote,
        "tls": outcome.tls,
        "uncertain": outcome.uncertain,
    }


def _counted(rows: Sequence[Ages]) -> dict[str, Any]:
    return {
        "waiting": sum(row.waiting for row in rows),
        "sending": sum(row.sending for row in rows),
        "held": sum(row.held for row in rows),
        "ages": [sum(row.counts[column] for row in rows) for column in range(len(BOUNDS) + 1)],
    }


def _of_sending(dispatch: Dispatch, now: datetime) -> Explanation:
    if dispatch.lease_until is not None and dispatch.lease_until <= now:
        text = Text(
            "Lần gửi trước bị ngắt giữa chừng, chưa rõ kết quả; sẽ gửi lại ngay.",
            "Its last try was cut short, with what outcome is not known; it is tried again at once.",
        )
        return Explanation("cut-short", text)
    return Explanation("sending", Text("Đang được gửi hoặc sắp được gửi.", "It is being sent, or about to be."))


def _of_held(dispatch: Dispatch, tries: Tries) -> Explanation:
    release = f"mailrelay queue release {dispatch.mail_id}"
    if dispatch.attempts - len(tries) >= CRASHES:
        text = Text(
            f"Tạm giữ: {dispatch.detail}. Xem nhật ký dịch vụ, rồi cho gửi tiếp: {release}",
            f"Held: {dispatch.detail}. Read the service's journal, then let it go: {release}",
        )
        return Explanation("poisoned", text)
    text = Text(
        f"Tạm giữ theo quy tắc, chờ người có thẩm quyền quyết định. Cho chuyển: {release}",
        f"Held by a rule until a person decides. To let it go: {release}",
    )
    return Explanation("held", text)


def _of_later(dispatch: Dispatch, tries: Tries) -> Explanation:
    at = format_moment(dispatch.next_attempt_at)
    at_en = f"{dispatch.next_attempt_at.astimezone(VIETNAM):%Y-%m-%d %H:%M}"
    if not tries or tries[-1][1].scope is Scope.DESTINATION:
        text = Text(
            f"Chặng tới đang có sự cố, mọi thư đến đó cùng chờ; thử lại lúc {at}.",
            f"The next hop is in trouble and all mail for it waits; next try at {at_en}.",
        )
        return Explanation("destination", text)
    text = Text(f"Lần thử trước chưa được; thử lại lúc {at}.", f"The last try did not succeed; next try at {at_en}.")
    return Explanation("backoff", text)


_ENDED = {
    DispatchState.DELIVERED: Text("Đã vào hộp thư.", "It is in the mailbox."),
    DispatchState.RELAYED: Text("Hệ thống nhận đã nhận.", "The receiving system has taken it."),
    DispatchState.FAILED: Text("Không chuyển được, không thử nữa.", "Not delivered, and not tried any more."),
    DispatchState.WITHDRAWN: Text("Đã rút, không chuyển.", "Withdrawn: it does not go."),
}


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(VIETNAM).isoformat(timespec="milliseconds") if at else None
