"""What a notice will say, as plain JSON-able values fixed at the event: no later look-up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from mailrelay.model.agency import Directory
from mailrelay.model.calendar import VIETNAM
from mailrelay.model.decision import Action, RecipientDecision
from mailrelay.model.dispatch import Dispatch, Outcome
from mailrelay.model.document import Document, MessageClass
from mailrelay.model.entry import RegisterEntry
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.record import MailRecord

Facts = dict[str, Any]

_SIGNATURES = (Check.PDF, Check.OPENPGP, Check.SMIME, Check.XML, Check.OOXML)
_FILE_CHECKS = (Check.TYPE, Check.NAME, Check.ARCHIVE, Check.MACRO, Check.PDF_ACTIVE, Check.ANTIVIRUS)
_SENDER_CHECKS = (Check.SPF, Check.DKIM, Check.DMARC, Check.SENDER)
_SHOWN_FACTS = ("signer", "identity", "agency", "signed_at", "issuer", "domain")
_MOST = 100  # files, findings of one file, reasons


def moment(at: datetime) -> str:
    """RFC 3339 in Vietnamese time, to the second."""
    return at.astimezone(VIETNAM).isoformat(timespec="seconds")


def line(text: str, limit: int = 300) -> str:
    """One printable line of bounded length: what strangers wrote may not break a notice's form."""
    text = text[: 4 * limit]
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    joined = " ".join(text.split())
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"


def of_mail(record: MailRecord, directory: Directory) -> Facts:
    """Identity of the mail. Of a letter neither subject nor Message-ID is repeated (letters leave digests only)."""
    message, envelope = record.message, record.message.envelope
    is_letter = record.message_class is MessageClass.LETTER
    return {
        "mail_id": message.mail_id,
        "message_id": "" if is_letter else line(record.message_id, 250),
        "subject": "" if is_letter else line(record.subject),
        "class": record.message_class.value if record.message_class else "",
        "received_at": moment(message.received_at),
        "size": message.size,
        "sha256": message.digest,
        "from": line(envelope.sender, 254),
        "from_name": name_of(envelope.sender, directory),
        "envid": line(envelope.envid or "", 100),
        "ret": envelope.ret or "",
    }


def name_of(address: str, directory: Directory) -> str:
    """The name of a mailbox as the directory has it, or ""."""
    box = directory.mailbox(address)
    return box.name if box else ""


def agency_name(address: str, directory: Directory) -> str:
    agency = directory.agency_of(address)
    return agency.name if agency else ""


def of_document(document: Document | None, directory: Directory) -> Facts | None:
    """The paper as the system understood it ("hệ thống hiểu là")."""
    if document is None:
        return None
    issuer = directory.agency(document.issuer) if document.issuer else None
    signatory = document.signatory
    return {
        "number": document.code.number if document.code else "",
        "notation": document.code.notation if document.code else "",
        "code": str(document.code) if document.code else "",
        "kind": document.kind.value,
        "type": document.type,
        "issuer": document.issuer or "",
        "issuer_name": issuer.name if issuer else "",
        "issued_on": document.issued_on.isoformat() if document.issued_on else "",
        "place": document.place,
        "summary": line(document.summary, 500),
        "urgency": document.urgency.value,
        "signatory": line(f"{signatory.authority} {signatory.position} {signatory.full_name}") if signatory else "",
        "reply_to": str(document.reply_to) if document.reply_to else "",
        "due_on": document.due_on.isoformat() if document.due_on else "",
        "paper": document.paper,
    }


def of_finding(finding: Finding) -> Facts:
    known = {name: line(str(finding.facts[name])) for name in _SHOWN_FACTS if finding.facts.get(name)}
    if "signed_at" in known:
        known["signed_at"] = _in_vietnam(known["signed_at"])
    return {
        "check": finding.check.value,
        "verdict": finding.verdict.value,
        "subject": line(finding.subject),
        "detail": finding.detail,
        **known,
    }


def _in_vietnam(written: str) -> str:
    """A moment in Vietnamese time like all others in a data file; what is no RFC 3339 moment stays as it is."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return written
    return moment(at) if at.tzinfo else written


def of_files(record: MailRecord) -> list[Facts]:
    """Every file with its digest, its signature reading and what was found wrong with it."""
    files = []
    for file in record.attachments[:_MOST]:
        about = [f for f in record.findings if f.subject and f.subject in (file.name, *file.names, file.part)]
        kept = [
            f
            for f in about
            if f.check in _SIGNATURES or (f.check in _FILE_CHECKS and f.verdict not in (Verdict.PASS, Verdict.NONE))
        ]
        files.append(
            {
                "name": line(file.name),
                "type": line(file.type or file.declared, 100),
                "size": file.size,
                "sha256": file.sha256,
                "findings": [of_finding(finding) for finding in kept[:_MOST]],
            }
        )
    return files


def of_sender_checks(record: MailRecord) -> list[Facts]:
    """What was found of the sender and of signatures over the whole mail."""
    whole = [f for f in record.findings if f.check in _SENDER_CHECKS]
    whole += [f for f in record.findings if f.check in (Check.OPENPGP, Check.SMIME) and f not in whole]
    return [of_finding(finding) for finding in whole[:_MOST]]


def of_recipient(decided: RecipientDecision, directory: Directory) -> Facts:
    """One recipient with the rules and, if it was stopped, the reasons that count.

    The last reason is why; weaker ones count only if they can be remedied.
    """
    *weaker, strongest = decided.reasons[:_MOST] if decided.action is not Action.RELAY and decided.reasons else (None,)
    counting = [reason for reason in (*weaker, strongest) if reason and (reason is strongest or reason.remedy_vi)]
    return {
        "address": line(decided.recipient, 254),
        "name": name_of(decided.recipient, directory),
        "agency": agency_name(decided.recipient, directory),
        "action": decided.action.value,
        "rules": list(decided.rules[:_MOST]),
        "reasons": [
            {
                "rule": reason.rule_id,
                "vi": line(reason.vi),
                "en": line(reason.en),
                "remedy_vi": line(reason.remedy_vi),
                "remedy_en": line(reason.remedy_en),
            }
            for reason in counting
        ],
    }


def of_dispatch(dispatch: Dispatch, outcome: Outcome | None, directory: Directory, action: str, at: datetime) -> Facts:
    """One recipient of a delivery report; the names follow RFC 3464 section 2.3."""
    address = dispatch.recipient.address
    return {
        "address": line(address, 254),
        "name": name_of(address, directory),
        "agency": agency_name(address, directory),
        "orcpt": line(dispatch.recipient.orcpt or "", 500),
        "action": action,
        "status": outcome.status if outcome else "",
        "code": outcome.code if outcome else 0,
        "text": line(outcome.text if outcome else dispatch.detail),
        "remote": line(outcome.remote if outcome else "", 254),
        "attempts": dispatch.attempts,
        "at": moment(at),
    }


def of_entry(entry: RegisterEntry | None) -> Facts | None:
    if entry is None:
        return None
    return {
        "agency": entry.agency,
        "book": entry.book.value,
        "year": entry.year,
        "seq": entry.seq,
        "status": entry.status.value,
        "accepted_on": entry.accepted_on.isoformat() if entry.accepted_on else "",
        "arrived_at": moment(entry.arrived_at) if entry.arrived_at else "",
    }


def addresses(recipients: Iterable[Facts]) -> Sequence[str]:
    return [recipient["address"] for recipient in recipients]
