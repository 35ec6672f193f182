"""Object streams of PDF files (ISO 32000-2 section 7.5.7), unpacked as far as their filters go. In the worker only.

What cannot be unpacked is told: a reader with more filters than we have may find anything in it.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable

_MOST = 16 * 1024 * 1024  # bytes of one stream
_MOST_UNPACKED = 64 * 1024 * 1024  # of all streams of a file
_MOST_FILTERS = 8
_FILTER = re.compile(rb"/(?:Filter|F)\s*(\[[^\[\]]{0,300}\]|/\w+|\d{1,10}\s+\d{1,10}\s+R\b)")
_PREDICTOR = re.compile(rb"/Predictor\s*(\d{1,4})")
_COLUMNS = re.compile(rb"/(?:Columns|Colors|BitsPerComponent)\b")
_BEGIN = re.compile(rb"[\s\0]*(?:\d+[\s\0]+\d+[\s\0<\[(/]|%|\Z)")  # the number and place of the first object


class _Foul(Exception):
    """The stream cannot be unpacked; the argument is the slug."""


class Objects:
    """Unpacks the object streams of one file. `fault` is a slug once one of them could not be unpacked ("" until then)."""

    def __init__(self) -> None:
        self.fault = ""
        self._room = _MOST_UNPACKED

    def unpacked(self, head: bytes, packed: bytes) -> bytes:
        """The objects in a stream; `head` is the text before it, its dictionary at the end. What is foul comes back as it is."""
        try:
            data = self._filtered(head[head.rfind(b"endobj") + 1 :], packed)
            if _BEGIN.match(data) is None:
                raise _Foul("damaged")
        except _Foul as foul:
            self.fault = self.fault or str(foul)
            return packed
        self._room -= len(data)
        return data

    def _filtered(self, dictionary: bytes, data: bytes) -> bytes:
        for match in _FILTER.finditer(dictionary):
            names = re.findall(rb"/(\w+)", match[1])
            if len(names) > _MOST_FILTERS or not (names or match[1].startswith(b"[")):
                raise _Foul("damaged")  # a reference, or more than anybody writes
            for name in names:
                undo = _UNDO.get(name)
                if undo is None:
                    raise _Foul("damaged")
                data = undo(data, min(_MOST, max(self._room, 0)))
        predictor = max((int(found) for found in _PREDICTOR.findall(dictionary)), default=1)
        return data if predictor == 1 else _rows(data, predictor, dictionary)


def _inflated(data: bytes, room: int) -> bytes:
    if room <= 0:
        raise _Foul("too-big")
    unpacker = zlib.decompressobj()
    try:
        out = unpacker.decompress(data, room)
    except zlib.error:
        raise _Foul("damaged") from None
    if unpacker.unconsumed_tail:
        raise _Foul("too-big")
    return out


def _from_hex(data: bytes, room: int) -> bytes:
    digits = b"".join(data.partition(b">")[0].split())
    try:
        return binascii.unhexlify(digits + b"0" * (len(digits) % 2))
    except binascii.Error:
        raise _Foul("damaged") from None


def _from_85(data: bytes, room: int) -> bytes:
    try:
        return base64.a85decode(data.partition(b"~")[0], ignorechars=b" \t\n\r\v\f\0")
    except ValueError:
        raise _Foul("damaged") from None


_UNDO: dict[bytes, Callable[[bytes, int], bytes]] = {
    b"FlateDecode": _inflated,
    b"Fl": _inflated,
    b"ASCIIHexDecode": _from_hex,
    b"AHx": _from_hex,
    b"ASCII85Decode": _from_85,
    b"A85": _from_85,
}


def _rows(data: bytes, predictor: int, dictionary: bytes) -> bytes:
    """Undo the PNG predictors "none" and "up", the ones that are used for such streams (section 7.4.4.4)."""
    columns = re.search(rb"/Columns\s*(\d{1,6})", dictionary)
    width = int(columns[1]) if columns is not None else 1
    if predictor < 10 or not width or len(_COLUMNS.findall(dictionary)) > 1:
        raise _Foul("damaged")
    out: list[bytes] = []
    above = bytes(width)
    for start in range(0, len(data), width + 1):
        kind, row = data[start], data[start + 1 : start + 1 + width]
        if kind == 2:
            row = bytes((one + other) & 255 for one, other in zip(row, above, strict=False))
        elif kind:
            raise _Foul("damaged")
        out.append(row)
        above = row
    return b"".join(out)
