"""From a receipt to the mail that tells it: pure, so that the same facts, id and time always give the same bytes.

Two steps, since the seal needs a key: `data_file` gives the bytes that are sealed, `notice` the mail around them; `compose` does
both with a sealing function from outside. Form: multipart/mixed(alternative, bien-nhan.json, bien-nhan.json.p7s); non-delivery
and the reports that a sender asked for are multipart/report (RFC 6522, RFC 3464) with the same card and data as their first part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785

from mailrelay.model.identity import MailId
from mailrelay.model.receipt import Notice, Receipt, ReceiptKind
from mailrelay.receipts import mime
from mailrelay.receipts.card import Card, as_html, as_text
from mailrelay.receipts.desk import Desk
from mailrelay.receipts.facts import moment
from mailrelay.receipts.forms import card
from mailrelay.receipts.mime import Part
from mailrelay.receipts.report import delivery_status, returned_mail

SCHEMA = "mailrelay/bien-nhan/1"
NAME = "Hệ thống gửi, nhận văn bản điện tử"
DATA_NAME = "bien-nhan.json"
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[!-;=?-~]{1,250}>)", re.IGNORECASE | re.MULTILINE)
_REPORTS = (ReceiptKind.FAILED, ReceiptKind.DSN)  # in the form of RFC 6522, unless nobody asked for it
# Caused by an answer to the received mail (RFC 3834 section 5); the rest is news to somebody who sent nothing.
_REPLIES = (ReceiptKind.SENT, ReceiptKind.RETURNED, ReceiptKind.FAILED, ReceiptKind.DSN)


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What every notice of an office bears: sender address and name, domain, host name for reports, whom to ask."""

    sender: str
    domain: str
    name: str = NAME
    hostname: str = ""
    contact: str = ""
    takes_answers: bool = False

    @property
    def desk(self) -> Desk:
        return Desk(self.contact or f"postmaster@{self.domain}", self.takes_answers)


