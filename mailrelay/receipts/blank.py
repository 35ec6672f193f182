"""The blank that every notice is written on: its key, its addressee, and the facts that all of them share. Pure."""

from __future__ import annotations

from datetime import datetime

from mailrelay.model.agency import Directory
from mailrelay.model.identity import MailId
from mailrelay.model.receipt import Receipt, ReceiptKind
from mailrelay.model.record import MailRecord
from mailrelay.receipts import facts as fact
from mailrelay.receipts.facts import Facts


def basic(record: MailRecord, directory: Directory) -> Facts:
    """What every notice about a judged mail says of it."""
    return {
        "mail": fact.of_mail(record, directory),
        "document": fact.of_document(record.document, directory),
        "warnings": list(record.warnings),
    }


def sender(record: MailRecord) -> str:
    return record.message.envelope.sender


def about(
    kind: ReceiptKind, record: MailRecord, to: str, event: str, facts: Facts, now: datetime, directory: Directory | None
) -> Receipt:
    """A notice about a mail that is in the store."""
    return make(kind, record.message.mail_id, to, event, facts, now, directory)


def make(
    kind: ReceiptKind, mail_id: MailId, to: str, event: str, facts: Facts, now: datetime, directory: Directory | None
) -> Receipt:
    """`outside` adds the English lines; the key names mail, kind, recipient and event."""
    outside = directory is not None and bool(directory.domain) and not directory.is_local(to)
    key = f"{mail_id}:{kind.value}:{to.lower()}:{event}"
    return Receipt(kind, mail_id, to, key, now, {**facts, "outside": outside, "event_at": fact.moment(now)})
