"""What style sheets do to text, as far as it can hide it: declarations, colours, the simplest selectors. Pure and bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"\\([0-9a-f]{1,6})\s?|\\(.)", re.IGNORECASE)
_BRACE = re.compile("[{}]")
_LENGTH = re.compile(r"([+-]?\d{0,6}(?:\.\d{1,6})?)\s*(px|pt|em|rem|ex|ch|%|vw|vh|in|cm|mm|)\Z")
_UNITS = {
    "px": 1.0,
    "pt": 1.33,
    "em": 16.0,
    "rem": 16.0,
    "ex": 8.0,
    "ch": 8.0,
    "in": 96.0,
    "cm": 37.8,
    "mm": 3.8,
    "": 1.0,
}
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})(?:[\s,/]+([\d.]{1,8}%?))?\s*\)")
_NAMES = {
    **{"white": 0xFFFFFF, "black": 0x000000, "red": 0xFF0000, "green": 0x008000, "blue": 0x0000FF, "yellow": 0xFFFF00},
    **{"gray": 0x808080, "grey": 0x808080, "silver": 0xC0C0C0, "navy": 0x000080, "snow": 0xFFFAFA, "ivory": 0xFFFFF0},
    **{"whitesmoke": 0xF5F5F5, "ghostwhite": 0xF8F8FF, "floralwhite": 0xFFFAF0, "window": 0xFFFFFF, "azure": 0xF0FFFF},
}
_NEAR = 24  # sum of the differences of the three colours below which nobody reads
_TINY = 2.0  # pixels
_FAR = -400.0  # pixels to the left or above
_MOST_RULES = 1000
_WHITE = 0xFFFFFF
_PLACES = ("text-indent", "left", "top", "margin-left", "margin-top")
_SIZES = ("height", "max-height", "width", "max-width")

Colour = int | None  # None: not known


@dataclass(frozen=True, slots=True)
class Look:
    """How text is shown at one place. `gone` names why an element and all in it cannot be seen, whatever its children say."""

    gone: str = ""
    tiny: bool = False
    invisible: bool = False
    colour: Colour = 0x000000
    background: Colour = _WHITE
    see_through: bool = False

    @property
    def way(self) -> str:
        """Why text cannot be seen here, "" when it can."""
        if self.gone:
            return self.gone
        if self.invisible:
            return "invisible"
        if self.tiny:
            return "tiny"
        if self.see_through:
            return "transparent"
        return "same-colour" if _alike(self.colour, self.background) else ""


def _alike(one: Colour, other: Colour) -> bool:
    if one is None or other is None:
        return False
    return sum(abs((one >> shift & 255) - (other >> shift & 255)) for shift in (0, 8, 16)) <= _NEAR


def declarations(text: str) -> dict[str, str]:
    """Read "name: value; …" with escapes and comments undone; the last of a name counts."""
    plain = _ESCAPE.sub(_unescaped, _COMMENT.sub("", text[:8000])).lower()
    found: dict[str, str] = {}
    for piece in plain.split(";"):
        name, colon, value = piece.partition(":")
        if colon:
            found[name.strip()] = value.replace("!important", "").strip()
    return found


def _unescaped(match: re.Match[str]) -> str:
    if match.group(1) is None:
        return match.group(2)
    code = int(match.group(1), 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"


def rules(sheet: str) -> dict[str, dict[str, str]]:
    """The declarations of a style sheet by simple selector: "p", ".name", "#name". What stands under a condition is left out."""
    found: dict[str, dict[str, str]] = {}
    text = _COMMENT.sub("", sheet)
    position = 0
    while len(found) < _MOST_RULES:
        opening = text.find("{", position)
        if opening < 0:
            break
        selectors = text[position:opening]
        if "@" in selectors:
            position = _behind_block(text, opening)
            continue
        closing = text.find("}", opening)
        closing = len(text) if closing < 0 else closing
        said = declarations(text[opening + 1 : closing])
        for selector in selectors[-2000:].split(","):
            words = selector.split()
            if words:
                found.setdefault(_simple(words[-1]), {}).update(said)
        position = closing + 1
    return found


def _simple(selector: str) -> str:
    """The class or id of a compound selector, else its tag."""
    lowered = selector.lower()
    at = max(lowered.rfind("."), lowered.rfind("#"))
    return lowered[at:] if at >= 0 else lowered


def _behind_block(text: str, opening: int) -> int:
    depth = 0
    for match in _BRACE.finditer(text, opening):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.end()
    return len(text)


def pixels(value: str) -> float | None:
    """A length in pixels, roughly; None for what is no length."""
    match = _LENGTH.match(value)
    if match is None or match.group(1) in ("", "+", "-", "."):
        return None
    unit = match.group(2)
    return float(match.group(1)) * (_UNITS.get(unit, 0.16) if unit != "%" else 0.16)


def colour(value: str) -> Colour:
    """A colour as 0xRRGGBB; None for what cannot be told (names that are rare, images, gradients, variables)."""
    value = value.strip()
    if value.startswith("#") and re.fullmatch(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", value):
        digits = value[1:]
        return int("".join(2 * d for d in digits[:3]) if len(digits) < 6 else digits[:6], 16)
    match = _RGB.match(value)
    if match is not None:
        red, green, blue = (min(int(match.group(n)), 255) for n in (1, 2, 3))
        return red << 16 | green << 8 | blue
    return _NAMES.get(value)


def _is_nothing(value: str) -> bool:
    """A colour that lets everything through."""
    match = _RGB.match(value)
    return value == "transparent" or (match is not None and (match.group(4) or "1").strip("%0.") == "")


def styled(look: Look, said: Mapping[str, str]) -> Look:
    """The look inside an element with these declarations, in the look around it."""
    gone = look.gone or _gone(said)
    size = pixels(said.get("font-size", ""))
    visibility = said.get("visibility", "")
    ink = said.get("color", "")
    ground = said.get("background-color", "") or said.get("background", "")
    return replace(
        look,
        gone=gone,
        tiny=look.tiny if size is None else size < _TINY,
        invisible=visibility in ("hidden", "collapse") if visibility else look.invisible,
        colour=colour(ink) if ink not in ("", "inherit") else look.colour,
        see_through=_is_nothing(ink) if ink not in ("", "inherit") else look.see_through,
        background=look.background if ground in ("", "inherit", "none") or _is_nothing(ground) else _ground(ground),
    )


def _ground(value: str) -> Colour:
    """The colour of a background, which may name an image beside it."""
    if "url(" in value or "gradient" in value:
        return None
    return next((found for word in (value, *value.split()) if (found := colour(word)) is not None), None)


def _gone(said: Mapping[str, str]) -> str:
    """Why an element with these declarations is not seen at all."""
    if said.get("display") == "none" or said.get("mso-hide") == "all" or said.get("content-visibility") == "hidden":
        return "not-displayed"
    opacity = said.get("opacity", "1")
    if re.fullmatch(r"(?:0+(?:\.0\d*)?|\.0\d*)%?", opacity):
        return "transparent"
    if any((pixels(said.get(name, "")) or 0.0) <= _FAR for name in _PLACES):
        return "off-screen"
    if "hidden" in said.get("overflow", "") and any(_is_zero(said.get(name, "")) for name in _SIZES):
        return "no-room"
    if re.match(r"rect\(\s*[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?\s*\)", said.get("clip", "")):
        return "no-room"
    return ""


def _is_zero(value: str) -> bool:
    size = pixels(value)
    return size is not None and size <= 1.0
