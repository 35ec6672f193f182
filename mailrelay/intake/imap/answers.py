"""Reads the few answers of an IMAP server that we ask for. Pure; passes over what it does not know; malformed is None."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mailrelay.intake.imap.framing import Reply

Value = bytes | None | list["Value"]  # an atom, string or literal; NIL; a list

_TOKEN = re.compile(rb'\s*(?:([()])|"((?:[^"\\]|\\.)*)"|([^\s()"]+))')
_FETCH = re.compile(rb"\* \d{1,10} FETCH (?=\()", re.IGNORECASE)
_SEARCH = re.compile(rb"\* SEARCH\b", re.IGNORECASE)
_STATUS = re.compile(rb"\* STATUS\b", re.IGNORECASE)
_UID_NEXT = re.compile(rb"[( ]UIDNEXT (\d{1,10})[ )]", re.IGNORECASE)
_NUMBER = re.compile(rb"(?<=[ ])\d+(?![^ ])")
_HIGHEST_UID = 2**32 - 1
_CODE = re.compile(rb"\* OK \[([A-Z-]+) ([^\]]*)\]", re.IGNORECASE)
_CAPABILITY = re.compile(rb"(?:\* CAPABILITY |.*\[CAPABILITY )([^\]]*)", re.IGNORECASE)
_EXISTS = re.compile(rb"\* (\d{1,10}) EXISTS\Z", re.IGNORECASE)
_ESCAPED = re.compile(rb"\\(.)")
_DEPTH = 8
_MOST_CAPABILITIES = 4096  # octets
_LONGEST = 64 * 1024  # flags of one mail


def fetched(reply: Reply) -> Mapping[str, Value] | None:
    """The attributes of a FETCH reply by upper-case name ("UID", "FLAGS", "BODY[]<0>"); None for any other reply."""
    found = _FETCH.match(reply[0])
    if found is None:
        return None
    try:
        tree = _tree(_tokens((reply[0][found.end() :], *reply[1:])))
    except ValueError:
        return None
    attributes = tree[0] if tree else None
    if not isinstance(attributes, list):
        return None
    names = attributes[::2]
    return {
        name.decode("ascii", "replace").upper(): value
        for name, value in zip(names, attributes[1::2], strict=False)
        if isinstance(name, bytes)
    }


def content_of(attributes: Mapping[str, Value], offset: int) -> bytes | None:
    """The octets of BODY[]<offset>; None when the reply does not hold them. Dovecot answers OK and NIL for a mail that is gone."""
    for name in (f"BODY[]<{offset}>", "BODY[]") if offset == 0 else (f"BODY[]<{offset}>",):
        value = attributes.get(name)
        if isinstance(value, bytes):
            return value
    return None


def number(value: Value) -> int:
    """An unsigned number, or 0."""
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= 20 else 0


def words(value: Value) -> frozenset[str]:
    """A list of flags; system flags keep their backslash."""
    items = value if isinstance(value, list) else []
    return frozenset(item.decode("ascii", "replace") for item in items if isinstance(item, bytes))


def searched(reply: Reply) -> Iterator[int]:
    """The UIDs of a SEARCH reply one by one, for there may be many; none of any other reply and of what is no UID."""
    if _SEARCH.match(reply[0]):
        for word in _NUMBER.finditer(reply[0], 8):
            if len(word[0]) <= 10 and 0 < (number := int(word[0])) <= _HIGHEST_UID:
                yield number


def code_of(reply: Reply) -> tuple[str, bytes] | None:
    """A response code with its argument, as ("UIDVALIDITY", b"17"), of an untagged OK."""
    found = _CODE.match(reply[0])
    return (found[1].decode().upper(), found[2]) if found else None


def capabilities_of(text: bytes) -> frozenset[str]:
    """The capabilities that a CAPABILITY reply, greeting or tagged OK announces; empty when it announces none."""
    found = _CAPABILITY.match(text)
    # Kept as long as the connection lives, so no more of it than any server has to say.
    return frozenset(found[1][:_MOST_CAPABILITIES].decode("ascii", "replace").upper().split()) if found else frozenset()


def uid_next(reply: Reply) -> int:
    """UIDNEXT of a STATUS reply, 0 when it has none. The name of the folder may be a literal."""
    found = _UID_NEXT.search(reply[-1]) if _STATUS.match(reply[0]) else None
    return int(found[1]) if found else 0


def exists(reply: Reply) -> int | None:
    """The number of an EXISTS reply."""
    found = _EXISTS.match(reply[0])
    return int(found[1]) if found else None


def _tokens(parts: Reply) -> Iterator[tuple[str, bytes]]:
    for index, part in enumerate(parts):
        if index % 2:
            yield "string", part
            continue
        at, end = 0, len(part.rstrip())
        if end > _LONGEST:
            raise ValueError("a reply longer than any that we ask for")
        while at < end:
            found = _TOKEN.match(part, at)
            if found is None:
                raise ValueError("unreadable reply")
            at = found.end()
            if found[1] is not None:
                yield found[1].decode(), b""
            elif found[2] is not None:
                yield "string", _ESCAPED.sub(rb"\1", found[2])
            else:
                yield "atom", found[3]


def _tree(tokens: Iterator[tuple[str, bytes]]) -> list[Value]:
    stack: list[list[Value]] = [[]]
    for kind, text in tokens:
        if kind == "(":
            if len(stack) > _DEPTH:
                raise ValueError("too deep")
            inner: list[Value] = []
            stack[-1].append(inner)
            stack.append(inner)
        elif kind == ")":
            if len(stack) == 1:
                raise ValueError("unbalanced")
            stack.pop()
        else:
            stack[-1].append(None if kind == "atom" and text.upper() == b"NIL" else text)
    if len(stack) != 1:
        raise ValueError("unbalanced")
    return stack[0]
