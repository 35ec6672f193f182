"""RFC 5322 and MIME by hand: encoded words, folding, parts. Seven-bit, CRLF, lines within 78. Knows nothing of receipts. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from mailrelay.model.calendar import VIETNAM

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>\Z")
_ADDR_SPEC = re.compile(r"[!-~]{1,254}\Z")
_PLAIN = re.compile(r"[ !-~]{0,60}\Z")
_WORD_BYTES = 39  # bytes of UTF-8 in one encoded word: 52 letters of base 64 and 12 of frame


@dataclass(frozen=True, slots=True)
class Part:
    """A MIME entity: its header lines without line ends, and its encoded body with CRLF."""

    header: tuple[str, ...]
    body: bytes

    def encode(self) -> bytes:
        return "".join(f"{line}\r\n" for line in self.header).encode("ascii") + b"\r\n" + self.body


def encoded(text: str) -> str:
    """Return header text: as it is when short and plain, else in RFC 2047 words folded one a line."""
    return text if _PLAIN.match(text) and "=?" not in text else _words(text)


def _words(text: str) -> str:
    """Whole letters in each word (RFC 2047 section 5)."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    octets = text.encode("utf-8", "replace")
    words: list[str] = []
    start = 0
    while start < len(octets) or not words:
        end = start + _WORD_BYTES
        while end < len(octets) and octets[end] & 0xC0 == 0x80:  # in the middle of a letter
            end -= 1
        words.append(f"=?utf-8?B?{base64.b64encode(octets[start:end]).decode()}?=")
        start = end
    return "\r\n ".join(words)


def field(name: str, value: str) -> str:
    """Return one header field; `value` is already encoded (see `encoded`)."""
    return f"{name}: {value}"


@lru_cache(maxsize=512)
def mailbox(name: str, address: str) -> str:
    """Return `name <address>`; an address beyond ASCII becomes an empty group, as RFC 6857 does (the envelope has it)."""
    if not _ADDR_SPEC.match(address) or any(c in address for c in '<>,;:"()[]\\'):
        return f"{_words(address[:60])}\r\n :;"
    if not name:
        return f"<{address}>"
    shown = f'"{name}"' if re.fullmatch(r"[\w .@-]{1,50}", name, re.ASCII) else encoded(name)
    return f"{shown}\r\n <{address}>" if shown.startswith("=?") else f"{shown} <{address}>"


def message_ids(ids: Iterable[str], limit: int = 10) -> str:
    """Return the sound ones of some Message-IDs, the last `limit`, folded one a line; "" when none is sound."""
    sound = [one for one in dict.fromkeys(ids) if _MESSAGE_ID.match(one)]
    return "\r\n ".join(sound[-limit:])


def date(moment: datetime) -> str:
    """Return an RFC 5322 date in Vietnamese time, without regard to the locale."""
    local = moment.astimezone(VIETNAM)
    return f"{_DAYS[local.weekday()]}, {local.day} {_MONTHS[local.month - 1]} {local:%Y %H:%M:%S} +0700"


def leaf(content_type: str, data: bytes, *, name: str = "", disposition: str = "") -> Part:
    """A part in base 64. `name` is ASCII and given in both places where clients look."""
    header = [
        field("Content-Type", f'{content_type};\r\n name="{name}"' if name else content_type),
        "Content-Transfer-Encoding: base64",
    ]
    if disposition:
        header.append(field("Content-Disposition", f'{disposition};\r\n filename="{name}"' if name else disposition))
    return Part(tuple(header), _lines(base64.b64encode(data)))


def _lines(text: bytes, width: int = 76) -> bytes:
    """Lines of base 64 (RFC 2045 section 6.8), at least one."""
    return b"\r\n".join([text[start : start + width] for start in range(0, len(text), width)]) + b"\r\n"


def text(subtype: str, words: str) -> Part:
    """A text part in UTF-8; line ends become CRLF before encoding (RFC 2046 section 4.1.1)."""
    return leaf(f"text/{subtype}; charset=utf-8", words.replace("\n", "\r\n").encode())


def verbatim(content_type: str, data: bytes, bits: str = "7bit") -> Part:
    """A part as it stands. The caller sees to CRLF and line lengths."""
    return Part((field("Content-Type", content_type), f"Content-Transfer-Encoding: {bits}"), data)


def multipart(subtype: str, parts: Sequence[Part], boundary: str, parameters: str = "") -> Part:
    """A multipart of finished parts; `boundary` must not occur in them (ours are made of a random id)."""
    content_type = f'multipart/{subtype};{f" {parameters};" if parameters else ""}\r\n boundary="{boundary}"'
    mark = f"--{boundary}".encode()
    body = b"".join(mark + b"\r\n" + part.encode() + b"\r\n" for part in parts) + mark + b"--\r\n"
    header = (field("Content-Type", content_type),)
    return Part(header if body.isascii() else (*header, "Content-Transfer-Encoding: 8bit"), body)


def is_seven_bit(data: bytes) -> bool:
    """Tell whether bytes may travel without encoding: ASCII, CRLF only, no NUL, no line beyond 998 octets."""
    return transfer_of(data) == "7bit"


def transfer_of(data: bytes) -> str:
    """How bytes may travel as they stand: "7bit", "8bit" (RFC 6152), or "" when they need an encoding."""
    lines = data.split(b"\r\n")
    if b"\0" in data or any(len(line) > 998 or b"\r" in line or b"\n" in line for line in lines):
        return ""
    return "7bit" if data.isascii() else "8bit"
