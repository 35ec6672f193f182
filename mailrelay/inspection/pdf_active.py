"""Active content in PDF files (ISO 32000-2 section 12.6): scripts, launches, embedded files. In the worker only.

Names are looked for outside of streams and inside object streams, with #xx escapes undone; nothing is rendered or run. The
long names are looked for everywhere, so that no trick with stream borders hides them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from mailrelay.inspection import pdf_layers, pdf_objects
from mailrelay.inspection.filing import decode_to_file
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict

_STREAM = re.compile(rb"(?<!end)stream(?:[ \t]*\r?\n|\r)")  # as readers take it, not only as it should be
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
_OPENING_AT = re.compile(rb"/OpenAction\s+(\d{1,10})\s+(\d{1,5})\s+R\b")
_EVENT = re.compile(rb"/AA\s*<<(?:(?!/AA)[^%]){0,400}?/S\s*/(?:URI|GoTo[RE])\b")
_HARMLESS = re.compile(rb"\s*(?:\[|<<(?:(?!/S\b)[^%]){0,300}/S\s*/GoTo\b)")
# Every name that is looked for, escapes and packed objects: a file without any of them has nothing that acts.
_MARKS = (*(name for name, _ in (*_LONG, *_SHORT)), b"/OpenAction", b"/AA", b"#", b"ObjStm")
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
    "encrypted": Verdict.NEUTRAL,
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
    whole = _plain(data)
    found: dict[str, None] = dict.fromkeys(slug for name, slug in _LONG if _has(data, name) or _has(whole, name))
    objects = pdf_objects.Objects()
    openings: dict[tuple[int, int], None] = {}
    for piece in _outside(data, objects):
        found |= dict.fromkeys(slug for name, slug in (*_LONG, *_SHORT) if _has(piece, name))
        if _OPENING.search(piece) or _EVENT.search(piece):
            found["open-action"] = None
        openings |= {(int(match[1]), int(match[2])): None for match in islice(_OPENING_AT.finditer(piece), 4)}
    if any(_acts(whole, *place) for place in islice(openings, 4)):
        found["open-action"] = None
    if objects.fault:
        found["encrypted" if objects.fault == "damaged" and b"/Encrypt" in whole else objects.fault] = None
    return list(found)


def _acts(whole: bytes, number: int, generation: int) -> bool:
    """Whether an action that stands as an object of its own is more than a jump to a page."""
    places = re.finditer(rb"(?<!\d)%d\s+%d\s+obj\b" % (number, generation), whole)
    return any(_HARMLESS.match(whole, found.end()) is None for found in islice(places, 10))


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


def _outside(data: bytes, objects: pdf_objects.Objects) -> Iterator[bytes]:
    """Yield the text between streams, and the unpacked object streams, escapes undone."""
    position = 0
    while position < len(data):
        match = _STREAM.search(data, position)
        text = _plain(data[position : match.start() if match is not None else len(data)])
        yield text
        if match is None:
            return
        end = data.find(b"endstream", match.end())
        end = len(data) if end < 0 else end
        if b"ObjStm" in text:
            yield _plain(objects.unpacked(text, data[match.end() : end]))
        position = end


def _plain(text: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes((int(match.group(1), 16),)), text) if b"#" in text else text
