"""One mail on its way to one recipient, and what came of each try."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from mailrelay.model.document import Urgency
from mailrelay.model.envelope import Recipient
from mailrelay.model.identity import MailId
from mailrelay.model.message import Rendering


class DispatchState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"  # written into the mailbox
    RELAYED = "relayed"  # taken over by another system
    DEFERRED = "deferred"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    HELD = "held"

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset({DispatchState.DELIVERED, DispatchState.RELAYED, DispatchState.FAILED, DispatchState.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Dispatch:
    """`dispatch_id` is 0 until stored. `recipient.address` is where it goes, after groups and aliases were expanded."""

    mail_id: MailId
    recipient: Recipient
    destination: str  # Target.destination: what the queue counts by
    state: DispatchState
    next_attempt_at: datetime
    urgency: Urgency = Urgency.NORMAL
    attempts: int = 0
    detail: str = ""  # last reply or reason, safe to show
    dispatch_id: int = 0
    lease_until: datetime | None = None
    created_at: datetime | None = None

    def taken(self, until: datetime | None) -> Dispatch:
        """The same under a lease: its next try counts as begun."""
        return replace(self, state=DispatchState.SENDING, attempts=self.attempts + 1, lease_until=until)


class Result(StrEnum):
    DELIVERED = "delivered"
    RELAYED = "relayed"
    DEFERRED = "deferred"
    FAILED = "failed"


class Scope(StrEnum):
    """How far a refusal or fault reaches: what the same answer would be given to if it were tried at once."""

    RECIPIENT = "recipient"
    MAIL = "mail"
    DESTINATION = "destination"  # the next hop as a whole: other mails for it had better wait, too


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try for one recipient.

    `status` is an RFC 3463 code ("2.0.0"), `code` the SMTP reply code (0 without one), `text` the reply or fault as one safe
    line. `uncertain` marks a reply lost after the final dot. `dsn` says that the next hop took over RFC 3461 duties.
    `scope` says how far a refusal or fault reaches.
    """

    recipient: str
    result: Result
    status: str
    code: int = 0
    text: str = ""
    remote: str = ""
    tls: str = ""
    uncertain: bool = False
    dsn: bool = False
    scope: Scope = Scope.RECIPIENT


@dataclass(frozen=True, slots=True)
class Parcel:
    """What the transport needs to send one mail to one next hop: recipients share it, bytes are streamed from `path`.

    `attempts` counts the tries, this one included; only 1 is taken as proof that no copy can lie in a Maildir already.
    """

    mail_id: MailId
    sender: str
    recipients: tuple[Recipient, ...]
    path: Path
    size: int
    rendering: Rendering
    body: str = "7BIT"
    smtputf8: bool = False
    requiretls: bool = False
    ret: str | None = None
    envid: str | None = None
    attempts: int = 0
