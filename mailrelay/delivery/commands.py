"""The envelope as SMTP commands, within what the next hop offers. Pure; says beforehand what cannot be sent to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailrelay.delivery.outcome import Trouble
from mailrelay.delivery.pace import Pace
from mailrelay.delivery.replies import Extensions
from mailrelay.model.dispatch import Parcel
from mailrelay.model.envelope import Notify, Recipient

_NOTIFY_ORDER = (Notify.NEVER, Notify.SUCCESS, Notify.FAILURE, Notify.DELAY)
# A path that cannot break out of its command: a quoted local part, or a local part without quotes, brackets and spaces.
_PATH = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"|[^\s"<>()\\,;:@\x00-\x20\x7f]+)@[^\s<>@"\\\x00-\x20\x7f]+\Z'
)
_PARAMETER = re.compile(r"[\x21-\x7e]{1,500}\Z")


@dataclass(frozen=True, slots=True)
class Mail:
    """A parcel with what its envelope must say. `size` is that of the rendered mail; `utf8_header`: its header is not ASCII.

    `pace` is the speed of the link that it goes over, where that has a limit.
    """

    parcel: Parcel
    size: int
    utf8_header: bool = False
    pace: Pace | None = None

    def needs_utf8(self, recipient: Recipient) -> bool:
        return not (self.parcel.sender.isascii() and recipient.address.isascii())


def objection(mail: Mail, offered: Extensions, *, secured: bool) -> Trouble | None:
    """Why this mail cannot go to this hop at all. `secured`: the way there is safe enough for REQUIRETLS (RFC 8689)."""
    parcel = mail.parcel
    if parcel.requiretls and not secured:
        return Trouble.NO_REQUIRETLS
    if offered.size and mail.size > offered.size:
        return Trouble.TOO_BIG
    if parcel.body == "BINARYMIME" and not (offered.offers("CHUNKING") and offered.offers("BINARYMIME")):
        return Trouble.NO_BINARY
    if mail.utf8_header and parcel.smtputf8 and not offered.offers("SMTPUTF8"):
        return Trouble.NO_UTF8_HEADER
    return Trouble.BAD_ADDRESS if parcel.sender and not _PATH.match(parcel.sender) else None


def recipient_objection(mail: Mail, recipient: Recipient, offered: Extensions) -> Trouble | None:
    """Why this recipient cannot be named to this hop."""
    if not _PATH.match(recipient.address):
        return Trouble.BAD_ADDRESS
    if mail.needs_utf8(recipient) and not offered.offers("SMTPUTF8"):
        return Trouble.NO_UTF8
    return None


def mail_command(mail: Mail, offered: Extensions) -> bytes:
    """MAIL FROM with SIZE, BODY, SMTPUTF8, REQUIRETLS, RET and ENVID as far as they are offered (and asked for)."""
    parcel = mail.parcel
    words = [f"MAIL FROM:<{parcel.sender}>"]
    if offered.size is not None:
        words.append(f"SIZE={mail.size}")
    if parcel.body in ("8BITMIME", "BINARYMIME") and offered.offers(parcel.body):
        words.append(f"BODY={parcel.body}")
    if parcel.smtputf8 and offered.offers("SMTPUTF8"):
        words.append("SMTPUTF8")
    if parcel.requiretls and offered.offers("REQUIRETLS"):
        words.append("REQUIRETLS")
    if offered.offers("DSN"):
        words += [f"RET={parcel.ret}"] if parcel.ret in ("FULL", "HDRS") else []
        words += [f"ENVID={parcel.envid}"] if parcel.envid and _PARAMETER.match(parcel.envid) else []
    return f"{' '.join(words)}\r\n".encode()


def rcpt_command(recipient: Recipient, offered: Extensions) -> bytes:
    """RCPT TO with NOTIFY and ORCPT, letter for letter as they were given (RFC 3461 section 5.2.1), where DSN is offered."""
    words = [f"RCPT TO:<{recipient.address}>"]
    if offered.offers("DSN"):
        if recipient.notify:
            words.append("NOTIFY=" + ",".join(notify for notify in _NOTIFY_ORDER if notify in recipient.notify))
        if recipient.orcpt and _PARAMETER.match(recipient.orcpt):
            words.append(f"ORCPT={recipient.orcpt}")
    return f"{' '.join(words)}\r\n".encode()
