"""Leases: how long a claimed dispatch stays with the node that sends it, and how it comes back when that node does not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from mailrelay.model.identity import MailId
from mailrelay.store.codec import microseconds
from mailrelay.store.transaction import Engine, Transaction

_LEASED = "state = 'sending' AND lease_until > :now"
# The embedded store is served by one process at a time, whatever its machine and folder were called before.
_OF_HOLDER = {Engine.SQLITE: _LEASED, Engine.POSTGRESQL: f"{_LEASED} AND lease_holder = :holder"}
RENEW = (
    "UPDATE dispatch SET lease_until = :until"
    " WHERE dispatch_id = :dispatch_id AND state = 'sending' AND lease_holder = :holder"
)
END = "UPDATE dispatch SET lease_until = :now WHERE dispatch_id = :dispatch_id AND state = 'sending'"
# Of a try that had not begun nothing is known to count; but one is kept, which says that a copy may lie in a Maildir already.
FORGIVE = (
    "UPDATE dispatch SET lease_until = :now, attempts = CASE WHEN attempts > 1 + (SELECT count(*) FROM attempt a"
    " WHERE a.dispatch_id = dispatch.dispatch_id) THEN attempts - 1 ELSE attempts END"
    " WHERE dispatch_id = :dispatch_id AND state = 'sending'"
)
HAND_BACK = (
    "UPDATE dispatch SET state = CASE WHEN attempts > 1 THEN 'deferred' ELSE 'queued' END,"
    " attempts = attempts - 1, lease_until = NULL WHERE dispatch_id = :dispatch_id AND state = 'sending'"
)
HELD = {engine: f"SELECT dispatch_id, mail_id FROM dispatch WHERE {which}" for engine, which in _OF_HOLDER.items()}
UNHEARD = (
    f"SELECT dispatch_id, mail_id FROM dispatch WHERE {_LEASED} AND lease_holder = :holder AND lease_until < :before"
)


def renew(tx: Transaction, dispatch_ids: Sequence[int], until: datetime, holder: str = "") -> None:
    """Keep dispatches that `holder` has not yet sent; what another one has taken or finished meanwhile is left alone."""
    for dispatch_id in dispatch_ids:
        tx.execute(RENEW, {"dispatch_id": dispatch_id, "until": microseconds(until), "holder": holder})


def hand_back(tx: Transaction, dispatch_ids: Sequence[int]) -> None:
    """Put claimed dispatches that nobody has begun to send back into the queue, as if they had not been claimed."""
    for dispatch_id in dispatch_ids:
        tx.execute(HAND_BACK, {"dispatch_id": dispatch_id})


def end(tx: Transaction, now: datetime, holder: str = "", begun: Collection[MailId] | None = None) -> int:
    """Let every lease of this holder run out now; return how many there were.

    For the start of a process that holds the data lock: whoever took those leases under that name is dead. `begun` are the
    mails that it was sending then, None when that is not known: none of the others has killed it, so that is not counted.
    """
    held = tx.rows(HELD[tx.engine], {"now": microseconds(now), "holder": holder})
    for dispatch_id, mail_id in held:
        is_innocent = begun is not None and mail_id not in begun
        tx.execute(FORGIVE if is_innocent else END, {"dispatch_id": dispatch_id, "now": microseconds(now)})
    return len(held)


def give_back(
    tx: Transaction,
    now: datetime,
    in_hand: Collection[int],
    holder: str = "",
    *,
    before: datetime,
    coming: Collection[MailId] = (),
) -> int:
    """Put back what `holder` has leased without knowing of it, and return how many.

    For a holder whose claim was committed without its hearing of it. What it has `in_hand` stays, so do mails whose entry it is
    waiting for (`coming`) and leases that end at `before` or later: they were taken after the holder said what it knows.
    """
    tx.hold_key("claim")  # such a claim may still be on its way to the disk
    parameters = {"now": microseconds(now), "holder": holder, "before": microseconds(before)}
    rows = tx.rows(UNHEARD, parameters)
    lost = [dispatch_id for dispatch_id, mail_id in rows if dispatch_id not in in_hand and mail_id not in coming]
    hand_back(tx, lost)
    return len(lost)
