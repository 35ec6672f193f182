"""Compound files ([MS-CFB]: old Office files, vbaProject.bin, Outlook items) read by their own allocation tables. Bounded; pure.

Nothing is trusted: chains may run in circles, sizes may lie, sectors may be missing. What cannot be followed raises Damaged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LAST = 0xFFFFFFFA  # sector numbers from here on are marks
_MOST_SECTORS = 400_000  # 200 MB of the usual 512 bytes
_MOST_ENTRIES = 20_000
_ENTRY = 128
_STREAM, _ROOT = 2, 5


class Damaged(ValueError):
    """The file does not hold together."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the directory: a storage, or a stream with its first sector and size."""

    name: str
    kind: int
    start: int
    size: int


class Compound:
    """An opened compound file; `entries` in the order of its directory. Raises Damaged."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        head = self._at(0, 512)
        if not head.startswith(SIGNATURE) or len(head) < 512:
            raise Damaged("no header")
        shift, mini_shift = struct.unpack_from("<HH", head, 30)
        if shift not in (9, 12) or mini_shift != 6:
            raise Damaged("odd sector sizes")
        self._sector = 1 << shift
        directory, self._cutoff, mini_start = (struct.unpack_from("<I", head, at)[0] for at in (48, 56, 60))
        self._fat = self._table(self._fat_sectors(head))
        self.entries = tuple(self._directory(directory))
        self._mini_start = mini_start
        self._mini: list[int] | None = None
        self._mini_data = b""

    def streams(self) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.kind == _STREAM)

    def stream(self, *names: str) -> Entry | None:
        """The first stream that bears one of these names, in whatever case."""
        wanted = {name.lower() for name in names}
        return next((entry for entry in self.streams() if entry.name.lower() in wanted), None)

    def read(self, entry: Entry, most: int) -> bytes:
        """The first bytes of a stream. Raises Damaged when its chain does not reach so far."""
        size = min(entry.size, most)
        if entry.size >= self._cutoff:
            return b"".join(self._chain_data(entry.start, size))[:size]
        return self._read_mini(entry, size)

    def _at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def _data(self, sector: int) -> bytes:
        data = self._at((sector + 1) * self._sector, self._sector)
        if not data:
            raise Damaged("a sector is missing")
        return data

    def _fat_sectors(self, head: bytes) -> list[int]:
        """The sectors of the allocation table: 109 in the header, the rest in a chain of their own."""
        found = [number for number in struct.unpack_from("<109I", head, 76) if number < _LAST]
        following, seen = struct.unpack_from("<I", head, 68)[0], 0
        per_sector = self._sector // 4 - 1
        while following < _LAST:
            seen += 1
            if seen * per_sector > _MOST_SECTORS:
                raise Damaged("the table has no end")
            data = self._data(following).ljust(self._sector, b"\xff")
            *numbers, following = struct.unpack_from(f"<{per_sector + 1}I", data)
            found += [number for number in numbers if number < _LAST]
        return found

    def _table(self, sectors: list[int]) -> list[int]:
        table: list[int] = []
        for sector in sectors:
            if len(table) > _MOST_SECTORS:
                raise Damaged("too many sectors")
            data = self._data(sector).ljust(self._sector, b"\xff")
            table += struct.unpack_from(f"<{self._sector // 4}I", data)
        return table

    def _chain(self, start: int, table: list[int]) -> Iterator[int]:
        sector, seen = start, 0
        while sector < _LAST:
            seen += 1
            if sector >= len(table) or seen > len(table):
                raise Damaged("a chain goes nowhere")
            yield sector
            sector = table[sector]

    def _chain_data(self, start: int, size: int) -> Iterator[bytes]:
        left = size
        for sector in self._chain(start, self._fat):
            if left <= 0:
                return
            data = self._data(sector)
            left -= len(data)
            yield data
        if left > 0:
            raise Damaged("a stream is cut short")

    def _directory(self, start: int) -> Iterator[Entry]:
        count = 0
        for sector in self._chain(start, self._fat):
            data = self._data(sector)
            for at in range(0, len(data) - _ENTRY + 1, _ENTRY):
                count += 1
                if count > _MOST_ENTRIES:
                    raise Damaged("the directory has no end")
                length, kind = struct.unpack_from("<HB", data, at + 64)
                if kind and 2 <= length <= 64:
                    name = data[at : at + length - 2].decode("utf-16-le", "replace")
                    yield Entry(name, kind, *struct.unpack_from("<II", data, at + 116))

    def _read_mini(self, entry: Entry, size: int) -> bytes:
        if self._mini is None:
            root = next((found for found in self.entries if found.kind == _ROOT), None)
            if root is None:
                raise Damaged("no root")
            self._mini_data = b"".join(self._chain_data(root.start, min(root.size, 64 * _MOST_SECTORS)))
            self._mini = self._table(list(self._chain(self._mini_start, self._fat)))
        data = bytearray()
        for sector in self._chain(entry.start, self._mini):
            if len(data) >= size:
                break
            data += self._mini_data[sector * 64 : sector * 64 + 64]
        if len(data) < size:
            raise Damaged("a small stream is cut short")
        return bytes(data[:size])
