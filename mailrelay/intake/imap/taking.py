"""One mail out of a box: fetched in blocks into a draft, recognised or handed in, and ended in the ledger.

Memory stays flat whatever the size. Faults leave no trace, so that the mail is taken another time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mailrelay.intake.imap.heading import Heading, make_envelope, read_heading
from mailrelay.intake.imap.ledger import Ending, Ledger, Place
from mailrelay.intake.imap.marked import Marked, read_marked
from mailrelay.intake.imap.source import BLOCK, Listed, MailSource, SourceRefused
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.agency import Directory, ImapAccount, Purpose
from mailrelay.model.envelope import Envelope
from mailrelay.model.faults import Fault
from mailrelay.model.identity import MailId
from mailrelay.model.message import MessageState
from mailrelay.model.refusal import REFUSALS
from mailrelay.spool import Draft
from mailrelay.store import Store, Transaction, messages
from mailrelay.telemetry import count, log

Alongside = Callable[[Transaction, Acceptance], None]


class Accept(Protocol):
    """pipeline.accept."""

    def __call__(
        self, envelope: Envelope, draft: Draft, *, alongside: Alongside | None = None
    ) -> Awaitable[Acceptance]: ...


class Share(Protocol):
    """What a mail holds of its login's quota, shared with the doors of SMTP."""

    def take(self, now: float) -> str:
        """Hold one more outside recipient: "" when it fits, else a refusal."""

    def spend(self, now: float) -> None:
        """The mail was accepted."""

    def give_back(self) -> None:
        """The mail goes nowhere. After `spend`: nothing."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A mail that the door itself could not take: `refusal` is a name of the refusal table. Its owner must be told."""

    account: ImapAccount
    refusal: str
    values: Mapping[str, str] = field(default_factory=dict)


class Gates:
    """How many blocks may be in memory at a time: all accounts together, and those of one server, so that a server which
    answers late or never takes no turns from the others."""

    def __init__(self, together: int, each: int) -> None:
        self.all = asyncio.Semaphore(together)
        self._each = each
        self._of: dict[str, asyncio.Semaphore] = {}

    def of(self, host: str) -> asyncio.Semaphore:
        return self._of.setdefault(host, asyncio.Semaphore(self._each))


@dataclass(frozen=True, slots=True)
class House:
    """What the door needs of the rest of the house.

    `unreadable` writes rows (log, notice) in the ledger's transaction. `share` gives the share of a login's quota for one mail.
    """

    store: Store
    draft: Callable[[], Draft]
    accept: Accept
    directory: Callable[[], Directory]
    delivered_by_us: Callable[[Marked, str], Awaitable[bool]]
    unreadable: Callable[[Transaction, Unreadable], None] | None
    size_limit: int
    gates: Gates
    share: Callable[[str], Share] | None = None


class NotNow(Fault):
    """This mail cannot be taken at present."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole mail in its draft, not yet handed in."""

    uid: int
    draft: Draft
    digest: str
    envelope: Envelope


class _Ended(Exception):
    def __init__(self, ending: Ending, refusal: str = "", values: Mapping[str, str] | None = None) -> None:
        super().__init__(ending)
        self.ending = ending
        self.refusal = refusal
        self.values = values or {}


