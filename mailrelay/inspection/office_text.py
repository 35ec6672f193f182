"""The text on the face of an office file, for secrecy marks: its first lines, headers and footers. In the worker only; bounded.

Marks stand at the head of a paper (Decree 26/2020/NĐ-CP): further in, "MẬT" on its own line is a cell of some table about secrets.
"""

from __future__ import annotations

import html
import re
import struct
import zipfile
from collections.abc import Iterator
from typing import IO

from mailrelay.inspection.compound import SIGNATURE, Compound
from mailrelay.inspection.fields import tidy

LINES = 60
_MOST_XML = 1024 * 1024  # bytes read of each member
_MOST_MEMBERS = 60
_LONGEST_LINE = 200
_EDGES = re.compile(
    r"(?:word/(?:header|footer)\d*|xl/worksheets/(?:sheet)?\d+|ppt/slidemasters/slidemaster\d+|styles)\.xml\Z"
)
_FACES = ("word/document.xml", "xl/sharedstrings.xml", "content.xml", "ppt/slides/slide1.xml", "ppt/slides/slide2.xml")
_BREAK = re.compile(
    r"</(?:w:p|a:p|si|is|text:p|text:h|oddheader|oddfooter|w:tc)>|<(?:w:br|text:line-break|a:br)\b[^>]{0,200}>",
    re.IGNORECASE,
)
_BLANK = re.compile(r"<(?:w:tab|text:s|text:tab)\b[^>]{0,200}>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>?")


def face(file: IO[bytes]) -> str:
    """The lines that a reader meets first, one below the other; "" for what has none. Raises what zipfile and Compound raise."""
    file.seek(0)
    head = file.read(8)
    file.seek(0)
    if head == SIGNATURE:
        return "\n".join(_word97(Compound(file)))
    if not head.startswith(b"PK"):
        return ""
    with zipfile.ZipFile(file) as package:
        return "\n".join(line for name in _members(package) for line in _lines(_read(package, name)))


def _members(package: zipfile.ZipFile) -> list[str]:
    names = {name.lower(): name for name in package.namelist()[:5000]}
    edges = [names[lowered] for lowered in sorted(names) if _EDGES.match(lowered)]
    return [*(names[face] for face in _FACES if face in names), *edges[:_MOST_MEMBERS]]


def _read(package: zipfile.ZipFile, name: str) -> str:
    with package.open(name) as stream:
        return stream.read(_MOST_XML).decode("utf-8", "replace")


def _lines(xml: str) -> Iterator[str]:
    """The first lines of a part: one for each paragraph or cell, its runs joined."""
    marked = _BLANK.sub(" ", _BREAK.sub("\n", xml.replace("\n", " ").replace("\r", " ")))
    count = 0
    for line in marked.split("\n"):
        text = " ".join(html.unescape(_TAG.sub("", line)).split())
        if text:
            count += 1
            if count > LINES:
                return
            yield tidy(text[:_LONGEST_LINE])


def _word97(compound: Compound) -> Iterator[str]:
    """The first lines of a Word 97 file whose text lies in one piece in wide letters, as Vietnamese text does."""
    entry = compound.stream("WordDocument")
    if entry is None:
        return
    data = compound.read(entry, 64 * 1024)
    begin = struct.unpack_from("<I", data, 0x18)[0] if len(data) >= 0x1C else 0  # fcMin of the FIB
    text = data[begin : begin + 32 * 1024].decode("utf-16-le", "replace") if 0 < begin < len(data) else ""
    for line in re.split("[\0\r\n\x07\x0b\x0c]", text)[:LINES]:
        yield tidy(line.strip()[:_LONGEST_LINE])
