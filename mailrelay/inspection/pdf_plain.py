"""PDF files that are beyond doubt: small, of one revision, and without a word of signatures, forms, encryption or packed objects.

Most attachments are such. What pyHanko would say of them is known ("unsigned"), so it need not be loaded or asked; whatever is
the least bit out of the ordinary goes to it. Names are looked for in every octet of the file, with #xx escapes undone, so that
no trick with the borders of streams or objects hides them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailrelay.inspection import pdf_active
from mailrelay.inspection.content import File
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict

MOST = 256 * 1024  # bytes of a file that is looked into while its mail is read
_MOST_ESCAPES = 4096
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
# Words of signatures, of forms that could hold one, of encryption, and of objects that are not to be seen in the file itself.
_WORDS = (b"/Sig", b"/ByteRange", b"/AcroForm", b"/Perms", b"/Encrypt", b"/ObjStm", b"/XRef", b"/Prev", b"/FT")
_END = re.compile(rb"startxref\s{1,4}(\d{1,9})\s{1,4}%%EOF\s{0,4}\Z")
_TABLE = re.compile(rb"xref\s{1,4}0 (\d{1,5})\s{0,2}\r?\n")
_ROOT = re.compile(rb"/Root\s{1,4}(\d{1,5}) 0 R\b")
_ENTRY = 20  # octets of a line in the table


class Glance:
    """Looks into the files of one mail. What was held of a short one while the mail was read is the whole of it."""

    def __init__(self, source: Source, limits: Limits, files: Sequence[File]) -> None:
        self._source = source
        self._most = min(MOST, limits.pdf)
        self._whole = {
            (one.part.body, one.part.end, one.part.encoding): one.head
            for one in files
            if one.part.wrapper is None and one.attachment.size == len(one.head)
        }
        self._place: tuple[int, int, str] | None = None
        self._plain: bytes | None = None

    def look(self, job: Job) -> list[Finding] | None:
        """What the job would find, for the jobs "pdf" and "pdf-active"; None when the file is not that plain."""
        if job.kind not in ("pdf", "pdf-active") or job.wrap_end or job.size > self._most:
            return None
        place = (job.start, job.end, job.encoding)
        if place != self._place:  # the jobs of a file follow each other
            self._place, self._plain = place, self._read(job, self._whole.get(place))
        if self._plain is None:
            return None
        if job.kind == "pdf":
            return [note(Check.PDF, Verdict.NONE, "unsigned", job.name, part=job.part)]
        return pdf_active.found_in(job, self._plain)

    def _read(self, job: Job, data: bytes | None) -> bytes | None:
        if data is None:
            data = b"".join(job.blocks(self._source))
        return data if len(data) <= MOST and b"%PDF-" in data[:1024] and is_plain(data) else None


def is_plain(data: bytes) -> bool:
    """Whether a file is in the simplest form that there is (ISO 32000-2 section 7.5: header, body, one table, one trailer)."""
    shown = data
    if (escapes := data.count(b"#")) > _MOST_ESCAPES:
        return False
    if escapes:
        shown = _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), data)
    if any(map(shown.__contains__, _WORDS)) or (escapes and any(map(data.__contains__, _WORDS))):
        return False
    return data.count(b"%%EOF") == 1 and _has_root(data)


def _has_root(data: bytes) -> bool:
    """Whether the one table leads to the catalogue."""
    end = _END.search(data, max(0, len(data) - 64))
    table = _TABLE.match(data, int(end[1])) if end else None
    if end is None or table is None:
        return False
    trailer = data.find(b"trailer", table.end(), end.start())
    root = _ROOT.search(data, trailer, end.start()) if trailer == table.end() + _ENTRY * int(table[1]) else None
    if root is None or int(root[1]) >= int(table[1]):
        return False
    entry = data[table.end() + _ENTRY * int(root[1]) :][:_ENTRY]
    place = int(entry[:10]) if entry[:10].isdigit() else len(data)
    return entry[10:18] == b" 00000 n" and data.startswith(b"%d 0 obj" % int(root[1]), place)
