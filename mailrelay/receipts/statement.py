"""The daily list of held spam: one mail to a văn thư instead of one for each. Which holds it tells of, and its facts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mailrelay.model.agency import Directory
from mailrelay.model.decision import RecipientDecision
from mailrelay.model.identity import MailId
from mailrelay.model.receipt import Receipt, ReceiptKind
from mailrelay.model.record import MailRecord
from mailrelay.receipts import facts as fact
from mailrelay.receipts.blank import make
from mailrelay.receipts.facts import Facts

_MOST = 200  # mails in the data file; the rest is counted


def is_listed(decided: RecipientDecision) -> bool:
    """Whether the rules want a hold told in the daily list instead of at once (obligation `receipt:statement`)."""
    return "receipt:statement" in decided.obligations


def on_day(
    mail_id: MailId,
    holder: str,
    held: Sequence[tuple[MailRecord, tuple[str, ...]]],
    directory: Directory,
    now: datetime,
) -> Receipt:
    """One list for one holder: `held` are the mails of a day with the recipients for whom they are held."""
    facts: Facts = {
        "mail": {"mail_id": mail_id, "message_id": "", "subject": "", "class": ""},
        "document": None,
        "warnings": [],
        "total": len(held),
        "held": [_of_mail(record, addresses) for record, addresses in held[:_MOST]],
    }
    return make(ReceiptKind.STATEMENT, mail_id, holder, "held", facts, now, directory)


def _of_mail(record: MailRecord, addresses: tuple[str, ...]) -> Facts:
    message = record.message
    return {
        "mail_id": message.mail_id,
        "from": fact.line(message.envelope.sender, 254),
        "received_at": fact.moment(message.received_at),
        "recipients": [fact.line(address, 254) for address in addresses],
    }
