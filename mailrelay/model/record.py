"""All that the house knows of one mail at the moment it was judged: what the store keeps and what an auditor is shown."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from mailrelay.model.decision import Decision
from mailrelay.model.document import Document, MessageClass
from mailrelay.model.finding import Finding
from mailrelay.model.message import Attachment, Message, MessageState, Rendering


@dataclass(frozen=True, slots=True)
class MailRecord:
    """`message_class`, `findings`, `document` and `decision` are empty while the mail is pending.

    For letters `subject` and `message_id` are "" and the attachments nameless: the log keeps no more than it must.
    `repeat_key` is the hex digest under which a re-sent mail is recognised (sender, Message-ID, body).
    """

    message: Message
    state: MessageState
    message_id: str = ""
    subject: str = ""
    message_class: MessageClass | None = None
    findings: tuple[Finding, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    document: Document | None = None
    warnings: tuple[str, ...] = ()
    decision: Decision | None = None
    rendering: Rendering = field(default_factory=Rendering)
    repeat_key: str = ""


def veiled(message_id: str) -> str:
    """What the log keeps of a letter's Message-ID: enough to find the letter by it, not to read it."""
    return f"sha256:{hashlib.sha256(message_id.encode()).hexdigest()}"
