"""What an HTML text keeps from its reader, or shows without bearing it: hidden words, words for one program only, things from afar.

For signatures: a signed text that hides or loads something does not show what was signed. Pure, linear, bounded by its input;
nothing is rendered or fetched. The reasons are `hidden-text`, `conditional-text` and `remote-content`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from mailrelay.inspection import markup
from mailrelay.inspection.html import text_of

_ATTRIBUTE = re.compile(r"([a-z][a-z0-9:_-]*)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)")
_CONDITION = re.compile(r"<!--\[if\b")
_NOUGHT = r"0*(?:\.0*)?(?:px|pt|em|rem|ex|%|cm|mm|in)?(?=\s*(?:!|;|\}|\Z))"
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|mso-hide\s*:\s*all|content-visibility\s*:\s*hidden"
    rf"|opacity\s*:\s*{_NOUGHT}|opacity\s*=\s*0\b|font-size\s*:\s*(?:[01]\s*(?:px|pt)|{_NOUGHT})"
    rf"|line-height\s*:\s*{_NOUGHT}|max-(?:height|width)\s*:\s*{_NOUGHT}"
    r"|(?:text-indent|left|right|top|bottom|margin(?:-left|-top|-right|-bottom)?)\s*:\s*-\d{3,}"
    r"|clip(?:-path)?\s*:\s*(?:rect|inset|circle|polygon)|transform\s*:\s*(?:scale[xy]?\(\s*0|translate[xy]?\(\s*-\d{3,})"
    rf"|filter\s*:[^;}}]{{0,200}}opacity\(\s*0|zoom\s*:\s*{_NOUGHT}|(?<![-a-z])font\s*:[^;}}]{{0,200}}?(?<![\w.#-])0(?:[a-z]+|%)?(?:/|\s)"
    r"|(?:text-indent|left|right|top|bottom|inset|margin(?:-left|-top)?)\s*:\s*calc\([^;}]{0,200}\d{3,}"
    r"|opacity\s*:\s*(?:0*\.0\d|[\d.]+e-)|(?<![-a-z])color\s*:\s*(?:rgb|hsl)a\([^;}]{0,100}[,/]\s*0*(?:\.0+)?%?\s*\)"
    r"|(?<![-a-z])color\s*:\s*transparent|-webkit-text-fill-color\s*:\s*transparent"
)
_SQUASHED = re.compile(rf"(?<![-a-z])(?:height|width)\s*:\s*{_NOUGHT}")
_CLIPPED = re.compile(r"overflow(?:-[xy])?\s*:\s*(?:hidden|clip)")
_COLOUR = re.compile(r"(?<![-a-z])color\s*:\s*([^;}!]+)")
_GROUND = re.compile(r"background(?:-color)?\s*:\s*([^;}!]+)")
_RULE = re.compile(r"\{([^{}]*)\}")
_ESCAPE = re.compile(r"\\([0-9a-f]{1,6})\s?|\\(.)", re.DOTALL)
_REMOTE_STYLE = re.compile(
    r"@import|url\(\s*[\"']?\s*(?:https?:|//|ftp:)|expression\(|-moz-binding|behavior\s*:\s*url\(\s*[\"']?(?!#)"
)
_REMOTE = re.compile(r"\s*(?:https?:|ftp:|//|file:|\\\\)")
_LOADERS = frozenset(("src", "srcset", "background", "poster", "data", "lowsrc", "dynsrc", "xlink:href"))
_FRAMES = frozenset(("iframe", "frame", "frameset", "object", "embed", "applet", "script", "base", "portal"))
_WHITE = frozenset(("white", "#fff", "#ffffff", "rgb(255,255,255)"))


def find(source: str) -> frozenset[str]:
    """Return the reasons why a reader may see something else than the text bears; empty for an honest text."""
    lowered = _without_comments(source.lower())
    reasons = {"conditional-text"} if _has_conditional_text(source.lower()) else set()
    white, grounded = False, False
    for name, attributes in _tags(lowered):
        style = _plain_style(";".join(attributes.get("style", ())))
        if (
            _hides(style)
            or "hidden" in attributes
            or (name == "font" and any(map(_is_nought, attributes.get("size", ()))))
        ):
            reasons.add("hidden-text")
        if name in _FRAMES or _loads(name, attributes) or _REMOTE_STYLE.search(style):
            reasons.add("remote-content")
        colours = {_colour(found) for found in (*_COLOUR.findall(style), *_font_colour(name, attributes))}
        white |= bool(colours & _WHITE)
        grounded |= "bgcolor" in attributes or _GROUND.search(style) is not None
    for sheet in _sheets(source.lower()):
        plain = _plain_style(sheet)
        if any(_hides(rule) for rule in _RULE.findall(plain)):
            reasons.add("hidden-text")
        if _REMOTE_STYLE.search(plain):
            reasons.add("remote-content")
        grounded |= _GROUND.search(plain) is not None
    if white and not grounded:
        reasons.add("hidden-text")
    return frozenset(reasons)


def _without_comments(source: str) -> str:
    out: list[str] = []
    position = 0
    while (opening := source.find("<!--", position)) >= 0:
        out.append(source[position:opening])
        position = markup.comment_end(source, opening)[1]
    return "".join((*out, source[position:]))


def _has_conditional_text(source: str) -> bool:
    """Words in comments that one program alone shows (`<!--[if mso]>`); the data that Outlook leaves there is no text."""
    for match in _CONDITION.finditer(source):
        closing = source.find("<![endif]-->", match.end())
        opening = source.find(">", match.end())
        inside = source[opening + 1 : closing if closing >= 0 else len(source)]
        if opening >= 0 and text_of(_without_data(inside)).strip():
            return True
    return False


def _without_data(source: str) -> str:
    out: list[str] = []
    position = 0
    while (opening := source.find("<xml", position)) >= 0:
        out.append(source[position:opening])
        closing = source.find("</xml>", opening)
        if closing < 0:
            break
        position = closing + 6
    else:
        out.append(source[position:])
    return "".join(out)


def _tags(source: str) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Yield (name, attributes) of each opening tag of a lower-case text."""
    position = 0
    while (opening := source.find("<", position)) >= 0:
        end = markup.tag_end(source, opening + 1)
        inside = source[opening + 1 : end]
        position = end + 1
        name = inside.split(None, 1)[0].strip("/") if inside[:1].isalpha() and inside.split(None, 1) else ""
        if name:
            yield name, _attributes(inside[len(name) :])


