"""The tables, as SQLModel classes: the source of the migrations. Rows are never made through them (see messages, entries, …).

All columns are TEXT or 64-bit INTEGER on both engines: moments are UTC microseconds, dates ISO text, structures JSON text.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from mailrelay.model.dispatch import DispatchState, Result
from mailrelay.model.document import MessageClass, Urgency
from mailrelay.model.entry import Book, EntryStatus, EventKind
from mailrelay.model.envelope import Door
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptKind, ReceiptState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_BIG = BigInteger().with_variant(Integer(), "sqlite")
_STRICT = {"sqlite_strict": True}
_BY_KEY = {"sqlite_strict": True, "sqlite_with_rowid": False}  # small rows that are found by their key alone


class Table(SQLModel):
    """What all tables share: our metadata instead of SQLModel's."""

    metadata = metadata


def _text(*constraints: Any, null: bool = False, key: bool = False) -> Any:
    return Field(sa_column=Column(Text, *constraints, nullable=null, primary_key=key))


def _big(*constraints: Any, null: bool = False, key: bool = False) -> Any:
    return Field(sa_column=Column(_BIG, *constraints, nullable=null, primary_key=key))


def _one_of(column: str, words: Iterable[str]) -> str:
    """Written out, because SQLite builds an index of its own out of an `IN (…)` with more than two words, for every row."""
    return " OR ".join(f"{column} = '{word}'" for word in words)


def _among(column: str, words: Iterable[StrEnum]) -> CheckConstraint:
    return CheckConstraint(_one_of(column, (word.value for word in words)), name=column)


def _check(name: str, condition: str) -> CheckConstraint:
    return CheckConstraint(condition, name=name)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


_OPEN_MESSAGE = _one_of("state", ("pending", "held", "moving"))
_WAITING = "state IN ('queued','deferred')"


class MessageRow(Table, table=True):
    """One mail taken in, or made by us (class receipt). The columns beside the JSON are those that are searched."""

    __tablename__ = "message"
    __table_args__ = (
        _among("state", MessageState),
        _among("door", Door),
        _among("message_class", MessageClass),
        _check("mail_id", "length(mail_id) = 26"),
        _check("digest", "length(digest) = 64"),
        _check("size", "size >= 0"),
        Index("ix_message_open", "state", "mail_id", **_where(_OPEN_MESSAGE)),
        Index(None, "digest"),
        Index(None, "message_id", **_where("message_id <> ''")),
        Index(None, "repeat_key", "received_at", **_where("repeat_key <> ''")),
        _STRICT,
    )
    mail_id: str = _text(key=True)
    received_at: int = _big()
    state: str = _text()
    digest: str = _text()
    size: int = _big()
    door: str = _text()
    message_class: str | None = _text(null=True)
    message_id: str = _text()
    repeat_key: str = _text()
    subject: str = _text()
    envelope: str = _text()
    findings: str = _text()
    attachments: str = _text()
    document: str | None = _text(null=True)
    warnings: str = _text()
    decision: str | None = _text(null=True)
    rendering: str = _text()


class CounterRow(Table, table=True):
    """The last number given in a book; counted up in the transaction that uses the number, so that none is lost."""

    __tablename__ = "book_counter"
    __table_args__ = (_among("book", Book), _check("last_seq", "last_seq > 0"), _BY_KEY)
    agency: str = _text(key=True)
    book: str = _text(key=True)
    year: int = _big(key=True)
    last_seq: int = _big()


class EntryRow(Table, table=True):
    """One row of a register book. A number once given never changes, and no entry is ever deleted (triggers)."""

    __tablename__ = "register_entry"
    __table_args__ = (
        UniqueConstraint("agency", "book", "year", "seq"),
        UniqueConstraint("agency", "book", "document_key"),
        _among("book", Book),
        _among("status", EntryStatus),
        _check("seq", "seq > 0"),
        _check("year", "year BETWEEN 1945 AND 9999"),
        _check("accepted_on", "length(accepted_on) = 10"),
        Index(None, "agency", "book", "year", "entry_id"),
        _STRICT,
    )
    entry_id: int = _big(key=True)
    agency: str = _text()
    book: str = _text()
    year: int = _big()
    seq: int | None = _big(null=True)
    mail_id: str = _text(ForeignKey("message.mail_id"))
    status: str = _text()
    document_key: str | None = _text(null=True)
    document: str = _text()
    counterpart: str = _text()
    recipients: str = _text()
    entered_at: int | None = _big(null=True)
    arrived_at: int | None = _big(null=True)
    accepted_on: str | None = _text(null=True)
    note: str = _text()
    text_fold: str = _text()


class ArrivalRow(Table, table=True):
    """One way by which the paper of an entry came: the same paper by two mails is one entry with two arrivals."""

    __tablename__ = "entry_arrival"
    __table_args__ = (UniqueConstraint("mail_id", "entry_id"), _STRICT)
    arrival_id: int = _big(key=True)
    entry_id: int = _big(ForeignKey("register_entry.entry_id"))
    mail_id: str = _text(ForeignKey("message.mail_id"))
    recipients: str = _text()
    at: int = _big()


