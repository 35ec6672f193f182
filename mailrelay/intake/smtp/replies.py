"""The one place where a row of the refusal table becomes reply bytes on the wire."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailrelay.model.refusal import REFUSALS, Refusal

LINE_LENGTH = 512  # octets with CRLF, RFC 5321 section 4.5.3.1.5
_LETTERS = str.maketrans({"đ": "d", "Đ": "D", "–": "-", "—": "-", "…": "...", "“": '"', "”": '"', "’": "'"})


@dataclass(frozen=True, slots=True)
class Complaint:
    """A refusal by name, with the values that its sentences need."""

    refusal: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wording:
    """How refusals are written: `charset` is auto, ascii or utf-8; `help_url` is put before the page's slug ("" = no link)."""

    charset: str = "auto"
    help_url: str = ""

    def is_utf8(self, smtputf8: bool) -> bool:
        """RFC 6531 section 3.7.4.1 permits UTF-8 replies only to a client that asked for SMTPUTF8."""
        return self.charset == "utf-8" or (self.charset == "auto" and smtputf8)


def without_diacritics(text: str) -> str:
    """Write Vietnamese in ASCII letters: "Đã gửi" becomes "Da gui"; any other letter becomes a question mark."""
    letters = unicodedata.normalize("NFD", text.translate(_LETTERS))
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    return bare.encode("ascii", "replace").decode()


def render(complaint: Complaint, wording: Wording, *, smtputf8: bool = False) -> bytes:
    """Return the whole reply: what happened, what to do, then the name of the refusal and the English sentences."""
    row = REFUSALS[complaint.refusal]
    name = f"[{row.name}]"
    link = f" {wording.help_url.rstrip('/')}/{row.page}" if wording.help_url else ""
    texts = (
        row.fill(row.vi, complaint.values),
        f"Việc cần làm: {row.fill(row.remedy_vi, complaint.values)}",
        f"{name}{link} {row.fill(row.en, complaint.values)} {row.fill(row.remedy_en, complaint.values)}",
    )
    return b"".join(_lines(row, texts, utf8=wording.is_utf8(smtputf8)))


def _lines(row: Refusal, texts: tuple[str, ...], *, utf8: bool) -> list[bytes]:
    return [
        _line(f"{row.code}{' ' if place == len(texts) else '-'}{row.status} ", text, utf8=utf8)
        for place, text in enumerate(texts, start=1)
    ]


def _line(prefix: str, text: str, *, utf8: bool) -> bytes:
    encoded = (prefix + (text if utf8 else without_diacritics(text))).encode("utf-8", "replace")
    if len(encoded) > LINE_LENGTH - 2:
        encoded = encoded[: LINE_LENGTH - 5].decode("utf-8", "ignore").encode() + b"..."
    return encoded + b"\r\n"
