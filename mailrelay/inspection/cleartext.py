"""OpenPGP signatures inside a text: the cleartext signature framework (RFC 9580 section 7). Pure; bytes in, bytes out.

Read strictly, for whoever reads such a mail sees all of its lines, and only some of them are signed: what stands before or behind
the block, in its headers and in the signature's, is shown and signed by nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARK = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"
_DIGEST = rb"(?:MD5|SHA1|RIPEMD160|SHA224|SHA256|SHA384|SHA512|SHA3-256|SHA3-512)"
_HASH = re.compile(rb"Hash: " + _DIGEST + rb"(?:, ?" + _DIGEST + rb"){0,8}\Z")
_VERSION = re.compile(rb"Version: [A-Za-z0-9 .()/+_-]{1,60}\Z")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{1,76}={0,2}\Z|=[A-Za-z0-9+/]{4}\Z")
_FOUL = re.compile(rb"[\x00\x0b\x0c\x1b\x7f]|\r(?!\n)")
# Letters that turn or hide others: bidirectional overrides and isolates, zero width.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\u2060-\u2064\ufeff]")
_ASCII_LIKE = re.compile(r"(?:us-ascii|ascii|utf-?8|iso-8859-\d{1,2}|windows-125\d|cp125\d|tcvn.*|viscii)?\Z")
_MOST_LINES = 50_000


@dataclass(frozen=True, slots=True)
class Cleartext:
    """`signed` is what the signature was made over (CRLF, no blanks at the ends of lines, none after the last line).

    `fault` is a slug when there is nothing to verify; `beyond` says why more is shown than signed.
    """

    signed: bytes = b""
    signature: bytes = b""
    fault: str = ""
    beyond: str = ""


def read(data: bytes, charset: str, *, delsp: bool = False) -> Cleartext:
    """Read the decoded text of one part; `charset` is what its Content-Type says, which nobody has signed."""
    if _FOUL.search(data):
        return Cleartext(fault="malformed-signature")
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    if len(lines) > _MOST_LINES:
        return Cleartext(fault="malformed-signature")
    places = {
        mark: [n for n, line in enumerate(lines) if line.rstrip(b" \t") == mark] for mark in (MARK, _SIGNATURE, _END)
    }
    if any(len(found) > 1 for found in places.values()):
        return Cleartext(fault="several-signatures")
    if not all(places.values()):
        return Cleartext(fault="malformed-signature")
    (begin,), (middle,), (end,) = places.values()
    if not begin < middle < end:
        return Cleartext(fault="malformed-signature")
    return _read(lines, (begin, middle, end), data, charset.strip().lower(), delsp=delsp)


def _read(lines: list[bytes], places: tuple[int, int, int], data: bytes, charset: str, *, delsp: bool) -> Cleartext:
    begin, middle, end = places
    blank = next((n for n in range(begin + 1, middle) if not lines[n].strip(b" \t")), -1)
    if blank < 0 or not all(_HASH.match(line) for line in lines[begin + 1 : blank]):
        return Cleartext(fault="malformed-signature")  # words in the place of headers would be shown and not signed
    text = [_unescaped(line) for line in lines[blank + 1 : middle]]
    if any(line is None for line in text):
        return Cleartext(fault="malformed-signature")
    block = lines[middle : end + 1]
    signed = b"\r\n".join(line.rstrip(b" \t") for line in text if line is not None)
    reason = (
        ("text-before" if any(line.strip() for line in lines[:begin]) else "")
        or ("text-after" if any(line.strip() for line in lines[end + 1 :]) else "")
        or ("armor-text" if not _is_plain_armor(block) else "")
        or _charset(data, charset)
        or ("charset" if delsp else "")
    )
    return Cleartext(signed, b"\n".join(line.rstrip(b" \t") for line in block) + b"\n", beyond=reason)


def _unescaped(line: bytes) -> bytes | None:
    """A line without its dash-escape; None where it is missing, or stands before a line that needs none and shows a dash."""
    if line.startswith(b"- "):
        return line[2:] if line[2:].startswith((b"-", b"From ")) else None
    return None if line.startswith(b"-") else line


def _is_plain_armor(block: list[bytes]) -> bool:
    """Whether a signature shows no word of its own: headers that name a program's version, then base64 and nothing else.

    gpg passes over letters that are no base64: a reader does not.
    """
    lines = [line.rstrip(b" \t") for line in block[1:-1]]
    if b"" not in lines:
        return False
    blank = lines.index(b"")
    return all(map(_VERSION.match, lines[:blank])) and all(map(_BASE64.match, lines[blank + 1 :]))


def _charset(data: bytes, charset: str) -> str:
    """The bytes are signed, the character set is not: only where it cannot change the letters is the text what was signed."""
    if data.isascii():
        return "" if _ASCII_LIKE.match(charset) else "charset"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return "charset"
    if charset not in ("utf-8", "utf8"):
        return "charset"
    return "hidden-text" if _TURNING.search(text) else ""
