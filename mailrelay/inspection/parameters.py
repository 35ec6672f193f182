"""Parameters of Content-Type and Content-Disposition (RFC 2045, 2231 and what mail programs write). Pure; never raises."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from mailrelay.inspection.fields import decode_bytes, decode_words, tidy, unfold

_CONTINUED = re.compile(r"([^*]+)\*(\d{1,4})(\*)?\Z")
_QUOTED = re.compile(r'(?:[^"\\]+|\\["\\]?)*')
_ESCAPED = re.compile(r'\\(["\\])')
_MOST = 100
_LONGEST = 64 * 1024


class Parameters(NamedTuple):
    """`token` is the first word in lower case ("text/plain", "attachment"); `pairs` every parameter as written, in order."""

    token: str
    pairs: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return the first plain value of a parameter, or ""."""
        return next((value for key, value in self.pairs if key == name), "")

    def variants(self, name: str) -> list[str]:
        """Return every reading of a parameter: plain, RFC 2047 inside, RFC 2231 extended, RFC 2231 in pieces."""
        found: list[str] = []
        pieces: dict[int, tuple[str, bool]] = {}
        for key, value in self.pairs:
            if key == name:
                found.append(decode_words(value))
            elif key == name + "*":
                found.append(_extended(value))
            elif "*" in key and (match := _CONTINUED.match(key)) and match.group(1) == name:
                pieces.setdefault(int(match.group(2)), (value, match.group(3) is not None))
        if pieces:
            found.append(_joined(pieces))
        return found


def parse(value: bytes) -> Parameters:
    """Read `token; name=value; …`; at most 100 parameters."""
    first, _, rest = unfold(value[:_LONGEST]).partition(";")
    pairs: list[tuple[str, str]] = []
    position = 0
    while len(pairs) < _MOST and (equals := rest.find("=", position)) >= 0:
        semicolon = rest.find(";", position)
        if 0 <= semicolon < equals:
            position = semicolon + 1
            continue
        name = rest[position:equals].strip().lower()
        content, position = _value(rest, equals + 1)
        pairs.append((name, content))
    return Parameters(_word(first), tuple(pairs))


def token(value: bytes) -> str:
    """Read the token alone."""
    return _word(unfold(value[:_LONGEST]).partition(";")[0])


def _word(text: str) -> str:
    return tidy("".join(text.partition("(")[0].split()).lower())[:255]


def _value(text: str, position: int) -> tuple[str, int]:
    """Return a value (quoted or not) and where the next parameter begins."""
    while text.startswith((" ", "\t"), position):
        position += 1
    if not text.startswith('"', position):
        end = text.find(";", position)
        end = len(text) if end < 0 else end
        return text[position:end].strip(), end + 1
    match = _QUOTED.match(text, position + 1)
    assert match is not None  # it takes nothing, too
    content = match[0]
    end = text.find(";", match.end())
    return _ESCAPED.sub(r"\1", content) if "\\" in content else content, (len(text) if end < 0 else end) + 1


def _extended(value: str) -> str:
    """charset'language'percent-encoded."""
    charset, quote, rest = value.partition("'")
    if not quote:
        return decode_bytes(unquote_to_bytes(value), "")
    _, quote, encoded = rest.partition("'")
    return decode_bytes(unquote_to_bytes(encoded if quote else rest), charset)


def _joined(pieces: dict[int, tuple[str, bool]]) -> str:
    charset = ""
    data = b""
    for order, number in enumerate(sorted(pieces)):
        if order != number:
            break  # a gap: RFC 2231 section 3 knows no such thing
        value, encoded = pieces[number]
        if number == 0 and encoded:
            charset, _, rest = value.partition("'")
            value = rest.partition("'")[2]
        data += unquote_to_bytes(value) if encoded else value.encode("utf-8", "replace")
    return decode_bytes(data, charset)
