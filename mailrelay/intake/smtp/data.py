"""Message content as it comes from the wire: DATA and BDAT in blocks, checked, un-stuffed, written, never kept in memory.

Only CRLF "." CRLF ends DATA. Every count below is one pass in C over a block; no regex and no step per line.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from mailrelay.intake.smtp.stream import put_back

BLOCK = 256 * 1024
LINE_LENGTH = 64 * 1024  # octets; RFC 5321 promises only 1000, ministries send far longer ones
_END = b"\r\n.\r\n"
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class ConnectionGone(Exception):
    """The client hung up within a message."""


class ContentWriter:
    """Writes content into a draft until it finds a reason to refuse the mail; from then on it only counts.

    `refusal` is a name of the refusal table or ""; `fault` is the error of the disk, if that was the reason. Pieces may be
    cut anywhere but between CR and LF.
    """

    def __init__(self, write: Callable[[bytes], None], limit: int, line_length: int = LINE_LENGTH) -> None:
        self._write = write
        self._limit = limit
        self._line_length = line_length
        self._line = 0  # octets of the line that the last piece left open
        self.size = 0
        self.refusal = ""
        self.fault: OSError | None = None

    def write(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.refusal:
            return
        if self.size > self._limit:
            self.refusal = "too-big"
        elif not _is_clean(piece):
            self.refusal = "bad-line-endings"
        elif self._has_long_line(piece):
            self.refusal = "line-too-long"
        else:
            self._store(piece)

    def _store(self, piece: bytes) -> None:
        try:
            self._write(piece)
        except OSError as fault:
            self.fault = fault
            self.refusal = disk_refusal(fault)

    def _has_long_line(self, piece: bytes) -> bool:
        """Jump from line end to line end in steps of the longest permitted line."""
        start = -self._line
        while len(piece) - start > self._line_length:
            end = piece.rfind(b"\n", max(start, 0), max(start + self._line_length, 0))
            if end < 0:
                return True
            start = end + 1
        last = piece.rfind(b"\n", max(start, 0))
        self._line = len(piece) - (last + 1 if last >= 0 else start)
        return False


def disk_refusal(fault: OSError) -> str:
    return "disk-full" if fault.errno in _DISK_FULL else "try-later"


def _is_clean(piece: bytes) -> bool:
    """No CR without LF, no LF without CR (RFC 5321 section 2.3.8), no NUL."""
    pairs = piece.count(b"\r\n")
    return piece.count(b"\n") == pairs and piece.count(b"\r") == pairs and b"\0" not in piece


class DotStream:
    """Takes the bytes after 354 in blocks of any cut, passes the un-stuffed content on (RFC 5321 section 4.5.2)."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        # The content begins at the start of a line: a CRLF that nobody sent makes the first line like every other.
        self._held = b"\r\n"
        self._unsent = 2

    def feed(self, block: bytes) -> bytes | None:
        """Take a block. Return what follows the end of the data, or None while the data goes on."""
        work = self._held + block
        end = work.find(_END)
        if end >= 0:
            self._pass(work[: end + 2])
            self._held = b""
            return work[end + len(_END) :]
        keep = _tail(work)
        self._held = work[len(work) - keep :]
        self._pass(work[: len(work) - keep])
        return None

    def _pass(self, piece: bytes) -> None:
        if not piece:
            return
        if b"\r\n." in piece:
            piece = piece.replace(b"\r\n.", b"\r\n")
        if self._unsent:
            piece, self._unsent = piece[self._unsent :], 0
        if piece:
            self._write(piece)


def _tail(work: bytes) -> int:
    """How many bytes at the end of `work` may be the beginning of the end of the data (or of a stuffed dot)."""
    return next((n for n in range(len(_END) - 1, 0, -1) if work.endswith(_END[:n])), 0)


class ChunkStream:
    """Takes the bytes of BDAT chunks (RFC 3030), passes them on as they are; only a CR at a cut waits for its LF."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._held = b""

    def feed(self, block: bytes) -> None:
        work = self._held + block if self._held else block
        self._held = b"\r" if work.endswith(b"\r") else b""
        piece = work[:-1] if self._held else work
        if piece:
            self._write(piece)

    def end(self) -> None:
        if self._held:
            self._write(self._held)
            self._held = b""


async def read_dotted(reader: asyncio.StreamReader, stream: DotStream, progress: Callable[[int], None]) -> None:
    """Read up to the end of the data; what follows it stays in the reader. `progress` gets the octets of each block."""
    while True:
        block = await reader.read(BLOCK)
        if not block:
            raise ConnectionGone
        progress(len(block))
        rest = stream.feed(block)
        if rest is not None:
            put_back(reader, rest)
            return


async def read_chunk(
    reader: asyncio.StreamReader, size: int, stream: ChunkStream, progress: Callable[[int], None]
) -> None:
    """Read exactly `size` octets of a BDAT chunk."""
    while size:
        block = await reader.read(min(size, BLOCK))
        if not block:
            raise ConnectionGone
        progress(len(block))
        stream.feed(block)
        size -= len(block)
