"""The whole life of one mail as one JSON object (the contract of `trace --json` and `explain --json`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailrelay.model.calendar import VIETNAM
from mailrelay.model.decision import Decision
from mailrelay.model.dispatch import Dispatch
from mailrelay.model.document import Document, DocumentCode, MessageClass
from mailrelay.model.entry import EntryStatus, LogEvent, RegisterEntry
from mailrelay.model.finding import Check, Finding
from mailrelay.model.identity import MailId
from mailrelay.model.message import Attachment
from mailrelay.model.receipt import Receipt
from mailrelay.model.record import MailRecord
from mailrelay.store import dispatches, entries, log, messages, receipts
from mailrelay.store.transaction import Transaction

_FILE_CHECKS = frozenset(
    {
        Check.PDF,
        Check.XML,
        Check.OOXML,
        Check.TYPE,
        Check.NAME,
        Check.ARCHIVE,
        Check.MACRO,
        Check.PDF_ACTIVE,
        Check.ANTIVIRUS,
    }
)


@dataclass(frozen=True, slots=True)
class Life:
    """A mail and everything that hangs on it."""

    record: MailRecord
    entries: tuple[RegisterEntry, ...] = ()
    dispatches: tuple[Dispatch, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    events: tuple[LogEvent, ...] = ()


def life_of(tx: Transaction, mail_id: MailId) -> Life | None:
    """Read one mail's life, or None when no such mail is in the log."""
    record = messages.get(tx, mail_id)
    if record is None:
        return None
    return Life(
        record,
        entries.of_mail(tx, mail_id),
        dispatches.of_mail(tx, mail_id),
        receipts.of_mail(tx, mail_id),
        log.of_mail(tx, mail_id),
    )


def shape(life: Life) -> dict[str, Any]:
    """The JSON object of docs/schemas/trace.schema.json; times RFC 3339 in Vietnamese time, absent things null."""
    record = life.record
    message, origin = record.message, record.message.envelope.origin
    ours = record.message_class is MessageClass.RECEIPT
    return {
        "mail_id": message.mail_id,
        "message_id": record.message_id,
        "class": record.message_class.value if record.message_class else None,
        "state": record.state.value,
        "door": None if ours else origin.door.value,
        "login": origin.login,
        "received_at": _moment(message.received_at),
        "size": message.size,
        "sha256": message.digest,
        "subject": record.subject,
        "envelope": {"from": message.envelope.sender, "to": [r.address for r in message.envelope.recipients]},
        "findings": [_finding(finding) for finding in record.findings],
        "attachments": [_attachment(attachment, record.findings) for attachment in record.attachments],
        "document": _document(record.document, record.warnings) if record.document else None,
        "decision": _decision(record.decision) if record.decision else None,
        "entries": [entry_row(entry) for entry in life.entries],
        "dispatches": [_dispatch(dispatch) for dispatch in life.dispatches],
        "receipts": [{"kind": r.kind.value, "to": r.to, "state": r.state.value} for r in life.receipts],
        "events": [event_row(event) for event in life.events],
        "log": None,
    }


def entry_row(
    entry: RegisterEntry, history: Sequence[tuple[datetime, EntryStatus, str, str]] | None = None
) -> dict[str, Any]:
    """One row of a book, as `register list --json` and `trace --json` show it; with its `history`, as `register show` does."""
    document = entry.document
    row: dict[str, Any] = {
        "id": entry.entry_id,
        "agency": entry.agency,
        "book": entry.book.value,
        "year": entry.year,
        "seq": entry.seq,
        "status": entry.status.value,
        "code": _code(document.code),
        "type": document.type,
        "summary": document.summary,
        "issued_on": document.issued_on.isoformat() if document.issued_on else None,
        "counterpart": entry.counterpart,
        "recipients": list(entry.recipients),
        "entered_at": _moment(entry.entered_at),
        "arrived_at": _moment(entry.arrived_at),
        "accepted_on": entry.accepted_on.isoformat() if entry.accepted_on else None,
        "mail_id": entry.mail_id,
        "note": entry.note,
    }
    if history is not None:
        row["statuses"] = [
            {"at": _moment(at), "status": status.value, "actor": actor, "note": note}
            for at, status, actor, note in history
        ]
    return row


