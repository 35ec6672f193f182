"""The content of one mail between the wire and its draft in the spool: DATA or a row of BDAT chunks, held to the clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mailrelay.intake.smtp.data import (
    ChunkStream,
    ContentWriter,
    DotStream,
    read_chunk,
    read_dotted,
)
from mailrelay.intake.smtp.desk import Desk, DraftLike, refusal_of
from mailrelay.intake.smtp.limits import Pace
from mailrelay.intake.smtp.replies import Complaint
from mailrelay.model.faults import StoreFault
from mailrelay.telemetry import log

if TYPE_CHECKING:
    from mailrelay.intake.smtp.conversation import Conversation


class Content:
    """`complaint` says why the mail cannot be accepted, None while it can. Made before the first octet is asked for."""

    def __init__(self, conversation: Conversation, desk: Desk) -> None:
        self._conversation = conversation
        self._limits = desk.limits
        self._pace = Pace(desk.limits, conversation.loop.time())  # of the whole mail, in however many chunks it comes
        self._draft: DraftLike | None = None
        self._refusal = ""
        try:
            self._draft = desk.draft()
        except Exception as fault:  # whatever it is, a chunk's octets must be read away before anything else is said
            self._blame(fault)
        self._writer = ContentWriter(
            self._draft.write if self._draft else _drop, desk.limits.size, desk.limits.line_length
        )
        self._chunks = ChunkStream(self._writer.write)

    @property
    def complaint(self) -> Complaint | None:
        name = self._refusal or self._writer.refusal
        if not name:
            return None
        limit = str(self._limits.line_length) if name == "line-too-long" else f"{self._limits.size // 1_000_000} MB"
        return Complaint(name, {"limit": limit})

    def is_crawling(self, now: float) -> bool:
        return self._pace.is_crawling(now)

    async def read_data(self) -> None:
        with _Clock(self._conversation, self._pace) as clock:
            await read_dotted(self._conversation.reader, DotStream(self._writer.write), clock.progress)
        self._end()

    async def read_chunk(self, size: int, *, last: bool) -> None:
        with _Clock(self._conversation, self._pace) as clock:
            await read_chunk(self._conversation.reader, size, self._chunks, clock.progress)
        if last:
            self._chunks.end()
            self._end()

    @staticmethod
    async def drop_chunk(conversation: Conversation, desk: Desk, size: int) -> None:
        """Read a chunk that belongs to no mail, to find the next command (RFC 3030 section 2)."""
        with _Clock(conversation, Pace(desk.limits, conversation.loop.time())) as clock:
            await read_chunk(conversation.reader, size, ChunkStream(_drop), clock.progress)

    def _end(self) -> None:
        if self._writer.fault is not None:
            self._blame(self._writer.fault)
        if self._draft is None or self.complaint is not None:
            return
        try:
            self._draft.finish()
        except OSError as fault:
            self._blame(fault)

    def _blame(self, fault: Exception) -> None:
        log.error("spool-fault", error=str(fault))
        self._refusal = refusal_of(fault)

    def give(self) -> DraftLike:
        """Hand the finished draft over; from now on it is not ours to discard."""
        draft, self._draft = self._draft, None
        if draft is None:
            raise RuntimeError("there is no draft to give")
        return draft

    def discard(self) -> None:
        """Drop what was written. What cannot be removed now has no row and goes at the next start."""
        draft, self._draft = self._draft, None
        if draft is not None:
            _remove(draft, draft.discard)

    def give_up(self) -> None:
        """The same for a mail that its client gave up, quick enough for the event loop: nobody waits for a word about it."""
        draft, self._draft = self._draft, None
        if draft is not None:
            _remove(draft, draft.give_up)


def _remove(draft: DraftLike, remove: Callable[[], None]) -> None:
    try:
        remove()
    except (OSError, StoreFault) as fault:
        log.error("discard-fault", mail_id=draft.mail_id, error=str(fault))


def _drop(block: bytes) -> None:
    """Content without a place to go."""


class _Clock:
    """Arms the conversation's timer anew with each block, and gives the reader room for blocks meanwhile."""

    def __init__(self, conversation: Conversation, pace: Pace) -> None:
        self._conversation = conversation
        self._pace = pace

    def __enter__(self) -> _Clock:
        self._conversation.widen()
        self.progress(0)
        return self

    def __exit__(self, fault: type[BaseException] | None, *_: object) -> None:
        self._conversation.narrow()
        if fault is not None:
            self._conversation.lose_place()

    def progress(self, octets: int) -> None:
        self._pace.progress(octets)
        now = self._conversation.loop.time()
        self._conversation.wait_at_most(max(self._pace.deadline(now) - now, 0.001))
