"""What the old binary Office files hold that acts: VBA, Excel 4 macro sheets, DDE, embedded programs. In the worker only.

By the records of the formats ([MS-XLS], [MS-DOC], [MS-OVBA]); nothing is decompressed, run or decrypted. Our own walk instead of
oletools: see docs/adr/0023-own-walk-through-office-files.md.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import IO

from mailrelay.inspection.compound import SIGNATURE, Compound, Damaged

_STEP = 1024 * 1024
_MOST_STREAM = 32 * 1024 * 1024
_MOST_RECORDS = 200_000
_BOUNDSHEET, _SUPBOOK, _FILEPASS, _EXTERNNAME = 0x85, 0x1AE, 0x2F, 0x23
_MACRO_SHEET, _VBA_MODULE = 1, 6
_FIELD_DDE = re.compile(rb"\x13[ \t]*DDE(?:AUTO)?\b", re.IGNORECASE)


def _wide(text: str) -> bytes:
    return text.encode("utf-16-le")


_FIELD_DDE_WIDE = re.compile(_wide("\x13") + b"(?: \\0|\\t\\0){0,8}" + b"D\\0D\\0E\\0", re.IGNORECASE)
# Names in the directory, and what they mean; looked for in the bytes when the directory itself cannot be read.
_NAMES = (
    ("_VBA_PROJECT", "macros"),
    ("PROJECTwm", "macros"),
    ("EncryptedPackage", "encrypted"),
    ("\x01Ole10Native", "active-content"),
    ("Equation Native", "active-content"),
)


def slugs(file: IO[bytes]) -> Iterator[str]:
    """Yield what acts in a compound file at the start of `file`, with repeats."""
    try:
        compound = Compound(file)
    except Damaged:
        found = set(_by_bytes(file))
        yield from found
        yield "macros-damaged" if "macros" in found else "damaged"
        return
    names = {entry.name.lower() for entry in compound.entries}
    yield from (slug for name, slug in _NAMES if name.lower() in names)
    if "_vba_project" in names:
        yield from _vba(compound)
    try:
        yield from _workbook(compound)
        yield from _word(compound)
    except Damaged:
        yield "damaged"


def project(file: IO[bytes]) -> str:
    """What a vbaProject.bin is: "macros", or "macros-damaged" when it is no VBA project that can be followed."""
    try:
        return next(_vba(Compound(file)), "macros")
    except Damaged:
        return "macros-damaged"


def _vba(compound: Compound) -> Iterator[str]:
    """Macros whose own directory cannot be read run in Office even so, but no scanner sees them."""
    directory = compound.stream("dir")
    try:
        head = compound.read(directory, 3) if directory is not None else b""
    except Damaged:
        head = b""
    # MS-OVBA 2.4.1.1: a signature byte, then chunks whose header has the signature 0b011.
    if len(head) < 3 or head[0] != 1 or head[2] >> 4 & 7 != 3:
        yield "macros-damaged"


def _by_bytes(file: IO[bytes]) -> Iterator[str]:
    marks = [(_wide(name), slug) for name, slug in _NAMES]
    file.seek(0)
    rest = b""
    while block := file.read(_STEP):
        block = rest + block
        yield from (slug for mark, slug in marks if mark in block)
        rest = block[-64:]


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    for _ in range(_MOST_RECORDS):
        if position + 4 > len(data):
            return
        kind, size = struct.unpack_from("<HH", data, position)
        yield kind, data[position + 4 : position + 4 + size]
        position += 4 + size


def _workbook(compound: Compound) -> Iterator[str]:
    """Excel 97-2003: the list of sheets, links to other programs, and whether all of it is encrypted."""
    entry = compound.stream("Workbook", "Book")
    if entry is None:
        return
    for kind, body in _records(compound.read(entry, _MOST_STREAM)):
        if kind == _BOUNDSHEET and len(body) > 5 and body[5] == _MACRO_SHEET:
            yield "excel4-macros"
        elif kind == _BOUNDSHEET and len(body) > 5 and body[5] == _VBA_MODULE:
            yield "macros"
        elif kind == _FILEPASS:
            yield "encrypted"
            return  # nothing behind it can be read
        elif kind == _SUPBOOK and b"\x03" in body[4:600]:  # program and topic, parted as in a DDE link
            yield "active-content"


def _word(compound: Compound) -> Iterator[str]:
    entry = compound.stream("WordDocument")
    if entry is None:
        return
    data = compound.read(entry, _MOST_STREAM)
    if len(data) > 12 and data[11] & 1:  # fEncrypted of the FIB
        yield "encrypted"
    elif _FIELD_DDE.search(data) or _FIELD_DDE_WIDE.search(data):
        yield "active-content"


__all__ = ["SIGNATURE", "project", "slugs"]
