"""Members of a ZIP file that its directory does not list: other programs than ours unpack them. In the worker only.

Two archives one behind the other, or entries in the gaps between those listed: what goes by the last directory sees one half,
what goes by the first one or by the entries themselves (APPNOTE 4.3.7) the other.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from typing import IO

_ENTRY = b"PK\x03\x04"
_HEAD = 30  # bytes of an entry before its name
_STEP = 1024 * 1024
_MOST = 20  # names that are told


def unlisted(file: IO[bytes], archive: zipfile.ZipFile) -> list[str]:
    """The names of entries outside of what the directory lists, at most 20; "" for one without a name."""
    found: list[str] = []
    for start, end in _gaps(file, archive):
        for place in _entries(file, start, end):
            found.append(_name(file, place))
            if len(found) >= _MOST:
                return found
    return found


def _gaps(file: IO[bytes], archive: zipfile.ZipFile) -> Iterator[tuple[int, int]]:
    """The ranges before the directory that no listed member takes up."""
    position = 0
    for info in sorted(archive.infolist(), key=lambda one: one.header_offset):
        if info.header_offset > position:
            yield position, info.header_offset
        file.seek(info.header_offset)
        head = file.read(_HEAD)
        if len(head) < _HEAD:
            return
        name, extra = struct.unpack_from("<HH", head, 26)
        position = max(position, info.header_offset + _HEAD + name + extra + info.compress_size)
    if position < archive.start_dir:
        yield position, archive.start_dir


def _entries(file: IO[bytes], start: int, end: int) -> Iterator[int]:
    """Where entries begin in a range; read in steps."""
    while start + len(_ENTRY) <= end:
        file.seek(start)
        block = file.read(min(_STEP, end - start))
        if len(block) < len(_ENTRY):
            return
        place = block.find(_ENTRY)
        while place >= 0:
            yield start + place
            place = block.find(_ENTRY, place + 1)
        start += len(block) - len(_ENTRY) + 1


def _name(file: IO[bytes], place: int) -> str:
    file.seek(place)
    head = file.read(_HEAD)
    length = struct.unpack_from("<H", head, 26)[0] if len(head) == _HEAD else 0
    return file.read(min(int(length), 1000)).decode("utf-8", "replace")