class StatusRow(Table, table=True):
    """One change of an entry's status. Append-only."""

    __tablename__ = "entry_status"
    __table_args__ = (_among("status", EntryStatus), Index(None, "entry_id", "status_id"), _STRICT)
    status_id: int = _big(key=True)
    entry_id: int = _big(ForeignKey("register_entry.entry_id"))
    at: int = _big()
    status: str = _text()
    actor: str = _text()
    note: str = _text()


class LogRow(Table, table=True):
    """One event of the document log. Append-only. `mail_id` points nowhere for mail that was refused and never stored."""

    __tablename__ = "log_event"
    __table_args__ = (
        _among("kind", EventKind),
        Index(None, "mail_id", "event_id"),
        Index(None, "agency", "event_id", **_where("agency IS NOT NULL")),
        Index(None, "kind", "event_id"),
        Index(None, "at"),
        _STRICT,
    )
    event_id: int = _big(key=True)
    at: int = _big()
    kind: str = _text()
    mail_id: str | None = _text(null=True)
    agency: str | None = _text(null=True)
    actor: str = _text()
    detail: str = _text()
    text_fold: str = _text()


class DispatchRow(Table, table=True):
    """One mail on its way to one recipient. `urgency` is the edXML priority, 0 to 4; `lease_holder` the node that took it last."""

    __tablename__ = "dispatch"
    __table_args__ = (
        UniqueConstraint("mail_id", "recipient"),
        _among("state", DispatchState),
        _check("urgency", f"urgency BETWEEN 0 AND {len(Urgency) - 1}"),
        _check("attempts", "attempts >= 0"),
        _check("lease", "(state = 'sending') = (lease_until IS NOT NULL)"),
        Index("ix_dispatch_waiting", "destination", "urgency", "next_attempt_at", "dispatch_id", **_where(_WAITING)),
        Index("ix_dispatch_next", "next_attempt_at", **_where(_WAITING)),
        # No index over all states: SQLite would prefer it to those over the few open rows, and every move would cost more.
        Index("ix_dispatch_sending", "lease_until", "destination", **_where("state = 'sending'")),
        _STRICT,
    )
    dispatch_id: int = _big(key=True)
    mail_id: str = _text(ForeignKey("message.mail_id"))
    recipient: str = _text()
    notify: str | None = _text(null=True)
    orcpt: str | None = _text(null=True)
    destination: str = _text()
    state: str = _text()
    urgency: int = _big()
    next_attempt_at: int = _big()
    lease_until: int | None = _big(null=True)
    lease_holder: str | None = _text(null=True)
    attempts: int = _big()
    detail: str = _text()
    created_at: int | None = _big(null=True)


class AttemptRow(Table, table=True):
    """What came of one try to deliver. Append-only. The columns beside the JSON are those that are counted."""

    __tablename__ = "attempt"
    __table_args__ = (_among("result", Result), Index(None, "dispatch_id", "attempt_id"), _STRICT)
    attempt_id: int = _big(key=True)
    dispatch_id: int = _big(ForeignKey("dispatch.dispatch_id"))
    at: int = _big()
    result: str = _text()
    status: str = _text()
    outcome: str = _text()


class ReceiptRow(Table, table=True):
    """A notice to a person, once per event. `mail_id` points nowhere for mail that was refused and never stored."""

    __tablename__ = "receipt"
    __table_args__ = (
        UniqueConstraint("event_key"),
        UniqueConstraint("notice_id"),
        _among("kind", ReceiptKind),
        _among("state", ReceiptState),
        Index("ix_receipt_due", "receipt_id", **_where("state = 'due'")),
        Index(None, "mail_id"),
        _STRICT,
    )
    receipt_id: int = _big(key=True)
    kind: str = _text()
    mail_id: str = _text()
    addressee: str = _text()
    event_key: str = _text()
    created_at: int = _big()
    facts: str = _text()
    state: str = _text()
    notice_id: str | None = _text(ForeignKey("message.mail_id"), null=True)


class QuotaRow(Table, table=True):
    """A login that may not send to the outside, or that was let go again; what it sent is read from the mails."""

    __tablename__ = "login_quota"
    __table_args__ = (_BY_KEY,)
    login: str = _text(key=True)
    suspended_until: int | None = _big(null=True)
    forgiven_at: int | None = _big(null=True)


class CursorRow(Table, table=True):
    """How far an IMAP folder was read."""

    __tablename__ = "poll_cursor"
    __table_args__ = (_BY_KEY,)
    account: str = _text(key=True)
    folder: str = _text(key=True)
    uidvalidity: int = _big()
    last_uid: int = _big()
    modseq: int = _big()
    compared_at: int = _big()


class PollRow(Table, table=True):
    """What became of one message of an IMAP folder: exactly one outcome for every UID."""

    __tablename__ = "poll_outcome"
    __table_args__ = (_BY_KEY,)
    account: str = _text(key=True)
    folder: str = _text(key=True)
    uidvalidity: int = _big(key=True)
    uid: int = _big(key=True)
    outcome: str = _text()
    mail_id: str | None = _text(null=True)