def event_row(event: LogEvent) -> dict[str, Any]:
    """One row of the document log."""
    return {
        "id": event.event_id,
        "at": _moment(event.at),
        "kind": event.kind.value,
        "mail_id": event.mail_id,
        "agency": event.agency,
        "actor": event.actor,
        "detail": dict(event.detail),
    }


def dispatch_row(dispatch: Dispatch) -> dict[str, Any]:
    """One row of the queue, as `queue list --json` shows it."""
    return {
        "id": dispatch.dispatch_id,
        "mail_id": dispatch.mail_id,
        "recipient": dispatch.recipient.address,
        "destination": dispatch.destination,
        "state": dispatch.state.value,
        "attempts": dispatch.attempts,
        "next_attempt_at": None if dispatch.state.is_final else _moment(dispatch.next_attempt_at),
        "urgency": dispatch.urgency.value,
        "detail": dispatch.detail,
    }


def _dispatch(dispatch: Dispatch) -> dict[str, Any]:
    return {
        "recipient": dispatch.recipient.address,
        "state": dispatch.state.value,
        "detail": dispatch.detail,
        "id": dispatch.dispatch_id,
        "attempts": dispatch.attempts,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    named = {
        "check": finding.check.value,
        "verdict": finding.verdict.value,
        "subject": finding.subject,
        "detail": finding.detail,
    }
    return {**{key: value for key, value in finding.facts.items() if key not in named}, **named}


def _attachment(attachment: Attachment, findings: Sequence[Finding]) -> dict[str, Any]:
    own = [f for f in findings if f.check in _FILE_CHECKS and attachment.name and f.subject == attachment.name]
    return {
        "name": attachment.name,
        "type": attachment.type,
        "size": attachment.size,
        "sha256": attachment.sha256,
        "declared": attachment.declared,
        "findings": [_finding(finding) for finding in own],
    }


def _document(document: Document, warnings: Sequence[str]) -> dict[str, Any]:
    signatory = document.signatory
    return {
        "code": _code(document.code),
        "kind": document.kind.value,
        "type": document.type,
        "issuer": document.issuer,
        "issued_on": document.issued_on.isoformat() if document.issued_on else None,
        "place": document.place,
        "summary": document.summary,
        "urgency": document.urgency.value,
        "secrecy": document.secrecy.value,
        "signatory": {
            "full_name": signatory.full_name,
            "position": signatory.position,
            "authority": signatory.authority,
        }
        if signatory
        else None,
        "distribution": list(document.distribution),
        "reply_to": _code(document.reply_to),
        "due_on": document.due_on.isoformat() if document.due_on else None,
        "paper": document.paper,
        "warnings": list(warnings),
        "evidence": [
            {"field": e.field, "source": e.source, "text": e.text, "confidence": e.confidence}
            for e in document.evidence
        ],
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "action": decision.action.value,
        "recipients": [
            {
                "recipient": r.recipient,
                "action": r.action.value,
                "rules": list(r.rules),
                "reasons": [
                    {"rule": reason.rule_id, "vi": reason.vi, "en": reason.en, "matched": dict(reason.matched)}
                    for reason in r.reasons
                ],
                "shadow": list(r.shadow),
            }
            for r in decision.recipients
        ],
        "rulebook": decision.rulebook_digest,
        "directory": decision.directory_digest,
    }


def _code(code: DocumentCode | None) -> dict[str, str] | None:
    return {"number": code.number, "notation": code.notation} if code else None


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(VIETNAM).isoformat(timespec="milliseconds") if moment else None
