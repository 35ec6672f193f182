"""Where mail for an address goes: mailboxes first, then the written routes. Never out to our own domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from mailrelay.model.agency import Directory, Mailbox, Target, TargetKind


class Route(Protocol):
    """A written route. `domain` is "example.vn", ".example.vn" (its subdomains) or "*" (any other).

    A target of kind smtp without a host stands for the mail exchangers of the recipient's domain.
    """

    @property
    def domain(self) -> str: ...
    @property
    def target(self) -> Target: ...


class Reinjection(Protocol):
    """The port of the MTA in front that takes mail back after our checks. `local` tells whether it delivers to our domain too."""

    @property
    def target(self) -> Target: ...
    @property
    def local(self) -> bool: ...


def route(
    address: str, directory: Directory, routes: Sequence[Route], back: Reinjection | None = None
) -> Target | None:
    """Return the target of an address (any case), or None when there is no way to deliver to it.

    With `back` everything goes to the MTA in front, which knows more addresses of our domain than we do; only a box that is
    switched off has no way there either.

    An unknown or disabled address of our own domain has none, whatever the routes say: a smarthost or MX would send it back
    to us. The most exact route wins, not the first. Without a port, a target of kind smtp means the MX hosts of its `host`.
    """
    local, at, domain = address.rpartition("@")
    domain = domain.rstrip(".").lower()
    is_own = domain == directory.domain.lower()
    box = directory.mailbox(address) or _system_box(address, directory)
    if back is not None and (back.local or not is_own) and (box is None or box.enabled):
        return back.target if local and at and domain else None
    if box is not None:
        target = box.target if box.enabled else None
    else:
        target = _routed(domain, routes) if local and at and domain and not is_own else None
    if target is None or target.kind is not TargetKind.SMTP or target.host:
        return target
    return None if is_own else replace(target, host=domain)


def _system_box(address: str, directory: Directory) -> Mailbox | None:
    if not directory.is_local(address):
        return None
    forward = directory.system_addresses.get(address.rpartition("@")[0].lower())
    return directory.mailbox(forward) if forward else None


def _routed(domain: str, routes: Sequence[Route]) -> Target | None:
    by_domain = {route.domain.lower(): route.target for route in reversed(routes)}
    labels = domain.split(".")
    candidates = [domain, *("." + ".".join(labels[n:]) for n in range(1, len(labels))), "*"]
    return next((by_domain[name] for name in candidates if name in by_domain), None)
