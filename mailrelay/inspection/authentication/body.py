"""Body hashes of DKIM (RFC 6376 section 3.4.3 and 3.4.4) in one pass over the mail, with bounded memory. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

_BLANKS = re.compile(rb"[\t ]+")
_LINE_FEED = re.compile(rb"\r?\n")
_LONGEST_LINE = 1024 * 1024


class Digest:
    """SHA-256 over the first `length` bytes (None: all) of a canonical body; `total` counts the whole of it."""

    def __init__(self, length: int | None) -> None:
        self._hash = hashlib.sha256()
        self._room = length
        self.total = 0

    def update(self, data: bytes) -> None:
        self.total += len(data)
        if self._room is not None:
            data = data[: self._room]
            self._room -= len(data)
        self._hash.update(data)

    def digest(self) -> bytes:
        return self._hash.digest()


class Canonical:
    """Takes the body in blocks and feeds its canonical form to digests. `relaxed` or simple."""

    def __init__(self, *, relaxed: bool) -> None:
        self._relaxed = relaxed
        self._digests: list[Digest] = []
        self._carry = b""
        self._blank_lines = 0
        self._began = False

    @property
    def is_asked(self) -> bool:
        """Whether any digest waits for this form."""
        return bool(self._digests)

    def digest(self, length: int | None) -> Digest:
        """Return a new digest that will be fed; ask before the first block."""
        digest = Digest(length)
        self._digests.append(digest)
        return digest

    def feed(self, block: bytes) -> None:
        block = self._carry + block
        cut = block.rfind(b"\n") + 1
        if len(block) - cut > _LONGEST_LINE:
            cut = self._inside_line(block)
        self._carry = block[cut:]
        if cut:
            self._lines(block[:cut])

    def finish(self) -> None:
        if self._carry:
            self._lines(self._carry + b"\r\n")
            self._carry = b""
        if self._began:
            self._emit(b"\r\n")
        elif not self._relaxed:
            self._emit(b"\r\n")  # RFC 6376 section 3.4.3: an empty body is one CRLF; relaxed: nothing

    def _inside_line(self, block: bytes) -> int:
        """Where an endless line may be cut without changing its form: behind its last letter."""
        return len(block.rstrip(b" \t\r"))

    def _lines(self, data: bytes) -> None:
        if not _has_crlf_only(data):
            data = _LINE_FEED.sub(b"\r\n", data)
        # Single bytes are found a hundred times faster than pairs: most bodies of size are base64, without any blank.
        if self._relaxed and (b"\t" in data or (b" " in data and (b"  " in data or b" \r\n" in data))):
            data = _BLANKS.sub(b" ", data).replace(b" \r\n", b"\r\n")
        end = len(data)
        while end and data.endswith(b"\r\n", 0, end):
            end -= 2
        lines_behind = (len(data) - end) // 2
        if end:
            if self._blank_lines:
                self._emit(b"\r\n" * self._blank_lines)
            self._emit(data[:end])
            self._blank_lines = lines_behind
            self._began = True
        else:
            self._blank_lines += lines_behind

    def _emit(self, data: bytes) -> None:
        for digest in self._digests:
            digest.update(data)


def _has_crlf_only(data: bytes) -> bool:
    """Whether every LF follows a CR. Lines of one length (base64) are compared by stride, half as dear as counting pairs."""
    width = data.find(b"\n") + 1
    count = data.count(b"\n")
    whole = count * width
    if width > 2 and len(data) - width <= whole <= len(data):
        regular = data[width - 2 : whole : width] == b"\r" * count and data[width - 1 : whole : width] == b"\n" * count
        if regular:
            return True
    return count == data.count(b"\r\n")


def run(canonicals: Iterable[Canonical], blocks: Iterable[bytes]) -> None:
    """Feed a body to every canonical form in one pass."""
    forms = list(canonicals)
    for block in blocks:
        for form in forms:
            form.feed(block)
    for form in forms:
        form.finish()
