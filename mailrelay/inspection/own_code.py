"""Which number is the paper's own, and which one it answers: everything else is a citation (viện dẫn). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailrelay.inspection.document_types import plain
from mailrelay.inspection.letterhead import Page
from mailrelay.inspection.marks import Subject
from mailrelay.inspection.notation import (
    Hit,
    Known,
    codes_in_name,
    empty_code,
    find_codes,
    loose_code,
    same_code,
    short_code,
)
from mailrelay.model.document import DocumentCode

# Words after which a number belongs to another paper.
_CITING = re.compile(
    r"\b(?:tra loi|phuc dap|dap ung|can cu|thuc hien|theo|trien khai|gop y|y kien|v/v|ve|lien quan|sua doi|bo sung|thay the|huy bo"
    r"|bai bo|hoi|de nghi|dinh chinh|thu hoi|tham gia|ket qua|tiep theo|quan triet|noi dung|xin|nhac|don doc|re)\b"
)
_ANSWERING = re.compile(r"\b(?:tra loi|phuc dap|dap ung|tiep theo)\b[^.;]{0,60}$")
_NUMBER_LINE = re.compile(r"(?:^|\s{2,}|\|\s?)(?:so(?: ?,? ?ky hieu| hieu| van ban)?|so/ky hieu) ?: ?")
_SUBJECT_LIMIT = 400


@dataclass(frozen=True, slots=True)
class OwnCode:
    """A candidate for the paper's own number. `code.number` is "" for an unsigned draft with a blank number."""

    code: DocumentCode
    hit: Hit | None
    source: str
    text: str
    confidence: int
    end: int = 0  # where it ends in the subject, for what follows it (date, abstract)


def from_fields(fields: Sequence[tuple[str, str]]) -> OwnCode | None:
    """Read X-VanBan-So together with X-VanBan-KyHieu, or the whole in X-VanBan-SoKyHieu."""
    values = {name.replace("-", ""): value.strip() for name, value in fields if name.startswith("x-vanban-")}
    whole = values.get("xvanbansokyhieu") or "/".join(
        filter(None, (values.get("xvanbanso"), values.get("xvanbankyhieu")))
    )
    hit = next(iter(find_codes(whole[:80])), None) or short_code(whole[:80])
    return OwnCode(hit.code, hit, "field", whole[:80], 95) if hit else None


def from_number_line(page: Page) -> OwnCode | None:
    """Read the line "Số: 59/KH-UBND" that stands above the title, or in the list of a paper's particulars."""
    for line, low in zip(page.lines[:200], page.plain, strict=False):
        found = _NUMBER_LINE.search(low[:120]) if "so" in low[:120] else None
        if found is None:
            continue
        rest = line[found.end() : found.end() + 80]
        hit = next(iter(find_codes(rest)), None) or short_code(rest)
        if hit is not None and hit.start <= 3:
            return OwnCode(hit.code, hit, "body", line.strip()[:120], 90)
        if notation := empty_code(rest):
            return OwnCode(DocumentCode("", notation), None, "body", line.strip()[:120], 90)
    return None


def from_subject(subject: Subject, known: Known) -> OwnCode | None:
    """Read the first number of the subject, unless the words before it make it another paper's, or the mail is a reply."""
    if subject.is_reply:
        return None
    rest = subject.rest[:_SUBJECT_LIMIT]
    hit = next(iter(find_codes(rest)), None)
    if hit is None:
        hit = loose_code(rest, known)
    if hit is None and re.match(r"(?:số:? ?|sô:? ?|so:? ?)?\d", rest, re.IGNORECASE):
        short = short_code(rest[:40])
        hit = short if short and known(short.code.notation) else None
    if hit is None or _CITING.search(plain(rest[: hit.start])):
        return None
    return OwnCode(hit.code, hit, "subject", rest[hit.start : hit.end], min(hit.confidence, 85), hit.end)


def from_names(names: Sequence[str], known: Known) -> tuple[OwnCode, ...]:
    """Read the numbers in the names of the first 200 files, the surest first."""
    found = [
        OwnCode(hit.code, hit, "file-name", name[:200], hit.confidence)
        for name in names[:200]
        for hit in codes_in_name(name[:300], known)
    ]
    return tuple(sorted(found, key=lambda own: -own.confidence))


def answered(subject: Subject, page: Page, own: DocumentCode | None) -> Hit | None:
    """Return the number of the paper that this one answers: "Trả lời văn bản số 59/KH-UBND", or "Re: 59/KH-UBND"."""
    rest = subject.rest[:_SUBJECT_LIMIT]
    in_subject = [hit for hit in find_codes(rest) if own is None or not same_code(hit.code, own)]
    for hit in in_subject:
        if subject.is_reply or _ANSWERING.search(plain(rest[max(0, hit.start - 90) : hit.start])):
            return hit
    text, folded = page.text[:3000], page.plain_text
    for hit in find_codes(text, limit=20):
        before = folded[max(0, hit.start - 90) : hit.start]
        if (own is None or not same_code(hit.code, own)) and _ANSWERING.search(before):
            return hit
    return None
