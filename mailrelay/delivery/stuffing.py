"""Dot-stuffing of a mail that passes in blocks (RFC 5321 section 4.5.2). Pure: bytes in, bytes out."""

from __future__ import annotations


class BareNewline(ValueError):
    """The mail has a CR or LF that stands alone: sent on, some peer could take what follows it for SMTP commands."""


class Stuffer:
    """Stuffs one mail. `stuff` takes blocks cut anywhere; `end` gives what closes the mail, the final dot included.

    Both raise BareNewline for a lone CR or LF. A mail whose last line is not ended gets its CRLF.
    """

    def __init__(self) -> None:
        self._at_line_start = True
        self._after_cr = False

    def stuff(self, block: bytes) -> bytes:
        if not block:
            return block
        self._refuse_bare(block)
        stuffed = block.replace(b"\r\n.", b"\r\n..") if b"\r\n." in block else block
        # Only the first byte may stand at the start of a line that began in an earlier block: directly after CRLF, or
        # behind the LF that completes one.
        if self._at_line_start and block.startswith(b"."):
            stuffed = b"." + stuffed
        elif self._after_cr and block.startswith(b"\n."):
            stuffed = b"\n." + stuffed[1:]
        self._at_line_start = block.endswith(b"\r\n") or (self._after_cr and block == b"\n")
        self._after_cr = block.endswith(b"\r")
        return stuffed

    def end(self) -> bytes:
        if self._after_cr:
            raise BareNewline
        return b".\r\n" if self._at_line_start else b"\r\n.\r\n"

    def _refuse_bare(self, block: bytes) -> None:
        first_completes = self._after_cr and block.startswith(b"\n")
        if self._after_cr and not first_completes:
            raise BareNewline
        pairs = block.count(b"\r\n")
        if block.count(b"\n") - first_completes != pairs or block.count(b"\r") - block.endswith(b"\r") != pairs:
            raise BareNewline


class Chunk:
    """A mail that goes by BDAT instead: bytes as they are, no dot (RFC 3030)."""

    def stuff(self, block: bytes) -> bytes:
        return block

    def end(self) -> bytes:
        return b""
