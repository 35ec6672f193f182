"""What the door itself reads in a mail's header: who sent it, for whom, and our own mark. Pure; the rest is inspection's work."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailrelay.inspection.addresses import mailboxes
from mailrelay.inspection.fields import Block, split
from mailrelay.intake.imap.recipients import MOST_RECIPIENTS, read_recipients
from mailrelay.model.agency import Directory, ImapAccount, Purpose
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.identity import MailId, is_mail_id

MAIL_ID_FIELD = "x-mailrelay-id"
_MOST_FIELDS = 2000
_PATH = re.compile(r"<?([^\s<>@]+@[^\s<>@]+)>?\Z")
_OWN_MESSAGE_ID = re.compile(r"<([0-9A-Z]{26})@[^<>@]*>\Z")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,990}>")  # as inspection reads it
_MOST_MARKS = 8
_BLIND = ("bcc", "resent-bcc")


@dataclass(frozen=True, slots=True)
class Heading:
    """`sender` is what Return-Path says, else From; "" is the null path, or nobody. `unreadable` names a field of recipients
    that is not clear. `mail_ids` are the ids under which we may have sent it: claims, to be checked. `blind` are the offsets
    of the Bcc fields, which must not be sent on. `body` is the offset behind the header, None when it does not end in the block.
    """

    sender: str = ""
    recipients: tuple[str, ...] = ()
    unreadable: str = ""
    mail_ids: tuple[MailId, ...] = ()
    blind: tuple[tuple[int, int], ...] = ()
    message_id: str = ""
    body: int | None = None


def read_heading(head: bytes) -> Heading:
    """Read the header at the beginning of a mail (its first block, which may end within the header). Never raises."""
    block = split(head, 0, _MOST_FIELDS)
    recipients, unreadable = _recipients(block)
    return Heading(
        sender=_sender(block),
        recipients=recipients,
        unreadable=unreadable,
        mail_ids=_mail_ids(block),
        blind=tuple((field.start, field.end) for field in block.fields if field.name in _BLIND),
        message_id=_message_id(block),
        body=block.end if _is_whole(block, head) else None,
    )


def make_envelope(
    heading: Heading, account: ImapAccount, directory: Directory, *, peer: str, ascii_only: bool
) -> Envelope:
    """The envelope of a mail found in a box: its owner is the recipient (incoming) or the sender (outgoing)."""
    body = "7BIT" if ascii_only else "8BITMIME"
    if account.purpose is Purpose.INCOMING:
        origin = Origin(Door.IMAP, peer=peer, esmtp=False, account=account.name, in_place=True)
        return Envelope(heading.sender, (Recipient(account.owner),), origin, body=body)
    box = directory.mailbox(account.owner)
    sender = box.address if box else account.owner
    origin = Origin(Door.IMAP, peer=peer, login=(box.login if box else "") or sender, esmtp=False, account=account.name)
    recipients = tuple(Recipient(address) for address in heading.recipients)
    smtputf8 = not all(address.isascii() for address in (sender, *heading.recipients))
    return Envelope(sender, recipients, origin, body=body, smtputf8=smtputf8, cuts=heading.blind)


def _sender(block: Block) -> str:
    path = block.first("return-path")
    if path is not None:
        text = path.text.strip()
        found = _PATH.match(text)
        return found[1] if found and text != "<>" else ""
    author = block.first("from")
    found_in = mailboxes(author.value, 1) if author else ()
    found = _PATH.match(found_in[0].address) if found_in else None
    return found[1] if found else ""


def _is_whole(block: Block, head: bytes) -> bool:
    return block.broken or block.end < len(head) or head.endswith((b"\n\r\n", b"\n\n"))


def _message_id(block: Block) -> str:
    field = block.first("message-id")
    found = _MESSAGE_ID.search(field.text) if field else None
    return found[0] if found else ""


def _mail_ids(block: Block) -> tuple[MailId, ...]:
    """The marks that delivery adds, and the mail id in the Message-ID of our own notices."""
    claims = [field.text for field in block.all(MAIL_ID_FIELD)[:_MOST_MARKS]]
    message_id = block.first("message-id")
    own = _OWN_MESSAGE_ID.match(message_id.text.strip()) if message_id else None
    if own is not None:
        claims.append(own[1])
    return tuple(MailId(claim) for claim in dict.fromkeys(claims) if is_mail_id(claim))


def _recipients(block: Block) -> tuple[tuple[str, ...], str]:
    """Every address of To, Cc and Bcc once; or the name of the first field that cannot be read without guessing."""
    found: dict[str, str] = {}
    for field in block.fields:
        if field.name not in ("to", "cc", "bcc"):
            continue
        try:
            addresses = read_recipients(field.value)
        except ValueError:
            return (), field.name
        for address in addresses:
            found.setdefault(address.lower(), address)
    if len(found) > MOST_RECIPIENTS:
        return (), "to"
    return tuple(found.values()), ""
