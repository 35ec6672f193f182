"""The queue: dispatches, their claims under a lease, and what came of each try."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome
from mailrelay.model.document import Urgency
from mailrelay.model.envelope import Notify, Recipient
from mailrelay.model.faults import NotAllowed
from mailrelay.model.identity import MailId
from mailrelay.store import messages
from mailrelay.store.codec import dumps, loads, microseconds, moment, plain
from mailrelay.store.transaction import Engine, Parameters, Row, Transaction, placeholders, require

_COLUMNS = (
    "mail_id, recipient, notify, orcpt, destination, state, next_attempt_at, urgency, attempts, detail, dispatch_id,"
    " lease_until, created_at"
)
INSERT = (
    "INSERT INTO dispatch (mail_id, recipient, notify, orcpt, destination, state, next_attempt_at, urgency, attempts,"
    " detail, lease_until, lease_holder, created_at) VALUES (:mail_id, :recipient, :notify, :orcpt, :destination, :state,"
    " :next_attempt_at, :urgency, :attempts, :detail, :lease_until, :lease_holder, :created_at)"
    " ON CONFLICT (mail_id, recipient) DO NOTHING"
)
EXISTING = "SELECT dispatch_id FROM dispatch WHERE mail_id = :mail_id AND recipient = :recipient"
GET = f"SELECT {_COLUMNS} FROM dispatch WHERE dispatch_id = :dispatch_id"
OF_MAIL = f"SELECT {_COLUMNS} FROM dispatch WHERE mail_id = :mail_id ORDER BY dispatch_id"

# Urgent first, then by time; at most :per_destination mails at once to one destination, those under way included. A mail goes
# with all its due recipients there: one transaction carries them, and one report tells of them. Destination by destination
# through the index, so that a claim costs what it takes and not what waits.
_CLAIM = """
WITH RECURSIVE busy AS (
    SELECT destination, count(DISTINCT mail_id) AS n FROM dispatch
    WHERE state = 'sending' AND lease_until > :now GROUP BY destination
), waiting(destination) AS (
    SELECT min(destination) FROM dispatch WHERE state IN ('queued','deferred')
    UNION ALL
    SELECT (SELECT min(d.destination) FROM dispatch d
            WHERE d.state IN ('queued','deferred') AND d.destination > waiting.destination)
    FROM waiting WHERE waiting.destination IS NOT NULL
), room(destination, urgency) AS (
    SELECT waiting.destination, u.column1 FROM waiting CROSS JOIN (VALUES (0), (1), (2), (3), (4)) u
    LEFT JOIN busy ON busy.destination = waiting.destination
    WHERE waiting.destination IS NOT NULL AND coalesce(busy.n, 0) < :per_destination
), due AS (
    {due}
    UNION ALL
    SELECT dispatch_id, mail_id, destination, urgency, next_attempt_at FROM dispatch
    WHERE state = 'sending' AND lease_until <= :now
), mails AS (
    SELECT mail_id, destination, max(urgency) AS urgency, min(next_attempt_at) AS since, min(dispatch_id) AS eldest
    FROM due GROUP BY mail_id, destination
), placed AS (
    SELECT mails.*, coalesce(busy.n, 0) + row_number() OVER (
        PARTITION BY mails.destination ORDER BY mails.urgency DESC, mails.since, mails.eldest) AS place
    FROM mails LEFT JOIN busy ON busy.destination = mails.destination
), chosen AS MATERIALIZED (
    SELECT mail_id, destination FROM placed WHERE place <= :per_destination
    ORDER BY urgency DESC, since, eldest LIMIT :limit
){locked}
UPDATE dispatch SET state = 'sending', attempts = attempts + 1, lease_until = :lease_until, lease_holder = :holder
WHERE dispatch_id IN ({taken}) RETURNING """
_TAKEN = """SELECT d.dispatch_id FROM chosen CROSS JOIN dispatch d
    WHERE d.mail_id = chosen.mail_id AND d.destination = chosen.destination
      AND (d.state IN ('queued','deferred') AND d.next_attempt_at <= :now OR d.state = 'sending' AND d.lease_until <= :now)"""
_FIRST_DUE = """SELECT {columns} FROM dispatch w
    WHERE w.destination = room.destination AND w.urgency = room.urgency AND w.state IN ('queued','deferred')
      AND w.next_attempt_at <= :now ORDER BY w.next_attempt_at, w.dispatch_id LIMIT :per_destination"""
CLAIM = {
    Engine.SQLITE: _CLAIM.format(
        due=f"""SELECT d.dispatch_id, d.mail_id, d.destination, d.urgency, d.next_attempt_at FROM room CROSS JOIN dispatch d
    ON d.dispatch_id IN ({_FIRST_DUE.format(columns="w.dispatch_id")})""",
        locked="",
        taken=_TAKEN,
    )
    + _COLUMNS,
    Engine.POSTGRESQL: _CLAIM.format(
        due=f"""SELECT f.* FROM room CROSS JOIN LATERAL (
    {_FIRST_DUE.format(columns="w.dispatch_id, w.mail_id, w.destination, w.urgency, w.next_attempt_at")}) f""",
        # Whoever claims at the same moment passes by the rows that are taken here.
        locked=f", taken AS MATERIALIZED (\n    {_TAKEN} FOR UPDATE OF d SKIP LOCKED\n)",
        taken="SELECT dispatch_id FROM taken",
    )
    + _COLUMNS,
}

# A final state is corrected only by a success that came to be known later (FAILED, WITHDRAWN -> DELIVERED, RELAYED).
_OVERRIDABLE = {
    True: "'queued','sending','deferred','held','failed','withdrawn'",
    False: "'queued','sending','deferred','held'",
}
SETTLE = {
    success: (
        "UPDATE dispatch SET state = :state, next_attempt_at = coalesce(:next_attempt_at, next_attempt_at),"
        f" lease_until = NULL, detail = :detail WHERE dispatch_id = :dispatch_id AND state IN ({states})"
    )
    for success, states in _OVERRIDABLE.items()
}
ADD_ATTEMPT = (
    "INSERT INTO attempt (dispatch_id, at, result, status, outcome)"
    " VALUES (:dispatch_id, :at, :result, :status, :outcome)"
)
ATTEMPTS = "SELECT at, outcome FROM attempt WHERE dispatch_id = :dispatch_id ORDER BY attempt_id"
# Who lets a mail go, or a failed one go again, starts its time: waiting for a person is no delay of delivery. Tries that
# ended without a trace are forgiven but for one, which says that a copy may lie in its Maildir already.
RELEASE = (
    "UPDATE dispatch SET state = 'queued', next_attempt_at = :now, created_at = :now, attempts = CASE WHEN attempts = 0"
    " THEN 0 ELSE 1 + (SELECT count(*) FROM attempt a WHERE a.dispatch_id = dispatch.dispatch_id) END"
    " WHERE dispatch_id = :dispatch_id AND state = 'held'"
)
WITHDRAW = (
    "UPDATE dispatch SET state = 'withdrawn', lease_until = NULL, detail = :detail"
    " WHERE dispatch_id = :dispatch_id AND state IN ('queued','sending','deferred','held')"
)
RETRY = (
    "UPDATE dispatch SET state = 'queued', next_attempt_at = :now,"
    " created_at = CASE WHEN state = 'failed' THEN :now ELSE created_at END"
    " WHERE dispatch_id = :dispatch_id AND state IN ('queued','deferred','failed')"
)
PUT_OFF = (
    "UPDATE dispatch SET next_attempt_at = :until"
    " WHERE destination = :destination AND urgency <= :urgency AND state IN ('queued','deferred')"
    " AND next_attempt_at < :until"
)
HOLD = (
    "UPDATE dispatch SET state = 'held', lease_until = NULL, detail = :detail"
    " WHERE dispatch_id = :dispatch_id AND state IN ('queued','sending','deferred')"
)
STATE = "SELECT state FROM dispatch WHERE dispatch_id = :dispatch_id"
OUTLOOK = """SELECT
    EXISTS (SELECT 1 FROM dispatch WHERE state IN ('queued','deferred') AND next_attempt_at <= :now),
    (SELECT min(next_attempt_at) FROM dispatch WHERE state IN ('queued','deferred') AND next_attempt_at > :now),
    (SELECT min(lease_until) FROM dispatch WHERE state = 'sending' AND lease_until > :now)"""
COUNTS = "SELECT state, count(*) FROM dispatch GROUP BY state"

_URGENCIES = tuple(Urgency)
_SUCCESS = frozenset({DispatchState.DELIVERED, DispatchState.RELAYED})


def _dispatch(row: Row) -> Dispatch:
    (mail_id, address, notify, orcpt, destination, state, next_attempt_at, urgency, attempts, detail, *rest) = row
    dispatch_id, lease_until, created_at = rest
    wishes = None if notify is None else frozenset(Notify(word) for word in notify.split(",") if word)
    return Dispatch(
        mail_id=MailId(mail_id),
        recipient=Recipient(address, wishes, orcpt),
        destination=destination,
        state=DispatchState(state),
        next_attempt_at=moment(next_attempt_at),
        urgency=_URGENCIES[urgency],
        attempts=attempts,
        detail=detail,
        dispatch_id=dispatch_id,
        lease_until=None if lease_until is None else moment(lease_until),
        created_at=None if created_at is None else moment(created_at),
    )


def insert(tx: Transaction, dispatches: Sequence[Dispatch], holder: str = "") -> tuple[int, ...]:
    """Add dispatches; return their ids in order. One that the mail and recipient have already keeps its row and id.

    One in state SENDING, with a lease, is `holder`'s from the beginning.
    """
    return tuple(_insert(tx, dispatch, holder) for dispatch in dispatches)


def _insert(tx: Transaction, dispatch: Dispatch, holder: str) -> int:
    notify = dispatch.recipient.notify
    parameters = {
        "mail_id": dispatch.mail_id,
        "recipient": plain(dispatch.recipient.address),
        "notify": None if notify is None else ",".join(sorted(notify)),
        "orcpt": None if dispatch.recipient.orcpt is None else plain(dispatch.recipient.orcpt),
        "destination": plain(dispatch.destination),
        "state": dispatch.state,
        "next_attempt_at": microseconds(dispatch.next_attempt_at),
        "urgency": _URGENCIES.index(dispatch.urgency),
        "attempts": dispatch.attempts,
        "detail": plain(dispatch.detail),
        "lease_until": None if dispatch.lease_until is None else microseconds(dispatch.lease_until),
        "lease_holder": None if dispatch.lease_until is None else holder,
        "created_at": None if dispatch.created_at is None else microseconds(dispatch.created_at),
    }
    dispatch_id = tx.insert(INSERT, parameters, "dispatch_id")
    if dispatch_id is None:
        key = {"mail_id": parameters["mail_id"], "recipient": parameters["recipient"]}
        dispatch_id = int(tx.value(EXISTING, key))
    return dispatch_id


def claim(
    tx: Transaction, now: datetime, lease: timedelta, limit: int, *, per_destination: int, holder: str = ""
) -> tuple[Dispatch, ...]:
    """Take what is due of up to `limit` mails for sending, until `now` + `lease`; urgent first, then by time.

    `holder` names the node that sends them: where several share a store, each has a name of its own.

    Due are QUEUED and DEFERRED dispatches whose time has come, and SENDING ones whose lease ran out (their sender is gone,
    the outcome unknown). A mail that goes to a destination takes all its due recipients there along. Never more than
    `per_destination` mails are under way to one destination. An answer that is not empty may leave more to claim.
    """
    tx.hold_key("claim")  # else two claims at one moment would not count each other's
    parameters = {
        "now": microseconds(now),
        "lease_until": microseconds(now + lease),
        "limit": limit,
        "per_destination": per_destination,
        "holder": holder,
    }
    claimed = [_dispatch(row) for row in tx.rows(CLAIM[tx.engine], parameters)]
    claimed.sort(key=lambda d: (-_URGENCIES.index(d.urgency), d.next_attempt_at, d.dispatch_id))
    return tuple(claimed)


def put_off(tx: Transaction, destination: str, until: datetime, urgency: Urgency = Urgency.TIMED_FLASH) -> int:
    """Let nothing that waits for a destination be tried before `until`; return how many that concerned.

    What is more urgent than `urgency` keeps its own, denser tries.
    """
    parameters = {"destination": destination, "until": microseconds(until), "urgency": _URGENCIES.index(urgency)}
    return tx.execute(PUT_OFF, parameters)


def hold(tx: Transaction, dispatch_id: int, detail: str) -> None:
    """Stop a dispatch until a person decides. Raises NotFound, NotAllowed."""
    _move(tx, HOLD, {"dispatch_id": dispatch_id, "detail": plain(detail)})


def settle(
    tx: Transaction,
    dispatch_id: int,
    state: DispatchState,
    *,
    next_attempt_at: datetime | None,
    outcome: Outcome,
    at: datetime,
    detail: str | None = None,
) -> bool:
    """Append what came of a try, and move the dispatch to `state` with `detail` (the outcome's text). Raises NotFound.

    False: the dispatch was final already (another sender finished it, a person withdrew it) and stays; only a success
    overrides FAILED and WITHDRAWN.
    """
    messages.hold_of_dispatch(tx, dispatch_id)
    sql = SETTLE[state in _SUCCESS]
    due = None if next_attempt_at is None else microseconds(next_attempt_at)
    shown = plain(outcome.text if detail is None else detail)
    change = {"dispatch_id": dispatch_id, "state": state, "next_attempt_at": due, "detail": shown}
    moved = tx.execute(sql, change) == 1
    if not moved:
        require(tx.row(STATE, {"dispatch_id": dispatch_id}) is not None, f"lượt gửi {dispatch_id}")
    result = {"result": outcome.result, "status": outcome.status, "outcome": dumps(outcome)}
    tx.execute(ADD_ATTEMPT, {"dispatch_id": dispatch_id, "at": microseconds(at), **result})
    return moved


def release(tx: Transaction, dispatch_id: int, now: datetime) -> None:
    """HELD -> QUEUED, due now. Raises NotFound, NotAllowed."""
    _move(tx, RELEASE, {"dispatch_id": dispatch_id, "now": microseconds(now)})


def withdraw(tx: Transaction, dispatch_id: int, detail: str) -> None:
    """Give up a dispatch that is not final. Raises NotFound, NotAllowed."""
    _move(tx, WITHDRAW, {"dispatch_id": dispatch_id, "detail": plain(detail)})


def retry(tx: Transaction, dispatch_id: int, now: datetime) -> None:
    """QUEUED, DEFERRED or FAILED -> QUEUED, due now. Raises NotFound, NotAllowed."""
    _move(tx, RETRY, {"dispatch_id": dispatch_id, "now": microseconds(now)})


def _move(tx: Transaction, sql: str, parameters: Parameters) -> None:
    dispatch_id = parameters["dispatch_id"]
    messages.hold_of_dispatch(tx, dispatch_id)
    if tx.execute(sql, parameters):
        return
    state = tx.value(STATE, {"dispatch_id": dispatch_id})
    require(state is not None, f"lượt gửi {dispatch_id}")
    raise NotAllowed(f"Lượt gửi {dispatch_id} đang là {state}. (The state of the dispatch does not allow it.)")


def get(tx: Transaction, dispatch_id: int) -> Dispatch | None:
    messages.hold_of_dispatch(tx, dispatch_id)
    row = tx.row(GET, {"dispatch_id": dispatch_id})
    return None if row is None else _dispatch(row)


def of_mail(tx: Transaction, mail_id: MailId) -> tuple[Dispatch, ...]:
    """The dispatches of one mail, in the order of insertion."""
    messages.hold(tx, mail_id)
    return tuple(_dispatch(row) for row in tx.rows(OF_MAIL, {"mail_id": mail_id}))


def attempts(tx: Transaction, dispatch_id: int) -> tuple[tuple[datetime, Outcome], ...]:
    """Every try and what came of it, oldest first."""
    rows = tx.rows(ATTEMPTS, {"dispatch_id": dispatch_id})
    return tuple((moment(at), loads(Outcome, outcome)) for at, outcome in rows)


def listing(
    tx: Transaction,
    *,
    states: Collection[DispatchState] | None = None,
    destination: str | None = None,
    after_id: int = 0,
    limit: int = 50,
) -> tuple[Dispatch, ...]:
    """A page of the queue by id. `states` None: all; empty: none."""
    conditions = ["dispatch_id > :after_id"]
    parameters: dict[str, Any] = {"after_id": after_id, "limit": limit}
    if states is not None:
        places, words = placeholders("state", sorted(states))
        conditions.append(f"state IN ({places})" if words else "1 = 0")
        parameters |= words
    if destination is not None:
        conditions.append("destination = :destination")
        parameters["destination"] = destination
    where = " AND ".join(conditions)
    sql = f"SELECT {_COLUMNS} FROM dispatch WHERE {where} ORDER BY dispatch_id LIMIT :limit"
    return tuple(_dispatch(row) for row in tx.rows(sql, parameters))


def outlook(tx: Transaction, now: datetime) -> tuple[bool, datetime | None]:
    """What a claim at `now` has left: whether something is due, which waits for its destination to be free, and when a claim
    may find something new: the next attempt or the end of a lease, whichever comes first; None for never."""
    ((left, *moments),) = tx.rows(OUTLOOK, {"now": microseconds(now)})
    due = min((found for found in moments if found is not None), default=None)
    return bool(left), None if due is None else moment(due)


def counts(tx: Transaction) -> dict[DispatchState, int]:
    """How many dispatches are in each state, zeros included."""
    found: dict[str, int] = dict(tx.rows(COUNTS))
    return {state: found.get(state.value, 0) for state in DispatchState}
