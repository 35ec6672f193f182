"""Readable text out of HTML, in one bounded pass: what a reader sees, and what is there but hidden. Pure; nothing is rendered,
fetched or executed.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from mailrelay.inspection import css, markup
from mailrelay.inspection.css import Look

_BREAKS = frozenset(("br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "blockquote", "pre"))
_DROPPED = frozenset(
    ("script", "style", "title", "template")
)  # no head: it ends where the first text stands, tag or not
_VOID = frozenset(
    ("br", "img", "hr", "input", "meta", "link", "col", "area", "base", "wbr", "embed", "source", "param")
)
# A start tag of these ends an open one of the same kind, which HTML allows to be left unclosed.
_ENDING = {"li": ("li",), "tr": ("tr", "td", "th"), "td": ("td", "th"), "th": ("td", "th"), "option": ("option",)}
_ENDS_P = _BREAKS - {"br", "tr", "li"}
_DEEPEST = 200
_MOST_HIDDEN = 8000  # characters kept of what is hidden
_ATTRIBUTE = re.compile(r"([a-z-]{1,40})\s*(?:=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+)))?", re.IGNORECASE)
_UNSEEN = re.compile("[\u200b-\u200d\u2060-\u2064\ufeff\u180e]")
_BETWEEN = re.compile(rf"(?<=[^\W\d_]){_UNSEEN.pattern}+(?=[^\W\d_])")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")


@dataclass(frozen=True, slots=True)
class Shown:
    """The text that a reader sees, the text that is hidden from him (bounded), and the ways in which it is, by name."""

    text: str
    hidden: str = ""
    ways: tuple[str, ...] = ()


def text_of(source: str) -> str:
    """What a reader sees: tags, comments, scripts and styles stripped; blocks become lines."""
    return read(source).text


def read(source: str) -> Shown:
    """Tell what is seen from what is hidden."""
    reader = _Reader(source)
    reader.run()
    return reader.shown()


def split_words(text: str) -> bool:
    """Whether letters that nobody sees stand inside words of Latin script: a word that is read but not found."""
    if _UNSEEN.search(text) is None:
        return False
    return any(_LATIN.match(text[m.start() - 1]) and _LATIN.match(text[m.end()]) for m in _BETWEEN.finditer(text))


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._lowered = source.lower()
        if len(self._lowered) != len(source):  # a few letters change their length: offsets would no longer agree
            self._lowered = "".join(c.lower() if c.isascii() else c for c in source)
        self._out: list[str] = []
        self._hidden: list[str] = []
        self._ways: dict[str, None] = {}
        self._room = _MOST_HIDDEN
        self._rules: dict[str, dict[str, str]] = {}
        self._stack: list[tuple[str, Look]] = []
        self._look = Look()

    def shown(self) -> Shown:
        text = _squeezed(html.unescape("".join(self._out)))
        if split_words(text):
            self._ways["zero-width"] = None
        return Shown(text, _squeezed("\n".join(self._hidden)), tuple(self._ways))

    def run(self) -> None:
        position = 0
        size = len(self._source)
        while position < size:
            opening = self._source.find("<", position)
            if opening < 0:
                self._text(self._source[position:])
                break
            self._text(self._source[position:opening])
            position = self._markup(opening)

    def _text(self, text: str) -> None:
        way = self._look.way if self._stack else ""
        if not way:
            self._out.append(text)
            return
        self._hide(html.unescape(text[: self._room + 1]), way)

    def _hide(self, text: str, way: str) -> None:
        if any(letter.isalnum() for letter in text):
            self._ways[way] = None
            self._hidden.append(text[: self._room])
            self._room = max(0, self._room - len(text))

    def _markup(self, opening: int) -> int:
        """Take what begins with "<"; return where the text goes on."""
        source = self._source
        if source.startswith("<!--", opening):
            end, behind = markup.comment_end(source, opening)
            self._comment(source[opening + 4 : min(end, opening + 4 + _MOST_HIDDEN * 4)])
            return behind
        name = _tag_name(self._lowered, opening + 1)
        if not name and source[opening + 1 : opening + 2] not in ("!", "?", "/"):
            self._text("<")
            return opening + 1
        position = min(markup.tag_end(source, opening + 1) + 1, len(source))
        if name in _DROPPED:
            end = markup.raw_end(self._lowered, name, position)
            if name == "style":
                self._sheet(source[position:end])
            return _behind(source, ">", end)
        if name.startswith("/"):
            self._close(name[1:])
        elif name:
            self._open(name, source[opening + 1 + len(name) : position])
        self._space(name.lstrip("/"))
        return position

    def _space(self, name: str) -> None:
        if name in _BREAKS:
            self._out.append("\n")
        elif name in ("td", "th"):
            self._out.append(" ")

    def _comment(self, comment: str) -> None:
        """A comment with a condition is text for the readers that meet it, and for nobody else."""
        if comment.lstrip()[:3].lower() != "[if":
            return
        inside = comment.partition(">")[2].rpartition("<![")[0]
        if "<!--" not in inside:
            self._hide(_without_markup(inside), "conditional")

    def _sheet(self, text: str) -> None:
        """Remember the rules of a style sheet."""
        for selector, said in css.rules(text).items():
            self._rules.setdefault(selector, {}).update(said)

    def _open(self, name: str, rest: str) -> None:
        for ended in _ENDING.get(name, ()):
            self._end_if_last(ended)
        if name in _ENDS_P:
            self._end_if_last("p")
        if name in _VOID or len(self._stack) >= _DEEPEST:
            return
        self._stack.append((name, self._look))
        attributes = _attributes(rest)
        self._look = css.styled(self._look, self._said(name, attributes))
        if rest.rstrip("> ").endswith("/") and name not in _BREAKS:
            self._close(name)

    def _said(self, name: str, attributes: dict[str, str]) -> dict[str, str]:
        """All declarations that concern an element: attributes of old, style sheets, its own style."""
        said: dict[str, str] = {}
        if "bgcolor" in attributes:
            said["background"] = attributes["bgcolor"].lower()
        if name in ("font", "body") and (ink := attributes.get("color") or attributes.get("text")):
            said["color"] = ink.lower()
        if "background" in attributes:
            said["background"] = "url()"
        if self._rules:
            said |= self._rules.get(name, {})
            for word in attributes.get("class", "").lower().split()[:20]:
                said |= self._rules.get(f".{word}", {})
            said |= self._rules.get(f"#{attributes.get('id', '').lower()}", {})
        said |= css.declarations(attributes.get("style", ""))
        return said | ({"display": "none"} if "hidden" in attributes else {})

    def _end_if_last(self, name: str) -> None:
        if self._stack and self._stack[-1][0] == name:
            self._close(name)

    def _close(self, name: str) -> None:
        """End the last open element of a name and all that was opened in it; a stray end tag ends nothing."""
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at][0] == name:
                self._look = self._stack[at][1]
                del self._stack[at:]
                return


def _attributes(rest: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(rest):
        value = next((group for group in match.groups()[1:] if group is not None), "")
        found.setdefault(match.group(1).lower(), html.unescape(value))  # the first of two counts
    return found


def _without_markup(text: str) -> str:
    """The text of a piece of HTML, without what Office writes for itself (<xml>, <style>, VML)."""
    for name in ("xml", "style", "script", "noscript"):
        text = " ".join(_around(text, name))
    return html.unescape(re.sub(r"<[^>]{0,4000}>?", " ", text))


def _around(text: str, name: str) -> list[str]:
    """What stands around the elements of a name."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text
    around: list[str] = []
    position = 0
    while (opening := lowered.find(f"<{name}", position)) >= 0:
        around.append(text[position:opening])
        end = _find(lowered, f"</{name}", _behind(lowered, ">", opening))
        position = _behind(lowered, ">", end)
    return [*around, text[position:]]


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
