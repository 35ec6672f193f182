"""Problems of the configuration: collected, sorted, never thrown one by one. Knows nothing of file formats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from mailrelay.model.faults import ConfigFault


class Place(Protocol):
    """Anything with a position in a file; lines and columns count from 1."""

    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file."""

    file: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake: where, and what to do about it in Vietnamese and English."""

    file: str
    line: int
    column: int
    vi: str
    en: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.vi} [{self.en}]"


class Problems:
    """The mistakes found so far in one or several files."""

    def __init__(self) -> None:
        self._found: set[Problem] = set()

    def add(self, place: Place, vi: str, en: str) -> None:
        """Note a mistake; the same one is noted once."""
        self._found.add(Problem(place.file, place.line, place.column, vi, en))

    def __bool__(self) -> bool:
        return bool(self._found)

    def lines(self) -> tuple[str, ...]:
        """Finished lines, in the order of files, lines and columns."""
        return tuple(str(problem) for problem in sorted(self._found))

    def raise_any(self) -> None:
        """Raise ConfigFault with every problem, if there is one."""
        if self._found:
            raise ConfigFault(self.lines())


def suggestion(word: str, known: Iterable[str]) -> tuple[str, str]:
    """The ends of two sentences that offer the nearest known word, or empty ones. Of addresses the local parts are compared."""
    by_stem = {each.partition("@")[0]: each for each in known}
    stem = word.partition("@")[0]
    near = get_close_matches(stem, list(by_stem), n=1, cutoff=0.6)
    near = near or [known for known in by_stem if len(stem) > 2 and known.startswith(stem)]
    found = by_stem[near[0]] if near else ""
    return (f" – có phải “{found}”?", f" – did you mean “{found}”?") if found else ("", "")


def clipped(value: object, limit: int = 60) -> str:
    """A value as it may be shown in a message: one line, printable, short."""
    text = "".join(letter if letter.isprintable() else "·" for letter in str(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"
