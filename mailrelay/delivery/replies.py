"""Replies of SMTP and LMTP servers, read line by line within bounds (RFC 5321 section 4.2). Pure: no socket."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_LINE = 2048  # RFC 5321 allows 512; some servers say more
MOST_LINES = 128

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?\Z", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?=\s|\Z)")


class MalformedReply(ValueError):
    """The server said something that is no reply, or too much of it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. `lines` are the texts after the code, decoded for display (UTF-8, bad bytes replaced)."""

    code: int
    lines: tuple[str, ...]

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code < 300

    @property
    def is_temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def status(self) -> str:
        """The enhanced code of the reply (RFC 2034), or "" without one that fits its class."""
        match = _ENHANCED.match(self.lines[0]) if self.lines else None
        return match.group() if match and match.group(1) == str(self.code)[0] else ""

    @property
    def text(self) -> str:
        """All lines as one, without the enhanced codes that servers repeat on every line."""
        status = self.status
        return " ".join(line.removeprefix(status).strip() if status else line.strip() for line in self.lines).strip()


class ReplyParser:
    """Puts lines together to replies: `feed` returns the reply with its last line, None before. Raises MalformedReply."""

    def __init__(self) -> None:
        self._code = b""
        self._lines: list[str] = []

    def feed(self, line: bytes) -> Reply | None:
        """Take one line without its line end."""
        match = _LINE.match(line)
        if match is None or len(line) > LONGEST_LINE:
            raise MalformedReply(safe_text(line.decode("utf-8", "replace")) or "empty line")
        code, mark, text = match.groups()
        if self._code and code != self._code:
            raise MalformedReply("the lines of one reply have different codes")
        if len(self._lines) >= MOST_LINES:
            raise MalformedReply("endless reply")
        self._code = code
        self._lines.append((text or b"").decode("utf-8", "replace"))
        if mark == b"-":
            return None
        reply = Reply(int(code), tuple(self._lines))
        self._code, self._lines = b"", []
        return reply


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a server offers in its answer to EHLO or LHLO. `size` is None when SIZE is not offered, 0 when without a limit."""

    name: str = ""
    keywords: frozenset[str] = frozenset()
    size: int | None = None
    most_recipients: int = 0  # LIMITS RCPTMAX (RFC 9422), 0 = not said

    def offers(self, keyword: str) -> bool:
        return keyword in self.keywords


def extensions_of(reply: Reply) -> Extensions:
    """Read the answer to EHLO (RFC 5321 section 4.1.1.1). What is malformed counts as not offered."""
    name = reply.lines[0].split(" ", 1)[0] if reply.lines else ""
    offered: dict[str, list[str]] = {}
    for line in reply.lines[1:]:
        keyword, *parameters = line.split() or [""]
        offered[keyword.upper()] = parameters
    size = offered.get("SIZE")
    return Extensions(
        name=name.lower(),
        keywords=frozenset(offered),
        size=None if size is None else _number(size[0] if size else "0"),
        most_recipients=next(
            (_number(p[8:]) for p in offered.get("LIMITS", []) if p.upper().startswith("RCPTMAX=")),
            0,
        ),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def safe_text(text: str, longest: int = 400) -> str:
    """One line of printable characters, cut to a length: what peers say is shown to people and kept in the log."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: longest * 4])
    line = " ".join(printable.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
