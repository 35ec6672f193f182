"""What the sessions of one door share: the callables that the daemon wired, the counters, and the mails being accepted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from mailrelay.intake.smtp.data import disk_refusal
from mailrelay.intake.smtp.limits import ConnectionCount, Failures, Limits
from mailrelay.intake.smtp.quota import Quota, Share
from mailrelay.intake.smtp.replies import Wording
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.agency import Directory
from mailrelay.model.envelope import Envelope
from mailrelay.model.faults import StoreFull
from mailrelay.model.identity import MailId
from mailrelay.telemetry import log


class DraftLike(Protocol):
    """The part of `spool.Draft` that a door uses."""

    @property
    def mail_id(self) -> MailId: ...

    def write(self, block: bytes) -> None: ...

    def finish(self) -> str: ...

    def discard(self) -> None: ...

    def give_up(self) -> None: ...


Accept = Callable[[Envelope, Any], Awaitable[Acceptance]]
CheckPassword = Callable[[str, str], Awaitable[bool]]


@dataclass(slots=True)
class Desk:
    """`draft` opens a spool file, `accept` makes a mail ours, `check_password` asks the accounts that exist.

    `rights_of` tells what a neighbour may do, by its address; see `peers.py`. `hindrance` names the refusal for every mail
    at present ("" = mail can be taken).
    """

    hostname: str
    directory: Callable[[], Directory]
    draft: Callable[[], DraftLike]
    accept: Accept
    check_password: CheckPassword
    tls: ssl.SSLContext | None
    limits: Limits
    wording: Wording
    connections: ConnectionCount
    failures: Failures
    rights_of: Callable[[str], frozenset[str]]
    quota: Quota
    hindrance: Callable[[], str] = lambda: ""
    acceptances: set[asyncio.Task[Acceptance]] = field(default_factory=set)

    async def hand_in(self, envelope: Envelope, draft: DraftLike, share: Share | None = None) -> Acceptance:
        """Let the house accept a mail; a fault of the house is a temporary refusal, with the mail id in the log.

        A client that hangs up stops the waiting, never the acceptance, nor that the mail is paid for out of its `share`.
        """
        task = asyncio.ensure_future(self._accept(envelope, draft, share))
        self.acceptances.add(task)
        task.add_done_callback(self.acceptances.discard)
        return await asyncio.shield(task)

    async def _accept(self, envelope: Envelope, draft: DraftLike, share: Share | None) -> Acceptance:
        try:
            acceptance = await self.accept(envelope, draft)
            if share is not None and not acceptance.refusal and not acceptance.repeated:
                share.spend(asyncio.get_running_loop().time())
            return acceptance
        except Exception as fault:
            log.exception("acceptance-fault", mail_id=draft.mail_id, door=envelope.origin.door)
            return Acceptance(None, refusal_of(fault))
        finally:
            if share is not None:
                share.give_back()


def refusal_of(fault: Exception) -> str:
    """The refusal that a fault of the house becomes: always a temporary one."""
    if isinstance(fault, OSError):
        return disk_refusal(fault)
    return "disk-full" if isinstance(fault, StoreFull) else "try-later"
