"""Mails and what is known of each: one row per mail."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from mailrelay.model.decision import Decision
from mailrelay.model.document import Document, MessageClass
from mailrelay.model.envelope import Envelope
from mailrelay.model.finding import Finding
from mailrelay.model.identity import MailId
from mailrelay.model.message import Attachment, Message, MessageState, Rendering
from mailrelay.model.record import MailRecord
from mailrelay.store.codec import dumps, loads, microseconds, moment, plain
from mailrelay.store.transaction import Row, Transaction, placeholders, require

_COLUMNS = (
    "mail_id, received_at, state, digest, size, message_class, message_id, repeat_key, subject,"
    " envelope, findings, attachments, document, warnings, decision, rendering"
)
INSERT = (
    f"INSERT INTO message ({_COLUMNS}, door) VALUES (:mail_id, :received_at, :state, :digest, :size, :message_class,"
    " :message_id, :repeat_key, :subject, :envelope, :findings, :attachments, :document, :warnings, :decision,"
    " :rendering, :door)"
)
UPDATE = (
    "UPDATE message SET received_at = :received_at, state = :state, digest = :digest, size = :size, door = :door,"
    " message_class = :message_class, message_id = :message_id, repeat_key = :repeat_key, subject = :subject,"
    " envelope = :envelope, findings = :findings, attachments = :attachments, document = :document,"
    " warnings = :warnings, decision = :decision, rendering = :rendering WHERE mail_id = :mail_id"
)
SET_STATE = "UPDATE message SET state = :state WHERE mail_id = :mail_id"
HOLD = "SELECT mail_id FROM message WHERE mail_id = :mail_id"
HOLD_OF_DISPATCH = (
    "SELECT mail_id FROM message WHERE mail_id = (SELECT mail_id FROM dispatch WHERE dispatch_id = :dispatch_id)"
)
GET = f"SELECT {_COLUMNS} FROM message WHERE mail_id = :mail_id"
BY_MESSAGE_ID = "SELECT mail_id FROM message WHERE message_id = :message_id AND message_id <> '' ORDER BY mail_id"
BY_DIGEST = "SELECT mail_id FROM message WHERE digest = :digest ORDER BY mail_id"
# The state is written out: an index over open mails only is used when the statement itself shows that it suffices.
IN_STATE = {
    state: f"SELECT mail_id FROM message WHERE state = '{state.value}' ORDER BY mail_id LIMIT :limit"
    for state in MessageState
}
UNSCANNED = (
    "SELECT mail_id FROM message WHERE state = 'held' AND findings LIKE :mark AND mail_id > :after"
    " ORDER BY mail_id LIMIT :limit"
)
REPEATS = (
    "SELECT d.recipient, m.mail_id FROM message m JOIN dispatch d ON d.mail_id = m.mail_id"
    " WHERE m.repeat_key = :repeat_key AND m.repeat_key <> '' AND m.received_at >= :since"
    " AND d.state NOT IN ('failed','withdrawn') ORDER BY m.mail_id DESC"
)

_FINDINGS = tuple[Finding, ...]
_ATTACHMENTS = tuple[Attachment, ...]
_WARNINGS = tuple[str, ...]


def _parameters(record: MailRecord) -> dict[str, Any]:
    message = record.message
    return {
        "mail_id": message.mail_id,
        "received_at": microseconds(message.received_at),
        "state": record.state,
        "digest": message.digest,
        "size": message.size,
        "door": message.envelope.origin.door,
        "message_class": record.message_class,
        "message_id": plain(record.message_id),
        "repeat_key": record.repeat_key,
        "subject": plain(record.subject),
        "envelope": dumps(message.envelope),
        "findings": dumps(record.findings, _FINDINGS),
        "attachments": dumps(record.attachments, _ATTACHMENTS),
        "document": None if record.document is None else dumps(record.document),
        "warnings": dumps(record.warnings, _WARNINGS),
        "decision": None if record.decision is None else dumps(record.decision),
        "rendering": dumps(record.rendering),
    }


def _record(row: Row) -> MailRecord:
    (mail_id, received_at, state, digest, size, message_class, message_id, repeat_key, subject, *texts) = row
    envelope, findings, attachments, document, warnings, decision, rendering = texts
    return MailRecord(
        message=Message(MailId(mail_id), loads(Envelope, envelope), digest, size, moment(received_at)),
        state=MessageState(state),
        message_id=message_id,
        subject=subject,
        message_class=None if message_class is None else MessageClass(message_class),
        findings=loads(_FINDINGS, findings),
        attachments=loads(_ATTACHMENTS, attachments),
        document=None if document is None else loads(Document, document),
        warnings=loads(_WARNINGS, warnings),
        decision=None if decision is None else loads(Decision, decision),
        rendering=loads(Rendering, rendering),
        repeat_key=repeat_key,
    )


def insert(tx: Transaction, record: MailRecord) -> None:
    """Add a mail. Raises (by the store) when the mail id is there already."""
    tx.execute(INSERT, _parameters(record))


def update(tx: Transaction, record: MailRecord) -> None:
    """Replace what is known of a mail, once it was judged. Raises NotFound."""
    require(tx.execute(UPDATE, _parameters(record)), f"thư {record.message.mail_id}")


def set_state(tx: Transaction, mail_id: MailId, state: MessageState) -> None:
    """Move a mail as a whole to another state. Raises NotFound."""
    require(tx.execute(SET_STATE, {"mail_id": mail_id, "state": state}), f"thư {mail_id}")


def get(tx: Transaction, mail_id: MailId) -> MailRecord | None:
    rows = tx.hold(GET, {"mail_id": mail_id})
    return _record(rows[0]) if rows else None


def read(tx: Transaction, mail_ids: Collection[MailId]) -> dict[MailId, MailRecord]:
    """What is known of these mails (at most a few thousand), as it is: nobody else is kept from changing it."""
    if not mail_ids:
        return {}
    places, parameters = placeholders("id", sorted(mail_ids))
    rows = tx.rows(f"SELECT {_COLUMNS} FROM message WHERE mail_id IN ({places})", parameters)
    return {MailId(row[0]): _record(row) for row in rows}


def hold(tx: Transaction, mail_id: MailId) -> None:
    """Let nobody else act on this mail until the transaction ends: its dispatches decide together what becomes of it."""
    if tx.locks and mail_id not in tx.held:
        tx.held.add(mail_id)
        tx.hold(HOLD, {"mail_id": mail_id})


def hold_of_dispatch(tx: Transaction, dispatch_id: int) -> None:
    """The same for the mail of a dispatch: always the mail first, then its dispatches. Who locks in one order never waits in a
    circle."""
    if tx.locks:
        tx.held.update(mail_id for (mail_id,) in tx.hold(HOLD_OF_DISPATCH, {"dispatch_id": dispatch_id}))


def find(tx: Transaction, *, message_id: str | None = None, sha256: str | None = None) -> tuple[MailId, ...]:
    """The mails with a Message-ID (angle brackets included) or with the SHA-256 (hex) of the received bytes, oldest first."""
    if (message_id is None) == (sha256 is None):
        raise ValueError("a mail is found by its Message-ID or by its digest")
    if message_id is not None:
        rows = tx.rows(BY_MESSAGE_ID, {"message_id": plain(message_id)})
    else:
        rows = tx.rows(BY_DIGEST, {"digest": sha256})
    return tuple(MailId(row[0]) for row in rows)


def in_state(tx: Transaction, state: MessageState, limit: int = 100) -> tuple[MailId, ...]:
    """Mails in a state, oldest first."""
    return tuple(MailId(row[0]) for row in tx.rows(IN_STATE[state], {"limit": limit}))


def unscanned(tx: Transaction, after: MailId, limit: int) -> tuple[MailId, ...]:
    """Held mails after a mail id of which some scanner said `not-scanned`, for whatever reason; by id."""
    parameters = {"mark": '%"not-scanned"%', "after": after, "limit": limit}
    return tuple(MailId(row[0]) for row in tx.rows(UNSCANNED, parameters))


def known(tx: Transaction, mail_ids: Sequence[MailId]) -> set[MailId]:
    """Those of the given mail ids (at most a few thousand) that have a row and so bytes: of a refused mail none are kept."""
    if not mail_ids:
        return set()
    places, parameters = placeholders("id", mail_ids)
    rows = tx.rows(f"SELECT mail_id FROM message WHERE mail_id IN ({places}) AND state <> 'rejected'", parameters)
    return {MailId(row[0]) for row in rows}


def spent(tx: Transaction, mail_ids: Sequence[MailId]) -> set[MailId]:
    """Those of the given mail ids that are letters which everybody has and about which no notice is still to be written."""
    if not mail_ids:
        return set()
    places, parameters = placeholders("id", mail_ids)
    rows = tx.rows(
        f"SELECT mail_id FROM message m WHERE mail_id IN ({places}) AND message_class = 'letter' AND state = 'done'"
        " AND EXISTS (SELECT 1 FROM dispatch d WHERE d.mail_id = m.mail_id)"
        " AND NOT EXISTS (SELECT 1 FROM dispatch d WHERE d.mail_id = m.mail_id"
        " AND d.state NOT IN ('delivered','relayed'))"
        " AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.mail_id = m.mail_id AND r.state = 'due')",
        parameters,
    )
    return {MailId(row[0]) for row in rows}


def repeats(tx: Transaction, repeat_key: str, since: datetime) -> dict[str, MailId]:
    """For a re-sent mail: recipient (lower case) -> the first mail with that key since then whose dispatch lives or arrived."""
    if repeat_key:
        tx.hold_key("repeat", repeat_key)  # the same mail may come in twice at one moment
    rows = tx.rows(REPEATS, {"repeat_key": repeat_key, "since": microseconds(since)})
    return {str(recipient).lower(): MailId(mail_id) for recipient, mail_id in rows}
