"""The agencies' register books (sổ văn bản đi, sổ văn bản đến) and the events of the document log.

Two numbers, never mixed: the document's own code is recorded and checked; `seq` is our running number in the book, gapless
per agency, book and Vietnamese year. An incoming entry has no `seq` until the receiver's văn thư accepts it (status 03).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from mailrelay.model.document import Document
from mailrelay.model.identity import AgencyId, MailId


class Book(StrEnum):
    OUTGOING = "outgoing"  # sổ văn bản đi
    INCOMING = "incoming"  # sổ văn bản đến


class EntryStatus(StrEnum):
    """Codes of the national exchange axis where it has them; the words are ours."""

    AWAITING = "awaiting"  # chờ chuyển: not yet delivered
    REGISTERED = "registered"  # an outgoing document that stands in the book
    ARRIVED = "01"  # đã đến, chờ vào sổ
    RETURNED = "02"  # trả lại, with a reason
    ACCEPTED = "03"  # đã tiếp nhận, vào sổ
    ASSIGNED = "04"
    IN_PROGRESS = "05"
    COMPLETED = "06"
    RECALLED = "13"
    RECALL_AGREED = "15"
    RECALL_REFUSED = "16"
    VOID = "void"  # hủy: keeps its number
    NOT_DELIVERED = "failed"  # không chuyển được


@dataclass(frozen=True, slots=True)
class RegisterEntry:
    """One row of a book. `entry_id` is 0 until stored. `counterpart` is the other agency's id or address."""

    agency: AgencyId
    book: Book
    year: int
    mail_id: MailId  # the mail that first brought it
    status: EntryStatus
    document: Document
    counterpart: str
    recipients: tuple[str, ...] = ()  # the addresses of this agency (incoming) or all receivers (outgoing)
    seq: int | None = None
    entry_id: int = 0
    entered_at: datetime | None = None
    arrived_at: datetime | None = None
    accepted_on: date | None = None  # ngày đến
    note: str = ""


class EventKind(StrEnum):
    """Kinds of log events."""

    RECEIVED = "received"
    REFUSED = "refused"
    JUDGED = "judged"
    REGISTERED = "registered"
    REPEATED = "repeated"  # re-sent mail: no second dispatch
    HELD = "held"
    RELEASED = "released"
    RETURNED = "returned"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    DEFERRED = "deferred"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    ACCEPTED = "accepted"
    RECEIPT = "receipt"
    CONFIGURED = "configured"


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One row of the document log (nhật ký): append-only. `detail` is JSON-able and free of personal data where it can be."""

    at: datetime
    kind: EventKind
    mail_id: MailId | None
    agency: AgencyId | None = None
    actor: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    event_id: int = 0
