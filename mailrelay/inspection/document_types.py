"""Look-ups of document types and bodies by what people write, and the plain letters that they compare. Decides nothing."""

from __future__ import annotations

import re
import unicodedata

from mailrelay.model.document_types import TYPES, DocumentType

# Letters that a notation may hold beside A to Z; Ð (Eth) is folded to Đ before anything is matched.
CAPITALS = "A-ZĐĂÂÊÔƠƯ"


class _Plain(dict[int, str]):
    """A translation table that is filled as letters are met, so that folding costs one look-up a letter."""

    def __missing__(self, point: int) -> str:
        bare = unicodedata.normalize("NFD", chr(point).casefold())[:1]
        folded = {"đ": "d", "ð": "d"}.get(bare, bare)
        self[point] = folded
        return folded


_PLAIN = _Plain()


def plain(text: str) -> str:
    """Return `text` without diacritics, with đ as d, in lower case: "HỎA TỐC" and "Hoả tốc" both give "hoa toc".

    One letter gives one letter, so offsets stay true for text in NFC without stray combining marks (see `clean`).
    """
    return text.lower() if text.isascii() else text.translate(_PLAIN)


_LOOKALIKES = str.maketrans(
    {"Ð": "Đ", "\u00a0": " ", "\u202f": " ", "\t": " "}
    | dict.fromkeys("\u2010\u2011\u2012\u2212\u00ad", "-")
    | dict.fromkeys("\u2044\u2215\uff0f", "/")
    | dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff")
)


_INNER_DASH = re.compile(r"(?<=\S)[\u2013\u2014](?=\S)")
_STRAY = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")  # marks that no letter took up


def clean(text: str) -> str:
    """Return `text` in NFC with one kind of hyphen, slash and space, and no invisible or stray combining characters.

    A dash between blanks is punctuation and stays; one within a word ("KH–UBND") stands for a hyphen.
    """
    if text.isascii():
        return text.replace("\t", " ")
    composed = _STRAY.sub("", unicodedata.normalize("NFC", text).translate(_LOOKALIKES))
    return _INNER_DASH.sub("-", composed)


# Bodies whose symbol ends a notation and that no provincial directory lists.
CENTRAL_BODIES = frozenset(
    re.findall(
        r"\S+",
        "CP TTg VPCP QH UBTVQH CTN BNV BTC BTP BCA BQP BNG BKHĐT BCT BNN BNNPTNT BGTVT BXD BTNMT BTTTT BVHTTDL BKHCN BGDĐT BYT"
        " BLĐTBXH UBDT TTCP NHNN KTNN TANDTC VKSNDTC HĐND UBND UBMTTQ TU HU VPTU BTGTU BTCTU BDVTU BNCTU UBKTTU TW",
    )
)

_EXACT: dict[str, DocumentType] = {}
_LENIENT: dict[str, DocumentType] = {}
for _type in TYPES:
    for _abbreviation in (_type.abbreviation, *_type.aliases):
        _EXACT[_abbreviation] = _type
        _LENIENT.setdefault(plain(_abbreviation), _type)

_BY_NAME = {plain(_type.name): _type for _type in TYPES if _type.abbreviation not in ("L", "QH", "PL")}
_NAME = re.compile(r"\b(?:" + "|".join(sorted(map(re.escape, _BY_NAME), key=len, reverse=True)) + r")\b")


def by_abbreviation(token: str, *, lenient: bool = False) -> DocumentType | None:
    """Return the type of a notation token; `lenient` also takes other letter cases and missing marks ("QD", "ttr")."""
    return _EXACT.get(token) or (_LENIENT.get(plain(token)) if lenient else None)


def by_name(folded: str) -> DocumentType | None:
    """Return the type whose whole name is `folded` (see `plain`)."""
    return _BY_NAME.get(folded)


def first_name_in(folded: str, *, end: int | None = None) -> tuple[DocumentType, int] | None:
    """Return the first type named in `folded` text and the offset where its name begins."""
    found = _NAME.search(folded, 0, len(folded) if end is None else end)
    return (_BY_NAME[found.group()], found.start()) if found else None
