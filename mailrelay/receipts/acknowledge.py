"""What a mail that comes back is: a delivery report, a reading notice, an automatic answer, or a clerk's word. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message as ParsedMail
from email.parser import BytesParser
from email.policy import compat32
from enum import StrEnum

from mailrelay.model.envelope import Envelope
from mailrelay.model.folding import fold
from mailrelay.model.message import Content

_NOBODY = re.compile(
    r"(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?|bien-nhan|khong-tra-loi)(?:[-+=].*)?@", re.I
)
_LIST_FIELDS = ("list-id", "list-unsubscribe", "list-post", "list-help", "list-owner", "list-archive", "list-subscribe")
_REPORT_TYPES = re.compile(r"multipart/report|message/(?:global-)?(?:delivery-status|disposition-notification)", re.I)
_REPORT_LIMIT = 1 << 20  # bytes of a report that are read


def may_answer(content: Content, envelope: Envelope) -> bool:
    """Tell whether a courtesy notice may be sent in answer to a mail: the suppression table of RFC 3834 section 2.

    No answer to the null reverse-path, to automatic mail, lists, bulk mail, reports, our own notices, or addresses nobody reads.
    """
    if not envelope.sender or _NOBODY.match(envelope.sender):
        return False
    fields = {name: value.strip().lower() for name, value in reversed(content.fields)}
    if fields.get("auto-submitted", "no").partition(";")[0].strip() != "no":
        return False
    if fields.get("precedence", "") in ("bulk", "list", "junk") or any(name in fields for name in _LIST_FIELDS):
        return False
    suppressed = {word.strip() for word in fields.get("x-auto-response-suppress", "").split(",")}
    if suppressed & {"all", "autoreply", "dr"} or "x-mailrelay-receipt" in fields:
        return False
    return not is_report(content)


def is_notice(content: Content) -> bool:
    """Tell whether a mail says that it is a notice of ours: whether true or not, no slip is owed for it (else a notice that
    comes back by a polled box, changed on its way, would be the cause of the next one, without end)."""
    return any(name == "x-mailrelay-receipt" for name, _ in content.fields)


def is_report(content: Content) -> bool:
    """Tell whether a mail is a delivery or disposition report, by its content types."""
    declared = [content.field("content-type"), *(file.declared for file in content.attachments)]
    return any(_REPORT_TYPES.match(kind.strip()) for kind in declared)


class Verb(StrEnum):
    """What a clerk may answer to a slip, as the first words of the mail."""

    ACCEPT = "accept"  # TIẾP NHẬN
    RETURN = "return"  # TRẢ LẠI: lý do


@dataclass(frozen=True, slots=True)
class ClerkAnswer:
    """A clerk's word about one notice. `notices` are the Message-IDs that it may answer, the nearest first."""

    verb: Verb
    reason: str
    notices: tuple[str, ...]


_VERBS = (
    (Verb.ACCEPT, re.compile(r"(?:da )?tiep nhan\b|vao so\b")),
    (Verb.RETURN, re.compile(r"(?:tra lai|tu choi(?: tiep nhan)?)\b")),
)


def clerk_answer(content: Content, envelope: Envelope) -> ClerkAnswer | None:
    """Read "TIẾP NHẬN" or "TRẢ LẠI: lý do" on the first line of a person's reply to a notice; None for anything else.

    A return without a reason is an answer with an empty reason: the caller must ask for one (status 02 needs a reason).
    """
    notices = tuple(dict.fromkeys((*content.in_reply_to, *reversed(content.references))))
    if not notices or not may_answer(content, envelope):
        return None
    first = next((row.strip() for row in content.text[:4096].splitlines() if row.strip()), "")
    for verb, pattern in _VERBS:
        found = pattern.match(fold(first))
        if found is None:
            continue
        words = len(found.group().split())
        reason = " ".join(re.split(r"\s+|(?<=\w)(?=[:;.,])", first)[words:]).lstrip(" :;.,-–").strip()
        return ClerkAnswer(verb, reason if verb is Verb.RETURN else "", notices)
    return None


