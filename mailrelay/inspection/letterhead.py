"""What stands on the face of a paper: date, place, abstract, signatory, Nơi nhận, due date. Reads text, decides nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from mailrelay.inspection.document_types import by_name, clean, plain
from mailrelay.model.document import Signatory

HEAD = 8192  # characters of a mail's text that are looked at from the front
TAIL = 4096  # and from the end, for the signature block and Nơi nhận of a pasted paper

_WORDS_DATE = re.compile(r"ngay ?(?P<d>\d{1,2}) ?thang ?(?P<m>\d{1,2}) ?nam ?(?P<y>\d{4})")
_FIGURES_DATE = re.compile(
    r"(?<![\d/.-])(?P<d>\d{1,2}) ?(?P<s>[/.-]) ?(?P<m>\d{1,2}) ?(?P=s) ?(?P<y>(?:19|20)\d\d)(?![\d/])"
)
_ISO_DATE = re.compile(r"(?<!\d)(?P<y>(?:19|20)\d\d)(?P<s>[-/]?)(?P<m>[01]\d)(?P=s)(?P<d>[0-3]\d)(?!\d)")
_SHORT_DATE = re.compile(r"ngay ?(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d\d)(?!\d)")
_DATES = (_WORDS_DATE, _FIGURES_DATE, _ISO_DATE, _SHORT_DATE)

_PLACE = re.compile(r"(?:^|\s)(?P<place>[^\W\d_][\w .'-]{1,40}), ?(?=ngày ?[\d.…_ ])")
_CITATION = re.compile(r"(?:can cu|theo|thuc hien|ke tu|tu|den|vao)\b")
_ABOUT = re.compile(r"(?<!\w)(?:V/v:?|V/V:?|v/v:?|Về việc:?|về việc:?|VỀ VIỆC:?|Trích yếu:|trích yếu:)\s*")
_QUOTE_STARTS = tuple("-vo_ftn")  # the first letters of what _QUOTED matches
_QUOTED = re.compile(
    r"^(?:-{2,} ?(?:original message|forwarded message|thu goc|tin nhan da chuyen tiep)|(?:vao|on) .{1,120}(?:da viet|wrote) ?:?$"
    r"|_{20,}$|(?:from|tu|nguoi gui) ?: .{0,80}@)"
)


@dataclass(frozen=True, slots=True)
class DatedOn:
    """A date as read: `day` is None when the figures name no day of the calendar (31/02/2013)."""

    day: date | None
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """The author's own text, cleaned and bounded, by lines: as it stands and in plain letters at the same offsets."""

    lines: tuple[str, ...]
    plain: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def plain_text(self) -> str:
        return "\n".join(self.plain)


def own_page(text: str) -> Page:
    """Return what the author wrote: the cleaned head and tail of the text, without quoted lines and quoted mails."""
    bounded = text if len(text) <= HEAD + TAIL else text[:HEAD] + "\n" + text[-TAIL:]
    cleaned = clean(bounded).replace("\r", "")
    lines: list[str] = []
    folded: list[str] = []
    for line, low in zip(cleaned.split("\n"), plain(cleaned).split("\n"), strict=False):
        begin = low[:200].lstrip()
        if begin[:1] in _QUOTE_STARTS and _QUOTED.match(begin.rstrip()):
            break
        if not begin.startswith(">"):
            lines.append(line)
            folded.append(low)
    return Page(tuple(lines), tuple(folded))


def find_date(text: str, *, iso: bool = False) -> DatedOn | None:
    """Return the first date in cleaned text in any form that clerks use; `iso` also takes 2013-10-28 and 20131028."""
    return next(iter(find_dates(text, iso=iso)), None)


def find_dates(text: str, *, iso: bool = False, folded: str = "") -> tuple[DatedOn, ...]:
    """Return the dates in cleaned text in order of appearance; `folded` is its plain form where that is known already."""
    folded = folded or plain(text)
    shapes = _DATES if iso else (_WORDS_DATE, _FIGURES_DATE, _SHORT_DATE)
    found = (match for shape in shapes for match in shape.finditer(folded))
    dates = (DatedOn(_day(m), m.start(), m.end(), text[m.start() : m.end()]) for m in found)
    return tuple(sorted(dates, key=lambda dated: dated.start))


def _day(found: re.Match[str]) -> date | None:
    year = int(found["y"])
    try:
        return date(year if year > 99 else 2000 + year, int(found["m"]), int(found["d"]))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class PlaceAndDate:
    place: str
    dated: DatedOn | None
    text: str


def place_and_date(page: Page) -> PlaceAndDate | None:
    """Return place and date from the line "Hòa Bình, ngày 28 tháng 10 năm 2013" among the first lines."""
    for line, low in zip(page.lines[:60], page.plain, strict=False):
        found = _PLACE.search(line[:300]) if "ngay" in low else None
        if found and not _CITATION.match(low.strip()):
            place = re.split(r"\s{2,}", found["place"])[-1].strip(" .-'")
            return PlaceAndDate(place, find_date(line[found.end() : 300]), line.strip()[:120])
    return None


def about(text: str) -> str:
    """Return what stands after "V/v" or "Về việc" on the same line, or ""."""
    found = _ABOUT.search(text)
    return text[found.end() :].strip(" .-–:;\"'") if found else ""


