"""Content-Transfer-Encodings of RFC 2045, decoded in steps. Pure; foul input is decoded as far as it goes and marked broken."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator
from typing import Protocol

import pybase64

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FOREIGN = bytes(set(range(256)) - set(_ALPHABET))


class Decoder(Protocol):
    """Takes blocks in order. `broken` tells that the input broke the rules of its encoding."""

    broken: bool

    def feed(self, block: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class Identity:
    """7bit, 8bit, binary, and what we do not know."""

    broken = False

    def feed(self, block: bytes) -> bytes:
        return block

    def finish(self) -> bytes:
        return b""


def _letters(data: bytes) -> int:
    """How many bytes are no line ends. Lines of one length are recognised by stride, without counting."""
    width = data.find(b"\n") + 1
    if width > 2 and len(data) % width == 0:
        lines = len(data) // width
        if data[width - 1 :: width] == b"\n" * lines and data[width - 2 :: width] == b"\r" * lines:
            return (
                len(data) - 2 * lines
            )  # more line ends inside a line make the decoded length wrong: the slow way follows
    return len(data) - data.count(b"\r") - data.count(b"\n")


class Base64:
    """Cuts at line ends so that whole groups of four go to the SIMD decoder with their CRLFs; odd lines take the slow way."""

    def __init__(self) -> None:
        self.broken = False
        self._line = b""  # what stands behind the last line end
        self._letters = b""  # fewer than four letters left over by the slow way
        self._padded = False

    def feed(self, block: bytes) -> bytes:
        block = self._line + block
        cut = block.rfind(b"\n") + 1
        if len(block) - cut > 64 * 1024:  # one endless line
            cut = len(block)
        self._line = block[cut:]
        return self._decode(block[:cut])

    def finish(self) -> bytes:
        line, self._line = self._line, b""
        out = self._decode(line)
        letters, self._letters = self._letters, b""
        if len(letters) == 1:
            self.broken = True
            return out
        return out + binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))

    def _decode(self, data: bytes) -> bytes:
        if not data:
            return b""
        count = _letters(data)
        if not self._letters and not self._padded and count % 4 == 0 and b"=" not in data:
            try:
                out = pybase64.b64decode(data)
            except binascii.Error:
                return self._slow(data)
            if len(out) == count // 4 * 3:
                return out
        return self._slow(data)

    def _slow(self, data: bytes) -> bytes:
        padding = data.find(b"=")
        letters = data.translate(None, _FOREIGN)
        if letters and (self._padded or (padding >= 0 and data[padding:].translate(None, _FOREIGN))):
            self.broken = True  # readers disagree on data that follows the padding
        self._padded = self._padded or padding >= 0
        letters = self._letters + letters
        whole = len(letters) // 4 * 4
        self._letters = letters[whole:]
        return pybase64.b64decode(letters[:whole])


class QuotedPrintable:
    """RFC 2045 section 6.7, cut at line ends."""

    def __init__(self) -> None:
        self.broken = False
        self._carry = b""

    def feed(self, block: bytes) -> bytes:
        block = self._carry + block
        cut = block.rfind(b"\n") + 1
        if not cut and len(block) > 64 * 1024:
            equals = block.find(b"=", len(block) - 2)
            cut = equals if equals >= 0 else len(block)
        self._carry = block[cut:]
        return binascii.a2b_qp(block[:cut])

    def finish(self) -> bytes:
        data, self._carry = self._carry, b""
        return binascii.a2b_qp(data)


class Uuencode:
    """x-uuencode: lines between begin and end; a foul line is left out and marks the part broken."""

    def __init__(self) -> None:
        self.broken = False
        self._carry = b""
        self._open = False

    def feed(self, block: bytes) -> bytes:
        block = self._carry + block
        cut = block.rfind(b"\n") + 1
        self._carry = block[cut:] if len(block) - cut < 64 * 1024 else b""
        return b"".join(self._lines(block[:cut]))

    def finish(self) -> bytes:
        data, self._carry = self._carry, b""
        return b"".join(self._lines(data))

    def _lines(self, data: bytes) -> Iterator[bytes]:
        for line in data.splitlines():
            if line.startswith(b"begin ") and not self._open:
                self._open = True
            elif line == b"end":
                self._open = False
            elif self._open and line:
                yield self._line(line)

    def _line(self, line: bytes) -> bytes:
        try:
            return binascii.a2b_uu(line)
        except binascii.Error:
            self.broken = True
            return b""


def decoder(encoding: str) -> Decoder:
    """Return a fresh decoder for a Content-Transfer-Encoding (lower case)."""
    if encoding == "base64":
        return Base64()
    if encoding == "quoted-printable":
        return QuotedPrintable()
    if encoding in ("x-uuencode", "uuencode", "x-uue"):
        return Uuencode()
    return Identity()


def decoded(blocks: Iterable[bytes], by: Decoder) -> Iterator[bytes]:
    """Yield the decoded blocks."""
    for block in blocks:
        out = by.feed(block)
        if out:
            yield out
    out = by.finish()
    if out:
        yield out
