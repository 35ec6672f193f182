"""Who may speak: the directory's answer to an envelope sender and to each recipient. Pure; header fields are not its business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailrelay.model.agency import Directory, Mailbox
from mailrelay.model.envelope import Door, Origin

_ALWAYS = frozenset({"postmaster", "abuse"})  # RFC 5321 section 4.5.1, RFC 2142
_WITH_LOGIN = frozenset({Door.SUBMISSION, Door.SUBMISSIONS})


@dataclass(frozen=True, slots=True)
class Admission:
    """Admitted when `refusal` is ""; else a name of the refusal table with the values of its sentences."""

    refusal: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


_ADMITTED = Admission()


def account_of(directory: Directory, login: str) -> Mailbox | None:
    """The enabled mailbox behind a login; people may write their address (or an alias) for the account name."""
    box = directory.account(login) or directory.mailbox(login)
    return box if box and box.login and box.enabled else None


def asserted_login(directory: Directory, sender: str) -> str | None:
    """The login that a trusted neighbour vouches for by an own-domain MAIL FROM; None for any other sender."""
    box = directory.mailbox(sender)
    return (box.login or box.address) if box and box.enabled else None


def admit_sender(directory: Directory, origin: Origin, sender: str) -> Admission:
    """May this origin use this MAIL FROM? `sender` is "" for the null reverse-path."""
    if origin.login is not None:
        return _admit_owner(directory, origin.login, sender)
    if origin.door in _WITH_LOGIN:
        return Admission("auth-required")
    if origin.door is Door.MX and directory.is_local(sender):
        return Admission("local-sender-without-login", {"sender": sender})
    return _ADMITTED


def _admit_owner(directory: Directory, login: str, sender: str) -> Admission:
    if not sender:
        return Admission("null-sender")
    if sender.lower() in directory.owned_by(login):
        return _ADMITTED
    return Admission("sender-not-owned", {"login": login, "sender": sender})


def admit_recipient(directory: Directory, origin: Origin, recipient: str) -> Admission:
    """May mail of this origin go to this recipient? Strangers reach our own boxes only; logins reach the world too."""
    if not directory.is_local(recipient):
        return _ADMITTED if origin.is_authenticated else Admission("relay-denied", {"recipient": recipient})
    box = directory.mailbox(recipient)
    if box is not None:
        return _ADMITTED if box.enabled else Admission("mailbox-disabled", {"recipient": recipient})
    local_part = recipient.rpartition("@")[0].lower()
    if directory.group(recipient) is not None or local_part in _ALWAYS or local_part in directory.system_addresses:
        return _ADMITTED
    return Admission("no-such-recipient", {"recipient": recipient})
