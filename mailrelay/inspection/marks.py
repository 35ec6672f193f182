"""The marks that people put on a mail: urgency, secrecy, paper copy, circulation. A mark is never a mere part of a word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailrelay.inspection.document_types import clean, plain
from mailrelay.inspection.letterhead import Page
from mailrelay.model.document import Secrecy, Urgency
from mailrelay.model.message import Content

_URGENCY_WORDS: dict[str, Urgency] = {
    "khan": Urgency.URGENT,
    "thuong khan": Urgency.VERY_URGENT,
    "hoa toc": Urgency.FLASH,
    "hoa toc hen gio": Urgency.TIMED_FLASH,
    "hen gio": Urgency.TIMED_FLASH,
}
_URGENCY_FIELD = (
    dict(zip(("0", "1", "2", "3", "4"), Urgency, strict=True)) | _URGENCY_WORDS | {"thuong": Urgency.NORMAL}
)
_SECRECY_WORDS: dict[str, Secrecy] = {
    "mat": Secrecy.CONFIDENTIAL,
    "toi mat": Secrecy.SECRET,
    "tuyet mat": Secrecy.TOP_SECRET,
}
_SECRECY_RANK = {level: rank for rank, level in enumerate(Secrecy)}
_ACCENTED_SECRECY = {"MẬT": Secrecy.CONFIDENTIAL, "TỐI MẬT": Secrecy.SECRET, "TUYỆT MẬT": Secrecy.TOP_SECRET}

_TAG = re.compile(r"\[([^\[\]]{1,60})\]|【([^【】]{1,60})】")
_ROUND = re.compile(r"\(([^()]{1,30})\)")
_REPLY = re.compile(r"\s*(?:(?:re|fw|fwd|tr|tl|vb|aw)\s*(?:\[\d+\])?\s*:|trả lời:|chuyển tiếp:)", re.IGNORECASE)
# Capitals without brackets count at the front of a subject, or as a segment of their own.
_FREE_URGENCY = re.compile(
    r"(?:^|[-–:;|,.(] ?)(?P<mark>HẸN GIỜ|H[ỎO][ẢA]? ?T[ỐO]C(?: H[ẸE]N GI[ỜO])?|(?:TH[ƯU][ỢO]NG )?KH[ẨA]N)(?![^\W\d_])"
)
_NOT_AFTER = {"truong", "cap", "nguyen", "khoan", "thiet", "cau", "hoang", "hiem", "gia", "gio", "dac"}
_NUMBER_OR_MARK_AFTER = r"(?= ?(?:[-–:;|)\].!]|$|\d|S[ỐO]\b|V/v|v/v|V/V|\[))"
_FREE_SECRECY = re.compile(rf"(?:^|[-–:;|(] ?)(?P<mark>(?:TUYỆT |TỐI )?MẬT|TUYET MAT|TOI MAT){_NUMBER_OR_MARK_AFTER}")
_URGENCY_LINE = re.compile(r"(?:do|muc do) khan ?: ?(?P<level>[a-z ]+)$")
_SECRECY_LINE = re.compile(r"(?:dau chi )?(?:do|muc do|muc) mat ?: ?(?P<level>[a-z ]{2,20})$")
_MARK_WORD = re.compile("m[aậ]t", re.IGNORECASE)
_EDGES = "*_[]()<>{}|\"'“”.:-– \t>"


@dataclass(frozen=True, slots=True)
class UrgencyMark:
    """An urgency and where it was read."""

    urgency: Urgency
    source: str
    text: str
    confidence: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject taken apart: the bracketed tags, whether it answers or passes on, and what is left."""

    tags: tuple[str, ...]
    is_reply: bool
    is_forward: bool
    rest: str


def take_apart(subject: str) -> Subject:
    """Split a cleaned subject into tags, "Re:" and "Fwd:" prefixes, and the rest."""
    tags = tuple((a or b).strip() for a, b in _TAG.findall(subject))
    rest = " ".join(_TAG.sub(" ", subject).split())
    is_reply = is_forward = False
    while found := _REPLY.match(rest):
        word = plain(found.group()).strip(" :")
        is_forward = is_forward or word.startswith(("fw", "chuyen"))
        is_reply = is_reply or not word.startswith(("fw", "chuyen"))
        rest = rest[found.end() :].strip()
    return Subject(tags, is_reply, is_forward, rest)


