"""What a poller needs of a mail server, in few words. The protocol behind it stays in `connection`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mailrelay.model.faults import Fault

REGISTERED = "$Registered"  # taken, or recognised as our own delivery
REFUSED = "$Refused"
BATCH = 200  # UIDs in one command
BLOCK = 512 * 1024  # octets of a mail in one answer


class SourceLost(Fault):
    """The connection is gone or cannot be trusted any more: it was thrown away, try again with a new one."""


class SourceRefused(Fault):
    """The server said no: login, folder, a right that is missing. The text is safe to show."""


@dataclass(frozen=True, slots=True)
class Selected:
    """An opened folder. `keywords`: keywords of our own may be set; `uid_next` 0: the server did not say.

    `modseq` grows with every change in the folder (RFC 7162: HIGHESTMODSEQ); 0: the server does not count.
    """

    uidvalidity: int
    uid_next: int
    exists: int
    keywords: bool
    read_only: bool = False
    modseq: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """One mail of a folder before its content is fetched. `size` is the server's word (RFC822.SIZE) and may be a guess."""

    uid: int
    size: int
    flags: frozenset[str]


class MailSource(Protocol):
    """One connection to one account. Every call raises SourceLost or SourceRefused and nothing else for the world's faults.

    At most BATCH UIDs in one call.
    """

    @property
    def peer(self) -> str:
        """The IP address at the other end."""

    async def open(self) -> None:
        """Connect, secure the line, log in."""

    async def select(self, folder: str) -> Selected:
        """Open a folder by its readable name."""

    async def create(self, folder: str) -> None:
        """Make a folder, subscribed."""

    async def since(self, first: int, last: int | None = None) -> tuple[int, ...]:
        """The UIDs from `first` to `last`, or all from there by the server's latest knowledge. Ascending."""

    async def unmarked(self, first: int, last: int) -> tuple[int, ...]:
        """The UIDs from `first` to `last` that bear neither of our keywords, ascending."""

    async def present(self, uids: Sequence[int]) -> frozenset[int]:
        """Those of the UIDs that are still there, by the server's latest knowledge."""

    async def list(self, uids: Sequence[int]) -> tuple[Listed, ...]:
        """Size and flags; mails that are gone are left out."""

    async def block(self, uid: int, offset: int) -> bytes | None:
        """At most BLOCK octets of a mail from `offset`; fewer only at its end; None when there is none such. Never sets \\Seen."""

    async def mark(self, uids: Sequence[int], keyword: str) -> None:
        """Set a keyword."""

    async def move(self, uids: Sequence[int], folder: str) -> None:
        """Move mails to a folder, which is made when it is missing."""

    async def wait(self, seconds: float) -> None:
        """Sleep until new mail is announced (after the last open `since`), `ring` is called, or the time is over."""

    def ring(self) -> None:
        """End the present or the next `wait`."""

    async def close(self) -> None:
        """Take leave, or just hang up. Never raises."""
