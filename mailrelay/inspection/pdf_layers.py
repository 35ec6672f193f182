"""Whether a PDF file is a scan: pages that are pictures, without a text layer that could be searched. In the worker only.

Page contents are looked at for the operators that show text (ISO 32000-2 section 9.4.3). Text in form objects does not count: the
stamp that a signing program lays over a scanned page is one.
"""

from __future__ import annotations

import re
import zlib

_STREAM = re.compile(rb"\bstream\r?\n")
_SHOWS_TEXT = re.compile(rb"[)\]>]\s*(?:Tj|TJ|'|\")(?![A-Za-z])")
_PICTURE = re.compile(rb"/Subtype\s*/Image\b")
_NO_PAGE = re.compile(
    rb"/Subtype\s*/(?:Image|Form|XML|Type1C|CIDFontType0C|OpenType)\b"
    rb"|/Type\s*/(?:ObjStm|XRef|Metadata|EmbeddedFile)\b|/Length1\b"
)
_SMALLEST = 20_000  # bytes of a picture that may be a page; logos are smaller
_MOST_STREAMS = 3000
_MOST_UNPACKED = 32 * 1024 * 1024
_DICTIONARY = 2000  # bytes before a stream in which its dictionary is looked for


def is_scan(data: bytes) -> bool:
    """True only when pictures of the size of a page are there, and no page content that shows text. Encrypted files are none."""
    if b"/Encrypt" in data or b"/Image" not in data:
        return False
    pictures = 0
    room = _MOST_UNPACKED
    position = 0
    for _ in range(_MOST_STREAMS):
        match = _STREAM.search(data, position)
        if match is None:
            break
        end = data.find(b"endstream", match.end())
        end = len(data) if end < 0 else end
        head = data[max(position, match.start() - _DICTIONARY) : match.start()]
        head = head[max(head.rfind(b" obj"), 0) :]
        if _PICTURE.search(head):
            pictures += end - match.end() >= _SMALLEST
        elif not _NO_PAGE.search(head):
            content = _unpacked(head, data[match.end() : end], room)
            room -= len(content)
            if _SHOWS_TEXT.search(content):
                return False
        if room <= 0:
            return False  # cannot tell
        position = end
    return pictures > 0


def _unpacked(head: bytes, packed: bytes, room: int) -> bytes:
    if b"/FlateDecode" not in head and b"/Fl " not in head:
        return packed[:room]
    try:
        return zlib.decompressobj().decompress(packed, min(room, 4 * 1024 * 1024))
    except zlib.error:
        return b""
