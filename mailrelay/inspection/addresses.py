"""Mailbox lists of RFC 5322 section 3.4, read in one pass with patience and a limit. Pure; never raises, never recurses."""

from __future__ import annotations

import re

from mailrelay.inspection.fields import decode_words, tidy, unfold
from mailrelay.model.message import Address

_PLAIN = re.compile(r'[ \t]*([^"(),:;<>@\\\[\]]*)<([^\s"(),:;<>@\\\[\]]+@[^\s"(),:;<>@\\\[\]]+)>[ \t]*')
_MOST_CHARACTERS = 128 * 1024


def mailboxes(value: bytes, most: int) -> tuple[Address, ...]:
    """Return at most `most` mailboxes of a From, To or Cc value; groups are flattened, comments dropped."""
    text = unfold(value[:_MOST_CHARACTERS])
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        return (Address(decode_words(plain.group(1).strip()), tidy(plain.group(2))),)
    return _Reader(text, most).read()


class _Reader:
    """One pass over the characters; `phrase` is what stands before the angle bracket."""

    def __init__(self, text: str, most: int) -> None:
        self._text = text
        self._most = most
        self._found: list[Address] = []
        self._clear()

    def _clear(self) -> None:
        self._phrase: list[str] = []
        self._comment: list[str] = []
        self._angle: str | None = None

    def read(self) -> tuple[Address, ...]:
        position = 0
        size = len(self._text)
        while position < size and len(self._found) < self._most:
            letter = self._text[position]
            if letter == '"':
                position = self._quoted(position + 1)
            elif letter == "(":
                position = self._commented(position + 1)
            elif letter == "<":
                position = self._bracketed(position + 1)
            elif letter in ",;":
                self._finish()
                position += 1
            elif letter == ":":
                if any("@" in piece for piece in self._phrase):
                    self._finish()  # no name of a group: some readers take it for the author
                self._clear()
                position += 1
            else:
                position = self._run(position)
        if len(self._found) < self._most:
            self._finish()
        return tuple(self._found)

    def _run(self, position: int) -> int:
        start = position
        while position < len(self._text) and self._text[position] not in '"(<,;:':
            position += 1
        run = self._text[start:position]
        if self._angle is not None and "@" in run:
            self._finish()  # a second address, which other readers may take for the one
        self._phrase.append(run)
        return position

    def _quoted(self, position: int) -> int:
        letters: list[str] = []
        while position < len(self._text) and self._text[position] != '"':
            position += self._text[position] == "\\"
            letters.append(self._text[position : position + 1])
            position += 1
        self._phrase.append("".join(letters))
        return position + 1

    def _commented(self, position: int) -> int:
        depth = 1
        start = position
        while position < len(self._text) and depth:
            letter = self._text[position]
            depth += (letter == "(") - (letter == ")")
            position += 2 if letter == "\\" else 1
        self._comment.append(self._text[start : position - 1])
        return position

    def _bracketed(self, position: int) -> int:
        end = self._text.find(">", position)
        end = len(self._text) if end < 0 else end
        if self._angle is not None:
            self._finish()
        self._angle = self._text[position:end]
        return end + 1

    def _finish(self) -> None:
        phrase = "".join(self._phrase).strip()
        if self._angle is not None:
            name, address = phrase, self._angle.rpartition(":")[2] if self._angle.startswith("@") else self._angle
        else:
            name, address = " ".join(self._comment).strip(), phrase
        address = "".join(address.split())
        if address or name:
            self._found.append(Address(decode_words(name)[:1000], tidy(address)[:1000]))
        self._clear()
