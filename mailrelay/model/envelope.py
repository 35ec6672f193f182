"""RFC 5321 data of one mail: who hands it in, by which door, for whom, with which RFC 3461 wishes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mailrelay.model.decision import Action


class Door(StrEnum):
    """The way a mail came in."""

    MX = "mx"  # port 25, strangers and listed peers
    SUBMISSION = "submission"  # port 587, STARTTLS and AUTH
    SUBMISSIONS = "submissions"  # port 465, implicit TLS and AUTH
    LMTP = "lmtp"
    IMAP = "imap"


class Notify(StrEnum):
    """RFC 3461 section 4.1."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One RCPT TO. `notify` is None when the client did not ask; `orcpt` is kept letter for letter (xtext, RFC 3461 4.2)."""

    address: str
    notify: frozenset[Notify] | None = None
    orcpt: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a mail came from.

    `tls` is "TLSv1.3 TLS_AES_256_GCM_SHA384" or None for clear text. `login` is set only after a successful AUTH (or for
    the owner of an outgoing IMAP drop folder). `account` names the IMAP account; `in_place` says that the mail already lies
    in the recipient's mailbox (an incoming IMAP account), so that it is registered but not delivered again. `via` is the
    address of a listed neighbour that handed the mail over and told who the `peer` behind it is; "" without one. `promise`
    says that a neighbour has promised delivery already, and what takes the place of a refusal: HOLD or RETURN.
    """

    door: Door
    peer: str = ""
    helo: str = ""
    tls: str | None = None
    login: str | None = None
    esmtp: bool = True
    account: str | None = None
    in_place: bool = False
    via: str = ""
    promise: Action | None = None

    @property
    def is_authenticated(self) -> bool:
        return self.login is not None


@dataclass(frozen=True, slots=True)
class Envelope:
    """Sender ("" is the null reverse-path), recipients in order, origin, and the message-wide ESMTP parameters.

    `cuts` are (start, end) offsets into the received bytes, ascending and disjoint, that must not be sent on: the Bcc fields
    of a mail from a drop folder, where the header is all the envelope that there is (RFC 5322 section 3.6.3).
    """

    sender: str
    recipients: tuple[Recipient, ...]
    origin: Origin
    ret: str | None = None  # FULL | HDRS
    envid: str | None = None  # xtext, letter for letter
    body: str = "7BIT"  # 7BIT | 8BITMIME | BINARYMIME
    smtputf8: bool = False
    requiretls: bool = False
    cuts: tuple[tuple[int, int], ...] = ()
