"""How far a signature reaches: whether what a mail shows is what was signed, and if not, why. Pure.

A signature speaks for a mail only when the signed entity is all that a reader shows: the top of the tree, with nothing around
it, in a structure that every program reads alike, and with no word in it that is hidden or fetched from elsewhere.
"""

from __future__ import annotations

from mailrelay.inspection.content import Reading, is_signature
from mailrelay.inspection.mime import Part, Tree
from mailrelay.inspection.source import Source
from mailrelay.inspection.structure import doubled

# The lines that programs put before a signed entity for readers without MIME are short; anything longer is a text.
_LONGEST_PREAMBLE = 200
_MOST_AROUND = 4096
_AMBIGUOUS = frozenset(
    (
        *("delimiter-after-end", "truncated", "no-delimiter", "no-boundary", "encoded-multipart", "encoded-message"),
        *("partial", "external-body", "unknown-encoding", "two-boundaries", "carriage-return"),
    )
)
_HTML_REASONS = ("hidden-text", "conditional-text", "remote-content", "too-long")


def beyond(source: Source, tree: Tree, reading: Reading, part: Part) -> str:
    """Return why the signed `part` is not all that the mail shows, or "" when it is."""
    top = tree.top
    is_top = part is top or (part.wrapper is top and part is top.children[0])
    if not is_top:
        return _place(tree, part)
    if part.type.token == "multipart/signed" and not is_signature(part.children[-1]):
        return "two-structures"  # a signature by the outer type's word, by its own a text or a file that is shown
    around = _around(source, part)
    return around or _structure(tree) or _words(reading)


def beyond_inline(tree: Tree, reading: Reading, part: Part) -> str:
    """The same for a signature inside the text of one part: it can speak for no other part, shown or attached."""
    leaves = [one for one in tree.parts if not one.children]
    if leaves != [part] or any(file.part is not part for file in reading.files):
        return "other-parts"
    return _structure(tree)


def _place(tree: Tree, part: Part) -> str:
    """Why a signed entity is somewhere below the top: in an attached mail, or beside other parts."""
    path = _path(tree.top, part)
    if any(one.embedded or one.type.token.startswith("message/") for one in path[1:]):
        return "forwarded"
    return "other-parts"


def _path(top: Part, wanted: Part) -> list[Part]:
    """The parts from the top down to one part."""
    above = {id(child): part for part in top.walk() for child in part.children}
    path = [wanted]
    while id(path[-1]) in above:
        path.append(above[id(path[-1])])
    return path[::-1]


def _around(source: Source, part: Part) -> str:
    """Text before the first and behind the last delimiter line of a signed multipart, which some readers show."""
    if not part.is_multipart:
        return ""
    source = part.source or source
    before = source.read(part.body, min(part.children[0].start, part.body + _MOST_AROUND))
    text = before[: before.rstrip(b"\r\n").rfind(b"\n") + 1]  # the last line is the delimiter
    if len(text.strip()) > _LONGEST_PREAMBLE:
        return "text-before"
    behind = source.read(part.children[-1].end, min(part.end, part.children[-1].end + _MOST_AROUND))
    closing = behind.lstrip(b"\r\n")
    _, _, rest = closing.partition(b"\n")
    return "text-after" if rest.strip() else ""


def _structure(tree: Tree) -> str:
    fields = [name for name, _ in doubled(tree.top.block)]
    if any(name.startswith(("content-", "mime-")) for name in fields):
        return "two-structures"
    if tree.too_deep or tree.too_many or any(reason in _AMBIGUOUS for reason, _ in tree.malformed):
        return "ambiguous-structure"
    return ""


def _words(reading: Reading) -> str:
    return next((reason for reason in _HTML_REASONS if reason in reading.concealed), "")
