"""Header fields of RFC 5322, split with their offsets and decoded (RFC 2047) with patience. Pure; never raises for its input."""

from __future__ import annotations

import binascii
import codecs
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\r\n]*)\?=")
# A name, its colon, the rest of the line, and every line behind it that begins with a blank and is not blank altogether.
_FIELD = re.compile(
    rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:([^\n]*(?:\n|\Z)(?:[ \t][ \t\r\f\v]*[^ \t\r\f\v\n][^\n]*(?:\n|\Z))*)"
)
_NAMES = (
    "ascii utf-8 utf-7 utf-16 utf-16-le utf-16-be utf-32 koi8-r koi8-u gb2312 gbk gb18030 big5 euc-kr euc-jp shift_jis iso2022_jp "
    "cp874 tis-620 mac-roman iso8859-1 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10 "
    "iso8859-11 iso8859-13 iso8859-14 iso8859-15 iso8859-16 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258"
)
_CHARSETS = frozenset(codecs.lookup(name).name for name in _NAMES.split())
_TROUBLE = re.compile("[\x00\ud800-\udfff]")
_NUL = "\u2400"  # the symbol for NUL: visible, and taken by every store


class Field(NamedTuple):  # made by the dozen for every mail: a frozen dataclass takes four times as long to make
    """One header field: `name` lower case, `label` and `value` the raw bytes before and after the colon, offsets in the mail."""

    name: str
    label: bytes
    value: bytes
    start: int
    end: int

    @property
    def text(self) -> str:
        return decode(self.value)


class Block:
    """A header block. `end` is where the body begins; `broken` tells that a line was no header field and ended it."""

    __slots__ = ("_named", "broken", "end", "fields")

    def __init__(self, fields: tuple[Field, ...], end: int, broken: bool = False) -> None:
        self.fields = fields
        self.end = end
        self.broken = broken
        self._named: dict[str, list[Field]] = {}
        for field in fields:
            self._named.setdefault(field.name, []).append(field)

    @property
    def has_doubles(self) -> bool:
        """Whether any name stands more than once."""
        return len(self._named) < len(self.fields)

    def all(self, name: str) -> Sequence[Field]:
        return self._named.get(name, ())

    def first(self, name: str) -> Field | None:
        found = self._named.get(name)
        return found[0] if found else None


def split(data: bytes, offset: int, most: int) -> Block:
    """Split a header block that begins at `offset` of the mail; at most `most` fields are kept.

    A line that is neither field nor continuation ends the header and begins the body, as Postfix and most readers have it.
    """
    fields: list[Field] = []
    position = 0
    size = len(data)
    while position < size:
        match = _FIELD.match(data, position)
        if match is not None:
            if len(fields) < most:
                colon, end = match.span(2)
                name = match[1].decode("ascii").lower()
                fields.append(Field(name, data[position : colon - 1], match[2], offset + position, offset + end))
            position = match.end()
        elif data.startswith((b"\n", b"\r\n"), position):
            return Block(tuple(fields), offset + data.index(b"\n", position) + 1)
        elif position == 0 and data.startswith(b"From "):  # the first line of a mailbox file
            position = data.find(b"\n") + 1 or size
        else:
            return Block(tuple(fields), offset + position, broken=True)
    return Block(tuple(fields), offset + position)


def tidy(text: str) -> str:
    """Return text in NFC without NUL characters and lone surrogates, which no store takes."""
    if text.isascii():
        return text.replace("\0", _NUL) if "\0" in text else text
    return unicodedata.normalize("NFC", _TROUBLE.sub(lambda m: _NUL if m.group() == "\0" else "\ufffd", text))


def unfold(value: bytes) -> str:
    """Raw value to text on one line. Bytes beyond ASCII are read as UTF-8, else as windows-1258."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("cp1258", "replace")
    return text.replace("\r", "").replace("\n", "").strip(" \t")


def decode(value: bytes, most: int = 100_000) -> str:
    """Decode an unstructured field value: unfolded, RFC 2047 words decoded, NFC, at most `most` characters."""
    text = unfold(value)[:most]
    return text if text.isascii() and "=?" not in text and "\0" not in text else decode_words(text)


def decode_words(text: str) -> str:
    """Decode the RFC 2047 words in a text; what cannot be decoded stays as it stands."""
    if "=?" not in text:
        return tidy(text)
    out: list[str] = []
    run: list[bytes] = []
    charset = ""
    last = 0
    for match in _ENCODED_WORD.finditer(text):
        gap = text[last : match.start()]
        name = match.group(1).partition("*")[0]
        if run and (gap.strip() or name.lower() != charset):
            out.append(decode_bytes(b"".join(run), charset))
            run = []
        if gap.strip() or not last:
            out.append(gap)
        charset = name.lower()
        run.append(_word_bytes(match.group(2), match.group(3)))
        last = match.end()
    if run:
        out.append(decode_bytes(b"".join(run), charset))
    out.append(text[last:])
    return tidy("".join(out))


def _word_bytes(encoding: str, payload: str) -> bytes:
    raw = payload.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(raw.replace(b"_", b" "))
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
    letters = letters[: -1 if len(letters) % 4 == 1 else None]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def decode_bytes(data: bytes, charset: str) -> str:
    """Decode bytes by a declared charset; an unknown or foul one falls back to UTF-8, then windows-1258. NFC."""
    try:
        name = codecs.lookup(charset).name if charset else "utf-8"
    except (LookupError, ValueError):
        name = "utf-8"
    if name not in _CHARSETS:  # idna, punycode and the like are slow or no charsets at all
        name = "utf-8"
    if name == "ascii":
        name = "utf-8"
    try:
        return tidy(data.decode(name))
    except UnicodeError:
        pass
    try:
        return tidy(data.decode("utf-8"))
    except UnicodeError:
        return tidy(data.decode("cp1258" if name == "utf-8" else name, "replace"))
