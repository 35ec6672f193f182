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
_BLIND = ("bcc", "resent-bcc")


@dataclass(frozen=True, slots=True)
class Heading:
    """`blind` are the offsets of the Bcc fields, which must not be sent on. `unreadable` says which field names nobody clearly.

    `sender` is what Return-Path says, else From; "" is the null path, or nobody.
    """

    sender: str = ""
    recipients: tuple[str, ...] = ()
    unreadable: str = ""
    mail_ids: tuple[MailId, ...] = ()
    blind: tuple[tuple[int, int], ...] = ()


def read_heading(head: bytes) -> Heading:
    """Read the header at the beginning of a mail (its first block, which may end within the header). Never raises."""
    block = split(head, 0, _MOST_FIELDS)
    ids = (field.text for field in block.all(MAIL_ID_FIELD)[:8])
    recipients, unreadable = _recipients(block)
    return Heading(
        sender=_sender(block),
        recipients=recipients,
        unreadable=unreadable,
        mail_ids=tuple(MailId(text) for text in ids if is_mail_id(text)),
        blind=tuple((field.start, field.end) for field in block.fields if field.name in _BLIND),
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
