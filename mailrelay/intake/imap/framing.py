"""Cuts the stream of an IMAP server into replies: a line, or a line with literals in it. Pure; every length is limited.

aioimaplib's own cutting recurses once per line and dies of a burst of 1,000 lines (its issues #103, #118, #119), drops every
"* " inside a line, and counts parentheses in literals. So the stream is cut here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailrelay.intake.imap.source import SourceLost

LINE_LIMIT = 2 * 1024 * 1024  # a SEARCH answer for the poller's window fits twice
LITERAL_LIMIT = 1024 * 1024  # of all literals in one reply

_MOST_PARTS = 1000

Reply = tuple[bytes, ...]
"""The texts and literals of one reply in turn: text, literal, text, …; the texts without CRLF and without `{n}`."""

_LITERAL = re.compile(rb"~?\{(\d{1,19})\}\Z")
_TEXT_REPLY = re.compile(rb"(?:\*|[A-Z0-9]+) (?:OK|NO|BAD|BYE|PREAUTH)\b", re.IGNORECASE)


class Framing:
    """Fed with what arrives, gives whole replies. Raises SourceLost for a stream that breaks a limit."""

    def __init__(self, *, line_limit: int = LINE_LIMIT, literal_limit: int = LITERAL_LIMIT) -> None:
        self._line_limit = line_limit
        self._literal_limit = literal_limit
        self._buffer = bytearray()
        self._searched = 0  # so far no CRLF was found in the buffer
        self._parts: list[bytes] = []
        self._size = 0  # of the texts of the unfinished reply
        self._literal: int | None = None
        self._literals = 0  # octets of literals announced in the unfinished reply

    @property
    def is_empty(self) -> bool:
        """Whether nothing of an unfinished reply is held."""
        return not self._buffer and not self._parts

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Take a block; yield each reply that it completes."""
        self._buffer += data
        while True:
            part = self._next_line() if self._literal is None else self._next_literal(self._literal)
            if part is None:
                return
            if self._literal is not None:
                self._parts.append(part)
                self._literal = None
                continue
            announced = self._announced(part)
            if announced is not None:
                self._parts.append(part[: announced.start()])
                self._literal = self._checked(int(announced[1]))
                continue
            reply = (*self._parts, part)
            self._parts.clear()
            self._size = self._literals = 0
            yield reply

    def _next_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", self._searched)
        if self._size + (len(self._buffer) if end < 0 else end) > self._line_limit:
            raise SourceLost("the server sent an endless line")
        if end < 0:
            self._searched = max(0, len(self._buffer) - 1)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._searched = 0
        self._size += len(line)
        return line

    def _next_literal(self, size: int) -> bytes | None:
        if len(self._buffer) < size:
            return None
        literal = bytes(self._buffer[:size])
        del self._buffer[:size]
        return literal

    def _announced(self, line: bytes) -> re.Match[bytes] | None:
        """A literal at the end of a line; never in replies that end in free text, and never in a continuation."""
        if not self._parts and (line[:1] == b"+" or _TEXT_REPLY.match(line)):
            return None
        return _LITERAL.search(line, max(0, len(line) - 24))

    def _checked(self, size: int) -> int:
        self._literals += size
        if self._literals > self._literal_limit or len(self._parts) > _MOST_PARTS:
            raise SourceLost("the server sent a larger piece than it was asked for")
        return size
