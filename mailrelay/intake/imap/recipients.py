"""Reads an address list strictly (RFC 5322 section 3.4): whom a mail in a drop folder is for. Pure; never guesses.

inspection.addresses reads the same fields with patience, to show them. Here a wrong guess would send a document to a stranger.
"""

from __future__ import annotations

import re

MOST_RECIPIENTS = 500
_MOST_LETTERS = 128 * 1024
_MOST_ADDRESS = 320
_TOKEN = re.compile(r'[ \t\r\n]+|("(?:[^"\\\r\n]|\\.)*")|([<>,;:])|([^ \t\r\n"(),:;<>\\\[\]]+)')
_ADDRESS = re.compile(
    r"[^\s\x00-\x20\x7f@.\"(),:;<>\\\[\]]+(?:\.[^\s\x00-\x20\x7f@.\"(),:;<>\\\[\]]+)*"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W_](?:[\w-]{0,61}[^\W_])?"
)
_MOST_LOCAL = 64  # octets, RFC 5321 section 4.5.3.1.1


def read_recipients(value: bytes) -> tuple[str, ...]:
    """Return the addresses of a To, Cc or Bcc value in order; groups are flattened. Raises ValueError for anything unclear."""
    if len(value) > _MOST_LETTERS:
        raise ValueError("the list is too long")
    return _Reader(value.decode("utf-8", "surrogateescape")).read()


class _Reader:
    """One pass over the tokens. `words` stand before "<", `bare` is an address without brackets."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: list[str] = []
        self._in_group = False
        self._clear()

    def _clear(self) -> None:
        self._words = 0
        self._bare = ""
        self._angle: str | None = None
        self._open = False

    def read(self) -> tuple[str, ...]:
        at = 0
        while at < len(self._text):
            if self._text[at] == "(":
                at = self._comment(at + 1)
                continue
            token = _TOKEN.match(self._text, at)
            if token is None:
                raise ValueError("a letter that cannot stand here")
            at = token.end()
            self._take(token)
        self._finish()
        if self._in_group:
            raise ValueError("a group without end")
        return tuple(self._found)

    def _comment(self, at: int) -> int:
        depth = 1
        while depth:
            if at >= len(self._text):
                raise ValueError("a comment without end")
            letter = self._text[at]
            depth += (letter == "(") - (letter == ")")
            at += 2 if letter == "\\" else 1
        return at

    def _take(self, token: re.Match[str]) -> None:
        quoted, mark, atom = token.groups()
        if mark is not None:
            self._mark(mark)
        elif quoted is not None or atom is not None:
            if self._angle is not None and not self._open:
                raise ValueError("words after an address")
            if self._open:
                self._inside(atom)
                return
            self._words += 1
            self._bare = atom or ""

    def _inside(self, atom: str | None) -> None:
        if self._angle or not atom:
            raise ValueError("no address between < and >")
        self._angle = atom

    def _mark(self, mark: str) -> None:
        if mark == "<":
            if self._open or self._angle is not None:
                raise ValueError("two addresses without a comma")
            self._open, self._angle = True, ""
        elif mark == ">":
            if not self._open:
                raise ValueError("> without <")
            self._open = False
        elif mark == ":":
            if self._in_group or self._angle is not None or not self._words:
                raise ValueError("a colon that begins no group")
            self._in_group = True
            self._clear()
        else:
            self._finish()
            if mark == ";":
                if not self._in_group:
                    raise ValueError("a semicolon that ends no group")
                self._in_group = False

    def _finish(self) -> None:
        if self._open:
            raise ValueError("< without >")
        if self._angle is not None:
            self._keep(self._angle)
        elif self._words > 1:
            raise ValueError("words without an address")
        elif self._words:
            self._keep(self._bare)
        self._clear()

    def _keep(self, address: str) -> None:
        local = address.rpartition("@")[0]
        if (
            not _ADDRESS.fullmatch(address)
            or any("\ud800" <= letter <= "\udfff" for letter in address)
            or len(local.encode()) > _MOST_LOCAL
            or len(address) > _MOST_ADDRESS
        ):
            raise ValueError("no mail address")
        if len(self._found) >= MOST_RECIPIENTS:
            raise ValueError("too many recipients")
        self._found.append(address)
