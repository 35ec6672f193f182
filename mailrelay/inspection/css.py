"""What style sheets do to text, as far as it can hide it: declarations, colours, the simplest selectors. Pure and bounded."""

from __future__ import annotations

import colorsys
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
_PART = r"(\d{1,3}(?:\.\d{1,6})?%?)"
_RGB = re.compile(rf"rgba?\(\s*{_PART}[\s,]+{_PART}[\s,]+{_PART}(?:[\s,/]+([\d.]{{1,8}}%?))?\s*\)")
_HSL = re.compile(rf"hsla?\(\s*([\d.]{{1,8}})(?:deg)?[\s,]+{_PART}[\s,]+{_PART}(?:[\s,/]+([\d.]{{1,8}}%?))?\s*\)")
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
_FAINT = 0.05  # opacity below which nobody reads
_PLACES = ("text-indent", "left", "top", "right", "bottom", "margin-left", "margin-top")
_SIZES = ("height", "max-height", "width", "max-width")
_ANYWHERE = r"inherit|initial|unset|revert|revert-layer"
_COLOURS = (
    "aliceblue antiquewhite aqua aquamarine azure beige bisque black blanchedalmond blue blueviolet brown burlywood cadetblue "
    "chartreuse chocolate coral cornflowerblue cornsilk crimson cyan darkblue darkcyan darkgoldenrod darkgray darkgreen "
    "darkgrey darkkhaki darkmagenta darkolivegreen darkorange darkorchid darkred darksalmon darkseagreen darkslateblue "
    "darkslategray darkslategrey darkturquoise darkviolet deeppink deepskyblue dimgray dimgrey dodgerblue firebrick "
    "floralwhite forestgreen fuchsia gainsboro ghostwhite gold goldenrod gray green greenyellow grey honeydew hotpink "
    "indianred indigo ivory khaki lavender lavenderblush lawngreen lemonchiffon lightblue lightcoral lightcyan "
    "lightgoldenrodyellow lightgray lightgreen lightgrey lightpink lightsalmon lightseagreen lightskyblue lightslategray "
    "lightslategrey lightsteelblue lightyellow lime limegreen linen magenta maroon mediumaquamarine mediumblue mediumorchid "
    "mediumpurple mediumseagreen mediumslateblue mediumspringgreen mediumturquoise mediumvioletred midnightblue mintcream "
    "mistyrose moccasin navajowhite navy oldlace olive olivedrab orange orangered orchid palegoldenrod palegreen "
    "paleturquoise palevioletred papayawhip peachpuff peru pink plum powderblue purple rebeccapurple red rosybrown royalblue "
    "saddlebrown salmon sandybrown seagreen seashell sienna silver skyblue slateblue slategray slategrey snow springgreen "
    "steelblue tan teal thistle tomato turquoise violet wheat white whitesmoke yellow yellowgreen transparent currentcolor "
    "canvas canvastext window windowtext linktext buttontext buttonface highlight highlighttext graytext"
)
_KNOWN = {
    name: re.compile(rf"(?:{_ANYWHERE}|var\(.*|{words})\Z").match
    for name, words in {
        "display": r"none|block|inline|contents|flow-root|list-item|run-in|table(?:-[a-z-]+)?|ruby(?:-[a-z-]+)?"
        r"|(?:inline-)?(?:block|flex|grid|table)|-(?:webkit|ms|moz)-[a-z-]+|(?:block|inline) [a-z -]+",
        "visibility": "visible|hidden|collapse",
        "opacity": r"[+-]?[\d.]+(?:e[+-]?\d+)?%?|calc\(.*",
        "font-size": r"\+?[\d.]+(?:e[+-]?\d+)?[a-z]*%?|(?:xx?|xxx)-(?:small|large)|small|medium|large|smaller|larger"
        r"|(?:calc|min|max|clamp)\(.*",
        "color": rf"#[0-9a-f]{{3,8}}|[a-z-]+\(.*|{_COLOURS.replace(' ', '|')}",
    }.items()
}
# A form that leaves nothing to be seen, by property.
_SQUASHED = {
    "clip-path": re.compile(
        r"inset\(\s*(?:[5-9]\d|1\d\d)(?:\.\d+)?%|circle\(\s*0|polygon\(\s*0\w*%?\s+0\w*%?\s*,\s*0\w*%?\s+0"
    ),
    "transform": re.compile(r"scale[xy]?\(\s*0?(?:\.0\d*)?\s*[,)]|translate(?:[xy]|3d)?\(\s*-\d{3,}"),
    "filter": re.compile(r"opacity\(\s*0*(?:\.0\d*)?%?\s*\)"),
    "zoom": re.compile(r"\A0*(?:\.0\d*)?%?\Z"),
}
_EVERYWHERE = re.compile(r"@media\b[^(]*\b(?:screen|all)\b[^(]*\Z|@(?:layer|supports)\b")
_FONT = re.compile(r"(?:^|\s)([\d.]+[a-z]*%?)(?:/\S+)?\s+\S")
_NUMBER = re.compile(r"\d[\d.]*(?:[a-z]+|%)?")

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
    """Read "name: value; …" with escapes and comments undone; the last of a name counts, an important one before others.

    A value that browsers do not know is none, as they have it: it does not take back what stands before it.
    """
    plain = _ESCAPE.sub(_unescaped, _COMMENT.sub("", text)).lower()
    found: dict[str, str] = {}
    important: set[str] = set()
    for piece in plain.split(";"):
        name, colon, value = piece.partition(":")
        name, (value, mark, _) = name.strip(), value.partition("!")
        value = value.strip()
        if not colon or (name in important and not mark) or (name in _KNOWN and not _KNOWN[name](value)):
            continue
        found[name] = value
        if mark:
            important.add(name)
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
        selectors = (
            text[position:opening].rpartition(";")[2].replace("}", " ")
        )  # behind @charset, @import, an outer block
        if "@" in selectors:  # what holds everywhere is read on, what stands under a condition is left out
            position = (
                opening + 1 if _EVERYWHERE.search(selectors[-500:].strip().lower()) else _behind_block(text, opening)
            )
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
    if value.startswith("calc("):
        found = max((pixels(number) or 0.0 for number in _NUMBER.findall(value)), default=0.0)
        return -found if "-" in value and found >= -_FAR else None
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
        return _packed(*(_share(match.group(n), 255) for n in (1, 2, 3)))
    match = _HSL.match(value)
    if match is not None:
        turn, (saturation, lightness) = _share(match.group(1), 360), (_share(match.group(n), 100) for n in (2, 3))
        return _packed(*colorsys.hls_to_rgb(turn, lightness, saturation))
    return _NAMES.get(value)


