"""The machine part of a delivery report: RFC 3464 fields and the returned header (RFC 6522). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from mailrelay.receipts import mime
from mailrelay.receipts.facts import Facts
from mailrelay.receipts.mime import Part

_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\Z")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_ADDRESS_AND_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\])?(?::\d+)?\Z")
_DOMAIN = re.compile(r"[A-Za-z0-9_.-]{1,253}\Z")
# The classes of status that an action may bear, its default first. A failure bears class 4 when it was the end of retrying:
# RFC 3463 section 3.1, RFC 3464 section 2.3.4.
_CLASSES = {"failed": "54", "delayed": "4", "delivered": "2", "relayed": "2", "expanded": "2"}


def delivery_status(facts: Facts, hostname: str) -> Part:
    """Return the message/delivery-status part: per-message fields, then one block for each recipient."""
    mail = facts["mail"]
    head = [f"Reporting-MTA: dns; {_ascii(hostname)}"]
    if mail["envid"]:
        head.insert(0, f"Original-Envelope-Id: {from_xtext(mail['envid'])}")
    head.append(f"Arrival-Date: {_date(mail['received_at'])}")
    blocks = [head, *(_recipient(recipient, facts["action"]) for recipient in facts["recipients"])]
    body = "\r\n".join("".join(f"{_folded(line)}\r\n" for line in block) for block in blocks)
    return mime.verbatim("message/delivery-status", body.encode("ascii"))


def _recipient(recipient: Facts, action: str) -> list[str]:
    status = recipient["status"]
    # A status contradicts its action only by a fault of the next hop; the action is what we know (RFC 3464 section 2.3.4).
    if not _STATUS.match(status) or status[0] not in _CLASSES[action]:
        status = f"{_CLASSES[action][0]}.0.0"
    lines = [f"Original-Recipient: {_original(recipient['orcpt'])}"] if recipient["orcpt"] else []
    lines += [f"Final-Recipient: {_typed(recipient['address'])}", f"Action: {action}", f"Status: {status}"]
    if remote := _remote(recipient["remote"]):
        lines.append(f"Remote-MTA: {remote}")
    if recipient["code"] or (recipient["text"] and action in ("failed", "delayed")):
        kind = "smtp" if recipient["code"] else "x-mailrelay"
        lines.append(f"Diagnostic-Code: {kind}; {_diagnostic(recipient)}")
    lines.append(f"Last-Attempt-Date: {_date(recipient['at'])}")
    if action == "delayed" and recipient.get("until"):
        lines.append(f"Will-Retry-Until: {_date(recipient['until'])}")
    return lines


def _remote(hop: str) -> str:
    """The machine that answered, as RFC 3464 section 2.3.5 names it: its domain, or its address in brackets.

    A hop is recorded as "mx.example.vn[192.0.2.7]:25" or "192.0.2.7:25"; what is no such name keeps its form under another type.
    """
    name = _ADDRESS_AND_PORT.sub("", hop)
    if _is_address(name):
        return f"dns; [{name}]"
    if _DOMAIN.match(name):
        return f"dns; {name}"
    return f"x-mailrelay; {_ascii(hop)}" if hop else ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _diagnostic(recipient: Facts) -> str:
    """The reply as it was given (RFC 3461 section 9.2), or what we found ourselves; a status that stands for none is left out."""
    text = _ascii(recipient["text"])
    if not recipient["code"]:
        return text
    status = recipient["status"]
    is_said = bool(_STATUS.match(status)) and status[1:] != ".0.0" and not _STATUS.match(text.partition(" ")[0])
    said = status if is_said else ""
    return " ".join(word for word in (str(recipient["code"]), said, text) if word)


def _typed(address: str) -> str:
    """`rfc822; a@b`, or for an address beyond ASCII the form of RFC 6533 section 3 that stays ASCII."""
    if address.isascii():
        return f"rfc822; {_ascii(address)}"
    return "utf-8; " + "".join(c if "!" <= c <= "~" and c not in "\\+=" else f"\\x{{{ord(c):X}}}" for c in address)


def _original(orcpt: str) -> str:
    """ORCPT as it came: "rfc822;a+2Bb@c" has its xtext undone (RFC 3461 section 4.2, RFC 3464 section 2.3.1)."""
    kind, _, address = orcpt.partition(";")
    return f"{_ascii(kind)}; {from_xtext(address)}" if address else f"rfc822; {_ascii(orcpt)}"


def from_xtext(text: str) -> str:
    """Undo xtext (RFC 3461 section 4); what would break the field becomes "?"."""
    return _ascii(_XTEXT.sub(lambda found: chr(int(found[1], 16)), text))


def _ascii(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text).strip()


def _folded(line: str) -> str:
    """Fold a long field at blanks."""
    rows: list[str] = []
    row = ""
    for word in line.split(" "):
        if row and len(row) + 1 + len(word) > 76:
            rows.append(row)
            row = word
        else:
            row = f"{row} {word}" if row else word
    return "\r\n ".join([*rows, row])


def _date(moment: str) -> str:
    return mime.date(datetime.fromisoformat(moment))


def returns_whole(facts: Mapping[str, Any]) -> bool:
    """Tell whether the whole mail was asked for: RET=FULL, which counts for failures only (RFC 3461 section 4.3)."""
    return bool(facts.get("mail", {}).get("ret", "").upper() == "FULL" and facts.get("action") == "failed")


def returned_mail(facts: Facts, original: bytes) -> Part:
    """Return the third part: the whole mail when asked for and at hand, else its header, else what the facts know of it.

    A mail in a mail may not be encoded (RFC 2046 section 5.2.1): it goes as it is when it has proper lines and its header is ASCII.
    """
    top, _, body = original.partition(b"\r\n\r\n")
    if body and returns_whole(facts) and top.isascii() and (bits := mime.transfer_of(original)):
        return mime.verbatim("message/rfc822", original, bits)
    header = original[: original.find(b"\r\n\r\n") + 2] if b"\r\n\r\n" in original else b""
    if not header:
        header = _known_header(facts["mail"])
    if mime.is_seven_bit(header):
        return mime.verbatim("text/rfc822-headers", header)
    return mime.leaf("text/rfc822-headers; charset=utf-8", header)


def _known_header(mail: dict[str, Any]) -> bytes:
    fields = [mime.field("From", mime.mailbox("", mail["from"]))]
    if mail["subject"]:
        fields.append(mime.field("Subject", mime.encoded(mail["subject"])))
    if found := mime.message_ids([mail["message_id"]]):
        fields.append(mime.field("Message-ID", found))
    return "".join(f"{one}\r\n" for one in fields).encode("ascii")
