"""What logins may still send to the outside: what they have sent, read from the mails themselves, and who is suspended.

Nothing is written while mail is accepted: the mails and their dispatches are the account. A row is written only when a login is
suspended or an administrator lets it send again.
"""

from __future__ import annotations

from datetime import datetime

from mailrelay.model.envelope import Envelope
from mailrelay.model.identity import make_mail_id
from mailrelay.store.codec import loads, microseconds, moment
from mailrelay.store.transaction import Transaction, contains

# Mail ids sort by time, so that the recent mails are a range of the primary key.
SPENT = (
    "SELECT m.received_at, m.envelope, COUNT(*) FROM message m JOIN dispatch d ON d.mail_id = m.mail_id"
    " WHERE m.mail_id >= :first AND lower(d.recipient) NOT LIKE :own ESCAPE '!'"
    " GROUP BY m.mail_id, m.received_at, m.envelope ORDER BY m.mail_id"
)
SUSPEND = (
    "INSERT INTO login_quota (login, suspended_until) VALUES (:login, :until)"
    " ON CONFLICT (login) DO UPDATE SET suspended_until = excluded.suspended_until"
)
LIFT = (
    "INSERT INTO login_quota (login, forgiven_at) VALUES (:login, :now)"
    " ON CONFLICT (login) DO UPDATE SET suspended_until = NULL, forgiven_at = excluded.forgiven_at"
)
SUSPENDED = "SELECT login, suspended_until FROM login_quota WHERE suspended_until > :now ORDER BY login"
FORGIVEN = "SELECT login, forgiven_at FROM login_quota WHERE forgiven_at > :since"


def suspend(tx: Transaction, login: str, until: datetime) -> None:
    """Let a login (any case) send nothing to the outside until then."""
    tx.hold_key("quota", login.lower())
    tx.execute(SUSPEND, {"login": login.lower(), "until": microseconds(until)})


def lift(tx: Transaction, login: str, now: datetime) -> None:
    """Let a login send again; what it sent before counts no more."""
    tx.hold_key("quota", login.lower())
    tx.execute(LIFT, {"login": login.lower(), "now": microseconds(now)})


def suspended(tx: Transaction, now: datetime) -> tuple[tuple[str, datetime], ...]:
    """Every suspended login (lower case) and until when."""
    return tuple((login, moment(until)) for login, until in tx.rows(SUSPENDED, {"now": microseconds(now)}))


def spent(tx: Transaction, since: datetime, domain: str) -> tuple[tuple[str, datetime, int], ...]:
    """(login, moment, outside recipients) of every mail of a login since then that was not forgiven, oldest first."""
    forgiven = {login: at for login, at in tx.rows(FORGIVEN, {"since": microseconds(since)})}
    first = make_mail_id(int(since.timestamp() * 1000), bytes(10))
    own = contains(f"@{domain.lower()}")[:-1]
    found = []
    for at, envelope, number in tx.rows(SPENT, {"first": first, "own": own}):
        login = loads(Envelope, envelope).origin.login
        if login is not None and at > forgiven.get(login.lower(), 0):
            found.append((login, moment(at), number))
    return tuple(found)
