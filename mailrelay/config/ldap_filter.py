"""Reads a search filter as admins write it (RFC 4515) into its value. Pure; every mistake is an Unreadable."""

from __future__ import annotations

import re

from mailrelay.config.forms import Unreadable
from mailrelay.model.ldap_filter import Compared, Filter, Joined, Junctor, Matched, Pieces, Present, Relation

_DEEPEST = 20
_OID = r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*"
_ITEM = re.compile(rf"((?:{_OID})(?:;[A-Za-z0-9-]+)*)(=|>=|<=|~=)([^()]*)\Z")
_EXTENSIBLE = re.compile(rf"((?:{_OID})?(?:;[A-Za-z0-9-]+)*)(:dn)?(?::({_OID}))?:=([^()*]*)\Z")
_ESCAPE = re.compile(rb"\\([0-9A-Fa-f]{2})?")


def read_filter(written: str) -> Filter:
    """The filter, or Unreadable. It must look for the login, else every clerk would be the same person."""
    if "{login}" not in written:
        raise Unreadable(
            "bộ lọc phải có {login}, ví dụ (uid={login})", "the filter must hold {login}, as (uid={login})"
        )
    found, end = _filter(written, 0, _DEEPEST)
    if end != len(written):
        raise _malformed(written, end)
    return found


def _malformed(written: str, place: int) -> Unreadable:
    return Unreadable(
        f"bộ lọc LDAP sai ở ký tự thứ {place + 1}: “{written[place : place + 20]}”",
        f"the LDAP filter is wrong at character {place + 1}: “{written[place : place + 20]}”",
    )


def _filter(written: str, start: int, depth: int) -> tuple[Filter, int]:
    """The filter whose opening bracket stands at `start`, and where it ends."""
    if written[start : start + 1] != "(" or not depth:
        raise _malformed(written, start)
    sign = written[start + 1 : start + 2]
    if sign not in ("&", "|", "!"):
        end = written.find(")", start)
        if end < 0:
            raise _malformed(written, start)
        return _item(written, start + 1, end), end + 1
    parts: list[Filter] = []
    place = start + 2
    while written[place : place + 1] == "(":
        part, place = _filter(written, place, depth - 1)
        parts.append(part)
    if written[place : place + 1] != ")" or not parts or (sign == "!" and len(parts) > 1):
        raise _malformed(written, place)
    return Joined(Junctor(sign), tuple(parts)), place + 1


def _item(written: str, start: int, end: int) -> Filter:
    text = written[start:end]
    plain = _ITEM.match(text)
    if plain:
        attribute, sign, value = plain.groups()
        if sign != "=" or "*" not in value:
            return Compared(attribute, Relation(sign), _octets(value, written, start))
        if value == "*":
            return Present(attribute)
        return Pieces(attribute, tuple(_octets(piece, written, start) for piece in value.split("*")))
    extensible = _EXTENSIBLE.match(text)
    if extensible and (extensible[1] or extensible[3]):
        value = _octets(extensible[4], written, start)
        return Matched(extensible[1], extensible[3] or "", value, with_dn=bool(extensible[2]))
    raise _malformed(written, start)


def _octets(value: str, written: str, start: int) -> bytes:
    """The value without its escapes: `\\2a` is a star that is no wildcard (RFC 4515 section 3)."""

    def octet(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            raise _malformed(written, start)
        return bytes([int(found[1], 16)])

    return _ESCAPE.sub(octet, value.encode())
