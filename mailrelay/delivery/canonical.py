"""The "relaxed" canonical forms of DKIM (RFC 6376 sections 3.4.2 and 3.4.4). Pure; the body passes in blocks."""

from __future__ import annotations

import hashlib
import re

_SPACES = re.compile(rb"[ \t]+")
_FIELD_END = re.compile(rb"\r\n(?![ \t])")


def fields_of(header: bytes) -> list[tuple[bytes, bytes]]:
    """Cut a header (without the empty line) into (lower-case name, field with its folding), in order of appearance."""
    fields = []
    for field in _FIELD_END.split(header):
        name, colon, _ = field.partition(b":")
        if colon:
            fields.append((name.strip(b" \t").lower(), field))
    return fields


def relaxed_field(field: bytes) -> bytes:
    """One field as it is signed: name in lower case, unfolded, runs of white space as one space; without CRLF."""
    name, _, value = field.partition(b":")
    unfolded = _SPACES.sub(b" ", value.replace(b"\r\n", b""))
    return name.strip(b" \t").lower() + b":" + unfolded.strip(b" ")


class RelaxedBody:
    """SHA-256 over the canonical body. `update` takes blocks cut anywhere; memory is bounded by the longest line."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._unfinished = b""  # bytes after the last CRLF
        self._empty_lines = 0  # CRLFs not yet hashed, since those at the end of a body do not count
        self._has_content = False

    def update(self, block: bytes) -> None:
        text = self._unfinished + block if self._unfinished else block
        end = text.rfind(b"\r\n") + 2
        if end < 2:
            self._unfinished = text
            return
        self._unfinished = text[end:]
        self._lines(text[:end])

    def digest(self) -> bytes:
        """The hash; ends the body. A last line without CRLF gets one, a body of empty lines only is empty."""
        if self._unfinished:
            self._lines(self._unfinished + b"\r\n")
            self._unfinished = b""
        if self._has_content:
            self._hash.update(b"\r\n")
            self._has_content = False
        return self._hash.digest()

    def _lines(self, text: bytes) -> None:
        # Base64 has none of these: three quick scans show that nothing is to be changed.
        if b"\t" in text or b"  " in text or b" \r\n" in text:
            text = _SPACES.sub(b" ", text).replace(b" \r\n", b"\r\n")
        end = len(text)
        while text[end - 2 : end] == b"\r\n":
            end -= 2
        if end:
            self._hash.update(b"\r\n" * self._empty_lines)
            self._hash.update(memoryview(text)[:end])
            self._empty_lines = 0
            self._has_content = True
        self._empty_lines += (len(text) - end) // 2
