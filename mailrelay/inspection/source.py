"""A received mail as a file, or a mail inside one as bytes, read in bounded steps. Reads only; knows nothing of MIME."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

STEP = 256 * 1024


class Source:
    """Random access to the received bytes without holding them."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from start to end (fewer when the file ends before)."""
        return os.pread(self._fd, max(0, min(end, self.size) - start), start)

    def steps(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from start to end in blocks of at most 256 KiB."""
        while start < end:
            block = self.read(start, min(start + STEP, end))
            if not block:
                return
            yield block
            start += len(block)

    def find(self, needle: bytes, start: int, end: int) -> int:
        """Return the first offset of `needle` in a range, or -1."""
        return next(self.find_all(needle, start, end), -1)

    def find_all(self, needle: bytes, start: int, end: int) -> Iterator[int]:
        """Yield every offset of `needle` in a range, reading each block once. `needle` must not overlap itself."""
        overlap = len(needle) - 1
        while start < end:
            block = self.read(start, min(start + STEP, end))
            found = block.find(needle)
            while found >= 0:
                yield start + found
                found = block.find(needle, found + 1)
            if len(block) <= overlap or start + len(block) >= end:
                return
            start += len(block) - overlap


class Memory(Source):
    """Bytes in the place of a file: the mail inside an opaque signature."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._data = b""

    def read(self, start: int, end: int) -> bytes:
        return self._data[start:end]
