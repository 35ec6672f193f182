"""Where a tag and a comment of HTML end, as browsers have it (WHATWG HTML, section 13.2.5). Pure; in time linear in the input.

Both readers of HTML (`html`, `concealment`) ask here: a border that only they see is a place to hide behind.
"""

from __future__ import annotations

import re

# A quoted value begins behind "=" alone, and may hold ">"; possessive, since a tag may be as long as the whole text.
_TAG = re.compile(r"(?:[^=>]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+)*+")
_BEHIND_NAME = frozenset(("", " ", "\t", "\n", "\r", "\f", "/", ">"))
_COMMENT_END = re.compile(r"--!?>")


def tag_end(source: str, position: int) -> int:
    """The offset of the ">" that ends a tag, `position` being in its name; the length of the source without one."""
    match = _TAG.match(source, position)
    return match.end() if match is not None else len(source)


def comment_end(source: str, opening: int) -> tuple[int, int]:
    """The offsets where the text of a comment that opens at `opening` ends, and behind it. `<!-->` and `<!--->` are whole ones."""
    for short in ("<!-->", "<!--->"):
        if source.startswith(short, opening):
            return opening + 4, opening + len(short)
    match = _COMMENT_END.search(source, opening + 4)
    return match.span() if match is not None else (len(source), len(source))


def raw_end(lowered: str, name: str, position: int) -> int:
    """Where the end tag of an element without markup inside begins ("style", "script"); `</stylex` is none."""
    tag = f"</{name}"
    found = lowered.find(tag, position)
    while found >= 0 and lowered[found + len(tag) : found + len(tag) + 1] not in _BEHIND_NAME:
        found = lowered.find(tag, found + 1)
    return found if found >= 0 else len(lowered)