def title_and_summary(page: Page) -> tuple[str, str]:
    """Return the abbreviation of the type whose name stands alone on a line in capitals, and the abstract below it."""
    for index, line in enumerate(page.lines[:80]):
        title = line.strip()
        if 4 <= len(title) <= 40 and title.isupper() and (named := by_name(page.plain[index].strip())):
            return named.abbreviation, _paragraph(page.lines[index + 1 :])
    return "", ""


def _paragraph(lines: Sequence[str]) -> str:
    """The first paragraph: up to four lines that belong together."""
    taken: list[str] = []
    for line in lines[:12]:
        text = line.strip(" -_*")
        if not text and taken:
            break
        if text and re.match(r"(?:[IVX]+\.|kinh gui|can cu)", plain(text) if text[0] not in "IVX" else text):
            break
        if text:
            taken.append(text)
        if len(taken) == 4:
            break
    joined = " ".join(taken)
    return about(joined) or joined


_AUTHORITY = re.compile(r"^\s*(?P<authority>TM|KT|TL|TUQ|Q)\. ?(?P<who>.{0,80})$")
_POSITION = re.compile(
    r"^(?:pho |q\. ?)?(?:chu tich|giam doc|chanh van phong|chanh thanh tra|truong ban|bo truong|thu truong|cuc truong|vu truong"
    r"|tong cuc truong|truong phong|vien truong|hieu truong|chi cuc truong|bi thu|truong doan|thu tuong|chu nhiem|tong giam doc)\b"
)
_FULL_NAME = re.compile(r"^(?:(?:TS|ThS|PGS|GS|BS|KS|Dr)\.? ?)*(?P<name>[^\W\d_]+(?: [^\W\d_]+){1,5})$")


def signatory(page: Page) -> Signatory | None:
    """Return who signed, from the last block of authority, position in capitals and full name."""
    lines = page.lines
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index].strip()
        if not 4 <= len(line) <= 90 or not line.isupper():
            continue
        if _POSITION.match(page.plain[index].strip()) and (name := _name_below(lines[index + 1 : index + 12])):
            return Signatory(name, position=line, authority=_authority_above(lines[max(0, index - 3) : index]))
        found = _AUTHORITY.match(lines[index])  # "KT. GIÁM ĐỐC": authority and office on one line
        if found and _POSITION.match(plain(found["who"])) and (name := _name_below(lines[index + 1 : index + 12])):
            return Signatory(name, position=found["who"].strip(), authority=f"{found['authority']}.")
    return None


def _name_below(lines: Sequence[str]) -> str:
    for line in lines:
        text = line.strip()
        if not text or text.startswith("(") or plain(text).startswith(("da ky", "[da ky")):
            continue
        found = _FULL_NAME.match(text)
        return found["name"] if found and all(word[0].isupper() for word in found["name"].split()) else ""
    return ""


def _authority_above(lines: Sequence[str]) -> str:
    for line in reversed(lines):
        if found := _AUTHORITY.match(line):
            return f"{found['authority']}."
    return ""


def distribution(page: Page) -> tuple[str, ...]:
    """Return the entries of Nơi nhận without purposes in brackets; "Như trên" gives the addressees, "Lưu" is left out."""
    start = next((i for i, low in enumerate(page.plain) if "noi nhan" in low[:40] and _TO_PLACES.match(low)), None)
    if start is None:
        return ()
    entries: list[str] = []
    heading = _TO_PLACES.match(page.plain[start])
    first = page.lines[start][heading.end() :].strip() if heading else ""
    for line in ([first] if first else []) + list(page.lines[start + 1 : start + 61]):
        text = line.strip()
        if not text.startswith(("-", "–", "+", "•", "*")) and text != first:
            break
        entry = re.sub(r"\([^()]{0,60}\)", "", text.lstrip("-–+•* ")).strip(" ;.,…/")
        folded = plain(entry)
        if folded.startswith("luu"):
            break
        entries += addressees(page) if folded.startswith("nhu tren") else [entry] if entry else []
    return tuple(entry[:200] for entry in entries)


def addressees(page: Page) -> list[str]:
    """Return the names after "Kính gửi:"."""
    for index, low in enumerate(page.plain):
        found = _DEAR.match(low) if "kinh gui" in low[:40] else None
        if found is None:
            continue
        names = [page.lines[index][found.end() :]]
        for below in page.lines[index + 1 : index + 41]:
            if not below.strip().startswith(("-", "–", "+", "•")):
                break
            names.append(below)
        cut = (re.sub(r"\([^()]{0,60}\)", "", name).strip(" -–+•;.,") for name in names)
        return [name for name in cut if name]
    return []


_TO_PLACES = re.compile(r"\W{0,4}noi nhan ?:?")
_DEAR = re.compile(r"\W{0,4}kinh gui ?: ?")
_DUE = re.compile(
    r"(?:han (?:tra loi|xu ly|gui|nop|bao cao|chot)|thoi han(?: [a-z ]{1,30})?|han|truoc|cham nhat(?: la)?|khong qua|xong truoc)"
    r" ?:? ?(?:(?:vao |la |het |den |truoc )*(?:\d{1,2} ?(?:h|gio|:) ?\d{0,2},? ?(?:phut,? ?)?)?)(?:ngay ?)?$"
)


def due_on(text: str, folded: str = "") -> DatedOn | None:
    """Return the date before which something is asked for ("trước ngày 15/11/2013", "Hạn trả lời: 15/11/2013")."""
    folded = folded or plain(text)
    for dated in find_dates(text, folded=folded):
        if dated.day is not None and _DUE.search(folded[max(0, dated.start - 60) : dated.start]):
            return dated
    return None
