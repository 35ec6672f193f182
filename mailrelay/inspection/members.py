"""What a paper inside an archive holds: the same looks as at an attached one, in the words for archives. In the worker only."""

from __future__ import annotations

import io

from mailrelay.inspection import names, office, pdf_active
from mailrelay.inspection.compound import SIGNATURE
from mailrelay.inspection.jobs import OFFICE
from mailrelay.inspection.limits import Limits
from mailrelay.model.document import Secrecy
from mailrelay.model.finding import Verdict

MOST = 16 * 1024 * 1024  # bytes of a member that are looked into


def is_paper(head: bytes, name: str) -> bool:
    """Whether a member is worth a look, by its name or first bytes."""
    return names.extension(name) in OFFICE or head.startswith((SIGNATURE, b"{\\rt")) or b"%PDF-" in head


def look(data: bytes, name: str, limits: Limits) -> tuple[str, Secrecy]:
    """Return the archive's slug for one paper in it ("" for nothing to say), and its secrecy mark."""
    if b"%PDF-" in data[:1024]:
        return _worst([pdf_active.VERDICTS[slug] for slug in pdf_active.slugs(data)]), Secrecy.NONE
    file = io.BytesIO(data)
    found, mark = office.read(file, name, limits)
    return _worst([office.VERDICTS[slug] for slug in found if slug in office.ACTIVE]), mark


def _worst(verdicts: list[Verdict]) -> str:
    if Verdict.FAIL in verdicts:
        return "dangerous-member"
    return "active-member" if Verdict.POLICY in verdicts else ""
