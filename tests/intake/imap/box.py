"""A double for a mail server with one folder, as seen through MailSource; it can be told to misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailrelay.intake.imap.source import BLOCK, Listed, Selected, SourceLost, SourceRefused


@dataclass
class Box:
    """What is on the server, and a record of what was asked of it."""

    mails: dict[int, bytes] = field(default_factory=dict)
    uidvalidity: int = 7
    uid_next: int | None = None
    keywords: bool = True
    read_only: bool = False
    modseq: int = 0  # the test counts it up
    marks: dict[int, set[str]] = field(default_factory=dict)
    folders: dict[str, list[bytes]] = field(default_factory=dict)
    missing: bool = False  # the folder itself
    refuse: set[str] = field(default_factory=set)  # commands that are answered with NO
    lose: set[str] = field(default_factory=set)  # commands at which the line breaks
    said: list[str] = field(default_factory=list)
    sessions: int = 0

    def add(self, raw: bytes, uid: int = 0) -> int:
        number = uid or max(self.mails, default=0) + 1
        self.mails[number] = raw
        return number


class BoxSource:
    """One connection to a Box."""

    peer = "192.0.2.1"

    def __init__(self, box: Box) -> None:
        self._box = box
        self._bell = asyncio.Event()

    def _hear(self, command: str) -> None:
        self._box.said.append(command)
        word = command.split()[0]
        if word in self._box.lose:
            raise SourceLost(f"lost at {word}")
        if word in self._box.refuse:
            raise SourceRefused(f"{word}: NO")

    async def open(self) -> None:
        self._box.sessions += 1
        self._hear("OPEN")

    async def select(self, folder: str) -> Selected:
        self._hear(f"SELECT {folder}")
        box = self._box
        if box.missing:
            raise SourceRefused("SELECT: NO")
        uid_next = max(box.mails, default=0) + 1 if box.uid_next is None else box.uid_next
        return Selected(
            box.uidvalidity, uid_next, len(box.mails), box.keywords and not box.read_only, box.read_only, box.modseq
        )

    async def create(self, folder: str) -> None:
        self._hear(f"CREATE {folder}")
        self._box.missing = False

    async def since(self, first: int, last: int | None = None) -> tuple[int, ...]:
        self._hear(f"SINCE {first}:{last or '*'}")
        return tuple(uid for uid in sorted(self._box.mails) if uid >= first and (last is None or uid <= last))

    async def unmarked(self, first: int, last: int) -> tuple[int, ...]:
        self._hear(f"UNMARKED {first}:{last}")
        return tuple(uid for uid in await self.since(first, last) if not self._box.marks.get(uid))

    async def present(self, uids: Sequence[int]) -> frozenset[int]:
        self._hear("PRESENT")
        return frozenset(uids) & frozenset(self._box.mails)

    async def list(self, uids: Sequence[int]) -> tuple[Listed, ...]:
        self._hear(f"LIST {len(uids)}")
        return tuple(Listed(uid, len(self._box.mails[uid]), frozenset()) for uid in uids if uid in self._box.mails)

    async def block(self, uid: int, offset: int) -> bytes | None:
        self._hear(f"BLOCK {uid}")
        raw = self._box.mails.get(uid)
        return None if raw is None else raw[offset : offset + BLOCK]

    async def mark(self, uids: Sequence[int], keyword: str) -> None:
        self._hear(f"MARK {keyword} {len(uids)}")
        for uid in uids:
            self._box.marks.setdefault(uid, set()).add(keyword)

    async def move(self, uids: Sequence[int], folder: str) -> None:
        self._hear(f"MOVE {folder} {len(uids)}")
        for uid in uids:
            self._box.folders.setdefault(folder, []).append(self._box.mails.pop(uid))

    async def wait(self, seconds: float) -> None:
        self._hear(f"WAIT {seconds:g}")
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            pass
        self._bell.clear()

    def ring(self) -> None:
        self._bell.set()

    async def close(self) -> None:
        self._box.said.append("CLOSE")
