"""One mail out of a box: fetched in blocks into a draft, recognised or handed in, and ended in the ledger.

Fetching keeps memory flat whatever the size. Faults leave no trace, so that the mail is taken another time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from mailrelay.intake.imap.heading import Heading, make_envelope, read_heading
from mailrelay.intake.imap.ledger import Ending, Ledger, Place
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

T = TypeVar("T")
Alongside = Callable[[Transaction, Acceptance], None]


class Accept(Protocol):
    """pipeline.accept."""

    def __call__(
        self, envelope: Envelope, draft: Draft, *, alongside: Alongside | None = None
    ) -> Awaitable[Acceptance]: ...


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A mail that the door itself could not take: `refusal` is a name of the refusal table. Its owner must be told."""

    account: ImapAccount
    refusal: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class House:
    """What the door needs of the rest of the house. `unreadable` writes rows (log, notice) in the ledger's transaction."""

    store: Store
    draft: Callable[[], Draft]
    accept: Accept
    directory: Callable[[], Directory]
    delivered_by_us: Callable[[MailId, str], Awaitable[bool]]
    unreadable: Callable[[Transaction, Unreadable], None] | None
    size_limit: int
    blocks: asyncio.Semaphore  # how many blocks may be in memory at a time, all accounts together


class NotNow(Fault):
    """This mail cannot be taken at present."""


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

    async def take(self, source: MailSource, place: Place, mail: Listed) -> Ending | None:
        """Bring one mail to its end. None: it has none yet (a draft or deleted mail in a drop folder).

        Raises SourceLost and SourceRefused, NotNow, and what `accept` raises: then nothing was noted.
        """
        if self._account.purpose is Purpose.OUTGOING and mail.flags & {"\\Deleted", "\\Draft"}:
            return None  # taken back by its owner, or not finished
        try:
            if mail.size > self._house.size_limit:
                raise self._too_big(mail.size)
            return await self._fetch_and_settle(source, place, mail)
        except _Ended as ended:
            return await self.end(place, mail.uid, ended.ending, refusal=ended.refusal, values=ended.values)

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

    async def _fetch_and_settle(self, source: MailSource, place: Place, mail: Listed) -> Ending:
        draft = self._house.draft()
        try:
            heading, ascii_only = await self._fetch(source, place, mail.uid, draft)
            known = await self._known(draft.finish(), place, mail.uid)
            if known is not None:
                await asyncio.to_thread(draft.discard)
                return await self.end(place, mail.uid, known[0], known[1])
            self._check_recipients(heading)
        except BaseException:
            draft.discard()
            raise
        envelope = make_envelope(
            heading, self._account, self._house.directory(), peer=source.peer, ascii_only=ascii_only
        )
        return await self._hand_in(envelope, draft, place, mail.uid)

    async def _fetch(self, source: MailSource, place: Place, uid: int, draft: Draft) -> tuple[Heading, bool]:
        """Write the whole mail into the draft; return its heading and whether all of it is ASCII."""
        heading = Heading()
        ascii_only = True
        while True:
            async with self._house.blocks:
                block = await source.block(uid, draft.size)
                if block is None:
                    if uid in await source.present([uid]):
                        raise SourceRefused("the server does not hand this mail out")
                    raise _Ended(Ending.VANISHED)
                if draft.size == 0:
                    heading = read_heading(block)
                    await self._check_own(heading)
                ascii_only = ascii_only and block.isascii()
                draft.write(block)
            if draft.size > self._house.size_limit:
                raise self._too_big(draft.size)
            if len(block) < BLOCK:
                return heading, ascii_only

    async def _check_own(self, heading: Heading) -> None:
        for mail_id in heading.mail_ids:
            if await self._house.delivered_by_us(mail_id, self._account.owner):
                raise _Ended(Ending.OWN)

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
                    rejected = record.state is MessageState.REJECTED
                    return (Ending.REFUSED if rejected else Ending.REPEATED), mail_id
            return None

        return await self._house.store.read(look)

    def _check_recipients(self, heading: Heading) -> None:
        if self._account.purpose is Purpose.INCOMING:
            return
        if heading.unreadable:
            raise _Ended(Ending.REFUSED, "bad-recipient-address", {"field": heading.unreadable.capitalize()})
        if not heading.recipients:
            raise _Ended(Ending.REFUSED, "no-valid-recipients")

    async def _hand_in(self, envelope: Envelope, draft: Draft, place: Place, uid: int) -> Ending:
        def alongside(tx: Transaction, acceptance: Acceptance) -> None:
            self._ledger.end(tx, place, uid, _ending_of(acceptance), acceptance.mail_id)

        # From here on the draft is the pipeline's: whether it committed cannot be known from an exception.
        acceptance = await _to_the_end(self._house.accept(envelope, draft, alongside=alongside))
        if _is_temporary(acceptance.refusal):
            raise NotNow(acceptance.refusal)
        ending = _ending_of(acceptance)
        if acceptance.refusal or acceptance.repeated:  # may have been answered without a transaction
            return await self.end(place, uid, ending, acceptance.mail_id)
        self._tell(ending, uid, acceptance.mail_id, "")
        return ending

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


def _is_temporary(refusal: str) -> bool:
    return refusal in REFUSALS and REFUSALS[refusal].code < 500


def _ending_of(acceptance: Acceptance) -> Ending:
    if acceptance.refusal:
        return Ending.REFUSED
    return Ending.REPEATED if acceptance.repeated else Ending.TAKEN


async def _to_the_end(work: Awaitable[T]) -> T:
    """Wait for work that must not be cut off; a cancellation is passed on after it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen
        raise
