"""A mail as it was received, and what a parser read in it. The bytes stay in the spool file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailrelay.model.envelope import Envelope
from mailrelay.model.identity import MailId


class MessageState(StrEnum):
    """Where a mail stands as a whole."""

    PENDING = "pending"  # durable and acknowledged, not yet judged
    HELD = "held"  # at least one recipient waits for a person, none is moving
    MOVING = "moving"  # at least one dispatch is not final
    DONE = "done"
    RETURNED = "returned"  # nothing was dispatched; the sender was told
    REJECTED = "rejected"  # refused; no bytes of it are kept


@dataclass(frozen=True, slots=True)
class Message:
    """One received mail. `digest` is the SHA-256 (hex) of the received bytes, `size` their number, `received_at` UTC."""

    mail_id: MailId
    envelope: Envelope
    digest: str
    size: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Rendering:
    """How the received bytes are sent on: `prefix` (our trace fields, CRLF), then the bytes without the `cuts`.

    `cuts` are (start, end) offsets into the received bytes, ascending and disjoint: only Authentication-Results fields
    that bear our own id (RFC 8601 section 5). Everything else is passed on unchanged. `body_sha256` is that of the bytes after
    the header: by it, and not by a mark that anybody can write, we know our own delivery again in a box that we poll.
    """

    prefix: bytes = b""
    cuts: tuple[tuple[int, int], ...] = ()
    body_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """A display name and an addr-spec as they stand in a header field, decoded."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file inside a mail.

    `name` is the name a client would show (NFC), `names` every variant found (filename, filename*, name, name*, RFC 2047
    forms, decoded), `declared` the Content-Type, `type` the type by content (libmagic), `size` and `sha256` of the decoded bytes.
    """

    name: str
    names: tuple[str, ...]
    declared: str
    type: str
    size: int
    sha256: str
    part: str  # MIME section number as in IMAP, for example "2.1"


@dataclass(frozen=True, slots=True)
class Content:
    """What a mail says, decoded, bounded and in NFC: made once by `inspection.mime`, never executed, never complete.

    `fields` holds the header fields that later rooms use as (lower-case name, decoded value), in order of appearance.
    `text` is the readable text, at most 64 Ki characters; `inner_text` is that of attached mails and text files and of HTML
    beside plain text, which is not what this mail is known by. `body_sha256` is taken over the received bytes after the header.
    """

    subject: str = ""
    senders: tuple[Address, ...] = ()  # every mailbox of every From field
    to: tuple[Address, ...] = ()  # To and Cc, at most 200
    date: str = ""
    message_id: str = ""  # with angle brackets, "" when absent
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    body_sha256: str = ""
    received_count: int = 0
    own_results: tuple[tuple[int, int], ...] = ()  # offsets of Authentication-Results fields with our id
    inner_subjects: tuple[str, ...] = ()  # of attached mails, at most 50
    inner_text: str = ""

    def field(self, name: str) -> str:
        """Return the first value of a header field by its lower-case name, or ""."""
        return next((value for key, value in self.fields if key == name), "")
