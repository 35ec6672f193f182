"""Names and strings as IMAP writes them: modified UTF-7 (RFC 3501 section 5.1.3) and quoted strings. Pure."""

from __future__ import annotations

import binascii
import unicodedata
from collections.abc import Sequence

_PRINTABLE = range(0x20, 0x7F)


def encode_name(name: str) -> str:
    """Return a mailbox name in modified UTF-7, for example "Đã đăng ký" -> "&ARA-&AOM- &AREDgwBu-g k&AP0-" (in NFC).

    Raises ValueError for an empty name and for characters that cannot stand in a name (controls, lone surrogates).
    """
    name = unicodedata.normalize("NFC", name)
    if not name or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise ValueError("a mailbox name must not be empty and must not contain control characters")
    parts: list[str] = []
    shifted: list[str] = []
    for letter in name:
        if ord(letter) in _PRINTABLE:
            parts.append(_shift(shifted))
            shifted.clear()
            parts.append("&-" if letter == "&" else letter)
        else:
            shifted.append(letter)
    parts.append(_shift(shifted))
    return "".join(parts)


def decode_name(encoded: str) -> str:
    """Return the name behind modified UTF-7. Raises ValueError for what is not well-formed."""
    parts: list[str] = []
    rest = encoded
    while rest:
        plain, ampersand, rest = rest.partition("&")
        if any(ord(letter) not in _PRINTABLE for letter in plain):
            raise ValueError(f"not modified UTF-7: {encoded!r}")
        parts.append(plain)
        if not ampersand:
            break
        shifted, dash, rest = rest.partition("-")
        if not dash:
            raise ValueError(f"not modified UTF-7: {encoded!r}")
        parts.append(_unshift(shifted) if shifted else "&")
    return "".join(parts)


def quote(text: str) -> str:
    """Return a quoted string. Only for ASCII without NUL, CR and LF (`is_quotable`); everything else needs a literal."""
    if not is_quotable(text):
        raise ValueError("this text cannot stand in a quoted string")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_quotable(text: str) -> bool:
    """Whether a text may stand between quotes (RFC 3501 section 9: QUOTED-CHAR)."""
    return text.isascii() and not any(letter in "\0\r\n" for letter in text)


def uid_set(uids: Sequence[int]) -> str:
    """Return ascending UIDs as a sequence set with ranges: (1, 2, 3, 7) -> "1:3,7"."""
    runs: list[list[int]] = []
    for uid in uids:
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in runs)


def _shift(letters: list[str]) -> str:
    if not letters:
        return ""
    encoded = binascii.b2a_base64("".join(letters).encode("utf-16-be"), newline=False)
    return "&" + encoded.decode().rstrip("=").replace("/", ",") + "-"


def _unshift(shifted: str) -> str:
    try:
        padded = shifted.replace(",", "/") + "=" * (-len(shifted) % 4)
        return binascii.a2b_base64(padded.encode("ascii"), strict_mode=True).decode("utf-16-be")
    except (binascii.Error, UnicodeError) as fault:
        raise ValueError(f"not modified UTF-7: &{shifted}-") from fault
