"""The flat facts of a mail and of each recipient, as `model.fact` names them. Pure; knows nothing of rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailrelay.model.agency import Directory, Mailbox
from mailrelay.model.document import Document, Recognition, Secrecy
from mailrelay.model.envelope import Envelope
from mailrelay.model.fact import VERDICTS_BY_WORTH, Value, verdict_fact
from mailrelay.model.finding import Check, Findings, Verdict
from mailrelay.model.message import Attachment, Content
from mailrelay.policy.circulation import circulation_marks

_WORTH = {verdict: rank for rank, verdict in enumerate(VERDICTS_BY_WORTH)}
_SECRECY_SLUGS = {"confidential": Secrecy.CONFIDENTIAL, "secret": Secrecy.SECRET, "top-secret": Secrecy.TOP_SECRET}
_NO_DOCUMENT = Document()


@dataclass(frozen=True, slots=True)
class MailFacts:
    """What holds for all recipients. `subjects` names what a word of a fact was about: ("finding", word) -> file names."""

    values: dict[str, Value]
    subjects: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)


def of_mail(
    directory: Directory, envelope: Envelope, recipients: Sequence[str], findings: Findings, recognition: Recognition
) -> MailFacts:
    """Collect the facts that hold for the mail as a whole."""
    subjects: dict[tuple[str, str], list[str]] = {}
    for finding in findings.findings:
        if finding.subject:
            for key in (
                ("finding", f"{finding.check}:{finding.detail}"),
                (verdict_fact(finding.check), finding.verdict),
            ):
                subjects.setdefault(key, []).append(finding.subject)
    own = _owned(directory, envelope)
    values = {
        **_of_origin(envelope),
        **_of_sender(directory, envelope, own),
        **_of_author(directory, envelope, findings.content, own),
        **_of_document(recognition, findings),
        **_of_content(findings.content, recipients, directory),
        **_of_findings(findings),
    }
    return MailFacts(values, {key: tuple(dict.fromkeys(names)) for key, names in subjects.items()})


def of_recipient(directory: Directory, recipient: str, mail: MailFacts) -> dict[str, Value]:
    """Collect the facts that hold for one recipient."""
    local = directory.is_local(recipient)
    box = directory.mailbox(recipient)
    if box is None and local:
        forward = directory.system_addresses.get(recipient.rpartition("@")[0].lower())
        box = directory.mailbox(forward) if forward else None
    agency = directory.agency(box.agency) if box else None
    same = agency is not None and agency.agency_id == mail.values["sender_agency"]
    return {
        "recipient": recipient.lower(),
        "recipient_is_local": local,
        "recipient_exists": not local or (box is not None and box.enabled),
        "recipient_agency": agency.agency_id if agency else "",
        "recipient_agency_level": agency.level.value if agency else "",
        "recipient_role": _roles(box),
        "same_agency": same,
    }


def _of_origin(envelope: Envelope) -> dict[str, Value]:
    origin = envelope.origin
    return {
        "door": origin.door.value,
        "authenticated": origin.is_authenticated,
        "login": origin.login or "",
        "tls": origin.tls is not None,
        "promised": origin.promise is not None,
        "in_place": origin.in_place,
    }


def _of_sender(directory: Directory, envelope: Envelope, own: frozenset[str]) -> dict[str, Value]:
    """The envelope sender; its agency is that of the box it names, else that of the login."""
    sender = envelope.sender.lower()
    box = directory.mailbox(sender) or _account(directory, envelope)
    agency = directory.agency(box.agency) if box else None
    return {
        "sender": sender,
        "sender_is_null": not sender,
        "sender_is_local": directory.is_local(sender),
        "sender_exists": directory.mailbox(sender) is not None,
        "sender_is_own": sender in own,
        "sender_agency": agency.agency_id if agency else "",
        "sender_agency_level": agency.level.value if agency else "",
        "sender_role": _roles(box),
    }


def _account(directory: Directory, envelope: Envelope) -> Mailbox | None:
    """The box behind the login; people may write their address for it."""
    login = envelope.origin.login
    return (directory.account(login) or directory.mailbox(login)) if login else None


def _owned(directory: Directory, envelope: Envelope) -> frozenset[str]:
    """The addresses that the sender may use. The owner of a drop folder may have no login: then those of its own box."""
    box = _account(directory, envelope)
    if box is None or not box.enabled:
        return frozenset()
    return directory.owned_by(box.login) if box.login else frozenset(a.lower() for a in (box.address, *box.aliases))


def _of_author(directory: Directory, envelope: Envelope, content: Content, own: frozenset[str]) -> dict[str, Value]:
    """The From field as people see it, against the envelope and the login."""
    authors = tuple(author.address.lower() for author in content.senders)
    return {
        "from_count": len(authors),
        "from_is_local": any(directory.is_local(author) for author in authors),
        "from_is_own": bool(authors) and all(author in own for author in authors),
        "from_matches_sender": authors == (envelope.sender.lower(),),
    }


def _of_document(recognition: Recognition, findings: Findings) -> dict[str, Value]:
    document = recognition.document or _NO_DOCUMENT
    return {
        "class": recognition.message_class.value,
        "kind": document.kind.value,
        "document_type": document.type,
        "urgency": document.urgency.value,
        "secrecy": _secrecy(document, findings).value,
        "has_code": document.code is not None,
        "paper": document.paper,
        "reply": document.reply_to is not None,
        "circulation": circulation_marks(findings.content),
        "warning": recognition.warnings,
    }


def _secrecy(document: Document, findings: Findings) -> Secrecy:
    """The highest mark: a letter has no document, but may bear a mark."""
    marks = [
        _SECRECY_SLUGS.get(f.detail, Secrecy.NONE) for f in findings.of(Check.SECRECY) if f.verdict is Verdict.FAIL
    ]
    return max((document.secrecy, *marks), key=list(Secrecy).index)


def _of_content(content: Content, recipients: Sequence[str], directory: Directory) -> dict[str, Value]:
    files = content.attachments
    return {
        "recipient_count": len(recipients),
        "outside_count": sum(not directory.is_local(recipient) for recipient in recipients),
        "attachment_count": len(files),
        "attachment_size": sum(file.size for file in files),
        "largest_attachment": max((file.size for file in files), default=0),
        "attachment_type": tuple(dict.fromkeys(file.type for file in files)),
        "attachment_extension": tuple(dict.fromkeys(extension for file in files for extension in _extensions(file))),
    }


def _extensions(file: Attachment) -> tuple[str, ...]:
    """The last extension of every variant of a file's name."""
    stems = (name.rstrip(". ").rpartition(".") for name in (file.name, *file.names))
    return tuple(dict.fromkeys(last.lower() for _, dot, last in stems if dot))


def _of_findings(findings: Findings) -> dict[str, Value]:
    worst = dict.fromkeys(Check, Verdict.NONE)
    seen: set[Check] = set()
    for finding in findings.findings:
        if finding.check not in seen or _WORTH[finding.verdict] > _WORTH[worst[finding.check]]:
            worst[finding.check] = finding.verdict
            seen.add(finding.check)
    verdicts: dict[str, Value] = {verdict_fact(check): verdict.value for check, verdict in worst.items()}
    details = dict.fromkeys(f"{finding.check}:{finding.detail}" for finding in findings.findings)
    passed = dict.fromkeys(finding.check.value for finding in findings.findings if finding.verdict is Verdict.PASS)
    return {**verdicts, "finding": tuple(details), "passed": tuple(passed)}


def _roles(box: Mailbox | None) -> tuple[str, ...]:
    return tuple(sorted(role.value for role in box.roles)) if box else ()
