"""What waits, seen as a whole: how old it is and for which destination, what has become late, and trying all of it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mailrelay.model.identity import MailId
from mailrelay.store.codec import microseconds, moment
from mailrelay.store.transaction import Row, Transaction, placeholders

_WAITING = "state IN ('queued','deferred')"
# Late by their age; the second conditions lead through the indexes over the few open rows.
LATE = """
SELECT DISTINCT d.mail_id FROM (
    SELECT mail_id, urgency, created_at FROM dispatch WHERE state IN ('queued','deferred') AND next_attempt_at > -1
    UNION ALL
    SELECT mail_id, urgency, created_at FROM dispatch WHERE state = 'sending' AND lease_until > -1
) d
WHERE (d.urgency = 0 AND d.created_at > :normal_after AND d.created_at <= :normal_until
       OR d.urgency > 0 AND d.created_at > :urgent_after AND d.created_at <= :urgent_until)
  AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.mail_id = d.mail_id AND r.kind IN ('delayed', 'dsn')
                  AND r.event_key LIKE :told)
"""
RETRY = f"UPDATE dispatch SET state = 'queued', next_attempt_at = :now WHERE {_WAITING} AND next_attempt_at > :now"
RETRY_DESTINATION = f"{RETRY} AND destination = :destination"

SHIFT = (
    "UPDATE dispatch SET created_at = created_at + :by"
    " WHERE state IN ('queued','deferred') AND next_attempt_at > -1 OR state = 'sending' AND lease_until > -1"
)
RETRY_BEYOND = (
    f"UPDATE dispatch SET state = 'queued', next_attempt_at = :now WHERE {_WAITING} AND next_attempt_at > :beyond"
)


@dataclass(frozen=True, slots=True)
class Ages:
    """The open dispatches of one destination by age: `counts[n]` is how many are younger than `bounds[n]`, the last the rest.

    `waiting` and `sending` make up `counts`; what is held waits for a person, not for the destination.
    """

    destination: str
    waiting: int
    sending: int
    held: int
    counts: tuple[int, ...]
    oldest: datetime | None
    next_attempt_at: datetime | None


def late(
    tx: Transaction, normal: tuple[datetime | None, datetime], urgent: tuple[datetime | None, datetime]
) -> tuple[MailId, ...]:
    """Mails with a dispatch under way that was created in a span of time (after, until], and whose delay was not told yet.

    `normal` is the span for ordinary mail, `urgent` that for anything more urgent; None: since ever.
    """
    parameters: dict[str, Any] = {"told": "%:delayed"}
    for name, (after, until) in (("normal", normal), ("urgent", urgent)):
        parameters[f"{name}_after"] = -1 if after is None else microseconds(after)
        parameters[f"{name}_until"] = microseconds(until)
    return tuple(MailId(mail_id) for (mail_id,) in tx.rows(LATE, parameters))


def shape(
    tx: Transaction, now: datetime, bounds: Sequence[timedelta], destination: str | None = None
) -> tuple[Ages, ...]:
    """The queue by destination and age, the longest first; `bounds` ascending. One destination only, if it is named."""
    edges = [microseconds(now - bound) for bound in bounds]
    names, parameters = placeholders("edge", edges)
    columns = [
        f"sum(CASE WHEN state <> 'held' AND coalesce(created_at, next_attempt_at) {older} THEN 1 ELSE 0 END)"
        for older in _between(names.split(",") if edges else [])
    ]
    where = "AND destination = :destination" if destination is not None else ""
    if destination is not None:
        parameters["destination"] = destination
    rows = tx.rows(
        f"""
SELECT destination, sum(CASE WHEN {_WAITING} THEN 1 ELSE 0 END), sum(CASE WHEN state = 'sending' THEN 1 ELSE 0 END),
    sum(CASE WHEN state = 'held' THEN 1 ELSE 0 END),
    min(CASE WHEN state <> 'held' THEN coalesce(created_at, next_attempt_at) END),
    min(CASE WHEN {_WAITING} THEN next_attempt_at END), {", ".join(columns)}
FROM dispatch WHERE state IN ('queued','deferred','sending','held') {where}
GROUP BY destination ORDER BY count(*) DESC, destination""",
        parameters,
    )
    return tuple(_ages(row) for row in rows)


def retry_all(tx: Transaction, now: datetime, destination: str | None = None) -> int:
    """Let everything that waits, or waits for one destination, be due now; return how many dispatches that brought forward."""
    if destination is None:
        return tx.execute(RETRY, {"now": microseconds(now)})
    return tx.execute(RETRY_DESTINATION, {"now": microseconds(now), "destination": destination})


def shift(tx: Transaction, by: timedelta) -> int:
    """Let what is under way keep its age although the clock was set by so much; return how many dispatches there are."""
    return tx.execute(SHIFT, {"by": by // timedelta(microseconds=1)})


def retry_beyond(tx: Transaction, now: datetime, longest: timedelta) -> int:
    """Let be due now what waits for longer than any pause is: its time was set by a clock that was ahead. Return how many."""
    return tx.execute(RETRY_BEYOND, {"now": microseconds(now), "beyond": microseconds(now + longest)})


def _between(edges: Sequence[str]) -> list[str]:
    """Conditions for each age: younger than the first bound, …, older than the last."""
    lower = [*edges, "0"]
    upper = ["9223372036854775807", *edges]
    return [
        f"> {after} AND coalesce(created_at, next_attempt_at) <= {until}"
        for after, until in zip(lower, upper, strict=True)
    ]


def _ages(row: Row) -> Ages:
    destination, waiting, sending, held, oldest, due, *counts = row
    return Ages(
        destination,
        int(waiting),
        int(sending),
        int(held),
        tuple(int(count) for count in counts),
        None if oldest is None else moment(oldest),
        None if due is None else moment(due),
    )