def urgency_mark(subject: Subject, fields: Iterable[tuple[str, str]], lines: Iterable[str]) -> UrgencyMark | None:
    """Return the urgency that was asked for: a tag, then capitals, our own fields, a line of the paper, the client's flag."""
    for tag in subject.tags:
        if urgency := _urgency_of(tag):
            return UrgencyMark(urgency, "subject", tag, 95)
    for found in _FREE_URGENCY.finditer(subject.rest[:300]):
        if _stands_alone(found, subject.rest):
            return UrgencyMark(_URGENCY_WORDS[_spaced(found["mark"])], "subject", found["mark"], 90)
    return _urgency_field(fields) or _urgency_line(lines) or _client_flag(dict(fields))


def _urgency_of(tag: str) -> Urgency | None:
    words = _spaced(tag).removeprefix("do khan: ").strip(" !.:")
    exact = _URGENCY_WORDS.get(words)
    if exact is not None:
        return exact
    # "HỎA TỐC HẸN GIỜ 10h ngày 29/10": the hour follows the mark.
    for mark in ("hoa toc hen gio", "hoa toc", "thuong khan", "khan"):
        if words.startswith(mark) and re.match(r" ?[-–:,(]| \d| truoc\b| den\b| hen\b", words[len(mark) :]):
            return _URGENCY_WORDS[mark]
    return None


def _stands_alone(found: re.Match[str], text: str) -> bool:
    """ "KHẨN TRƯƠNG", "KHAN HIẾM" and a mark in the middle of capitals are no marks; an unaccented one needs a stop after it."""
    after = plain(text[found.end("mark") : found.end("mark") + 20])
    word = re.match(r" ([a-z]+)", after)
    if word and word.group(1) in _NOT_AFTER:
        return False
    if found["mark"].isascii():
        return re.match(r" ?(?:[-–:;|)!.]|$| \d|\d)", after) is not None or re.match(r" \d", after) is not None
    return after == "" or not after[0].isalpha()


def _spaced(mark: str) -> str:
    return " ".join(plain(mark).replace("hoatoc", "hoa toc").split())


def _urgency_field(fields: Iterable[tuple[str, str]]) -> UrgencyMark | None:
    for name, value in fields:
        if name.replace("-", "") in ("xdokhan", "xvanbandokhan") and (
            urgency := _URGENCY_FIELD.get(_spaced(clean(value)))
        ):
            return UrgencyMark(urgency, "field", value, 95)
    return None


def _urgency_line(lines: Iterable[str]) -> UrgencyMark | None:
    for line in lines:
        mark = line.strip(_EDGES)
        if 4 <= len(mark) <= 30 and mark.isupper() and not mark.isascii() and (urgency := _urgency_of(mark)):
            return UrgencyMark(urgency, "body", mark, 80)
        if len(mark) > 40 or ":" not in mark or "h" not in mark.lower():
            continue
        found = _URGENCY_LINE.match(plain(mark))
        if found and (urgency := _URGENCY_WORDS.get(found["level"].strip())):
            return UrgencyMark(urgency, "body", mark, 85)
    return None


def _client_flag(fields: dict[str, str]) -> UrgencyMark | None:
    """A mail program's flag raises to KHẨN at most; Importance wins over the others (MS-OXCMAIL 2.2.3.2.5)."""
    if "importance" in fields:
        high = plain(fields["importance"]).strip() == "high"
        return UrgencyMark(Urgency.URGENT, "field", "Importance: high", 60) if high else None
    for name, values in (("priority", ("urgent",)), ("x-priority", ("1", "2")), ("x-msmail-priority", ("high",))):
        value = fields.get(name, "").strip().lower().partition(" ")[0]
        if value in values:
            return UrgencyMark(Urgency.URGENT, "field", f"{name}: {value}", 60)
    return None


def secrecy_mark(content: Content) -> Secrecy:
    """Return the highest secrecy mark of a mail (Law 29/2018/QH14): in subject, file names, header fields, or on its own line.

    What is attached counts as well as what is written: passing a secret paper on is sending it. Capitals with diacritics, or
    a tag in brackets; never the substring (bảo mật, MẬT ONG, mật khẩu) and never a bare MAT.
    """
    marks = [_secrecy_of_title(clean(subject)) for subject in (content.subject, *content.inner_subjects)]
    marks += [secrecy_of_name(file.name) for file in content.attachments[:200]]
    marks += [_secrecy_field(name, value) for name, value in content.fields]
    marks += [secrecy_of_text(text) for text in (content.text, content.inner_text)]
    return highest(marks)