class Taking:
    """Takes the mails of one account."""

    def __init__(self, account: ImapAccount, house: House, ledger: Ledger) -> None:
        self._account = account
        self._house = house
        self._ledger = ledger

    async def fetch(self, source: MailSource, place: Place, mail: Listed) -> Fetched | Ending | None:
        """Bring one mail into a draft, or to its end if that needs no more (too big, vanished, our own, for nobody).

        None: it has no end yet (a draft or deleted mail in a drop folder). Raises SourceLost, SourceRefused and OSError:
        then nothing was noted.
        """
        if self._account.purpose is Purpose.OUTGOING and mail.flags & {"\\Deleted", "\\Draft"}:
            return None  # taken back by its owner, or not finished
        try:
            if mail.size > self._house.size_limit:
                raise self._too_big(mail.size)
            return await self._fetch(source, mail)
        except _Ended as ended:
            return await self.end(place, mail.uid, ended.ending, refusal=ended.refusal, values=ended.values)

    async def settle(self, place: Place, fetched: Fetched) -> Ending:
        """Hand a fetched mail in, unless it is known. Raises NotNow, and what `accept` raises: then nothing was noted."""
        try:
            known = await self._known(fetched.digest, place, fetched.uid)
        except BaseException:
            fetched.draft.discard()
            raise
        if known is not None:
            await asyncio.to_thread(fetched.draft.discard)
            return await self.end(place, fetched.uid, known[0], known[1])
        return await self._hand_in(fetched, place)

    async def end(
        self,
        place: Place,
        uid: int,
        ending: Ending,
        mail_id: MailId | None = None,
        *,
        refusal: str = "",
        values: Mapping[str, str] | None = None,
    ) -> Ending:
        """Note an end that no mail of ours is bound to, in a transaction of its own."""

        def note(tx: Transaction) -> None:
            fresh = self._ledger.end(tx, place, uid, ending, mail_id)
            if refusal and fresh and self._house.unreadable is not None:
                self._house.unreadable(tx, Unreadable(self._account, refusal, values or {}))

        await self._house.store.write(note)
        self._tell(ending, uid, mail_id, refusal)
        return ending

    async def _fetch(self, source: MailSource, mail: Listed) -> Fetched:
        draft = self._house.draft()
        try:
            heading, ascii_only = await self._fill(source, mail, draft)
            await self._check_own(heading, draft)
            self._check_recipients(heading)
            directory = self._house.directory()
            envelope = make_envelope(heading, self._account, directory, peer=source.peer, ascii_only=ascii_only)
            return Fetched(mail.uid, draft, draft.finish(), envelope)
        except BaseException:
            draft.discard()
            raise

    async def _fill(self, source: MailSource, mail: Listed, draft: Draft) -> tuple[Heading, bool]:
        """Write the whole mail into the draft; return its heading and whether all of it is ASCII."""
        heading = Heading()
        ascii_only = True
        while True:
            async with self._house.gates.of(self._account.host), self._house.gates.all:
                block = await self._block(source, mail, draft.size)
                if draft.size == 0:
                    heading = read_heading(block)
                ascii_only = ascii_only and block.isascii()
                draft.write(block)
            if draft.size > self._house.size_limit:
                raise self._too_big(draft.size)
            # A short block is the end; one more look where the server had promised more.
            if not block or (len(block) < BLOCK and draft.size >= mail.size):
                return heading, ascii_only

    async def _block(self, source: MailSource, mail: Listed, offset: int) -> bytes:
        """The next block, b"" at the end. Never takes a mail that vanished for one that ended."""
        block = await source.block(mail.uid, offset)
        if block or (block is not None and (offset or not mail.size)):
            return block
        if mail.uid not in await source.present([mail.uid]):
            raise _Ended(Ending.VANISHED)
        if offset == 0 or offset < mail.size:
            raise SourceRefused("the server does not hand this mail out")
        return b""

    async def _check_own(self, heading: Heading, draft: Draft) -> None:
        """End a mail that we delivered. Whoever knows a mark can write it: only the whole content proves anything."""
        if not heading.mail_ids:
            return
        marked = await asyncio.to_thread(read_marked, heading, draft.path)
        if marked is not None and await self._house.delivered_by_us(marked, self._account.owner):
            raise _Ended(Ending.OWN)
        log.warning("imap-mark-not-ours", account=self._account.name, claims=heading.mail_ids)
        count("imap_marks_not_ours")

    async def _known(self, digest: str, place: Place, uid: int) -> tuple[Ending, MailId] | None:
        """Whether this very mail came from this account before, under another UID.

        In a drop folder that counts only below the border of a rescan: a mail dropped again is meant to be sent again.
        """
        if self._account.purpose is Purpose.OUTGOING and uid >= place.known_below:
            return None

        def look(tx: Transaction) -> tuple[Ending, MailId] | None:
            for mail_id in messages.find(tx, sha256=digest):
                record = messages.get(tx, mail_id)
                if record is not None and record.message.envelope.origin.account == self._account.name:
                    refused = record.state in (MessageState.REJECTED, MessageState.RETURNED)
                    return (Ending.REFUSED if refused else Ending.REPEATED), mail_id
            return None

        return await self._house.store.read(look)

    def _check_recipients(self, heading: Heading) -> None:
        if self._account.purpose is Purpose.INCOMING:
            return
        if heading.unreadable:
            raise _Ended(Ending.REFUSED, "bad-recipient-address", {"field": heading.unreadable.capitalize()})
        if not heading.recipients:
            raise _Ended(Ending.REFUSED, "no-valid-recipients")

    async def _hand_in(self, fetched: Fetched, place: Place) -> Ending:
        login, clock = fetched.envelope.origin.login or "", asyncio.get_running_loop().time
        share = self._house.share(login) if self._house.share and login else None
        directory = self._house.directory()
        outside = [one for one in fetched.envelope.recipients if not directory.is_local(one.address)]
        try:
            if share is not None and any(share.take(clock()) for _ in outside):
                await asyncio.to_thread(fetched.draft.discard)
                return await self.end(
                    place, fetched.uid, Ending.REFUSED, refusal="quota-exceeded", values={"login": login}
                )
            ending = await self._accept(fetched, place)
            if share is not None and ending is Ending.TAKEN:
                share.spend(clock())
            return ending
        finally:
            if share is not None:
                share.give_back()

    async def _accept(self, fetched: Fetched, place: Place) -> Ending:
        noted: Ending | None = None

        def alongside(tx: Transaction, acceptance: Acceptance) -> None:
            nonlocal noted
            noted = _ending_of(tx, acceptance)
            self._ledger.end(tx, place, fetched.uid, noted, acceptance.mail_id)

        # From here on the draft is the pipeline's: whether it committed cannot be known from an exception.
        acceptance = await self._house.accept(fetched.envelope, fetched.draft, alongside=alongside)
        refusal = acceptance.refusal
        if refusal in REFUSALS and REFUSALS[refusal].code < 500:
            raise NotNow(refusal)
        if noted is None:  # answered without a transaction
            ending = Ending.REFUSED if refusal else Ending.REPEATED
            return await self.end(place, fetched.uid, ending, acceptance.mail_id)
        self._tell(noted, fetched.uid, acceptance.mail_id, refusal)
        return noted

    def _too_big(self, size: int) -> _Ended:
        values = {"size": _megabytes(size), "limit": _megabytes(self._house.size_limit)}
        return _Ended(Ending.TOO_BIG, "too-big", values)

    def _tell(self, ending: Ending, uid: int, mail_id: MailId | None, refusal: str) -> None:
        count("imap_mails", ending=ending.value)
        log.info(
            "imap-mail", account=self._account.name, uid=uid, ending=ending.value, mail_id=mail_id, refusal=refusal
        )


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.3g} MB"


def _ending_of(tx: Transaction, acceptance: Acceptance) -> Ending:
    """Nobody hears a refusal in a box: what the rules refuse is taken and returned, and counts as refused here."""
    if acceptance.refusal:
        return Ending.REFUSED
    if acceptance.repeated or acceptance.mail_id is None:
        return Ending.REPEATED
    record = messages.get(tx, acceptance.mail_id)
    return Ending.REFUSED if record is not None and record.state is MessageState.RETURNED else Ending.TAKEN