class ReportKind(StrEnum):
    DELIVERY = "delivery"  # RFC 3464
    DISPOSITION = "disposition"  # RFC 8098: weak, "theo xác nhận của người nhận"


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """One block of a report. `action` is failed, delayed, delivered, relayed, expanded; for a disposition its type."""

    recipient: str
    action: str
    status: str = ""
    diagnostic: str = ""
    remote: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report about one of our mails. `original_message_id` and `envelope_id` say which one, when the reporter kept them."""

    kind: ReportKind
    recipients: tuple[ReportedRecipient, ...]
    original_message_id: str = ""
    envelope_id: str = ""
    automatic: bool = False  # a disposition that no person consented to


def read_report(raw: bytes) -> Report | None:
    """Read a DSN (RFC 3464) or MDN (RFC 8098) from the first mebibyte of a mail; None when it is neither."""
    mail = BytesParser(policy=compat32).parsebytes(raw[:_REPORT_LIMIT])
    if mail.get_content_type() != "multipart/report":
        return None
    parts = [part for part in mail.walk() if isinstance(part, ParsedMail)]
    message_id = _original_id(parts)
    for part in parts:
        kind = part.get_content_type()
        if kind in ("message/delivery-status", "message/global-delivery-status"):
            return _delivery(_blocks(part), message_id)
        if kind in ("message/disposition-notification", "message/global-disposition-notification"):
            return _disposition(_blocks(part), message_id)
    return None


def _blocks(part: ParsedMail) -> list[ParsedMail]:
    """The groups of fields of a status part: the parser makes a message of each, or leaves one text."""
    payload = part.get_payload()
    if isinstance(payload, list):
        return [block for block in payload if isinstance(block, ParsedMail)]
    texts = re.split(r"\r?\n\r?\n", str(payload).strip())
    parser = BytesParser(policy=compat32)
    return [
        parser.parsebytes(text.strip().encode("utf-8", "replace") + b"\n\n") for text in texts[:2000] if text.strip()
    ]


def _delivery(blocks: list[ParsedMail], message_id: str) -> Report | None:
    if not blocks:
        return None
    recipients = tuple(
        ReportedRecipient(
            recipient=_typed(block, "Original-Recipient") or _typed(block, "Final-Recipient"),
            action=_word(block, "Action").lower(),
            status=_word(block, "Status"),
            diagnostic=_typed(block, "Diagnostic-Code"),
            remote=_typed(block, "Remote-MTA"),
        )
        for block in blocks[1:]
        if block.get("Action")
    )
    return Report(ReportKind.DELIVERY, recipients, message_id, _value(blocks[0], "Original-Envelope-Id"))


def _disposition(blocks: list[ParsedMail], message_id: str) -> Report | None:
    if not blocks:
        return None
    block = blocks[0]
    mode, _, kind = _value(block, "Disposition").lower().partition(";")
    recipient = ReportedRecipient(
        recipient=_typed(block, "Original-Recipient") or _typed(block, "Final-Recipient"),
        action=kind.partition("/")[0].strip(),
    )
    original = _value(block, "Original-Message-ID") or message_id
    return Report(
        ReportKind.DISPOSITION, (recipient,), original, automatic="automatic-action" in mode or "mdn-sent-auto" in mode
    )


def _original_id(parts: list[ParsedMail]) -> str:
    """The Message-ID of the mail that came back, from the third part (RFC 6522: whole mail or header only)."""
    for part in parts[1:]:
        if part.get_content_type() in ("text/rfc822-headers", "message/rfc822-headers"):
            payload = part.get_payload(decode=True)
            header = BytesParser(policy=compat32).parsebytes(payload if isinstance(payload, bytes) else b"")
            if found := _value(header, "Message-ID"):
                return found
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            returned = inner[0] if isinstance(inner, list) and inner else None
            if isinstance(returned, ParsedMail) and (found := _value(returned, "Message-ID")):
                return found
    return ""


def _value(block: ParsedMail, name: str) -> str:
    return " ".join(str(block.get(name, "")).split())[:500]


def _word(block: ParsedMail, name: str) -> str:
    return _value(block, name).partition(" ")[0]


def _typed(block: ParsedMail, name: str) -> str:
    """A field of the form "rfc822; address": what stands after the type."""
    value = _value(block, name)
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon else kind.strip()