def secrecy_of_text(text: str) -> Secrecy:
    """The highest secrecy mark that stands on a line of its own in a text."""
    marks = [_secrecy_of_line(line) for line in _lines_with_mark(clean(text))]
    return max(marks, key=_SECRECY_RANK.__getitem__, default=Secrecy.NONE)


def secrecy_of_name(name: str) -> Secrecy:
    """The secrecy mark in a file name."""
    return _secrecy_of_title(clean(name[:300]).replace("_", " "))


def highest(marks: Iterable[Secrecy]) -> Secrecy:
    return max(marks, key=_SECRECY_RANK.__getitem__, default=Secrecy.NONE)


def _lines_with_mark(text: str) -> Iterator[str]:
    """The short lines that hold the word at all: running text is passed over quickly."""
    for found in _MARK_WORD.finditer(text):
        start, end = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.end())
        if (end if end >= 0 else len(text)) - start <= 120:
            yield text[start : end if end >= 0 else None]


def _secrecy_of_title(title: str) -> Secrecy:
    subject = take_apart(title)
    marks = [_SECRECY_WORDS.get(_spaced(tag).removeprefix("do mat: "), Secrecy.NONE) for tag in subject.tags]
    marks += [_ACCENTED_SECRECY.get(inner.strip(), Secrecy.NONE) for inner in _ROUND.findall(subject.rest[:300])]
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", subject.rest[:300])
    marks += [_SECRECY_WORDS[_spaced(found["mark"])] for found in _FREE_SECRECY.finditer(stem)]
    return max(marks, key=_SECRECY_RANK.__getitem__, default=Secrecy.NONE)


def _secrecy_field(name: str, value: str) -> Secrecy:
    if name.replace("-", "") not in ("xdomat", "xvanbandomat"):
        return Secrecy.NONE
    numbered = dict(zip(("0", "1", "2", "3"), Secrecy, strict=True))
    word = _spaced(clean(value))
    return numbered.get(word) or _SECRECY_WORDS.get(word, Secrecy.NONE)


def _secrecy_of_line(line: str) -> Secrecy:
    mark = line[:80].strip(_EDGES)
    if mark in _ACCENTED_SECRECY:
        return _ACCENTED_SECRECY[mark]
    if len(mark) > 40 or ":" not in mark:
        return Secrecy.NONE
    found = _SECRECY_LINE.match(" ".join(plain(mark).split()))
    return _SECRECY_WORDS.get(found["level"].strip(), Secrecy.NONE) if found else Secrecy.NONE


_PAPER_TAG = frozenset({"kem ban giay", "co ban giay", "ban giay gui sau", "gui ban giay sau"})
_PAPER = re.compile(
    r"(?:kem(?: theo)? (?:ca )?(?:ban|van ban) giay|(?:ban|van ban) (?:giay|chinh)[\w ,]{0,30} gui (?:sau|kem|qua|theo)"
    r"|gui (?:kem )?(?:ban|van ban) (?:giay|chinh)[\w ,]{0,20} (?:sau|qua|theo))"
)
_NO_PAPER = re.compile(r"(?:khong|khoi|chua|thay)(?: the)? (?:phai |can )?(?:gui )?(?:kem )?(?:theo )?$")


def paper_follows(subject: Subject, fields: Iterable[tuple[str, str]], page: Page) -> str | None:
    """Return the words that say that a paper copy follows, or None. "không kèm bản giấy" says that none does."""
    for tag in subject.tags:
        if _spaced(tag) in _PAPER_TAG:
            return tag
    for name, value in fields:
        if name.replace("-", "") == "xvanbanbangiay":
            return f"{name}: {value}" if _spaced(value) in ("1", "co", "yes") else None
    for line, low in zip(page.lines, page.plain, strict=False):
        found = _PAPER.search(low) if "ban" in low else None
        if found and not _NO_PAPER.search(low[max(0, found.start() - 30) : found.start()]):
            return line[found.start() : found.end()]
    return None
