"""The six messages of LDAP that a password check needs, in BER (RFC 4511 section 4 and 5.1). Pure: octets in, values out.

Lengths may be written longer than needed, as Active Directory does; everything has a limit, nothing is read recursively.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailrelay.model.ldap_filter import Compared, Filter, Joined, Junctor, Matched, Pieces, Present, Relation

LARGEST = 64 * 1024  # octets of one message; we ask for no attributes, so that answers are small
BIND_RESPONSE, SEARCH_ENTRY, SEARCH_DONE, SEARCH_REFERENCE, EXTENDED_RESPONSE = 0x61, 0x64, 0x65, 0x73, 0x78
_ANSWERS = frozenset({BIND_RESPONSE, SEARCH_ENTRY, SEARCH_DONE, SEARCH_REFERENCE, EXTENDED_RESPONSE})
_STARTTLS = b"1.3.6.1.4.1.1466.20037"  # RFC 4511 section 4.14
_SEQUENCE, _INTEGER, _OCTETS, _ENUMERATED = 0x30, 0x02, 0x04, 0x0A
_SUBTREE, _NEVER_DEREFERENCE, _TRUE, _FALSE = 2, 0, b"\xff", b"\0"
_JUNCTORS = {Junctor.AND: 0xA0, Junctor.OR: 0xA1, Junctor.NOT: 0xA2}
_RELATIONS = {Relation.EQUAL: 0xA3, Relation.AT_LEAST: 0xA5, Relation.AT_MOST: 0xA6, Relation.SIMILAR: 0xA8}
_PIECES, _PRESENT, _EXTENSIBLE = 0xA4, 0x87, 0xA9


class NotLdap(Exception):
    """Octets that are no message of LDAP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of the server: its kind, the result code of what ends an operation, the DN of a found entry."""

    message_id: int
    kind: int
    result: int = 0
    dn: bytes = b""


def bind_request(message_id: int, name: bytes, password: bytes) -> bytes:
    """A simple bind, version 3."""
    return _message(message_id, 0x60, _integer(3), _tlv(_OCTETS, name), _tlv(0x80, password))


def search_request(message_id: int, base: str, wanted: Filter, login: str, seconds: int) -> bytes:
    """Ask for the DNs below `base` that the filter means, two at most: one more than there may be."""
    return _message(
        message_id,
        0x63,
        _tlv(_OCTETS, base.encode()),
        _integer(_SUBTREE, _ENUMERATED),
        _integer(_NEVER_DEREFERENCE, _ENUMERATED),
        _integer(2),
        _integer(seconds),
        _tlv(0x01, _FALSE),
        _filter(wanted, login.encode()),
        _tlv(_SEQUENCE, _tlv(_OCTETS, b"1.1")),  # no attributes, RFC 4511 section 4.5.1.8
    )


def starttls_request(message_id: int) -> bytes:
    return _message(message_id, 0x77, _tlv(0x80, _STARTTLS))


def unbind_request(message_id: int) -> bytes:
    return _message(message_id, 0x42)


def escape_dn(login: str) -> str:
    """A login as it may stand in a distinguished name (RFC 4514 section 2.4)."""
    escaped = "".join(f"\\{c}" if c in ',+"\\<>;=' else "\\00" if c == "\0" else c for c in login)
    if escaped[:1] in (" ", "#"):
        escaped = "\\" + escaped
    return escaped[:-1] + "\\ " if escaped.endswith(" ") and len(login) > 1 else escaped


def length_of(head: bytes) -> tuple[int, int]:
    """The octets of a message after its first two, as (octets of the length still to read, length or 0 when still unknown)."""
    if head[0] != _SEQUENCE:
        raise NotLdap("no sequence")
    if head[1] < 0x80:
        return 0, head[1]
    if not 1 <= head[1] - 0x80 <= 4:
        raise NotLdap("indefinite or huge length")
    return head[1] - 0x80, 0


def read_answer(content: bytes) -> Answer:
    """Read a message without its outermost tag and length. Raises NotLdap for anything else."""
    parts = _parts(content)
    number, operation = next(parts, (0, b"")), next(parts, (0, b""))
    if number[0] != _INTEGER or not 1 <= len(number[1]) <= 4 or operation[0] not in _ANSWERS:
        raise NotLdap("no answer")
    message_id = int.from_bytes(number[1], signed=True)
    if operation[0] == SEARCH_REFERENCE:
        return Answer(message_id, operation[0])
    tag, value = next(_parts(operation[1]), (0, b""))
    if operation[0] == SEARCH_ENTRY and tag == _OCTETS:
        return Answer(message_id, operation[0], dn=value)
    if operation[0] != SEARCH_ENTRY and tag == _ENUMERATED and 1 <= len(value) <= 4:
        return Answer(message_id, operation[0], int.from_bytes(value, signed=True))
    raise NotLdap("no result")


def _parts(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of one level as (tag, content)."""
    place = 0
    while place < len(content):
        if len(content) - place < 2:
            raise NotLdap("cut off")
        tag, length, start = content[place], content[place + 1], place + 2
        if length >= 0x80:
            more = length - 0x80
            if not 1 <= more <= 4 or len(content) - start < more:
                raise NotLdap("bad length")
            length, start = int.from_bytes(content[start : start + more]), start + more
        if len(content) - start < length:
            raise NotLdap("cut off")
        yield tag, content[start : start + length]
        place = start + length


def _message(message_id: int, tag: int, *contents: bytes) -> bytes:
    return _tlv(_SEQUENCE, _integer(message_id), _tlv(tag, *contents))


def _tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _integer(value: int, tag: int = _INTEGER) -> bytes:
    return _tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def _filter(wanted: Filter, login: bytes) -> bytes:
    def filled(value: bytes) -> bytes:
        return value.replace(b"{login}", login)

    match wanted:
        case Joined(junctor, filters):
            return _tlv(_JUNCTORS[junctor], *(_filter(part, login) for part in filters))
        case Compared(attribute, relation, value):
            return _tlv(_RELATIONS[relation], _tlv(_OCTETS, attribute.encode()), _tlv(_OCTETS, filled(value)))
        case Present(attribute):
            return _tlv(_PRESENT, attribute.encode())
        case Pieces(attribute, pieces):
            return _tlv(_PIECES, _tlv(_OCTETS, attribute.encode()), _tlv(_SEQUENCE, *_substrings(pieces, filled)))
        case Matched(attribute, rule, value, with_dn):
            return _tlv(
                _EXTENSIBLE,
                _tlv(0x81, rule.encode()) if rule else b"",
                _tlv(0x82, attribute.encode()) if attribute else b"",
                _tlv(0x83, filled(value)),
                _tlv(0x84, _TRUE) if with_dn else b"",
            )


def _substrings(pieces: tuple[bytes, ...], filled: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Initial, any and final pieces; empty ones are not sent."""
    for place, piece in enumerate(pieces):
        if piece:
            yield _tlv(0x80 if place == 0 else 0x82 if place == len(pieces) - 1 else 0x81, filled(piece))
