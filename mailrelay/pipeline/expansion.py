"""Groups and aliases become the addresses of mailboxes, with the sender's wishes for delivery reports. Pure.

RFC 3461 section 5.2.7: an alias for one keeps every wish. A group of several passes on ENVID, RET, ORCPT and NOTIFY, but not
the wish to hear of success: that is answered at once by a report that the group was expanded (`receipts.transport`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailrelay.model.agency import Directory
from mailrelay.model.envelope import Notify, Recipient

_NOT_XTEXT = frozenset("+=")


def expand(recipients: Sequence[Recipient], directory: Directory) -> tuple[Recipient, ...]:
    """Resolve groups and aliases, each address once, in order; unknown addresses stay as they are.

    Who is named and also a member of a group keeps the wishes that go with the name.
    """
    resolved: dict[str, Recipient] = {}
    named: set[str] = set()
    for recipient in recipients:
        group = directory.group(recipient.address)
        members = group.members if group else (recipient.address,)
        for final in _resolved(recipient, members, directory):
            key = final.address.lower()
            if key not in resolved or (group is None and key not in named):
                resolved[key] = final
            if group is None:
                named.add(key)
    return tuple(resolved.values())


def _resolved(recipient: Recipient, members: Sequence[str], directory: Directory) -> Iterator[Recipient]:
    notify = recipient.notify if len(members) == 1 else _without_success(recipient.notify)
    for member in members:
        address = directory.resolve(member)
        orcpt = recipient.orcpt
        if orcpt is None and address.lower() != recipient.address.lower():
            orcpt = original(recipient.address)
        yield Recipient(address, notify, orcpt)


def _without_success(notify: frozenset[Notify] | None) -> frozenset[Notify] | None:
    if notify is None or Notify.SUCCESS not in notify:
        return notify
    return notify - {Notify.SUCCESS} or frozenset({Notify.NEVER})


def original(address: str) -> str | None:
    """An address as an ORCPT parameter (RFC 3461 section 4.2); None for one beyond ASCII, which has no form there."""
    if not address.isascii():
        return None
    return "rfc822;" + "".join(c if "!" <= c <= "~" and c not in _NOT_XTEXT else f"+{ord(c):02X}" for c in address)
