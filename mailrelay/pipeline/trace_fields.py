"""The header fields that we add above a mail (RFC 5321 section 4.4, RFC 6409 section 8), as pure functions.

Every field is folded ASCII: whatever a peer said of itself is reduced to harmless characters first.
"""

from __future__ import annotations

import re
from email.utils import format_datetime

from mailrelay.model.calendar import VIETNAM
from mailrelay.model.envelope import Door, Origin
from mailrelay.model.message import Content, Message

_HARMLESS = re.compile(r"[^A-Za-z0-9.:_\-\[\]]")

MAIL_ID_FIELD = "X-Mailrelay-Id"


def received(message: Message, hostname: str) -> bytes:
    """The Received field. The recipient is named only when there is one, so that no blind copy is given away."""
    origin = message.envelope.origin
    peer = _clean(origin.peer) or "local"
    lines = [
        f"Received: from {_clean(origin.helo) or 'unknown'} ([{peer}])",
        f"\tby {hostname} (mailrelay) with {_protocol(origin)} id {message.mail_id}",
    ]
    recipients = message.envelope.recipients
    if len(recipients) == 1 and recipients[0].address.isascii():
        lines.append(f"\tfor <{recipients[0].address}>")
    if origin.tls:
        lines.append(f"\t(using {re.sub(r'[^A-Za-z0-9._ -]', '', origin.tls)})")
    lines[-1] += ";"
    lines.append(f"\t{format_datetime(message.received_at.astimezone(VIETNAM))}")
    return _join(lines)


def mark(message: Message) -> bytes:
    """The field by which our own deliveries are recognised when the IMAP poller meets them again."""
    return _join([f"{MAIL_ID_FIELD}: {message.mail_id}"])


def completed(message: Message, content: Content, domain: str) -> bytes:
    """Date and Message-ID where an authenticated client left them out (RFC 6409 sections 8.2 and 8.3)."""
    lines: list[str] = []
    if not message.envelope.origin.is_authenticated:
        return b""
    if not content.date:
        lines.append(f"Date: {format_datetime(message.received_at.astimezone(VIETNAM))}")
    if not content.message_id:
        lines.append(f"Message-ID: {made_message_id(message, domain)}")
    return _join(lines) if lines else b""


def made_message_id(message: Message, domain: str) -> str:
    return f"<{message.mail_id.lower()}@{domain}>"


def _protocol(origin: Origin) -> str:
    if origin.door is Door.LMTP:
        return "LMTP"
    if origin.door is Door.IMAP:
        return "IMAP"
    if not origin.esmtp:
        return "SMTP"
    return "ESMTP" + ("S" if origin.tls else "") + ("A" if origin.is_authenticated else "")


def _clean(text: str) -> str:
    return _HARMLESS.sub("", text)[:128]


def _join(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")
