"""A received mail as a file, or a mail inside one as bytes, read in bounded steps. Reads only; knows nothing of MIME."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

STEP = 256 * 1024


class Source:
    """Random access to the received bytes. Those of a small mail are read once; a larger one is never held."""

    def __init__(self, path: str | Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size
        self._whole = os.pread(self._fd, self.size, 0) if self.size <= STEP else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from start to end (fewer when the file ends before)."""
        if self._whole is not None:
            return self._whole[start:end]
        return os.pread(self._fd, max(0, min(end, self.size) - start), start)

    def steps(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from start to end in blocks of at most 256 KiB."""
        if end - start <= STEP:
            block = self.read(start, end)
            return iter((block,) if block else ())
        return self._steps(start, end)

    def _steps(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            block = self.read(start, min(start + STEP, end))
            if not block:
                return
            yield block
            start += len(block)

    def find(self, needle: bytes, start: int, end: int) -> int:
        """Return the first offset of `needle` in a range, or -1."""
        if self._whole is not None:
            return self._whole.find(needle, start, end)
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
        self._whole = data
        self.size = len(data)

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._whole = b""
