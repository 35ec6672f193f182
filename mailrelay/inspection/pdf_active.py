"""Active content in PDF files (ISO 32000-2 section 12.6): scripts, launches, embedded files. In the worker only.

Names are looked for outside of streams and inside object streams, with #xx escapes undone; nothing is rendered or run. The
long names are looked for everywhere, so that no trick with stream borders hides them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from mailrelay.inspection import pdf_layers
from mailrelay.inspection.filing import decode_to_file
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict

_MOST_UNPACKED = 64 * 1024 * 1024
_STREAM = re.compile(rb"\bstream\r?\n")
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_LONG = (
    (b"/JavaScript", "javascript"),
    (b"/Launch", "launch"),
    (b"/EmbeddedFile", "embedded-file"),
    (b"/RichMedia", "rich-media"),
    (b"/SubmitForm", "submit-form"),
    (b"/ImportData", "submit-form"),
)
_SHORT = ((b"/JS", "javascript"), (b"/XFA", "xfa"), (b"/3D", "rich-media"))
_OPENING = re.compile(rb"/OpenAction\s*<<(?![^<>]{0,200}/S\s*/GoTo\b)")  # a jump to a page is no action of interest
# Every name that is looked for, escapes and packed objects: a file without any of them has nothing that acts.
_MARKS = (*(name for name, _ in (*_LONG, *_SHORT)), b"/OpenAction", b"#", b"ObjStm")
_ENDS = frozenset(b" \t\r\n\f\0/<>[]()%")
VERDICTS = {
    "javascript": Verdict.POLICY,
    "launch": Verdict.FAIL,
    "open-action": Verdict.POLICY,
    "embedded-file": Verdict.POLICY,
    "rich-media": Verdict.POLICY,
    "submit-form": Verdict.POLICY,
    "xfa": Verdict.NONE,
    "damaged": Verdict.POLICY,
    "too-big": Verdict.POLICY,
}


def check(job: Job, source: Source, limits: Limits) -> list[Finding]:
    """Look for active content in one PDF file."""
    file = decode_to_file(job, source, limits.pdf)
    if file is None:
        return [_note(job, "too-big")]
    with file:
        data = file.read()
    return found_in(job, data) if b"%PDF-" in data[:1024] else []


def found_in(job: Job, data: bytes) -> list[Finding]:
    """Look for active content in the bytes of a PDF file, and whether it is a scan."""
    scan = [note(Check.TYPE, Verdict.NEUTRAL, "scan", job.name, part=job.part)] if pdf_layers.is_scan(data) else []
    return [*(_note(job, slug) for slug in slugs(data)), *scan]


def slugs(data: bytes) -> list[str]:
    """What acts in a PDF file, by name."""
    if not any(map(data.__contains__, _MARKS)):
        return []
    found: dict[str, None] = dict.fromkeys(slug for name, slug in _LONG if _has(data, name))
    for piece in _outside(data):
        found |= dict.fromkeys(slug for name, slug in (*_LONG, *_SHORT) if _has(piece, name))
        if _OPENING.search(piece):
            found["open-action"] = None
    return list(found)


def _note(job: Job, slug: str) -> Finding:
    return note(Check.PDF_ACTIVE, VERDICTS[slug], slug, job.name, part=job.part)


def _has(data: bytes, name: bytes) -> bool:
    """Whether a name stands in the data, as a whole word."""
    position = data.find(name)
    while position >= 0:
        behind = data[position + len(name) : position + len(name) + 1]
        if not behind or behind[0] in _ENDS or behind == b"s":  # EmbeddedFiles
            return True
        position = data.find(name, position + 1)
    return False


def _outside(data: bytes) -> Iterator[bytes]:
    """Yield the text between streams, and the unpacked object streams, escapes undone."""
    room = _MOST_UNPACKED
    position = 0
    while position < len(data):
        match = _STREAM.search(data, position)
        if match is None:
            yield _plain(data[position:])
            return
        text = data[position : match.start()]
        yield _plain(text)
        end = data.find(b"endstream", match.end())
        end = len(data) if end < 0 else end
        if b"ObjStm" in _plain(text[-4096:]) and room > 0:
            unpacked = _inflated(data[match.end() : end], room)
            room -= len(unpacked)
            yield _plain(unpacked)
        position = end


def _plain(text: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes((int(match.group(1), 16),)), text) if b"#" in text else text


def _inflated(packed: bytes, room: int) -> bytes:
    """Undo FlateDecode as far as it goes; a stream in another coding comes back as it is."""
    unpacker = zlib.decompressobj()
    try:
        return unpacker.decompress(packed, min(room, 16 * 1024 * 1024))
    except zlib.error:
        return packed