def _attributes(text: str) -> dict[str, list[str]]:
    """All values of each attribute: of two, readers take the one or the other."""
    found: dict[str, list[str]] = {}
    for name, value in _ATTRIBUTE.findall(text):
        found.setdefault(name, []).append(html.unescape(value.strip("\"'")))
    bare = _ATTRIBUTE.sub(" ", text).split()
    return {**found, **({"hidden": [""]} if "hidden" in bare or "hidden/" in bare else {})}


def _sheets(source: str) -> Iterator[str]:
    """Yield the style sheets of a lower-case text. One inside a comment is none; comment marks inside one mean nothing."""
    position = 0
    while (opening := source.find("<style", position)) >= 0:
        comment = source.find("<!--", position, opening)
        if comment >= 0:
            position = markup.comment_end(source, comment)[1]
            continue
        begin = markup.tag_end(source, opening + 1) + 1
        position = markup.raw_end(source, "style", begin)
        yield source[begin:position].replace("<!--", " ").replace("-->", " ")


def _plain_style(style: str) -> str:
    """Without comments and escapes, which CSS allows in the middle of words."""
    if "\\" in style:
        style = _ESCAPE.sub(lambda match: _letter(match.group(1)) if match.group(1) else match.group(2), style)
    return re.sub(r"/\*.*?(?:\*/|\Z)", "", style, flags=re.DOTALL) if "/*" in style else style


def _letter(code: str) -> str:
    number = int(code, 16)
    return chr(number).lower() if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else ""


def _hides(style: str) -> bool:
    if not style:
        return False
    if _HIDING.search(style) or (_SQUASHED.search(style) and _CLIPPED.search(style)):
        return True
    colour, ground = _COLOUR.search(style), _GROUND.search(style)
    return colour is not None and ground is not None and _colour(colour.group(1)) == _colour(ground.group(1))


def _font_colour(name: str, attributes: dict[str, list[str]]) -> Sequence[str]:
    return attributes.get("color", ()) if name == "font" else ()


def _colour(value: str) -> str:
    return "".join(value.split())


def _is_nought(value: str) -> bool:
    return value.strip() in ("0", "-7")


def _loads(name: str, attributes: dict[str, list[str]]) -> bool:
    """Whether a tag brings something from elsewhere by being shown; a link to click on does not."""
    if name == "link" and "href" in attributes:
        return True
    if name == "meta" and "refresh" in attributes.get("http-equiv", ()):
        return True
    if name in ("image", "use") and any(map(_REMOTE.match, attributes.get("href", ()))):
        return True
    return any(_REMOTE.match(value) for key in _LOADERS.intersection(attributes) for value in attributes[key])