def data_file(receipt: Receipt, letterhead: Letterhead, notice_id: MailId, signed_at: datetime) -> bytes:
    """Return bien-nhan.json: the facts of the event in canonical JSON (RFC 8785), times RFC 3339 with +07:00."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": receipt.kind.value,
        "event": receipt.event_key,
        "event_at": moment(receipt.created_at),
        "issued_at": moment(signed_at),
        "issuer": letterhead.domain,
        "mail_id": receipt.mail_id,
        "notice_id": notice_id,
        "to": receipt.to,
        "seal": "chu-ky-cua-he-thong",  # never claimed to be a chữ ký số chuyên dùng
        "facts": receipt.facts,
    }
    return canonical(data)


def canonical(data: Mapping[str, Any]) -> bytes:
    """Return JSON in the form of RFC 8785.

    For text, whole numbers, flags and ASCII names the standard library's encoder writes exactly that form, ten times as fast (a
    test holds it to the rfc8785 package); anything else is left to that package. Raises TypeError for what JSON cannot hold.
    """
    doubtful: list[Any] = []
    plain = _plain(data, doubtful)
    if doubtful:
        return rfc8785.dumps(plain)
    return _ENCODER.encode(plain).encode()


_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _plain(value: Any, doubtful: list[Any]) -> Any:
    """Copy JSON-able values out of whatever mappings and sequences the store gave.

    `doubtful` collects what has a form of its own in RFC 8785: fractions, and names whose order depends on UTF-16.
    """
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Mapping):
        copy = {}
        for name, inner in value.items():
            if not isinstance(name, str) or not name.isascii():
                doubtful.append(name)
            copy[str(name)] = _plain(inner, doubtful)
        return copy
    if isinstance(value, list | tuple):
        return [_plain(inner, doubtful) for inner in value]
    if not isinstance(value, int | float):
        raise TypeError(f"a data file cannot hold {type(value).__name__}")
    if isinstance(value, float) or abs(value) >= 1 << 53:
        doubtful.append(value)
    return value


def notice(
    receipt: Receipt,
    letterhead: Letterhead,
    notice_id: MailId,
    signed_at: datetime,
    *,
    data: bytes,
    seal: bytes,
    original: bytes = b"",
) -> Notice:
    """Return the finished mail. `original` is the mail it is about (or its header); it is quoted only in reports."""
    shown = card(receipt.kind, dict(receipt.facts), letterhead.desk)
    body = _body(receipt, shown, letterhead, notice_id, data, seal, original)
    message_id = f"<{notice_id}@{letterhead.domain}>"
    header = _header(receipt, shown, letterhead, message_id, signed_at, _thread(receipt, original))
    raw = "".join(f"{line}\r\n" for line in header).encode("ascii") + body.encode()
    return Notice(receipt.to, message_id, raw)


def compose(
    receipt: Receipt,
    *,
    sender: str,
    domain: str,
    notice_id: MailId,
    signed_at: datetime,
    seal: Callable[[bytes], bytes],
    original: bytes = b"",
    name: str = "",
    hostname: str = "",
    contact: str = "",
    takes_answers: bool = False,
) -> Notice:
    """Do both steps: make the data file, have it sealed, and build the mail around it."""
    letterhead = Letterhead(sender or f"bien-nhan@{domain}", domain, name or NAME, hostname, contact, takes_answers)
    data = data_file(receipt, letterhead, notice_id, signed_at)
    return notice(receipt, letterhead, notice_id, signed_at, data=data, seal=seal(data), original=original)


def needs_original(receipt: Receipt) -> bool:
    """Tell whether the mail that a receipt is about goes into its notice: quoted in a report, or for want of a Message-ID."""
    return receipt.kind in _REPORTS or not receipt.facts["mail"]["message_id"]


def _thread(receipt: Receipt, original: bytes) -> str:
    """The Message-ID to thread under. Of a letter the facts keep none, but the mail itself may still be at hand."""
    known = str(receipt.facts["mail"]["message_id"])
    if not known and receipt.kind is not ReceiptKind.ALERT:
        header = original.partition(b"\r\n\r\n")[0]
        found = _MESSAGE_ID.search(header)
        known = found[1].decode("ascii", "replace") if found else ""
    return mime.message_ids([known])


def _header(
    receipt: Receipt, shown: Card, letterhead: Letterhead, message_id: str, signed_at: datetime, thread: str
) -> list[str]:
    automatic = "auto-replied" if receipt.kind in _REPLIES else "auto-generated"
    header = [
        mime.field("From", mime.mailbox(letterhead.name, letterhead.sender)),
        mime.field("To", mime.mailbox("", receipt.to)),
        mime.field("Subject", mime.encoded(f"[{shown.badge}] {shown.subject}")),
        mime.field("Date", mime.date(signed_at)),
        mime.field("Message-ID", message_id),
    ]
    if thread:
        header += [mime.field("In-Reply-To", thread), mime.field("References", thread)]
    return [
        *header,
        mime.field("Auto-Submitted", automatic),
        mime.field("X-Auto-Response-Suppress", "All"),
        mime.field("X-Mailrelay-Receipt", receipt.kind.value),
        "Content-Language: vi" + (", en" if shown.english else ""),
        "MIME-Version: 1.0",
    ]


def _body(
    receipt: Receipt, shown: Card, letterhead: Letterhead, notice_id: MailId, data: bytes, seal: bytes, original: bytes
) -> Part:
    """Boundaries are made of the notice's own id, which nobody knew when the quoted mail was written."""
    alternative = mime.multipart(
        "alternative", [mime.text("plain", as_text(shown)), mime.text("html", as_html(shown))], f"=_{notice_id}_a"
    )
    sealed = [
        mime.leaf("application/json", data, name=DATA_NAME, disposition="attachment"),
        mime.leaf("application/pkcs7-signature", seal, name=f"{DATA_NAME}.p7s", disposition="attachment"),
    ]
    mixed = mime.multipart("mixed", [alternative, *sealed], f"=_{notice_id}_m")
    facts = dict(receipt.facts)
    if receipt.kind not in _REPORTS or facts.get("unasked"):
        return mixed
    status = delivery_status(facts, letterhead.hostname or letterhead.domain)
    third = returned_mail(facts, original)
    return mime.multipart("report", [mixed, status, third], f"=_{notice_id}_r", "report-type=delivery-status")
