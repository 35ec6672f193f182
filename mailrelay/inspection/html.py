"""Readable text out of HTML, in one bounded pass. Pure; nothing is rendered, fetched or executed."""

from __future__ import annotations

import html

_BREAKS = frozenset(("br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "blockquote", "pre"))
_DROPPED = frozenset(("script", "style", "head", "title", "template", "svg"))


def text_of(source: str) -> str:
    """Strip tags, comments, scripts and styles; blocks become lines."""
    out: list[str] = []
    position = 0
    size = len(source)
    lowered = source.lower()
    while position < size:
        opening = source.find("<", position)
        if opening < 0:
            out.append(source[position:])
            break
        out.append(source[position:opening])
        if source.startswith("<!--", opening):
            position = _behind(source, "-->", opening + 4)
            continue
        name = _tag_name(lowered, opening + 1)
        if not name and source[opening + 1 : opening + 2] not in ("!", "?", "/"):
            out.append("<")
            position = opening + 1
            continue
        position = _behind(source, ">", opening)
        if name in _DROPPED:
            position = _behind(source, ">", _find(lowered, f"</{name}", position))
        elif name.lstrip("/") in _BREAKS:
            out.append("\n")
        elif name.lstrip("/") in ("td", "th"):
            out.append(" ")
    return _squeezed(html.unescape("".join(out)))


def _find(text: str, needle: str, position: int) -> int:
    found = text.find(needle, position)
    return len(text) if found < 0 else found


def _behind(text: str, needle: str, position: int) -> int:
    found = text.find(needle, position)
    return len(text) if found < 0 else found + len(needle)


def _tag_name(lowered: str, position: int) -> str:
    end = position + (lowered[position : position + 1] == "/")
    while end < len(lowered) and lowered[end].isalnum():
        end += 1
    return lowered[position:end] if lowered[end - 1 : end].isalnum() and end > position else ""


def _squeezed(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
