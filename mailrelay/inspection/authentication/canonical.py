"""What a signature says and what it covers: tag lists and canonical header fields (RFC 6376 sections 3.2, 3.4 and 5.4.2). Pure.

The rules are dkimpy's, kept to the octet by tests that ask both. Ours takes fields as they were received, touches only those that
are covered, and gives all that is hashed in one piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mailrelay.inspection.fields import Block, Field

_BLANKS = re.compile(rb"[\t ]+")
_VALUE = re.compile(rb"[;\s]b\s*=")


def tag_list(value: bytes) -> dict[bytes, bytes]:
    """Read `name=value; …`. Raises ValueError for what is none, or names a tag twice."""
    tags: dict[bytes, bytes] = {}
    pieces = value.strip().split(b";")
    if not pieces[-1]:
        pieces.pop()
    for piece in pieces:
        name, equals, content = piece.partition(b"=")
        name = name.strip()
        if not equals or not name[:1].isalpha() or name in tags:
            raise ValueError("no tag list")
        tags[name] = content.strip()
    return tags


def covered(block: Block, names: Sequence[str], own: Field, *, relaxed: bool) -> bytes:
    """All that is hashed: the named fields from the last to the first of each name, then the signature's own without its value."""
    return b"".join((*_named(block, names, relaxed=relaxed), signed(own, relaxed=relaxed)))


def signed(own: Field, *, relaxed: bool) -> bytes:
    """A signature's own field as it is hashed: without its value and without the end of its line."""
    value = without_value(with_crlf(own.value))
    if relaxed:
        return own.name.encode() + b":" + _relaxed(value).rstrip()
    return own.label + b":" + value.rstrip()


def relaxed_field(field: Field) -> bytes:
    return field.name.encode() + b":" + _relaxed(field.value)


def _named(block: Block, names: Sequence[str], *, relaxed: bool) -> Iterator[bytes]:
    left: dict[str, int] = {}
    for name in names:
        found = block.all(name)
        count = left.get(name, len(found))
        # A blank before the colon is part of the name in simple form, which then is none that anybody can sign.
        while count and not relaxed and len(found[count - 1].label) != len(name):
            count -= 1
        if count:
            field = found[count - 1]
            yield relaxed_field(field) if relaxed else field.label + b":" + with_crlf(field.value)
        left[name] = max(count - 1, 0)


def _relaxed(value: bytes) -> bytes:
    value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    if b"\t" in value or b"  " in value:
        value = _BLANKS.sub(b" ", value)
    return value.strip() + b"\r\n"


def with_crlf(value: bytes) -> bytes:
    """The value with every line ended by CRLF, the last one too."""
    lines = [line.removesuffix(b"\r") for line in value.removesuffix(b"\n").split(b"\n")]
    return b"\r\n".join(lines) + b"\r\n"


def without_value(value: bytes) -> bytes:
    """A signature field's value with the content of b= taken out; the blanks behind it stay."""
    kept: list[bytes] = []
    position = 0
    while match := _VALUE.search(value, position):
        end = value.find(b";", match.end())
        end = len(value) if end < 0 else end
        content = value[match.end() : end]
        kept += (value[position : match.end()], content[len(content.rstrip()) :])
        position = end
    return b"".join((*kept, value[position:]))
