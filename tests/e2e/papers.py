"""Mails as clerks' and ministries' programs write them, and what a mail looks like after it was carried."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

# What may stand above the received bytes: trace fields of ours and of the servers beside us (RFC 5321 section 4.4)
TRACE = {"return-path", "delivered-to", "received", "x-mailrelay-id", "authentication-results", "x-original-to"}


def paper(sender: str, recipient: str, code: str, summary: str, *, attachment: bytes = b"") -> bytes:
    """A document as an ordinary client sends it: UTF-8 subject, Vietnamese text, perhaps a file; CRLF."""
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"] = f"Văn thư <{sender}>"
    mail["To"] = recipient
    mail["Subject"] = f"{code} V/v {summary}"
    mail["Date"] = "Sun, 22 Nov 2026 08:00:00 +0700"
    mail["Message-ID"] = (
        f"<{code.replace('/', '-').encode('ascii', 'replace').decode().replace('?', 'D')}@{sender.partition('@')[2]}>"
    )
    mail.set_content(f"Kính gửi: Quý cơ quan.\n\nGửi kèm văn bản số {code} về {summary}.\n.\n..hai dấu chấm đầu dòng\n")
    if attachment:
        mail.add_attachment(attachment, maintype="application", subtype="pdf", filename=f"{code.replace('/', '_')}.pdf")
    return mail.as_bytes()


def crlf(stored: bytes) -> bytes:
    """What a server stored with LF line ends, as it travelled."""
    return stored.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def carried(stored: bytes, sent: bytes) -> bool:
    """Whether `stored` is `sent` byte for byte, with nothing above it but trace fields."""
    if not stored.endswith(sent):
        return False
    above = email.message_from_bytes(stored[: -len(sent)] + b"\r\n")
    return {name.lower() for name in above} <= TRACE and not above.get_payload()


def parsed(stored: bytes) -> EmailMessage:
    message = email.message_from_bytes(stored, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message
