"""Notices to people: few, in plain Vietnamese, each made once for one event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from mailrelay.model.identity import MailId


class ReceiptKind(StrEnum):
    SENT = "sent"  # Xác nhận đã gửi
    INCOMING = "incoming"  # Phiếu văn bản đến
    TRACKING = "tracking"  # Phiếu theo dõi
    RETURNED = "returned"  # Không chuyển được (system) or Trả lại (the receiving agency)
    FAILED = "failed"
    DELAYED = "delayed"
    HELD = "held"
    DECIDED = "decided"
    RECALL = "recall"
    STATUS = "status"
    ALERT = "alert"
    STATEMENT = "statement"
    DSN = "dsn"


class ReceiptState(StrEnum):
    DUE = "due"  # the fact is committed, the mail not yet composed
    QUEUED = "queued"  # composed, sealed, in the queue
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"  # loop rules of RFC 3834


@dataclass(frozen=True, slots=True)
class Receipt:
    """A notice about a mail. `event_key` makes it unique; `facts` is what it will say (JSON-able), fixed with its event."""

    kind: ReceiptKind
    mail_id: MailId  # the mail it is about
    to: str
    event_key: str
    created_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    state: ReceiptState = ReceiptState.DUE
    receipt_id: int = 0
    notice_id: MailId | None = None  # the mail id of the composed notice itself


@dataclass(frozen=True, slots=True)
class Notice:
    """A composed and sealed receipt: RFC 5322 bytes with CRLF, ready for the queue, and the same again on a retry."""

    recipient: str
    message_id: str
    raw: bytes
