"""The full grammar of a reverse-path or forward-path: RFC 5321 section 4.1.2 with RFC 6531. Pure.

Source routes are refused, though RFC 5321 appendix C permits to ignore them: an envelope must be unambiguous.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

_LOCAL_OCTETS = 64  # RFC 5321 section 4.5.3.1.1
_DOMAIN_OCTETS = 255
_ADDRESS_OCTETS = 254  # a path of 256 octets with its brackets
_ATEXT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\Z")


class Malformed(Exception):
    """The text is no path."""


def read_path(text: str) -> tuple[str, int]:
    """Read the path at the start of `text`; return the address and where the path ends.

    The null path comes back as "<>" and a bare `<postmaster>` as it stands, with brackets. A quoted local part that needs
    no quotes loses them, since both spell the same address (RFC 5321 section 4.1.2).
    """
    if text.startswith("<>"):
        return "<>", 2
    if text[:12].lower() == "<postmaster>":
        return text[:12], 12
    local_part, at = _quoted(text, 2) if text[1:2] == '"' else _dotted(text, 1)
    if text[at : at + 1] != "@":
        raise Malformed("no @ after the local part")
    end = text.find(">", at)
    if end < 0:
        raise Malformed("no closing bracket")
    domain = _domain(text[at + 1 : end])
    address = f"{local_part}@{domain}"
    if len(local_part.encode()) > _LOCAL_OCTETS or len(address.encode()) > _ADDRESS_OCTETS:
        raise Malformed("too long")
    if unicodedata.normalize("NFC", address) != address:
        raise Malformed("not in Unicode normalisation form C")
    return address, end + 1


def _is_visible(letter: str) -> bool:
    """Letters, marks, numbers and signs beyond ASCII; no controls, no blanks, nothing that changes the writing direction."""
    return not letter.isascii() and unicodedata.category(letter)[0] in "LMNPS"


def _dotted(text: str, start: int) -> tuple[str, int]:
    end = start
    while end < len(text) and (text[end] in _ATEXT or text[end] == "." or _is_visible(text[end])):
        end += 1
    local_part = text[start:end]
    if "" in local_part.split("."):
        raise Malformed("an empty atom")
    return local_part, end


def _quoted(text: str, start: int) -> tuple[str, int]:
    content, place = "", start
    while place < len(text) and text[place] != '"':
        place += text[place] == "\\"
        letter = text[place : place + 1]
        if not (" " <= letter <= "~" or (letter and _is_visible(letter))):
            raise Malformed("a control character in quotes")
        content += letter
        place += 1
    if place >= len(text):
        raise Malformed("no closing quote")
    atoms = content.split(".")
    if all(atom and all(c in _ATEXT or not c.isascii() for c in atom) for atom in atoms):
        return content, place + 1
    escaped = content.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"', place + 1


def _domain(text: str) -> str:
    if text.startswith("["):
        return _literal(text)
    labels = text.split(".")
    if len(text.encode()) > _DOMAIN_OCTETS or not all(_is_label(label) for label in labels):
        raise Malformed("no domain name")
    return text


def _is_label(label: str) -> bool:
    if label.isascii():
        return len(label) <= 63 and _LABEL.match(label) is not None
    if label.startswith("-") or label.endswith("-"):
        return False
    letters = all(c == "-" or unicodedata.category(c)[0] in "LMN" for c in label)
    return letters and len(label.encode("punycode")) + len("xn--") <= 63


def _literal(text: str) -> str:
    """An address literal, RFC 5321 section 4.1.3."""
    if not text.endswith("]"):
        raise Malformed("no closing bracket of the literal")
    inside = text[1:-1]
    try:
        if "%" in inside:  # a zone means something on one machine only
            raise Malformed("no address literal")
        if inside[:5].lower() == "ipv6:":
            ipaddress.IPv6Address(inside[5:])
        else:
            ipaddress.IPv4Address(inside)
    except ValueError as fault:
        raise Malformed("no address literal") from fault
    return text