def _share(number: str, whole: float) -> float:
    """A number or percentage as a share of the whole, between 0 and 1."""
    if number.count(".") > 1 or not number.strip(".%"):
        return 0.0
    return min(float(number[:-1]) / 100 if number.endswith("%") else float(number) / whole, 1.0)


def _packed(red: float, green: float, blue: float) -> int:
    return round(red * 255) << 16 | round(green * 255) << 8 | round(blue * 255)


def _is_nothing(value: str) -> bool:
    """A colour that lets everything through."""
    match = _RGB.match(value) or _HSL.match(value)
    return value == "transparent" or (match is not None and (match.group(4) or "1").strip("%0.") == "")


def styled(look: Look, said: Mapping[str, str]) -> Look:
    """The look inside an element with these declarations, in the look around it."""
    gone = look.gone or _gone(said)
    size = pixels(said.get("font-size", "") or _size_of(said.get("font", "")))
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


def _size_of(font: str) -> str:
    """The size in the short form of a font (`bold 12px/1.5 Arial`)."""
    match = _FONT.search(font) if font else None
    return match.group(1) if match is not None else ""


def _ground(value: str) -> Colour:
    """The colour of a background, which may name an image beside it."""
    if "url(" in value or "gradient" in value:
        return None
    return next((found for word in (value, *value.split()) if (found := colour(word)) is not None), None)


def _gone(said: Mapping[str, str]) -> str:
    """Why an element with these declarations is not seen at all."""
    if said.get("display") == "none" or said.get("mso-hide") == "all" or said.get("content-visibility") == "hidden":
        return "not-displayed"
    if _is_faint(said.get("opacity", "1")) or _SQUASHED["filter"].search(said.get("filter", "")):
        return "transparent"
    if any((pixels(said.get(name, "")) or 0.0) <= _FAR for name in _PLACES):
        return "off-screen"
    if any(name in said and form.search(said[name]) for name, form in _SQUASHED.items()):
        return "no-room"
    if said.get("overflow", "").startswith(("hidden", "clip")) and any(_is_zero(said.get(name, "")) for name in _SIZES):
        return "no-room"
    if re.match(r"rect\(\s*[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?\s*\)", said.get("clip", "")):
        return "no-room"
    return ""


def _is_faint(opacity: str) -> bool:
    try:
        value = float(opacity.rstrip("%")) / (100 if opacity.endswith("%") else 1)
    except ValueError:
        return False
    return value <= _FAINT


def _is_zero(value: str) -> bool:
    size = pixels(value)
    return size is not None and size <= 1.0
