"""Rows for the tests of the store, with every field set to something that is not its default."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

from mailrelay.model.decision import Action, Decision, Reason, RecipientDecision
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.model.document import Document, DocumentCode, Evidence, Kind, MessageClass, Secrecy, Signatory, Urgency
from mailrelay.model.entry import Book, EntryStatus, EventKind, LogEvent, RegisterEntry
from mailrelay.model.envelope import Door, Envelope, Notify, Origin, Recipient
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.identity import AgencyId, MailId, make_mail_id
from mailrelay.model.message import Attachment, Message, MessageState, Rendering
from mailrelay.model.receipt import Receipt, ReceiptKind, ReceiptState
from mailrelay.model.record import MailRecord

NOW = datetime(2026, 11, 22, 7, 30, 0, 123456, tzinfo=UTC)
FINANCE = AgencyId("H28.02")
_numbers = itertools.count(1)


def at(seconds: float) -> datetime:
    """So many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def mail_id() -> MailId:
    """A mail id that no other call gives."""
    number = next(_numbers)
    return make_mail_id(int(NOW.timestamp() * 1000) + number, number.to_bytes(10, "big"))


def document() -> Document:
    return Document(
        code=DocumentCode("59", "KH-UBND"),
        kind=Kind.STEERING,
        type="KH",
        issuer=AgencyId("H28.UB"),
        issued_on=date(2013, 10, 28),
        place="Hòa Bình",
        summary="Ứng dụng văn bản điện tử trong hoạt động của cơ quan nhà nước",
        urgency=Urgency.URGENT,
        secrecy=Secrecy.CONFIDENTIAL,
        signatory=Signatory("Bùi Văn Cửu", "Phó Chủ tịch", "KT."),
        distribution=("Sở Tài chính", "UBND huyện Đà Bắc"),
        reply_to=DocumentCode("15a", "CV-STC"),
        due_on=date(2013, 12, 31),
        paper=True,
        evidence=(Evidence("code", "subject", "59/KH-UBND", 95),),
    )


def envelope(*recipients: str) -> Envelope:
    return Envelope(
        sender="vpubnd@hoabinh.gov.vn",
        recipients=tuple(
            Recipient(address, frozenset({Notify.SUCCESS, Notify.FAILURE}), f"rfc822;{address}")
            for address in recipients or ("sotc@hoabinh.gov.vn",)
        ),
        origin=Origin(
            Door.SUBMISSION,
            "2001:db8::7",
            "may.hoabinh",
            "TLSv1.3 TLS_AES_256_GCM_SHA384",
            "vpubnd",
            False,
            "hop",
            True,
        ),
        ret="HDRS",
        envid="QQ+314159",
        body="8BITMIME",
        smtputf8=True,
        requiretls=True,
    )


def record(mail: MailId | None = None, **changes: object) -> MailRecord:
    """A judged mail. `changes` replace fields of the record."""
    mail = mail or mail_id()
    fields: dict[str, object] = {
        "message": Message(mail, envelope(), "ab" * 32, 4096, NOW),
        "state": MessageState.MOVING,
        "message_id": f"<{mail}@hoabinh.gov.vn>",
        "subject": "59/KH-UBND: Ứng dụng văn bản điện tử",
        "message_class": MessageClass.DOCUMENT,
        "findings": (
            Finding(Check.DKIM, Verdict.PASS, "hoabinh.gov.vn", "aligned", {"bits": 2048, "tags": ["v", "a"]}),
            Finding(
                Check.PDF, Verdict.PARTIAL, "kế hoạch.pdf", "changed-after", {"at": None, "deep": {"intact": True}}
            ),
        ),
        "attachments": (
            Attachment("kế hoạch.pdf", ("ke hoach.pdf",), "application/pdf", "application/pdf", 9, "c" * 64, "2"),
        ),
        "document": document(),
        "warnings": ("number-missing",),
        "decision": Decision(
            (
                RecipientDecision(
                    "sotc@hoabinh.gov.vn",
                    Action.HOLD,
                    ("30-1", "50-2"),
                    (
                        Reason(
                            "30-1", "chữ ký hỏng", "broken signature", "gửi lại", "send again", (("verdict", "fail"),)
                        ),
                    ),
                    ("99-1",),
                    "policy",
                    ("notify-clerk",),
                ),
            ),
            "d1",
            "d2",
        ),
        "rendering": Rendering(b"Received: from \xff\r\n", ((0, 12), (40, 99))),
        "repeat_key": f"key-{mail}",
    }
    return MailRecord(**(fields | changes))  # type: ignore[arg-type]


def entry(mail: MailId, **changes: object) -> RegisterEntry:
    fields: dict[str, object] = {
        "agency": FINANCE,
        "book": Book.INCOMING,
        "year": 2026,
        "mail_id": mail,
        "status": EntryStatus.ARRIVED,
        "document": document(),
        "counterpart": "H28.UB",
        "recipients": ("sotc@hoabinh.gov.vn",),
        "entered_at": NOW,
        "arrived_at": at(1),
        "note": "bản giấy gửi sau",
    }
    return RegisterEntry(**(fields | changes))  # type: ignore[arg-type]


def event(**changes: object) -> LogEvent:
    fields: dict[str, object] = {
        "at": NOW,
        "kind": EventKind.RECEIVED,
        "mail_id": None,
        "agency": FINANCE,
        "actor": "vpubnd",
        "detail": {"door": "submission", "recipients": 2, "rules": ["30-1"]},
    }
    return LogEvent(**(fields | changes))  # type: ignore[arg-type]


def dispatch(mail: MailId, address: str = "sotc@hoabinh.gov.vn", **changes: object) -> Dispatch:
    fields: dict[str, object] = {
        "mail_id": mail,
        "recipient": Recipient(address, frozenset({Notify.DELAY}), "rfc822;x+3Dy"),
        "destination": "smtp:mail.example:25",
        "state": DispatchState.QUEUED,
        "next_attempt_at": NOW,
        "urgency": Urgency.FLASH,
        "created_at": NOW,
    }
    return Dispatch(**(fields | changes))  # type: ignore[arg-type]


def receipt(mail: MailId, key: str = "sent", **changes: object) -> Receipt:
    fields: dict[str, object] = {
        "kind": ReceiptKind.SENT,
        "mail_id": mail,
        "to": "vpubnd@hoabinh.gov.vn",
        "event_key": f"{key}:{mail}",
        "created_at": NOW,
        "facts": {"recipients": ["Sở Tài chính"], "count": 1},
        "state": ReceiptState.DUE,
    }
    return Receipt(**(fields | changes))  # type: ignore[arg-type]
