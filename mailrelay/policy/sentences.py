"""Fills the sentences of rules with what was matched. What comes from a mail is made legible first. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from unicodedata import category, normalize

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_LENGTH = 80
_READ = 4096  # characters of a name that are looked at
_SHOWN = 3


def fill(sentence: str, words: Mapping[str, str]) -> str:
    """Put words in place of {names}, in one pass; an unknown or empty one becomes an ellipsis."""
    return _PLACEHOLDER.sub(lambda found: words.get(found[1]) or "…", sentence)


def legible(text: str) -> str:
    """One printable line of at most 80 characters: control, invisible and direction characters are shown as a dot."""
    shown = normalize("NFC", text[:_READ])
    if not shown.isprintable():
        shown = "".join("·" if category(letter)[0] == "C" else letter for letter in shown)
    line = " ".join(shown.split())
    return line if len(line) <= _LENGTH else f"{line[: _LENGTH // 2]}…{line[-_LENGTH // 3 :]}"


def listed(names: Iterable[str]) -> str:
    """ "a, b, c và 4 tệp khác": the first names of a list, legible."""
    found = [legible(name) for name in dict.fromkeys(names) if name]
    more = f" (+{len(found) - _SHOWN})" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def sized(octets: int) -> str:
    """A size as people write it in Vietnam: "12,5 MB"."""
    if octets < 1_000_000:
        return f"{max(1, round(octets / 1000))} kB"
    return f"{octets / 1_000_000:.1f} MB".replace(".", ",")
