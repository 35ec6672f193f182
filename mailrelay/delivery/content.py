"""The bytes of a mail as they are sent on: our prefix, then the received bytes without the cuts, in blocks."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from mailrelay.model.message import Rendering

BLOCK = 256 * 1024


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | None: ...
    def seek(self, offset: int, whence: int, /) -> int: ...


def rendered_size(size: int, rendering: Rendering) -> int:
    """Octets that a rendering of `size` received octets has."""
    return len(rendering.prefix) + size - sum(end - start for start, end in rendering.cuts)


def blocks(path: Path, rendering: Rendering | None = None, before: bytes = b"", block: int = BLOCK) -> Iterator[bytes]:
    """Yield the mail in pieces of at most about `block` bytes, `before` in front. Raises OSError when the file cannot be read."""
    with path.open("rb", buffering=0) as file:
        yield from _rendered(file, rendering or Rendering(), before, block)


def blocks_of(mail: bytes, rendering: Rendering | None = None, block: int = BLOCK) -> Iterator[bytes]:
    """The same for a mail in memory."""
    return _rendered(io.BytesIO(mail), rendering or Rendering(), b"", block)


def _rendered(file: _Readable, rendering: Rendering, before: bytes, block: int) -> Iterator[bytes]:
    head = before + rendering.prefix
    for piece in _kept(file, rendering.cuts, block):
        yield head + piece if head else piece
        head = b""
    if head:
        yield head


def _kept(file: _Readable, cuts: tuple[tuple[int, int], ...], block: int) -> Iterator[bytes]:
    position = 0
    for start, end in (*cuts, (-1, -1)):
        while start < 0 or position < start:
            piece = file.read(block if start < 0 else min(block, start - position))
            if not piece:
                return
            position += len(piece)
            yield piece
        if start >= 0:
            position = file.seek(end, os.SEEK_SET)


def has_ascii_header(path: Path, rendering: Rendering, most: int = 1 << 20) -> bool:
    """Tell whether the header is pure ASCII, so that a next hop without SMTPUTF8 can take the mail after all."""
    seen = b""
    for piece in blocks(path, rendering):
        seen += piece
        end = seen.find(b"\r\n\r\n")
        if end >= 0 or len(seen) > most:
            return seen[: end if end >= 0 else None].isascii()
    return seen.isascii()
