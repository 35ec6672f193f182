"""The four shapes of số và ký hiệu, found in text and in file names. Reads what stands there; never decides whose it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailrelay.inspection.document_types import CAPITALS, CENTRAL_BODIES, by_abbreviation, plain
from mailrelay.model.document import DocumentCode
from mailrelay.model.document_types import DocumentType

# One token of a notation: capitals and digits, at most one small letter after a capital (TTg, QyĐ, SNgV), "&" or "." inside.
_WORD = rf"[{CAPITALS}](?:[a-zđ]?[{CAPITALS}0-9])*[a-zđ]?(?![a-zđ])"
_TOKEN = rf"{_WORD}(?:[&.]{_WORD})*"
_NUMBER = r"(?<![\w/.,-])(?P<number>\d{1,6}(?:[a-z](?![a-z]))?)"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_IN_TEXT = re.compile(
    rf"{_NUMBER} ?/ ?(?:{_YEAR} ?/ ?)?"
    rf"(?P<notation>QH\d{{1,2}}(?!\w)|{_TOKEN}(?:-{_TOKEN}| [-–] ?[{CAPITALS}]{{2,12}}(?![\w/]))(?:-{_TOKEN})*)"
)
_PARTY = re.compile(rf"{_NUMBER} ?[-–] ?(?P<type>{_TOKEN}) ?/ ?(?P<body>{_TOKEN})(?!\w)")
_SHORT = re.compile(rf"{_NUMBER} ?/ ?(?P<notation>[{CAPITALS}]{{2,12}})(?![\w/-])")
_EMPTY = re.compile(rf"[.…_ ]{{0,12}}/ ?(?P<notation>{_TOKEN}(?:-{_TOKEN})+)")
_LOOSE = re.compile(
    r"(?<![\w/.,-])(?P<number>\d{1,6}[a-z]?) ?/ ?(?P<type>[a-zđ]{2,5})-(?P<body>[a-zđ&]{2,12})(?![\w/-])", re.IGNORECASE
)
_GAP = "[-_. ]{1,3}"
_IN_NAME = re.compile(
    rf"(?<![^\W_])(?P<number>\d{{1,6}}[a-z]?){_GAP}(?:{_YEAR}{_GAP})?(?P<first>[{CAPITALS}a-zđ&]{{2,8}}){_GAP}"
    rf"(?P<second>[{CAPITALS}a-zđ&]{{2,12}})(?P<third>-[{CAPITALS}]{{2,12}})?(?![^\W_])"
)

_YEAR_OF_DATE = re.compile(r"\d[-_./ ]\d{1,2}[-_./ ](?:19|20)\d\d$")

Known = Callable[[str], str | None]  # a body's symbol as people write it -> as the directory writes it


@dataclass(frozen=True, slots=True)
class Hit:
    """One số/ký hiệu in a text: where it stands, its type (None for a công văn), and how sure its form makes us (0 to 100)."""

    code: DocumentCode
    start: int
    end: int
    type: DocumentType | None
    confidence: int
    year: int | None = None  # the year inside a normative number


def find_codes(text: str, *, limit: int = 200) -> tuple[Hit, ...]:
    """Return the codes in cleaned `text` in order of appearance: typed, công văn, normative and Party shapes."""
    hits: list[Hit] = []
    for shape in (_IN_TEXT, _PARTY):
        for found in shape.finditer(text):
            hits.append(_hit(found))
            if len(hits) >= limit:
                break
    return tuple(sorted(hits, key=lambda hit: hit.start))


def _hit(found: re.Match[str]) -> Hit:
    parts = found.groupdict()
    if "body" in parts:
        document_type = by_abbreviation(parts["type"])
        code = DocumentCode(parts["number"], f"{parts['type']}/{parts['body']}")
        return Hit(code, found.start(), found.end(), document_type, 95 if document_type else 60)
    notation = re.sub(r" ?[-–] ?", "-", parts["notation"])
    year = parts["year"]
    first = notation.partition("-")[0]
    document_type = by_abbreviation("QH" if first.startswith("QH") and "-" not in notation else first)
    code = DocumentCode(parts["number"], f"{year}/{notation}" if year else notation)
    return Hit(code, found.start(), found.end(), document_type, 95, int(year) if year else None)


def short_code(text: str) -> Hit | None:
    """Return a code without a second token ("59/UBND"); believed only where a line says that it is the number."""
    found = _SHORT.search(text)
    return (
        Hit(DocumentCode(found["number"], found["notation"]), found.start(), found.end(), None, 60) if found else None
    )


def empty_code(text: str) -> str:
    """Return the notation of a draft whose number is still blank ("Số:    /GM-STTTT"), or ""."""
    found = _EMPTY.match(text)
    return found["notation"] if found else ""


def loose_code(text: str, known: Known) -> Hit | None:
    """Return a code typed without regard to case or marks ("745/qd-ubnd"), if its type and its body are both known."""
    for found in _LOOSE.finditer(text):
        document_type, body = by_abbreviation(found["type"], lenient=True), known(found["body"])
        if document_type and body:
            code = DocumentCode(found["number"], f"{document_type.abbreviation}-{body}")
            return Hit(code, found.start(), found.end(), document_type, 65)
        if agency := known(found["type"]):
            code = DocumentCode(found["number"], f"{agency}-{found['body'].upper()}")
            return Hit(code, found.start(), found.end(), None, 55)
    return None


def codes_in_name(name: str, known: Known) -> Iterator[Hit]:
    """Yield the codes that a cleaned file name may hold ("59_KH-UBND.pdf", "102-UBND-VX.pdf").

    Neither the slash nor the case of letters survives in file names, so a hit needs a known type or a known body.
    """
    stem = re.sub(r"(?:\.(?:da[-_]ky|signed))?\.[A-Za-z0-9]{1,5}$", "", name)
    for found in _IN_NAME.finditer(stem):
        if _YEAR_OF_DATE.search(stem[: found.end("year" if found["year"] else "number")]):
            continue  # "28-10-2013 BC-STC.pdf"
        hit = _typed_name(found, known) or _letter_name(found, known)
        if hit:
            yield hit


def _typed_name(found: re.Match[str], known: Known) -> Hit | None:
    document_type = by_abbreviation(found["first"], lenient=True)
    if document_type is None or not document_type.in_notation:
        return None
    body = known(found["second"]) or (found["second"] if found["second"] in CENTRAL_BODIES else None)
    exact = by_abbreviation(found["first"]) is not None
    if body is None:
        if not exact or found["second"] != found["second"].upper():
            return None
        body, confidence = found["second"], 50
    else:
        confidence = 80 if exact else 70
    joint = found["third"] or "" if document_type.abbreviation in ("TTLT", "NQLT") else ""
    notation = f"{document_type.abbreviation}-{body}{joint}"
    year = found["year"]
    code = DocumentCode(found["number"], f"{year}/{notation}" if year else notation)
    return Hit(code, found.start(), found.end(), document_type, confidence, int(year) if year else None)


def _letter_name(found: re.Match[str], known: Known) -> Hit | None:
    agency = known(found["first"]) or (found["first"] if found["first"] in CENTRAL_BODIES else None)
    if agency is None or found["second"] != found["second"].upper():
        return None
    return Hit(DocumentCode(found["number"], f"{agency}-{found['second']}"), found.start(), found.end(), None, 70)


def bodies_of(code: DocumentCode) -> tuple[str, ...]:
    """Return the symbols in a notation that may name the issuer, the most likely first.

    "KH-UBND" gives UBND; "STTTT-CNTT" gives STTTT (a công văn begins with its agency); "HD/BTGTU" gives BTGTU.
    """
    notation = re.sub(r"^\d{4}/", "", code.notation)
    if "/" in notation:
        return (notation.rpartition("/")[2],)
    tokens = tuple(notation.split("-"))
    return tokens[1:] if len(tokens) > 1 and by_abbreviation(tokens[0]) else tokens[:1]


def same_code(one: DocumentCode, other: DocumentCode) -> bool:
    """Tell whether two codes name the same number: leading zeros, letter case and missing marks do not count."""
    return one.number.lstrip("0").lower() == other.number.lstrip("0").lower() and plain(one.notation) == plain(
        other.notation
    )
