"""The MIME tree of a mail as offsets into the received bytes (RFC 2045, 2046). Bounded; never raises for its input.

Parts are found by their delimiter lines within the range of the part that holds them, so that an outer boundary always ends
what an inner one forgot to end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mailrelay.inspection import parameters
from mailrelay.inspection.decoding import Decoder, decoded, decoder
from mailrelay.inspection.fields import Block, split
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.parameters import Parameters
from mailrelay.inspection.source import Memory, Source

_TAIL = re.compile(rb"(--)?[ \t]*(?:\r?\n|\r?\Z)")
_FIRST_LOOK = 4096
_WRAPPED = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
_NONE = Parameters("", ())
_KNOWN_ENCODINGS = frozenset(
    ("", "7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode", "uuencode", "x-uue")
)


@dataclass(slots=True)
class Part:
    """One entity. Offsets: `start` of its header, `body` of its content, `end` behind it.

    The CRLF before a delimiter line belongs to the delimiter, not to the part (RFC 2046 section 5.1.1).
    """

    number: str
    block: Block
    start: int
    body: int
    end: int
    type: Parameters
    disposition: Parameters
    encoding: str
    children: list[Part] = field(default_factory=list)
    embedded: bool = False  # the top of a message/rfc822
    source: Source | None = None  # where the offsets lie, when it is not the mail itself but a mail wrapped in it
    wrapper: Part | None = None  # the opaque signature around it
    lone_return: bool = False  # a CR without LF in its header, which ends a line for some readers

    @property
    def is_multipart(self) -> bool:
        return self.type.token.startswith("multipart/") and bool(self.children)

    def walk(self) -> Iterator[Part]:
        """Yield this part and all below it, in order, without recursion."""
        stack = [self]
        while stack:
            part = stack.pop()
            yield part
            stack.extend(reversed(part.children))

    def content(self, source: Source, by: Decoder | None = None) -> Iterator[bytes]:
        """Yield the decoded content in blocks; `source` is the mail."""
        source = self.source or source
        return decoded(source.steps(self.body, self.end), by or decoder(self.encoding))


@dataclass(slots=True)
class Tree:
    """A mail's top part and what was wrong on the way: `malformed` reasons with the part's number, in order, without doubles."""

    top: Part
    parts: tuple[Part, ...] = ()  # the top and all below it, in order
    malformed: dict[tuple[str, str], None] = field(default_factory=dict)
    too_deep: bool = False
    too_many: bool = False
    long_header: bool = False


Unwrap = Callable[[bytes], bytes | None]


def walk(source: Source, limits: Limits, unwrap: Unwrap | None = None, *, header_only: bool = False) -> Tree:
    """Read the tree of a whole mail; with `header_only` the top header alone.

    `unwrap` opens an opaque signature (application/pkcs7-mime): the mail in it becomes the child of its part.
    """
    return _Walker(source, limits, unwrap).run(header_only)


class _Walker:
    def __init__(self, source: Source, limits: Limits, unwrap: Unwrap | None) -> None:
        self._source = source
        self._unwrap = unwrap
        self._limits = limits
        self._count = 0
        self._tree: Tree

    def run(self, header_only: bool) -> Tree:
        top, long_header = self._entity(0, self._source.size, "", "text/plain")
        self._tree = Tree(top, long_header=long_header)
        self._note_header(top)
        if not header_only:
            self._descend(top, "", 0)
        if not top.is_multipart:
            top.number = "1"
        self._tree.parts = tuple(top.walk())
        return self._tree

    def _malformed(self, reason: str, part: Part) -> None:
        if len(self._tree.malformed) < 50:
            self._tree.malformed[(reason, part.number or "0")] = None

    def _note_header(self, part: Part) -> None:
        if part.block.broken:
            self._malformed("header-line", part)
        if part.lone_return:
            self._malformed("carriage-return", part)
        if part.encoding not in _KNOWN_ENCODINGS:
            self._malformed("unknown-encoding", part)
        if part.type.token in ("message/partial", "message/external-body"):
            self._malformed(part.type.token.partition("/")[2], part)  # the file is not here: nothing to look into

    def _entity(self, start: int, end: int, number: str, default: str) -> tuple[Part, bool]:
        """Read the header of the entity in a range. The second value tells that the header went beyond the limit."""
        data = self._lines(start, end, _FIRST_LOOK)
        block = split(data, start, self._limits.fields)
        if block.end >= start + len(data) < end:
            data = self._lines(start, end, self._limits.header)
            block = split(data, start, self._limits.fields)
        body = block.end
        returns, lines = data.count(b"\r", 0, body - start), data.count(b"\r\n", 0, body - start)
        beyond = not block.broken and body >= start + len(data) and body < end
        if beyond:
            body = self._after_blank_line(body - 3, end)
        content_type = block.first("content-type")
        disposition = block.first("content-disposition")
        encoding = block.first("content-transfer-encoding")
        kind = parameters.parse(content_type.value) if content_type else Parameters(default, ())
        return (
            Part(
                number=number,
                block=block,
                start=start,
                body=body,
                end=end,
                type=kind if "/" in kind.token else Parameters("text/plain", kind.pairs),
                disposition=parameters.parse(disposition.value) if disposition else _NONE,
                encoding=parameters.token(encoding.value) if encoding else "",
                lone_return=returns != lines,
            ),
            beyond,
        )

    def _lines(self, start: int, end: int, most: int) -> bytes:
        """At most `most` bytes, cut after a whole line: half a field name would look like the end of the header."""
        data = self._source.read(start, min(end, start + most))
        if start + len(data) < end:
            data = data[: data.rfind(b"\n") + 1] or data
        return data

    def _after_blank_line(self, start: int, end: int) -> int:
        for needle in (b"\n\r\n", b"\n\n"):
            found = self._source.find(needle, start, end)
            if found >= 0:
                return found + len(needle)
        return end

    def _descend(self, part: Part, prefix: str, depth: int) -> None:
        if part.type.token.startswith("multipart/"):
            self._multipart(part, prefix, depth)
        elif part.type.token in ("message/rfc822", "message/global") and part.body < part.end:
            self._embedded(part, depth)
        elif self._unwrap is not None and part.type.token in _WRAPPED and part.end - part.body <= 2 * self._limits.file:
            self._wrapped(part, self._unwrap, depth)

    def _wrapped(self, part: Part, unwrap: Unwrap, depth: int) -> None:
        """Walk the mail inside an opaque signature; what is wrapped once more inside it stays a file."""
        if depth >= self._limits.depth:
            self._tree.too_deep = True
            return
        inside = unwrap(b"".join(part.content(self._source)))
        if inside is None:
            return
        memory = Memory(inside)
        walker = _Walker(memory, self._limits, None)
        walker._count = self._count
        tree = walker.run(header_only=False)
        self._count = walker._count
        self._tree.too_many |= tree.too_many
        self._tree.too_deep |= tree.too_deep
        number = part.number or "1"
        for inner in tree.parts:
            inner.source, inner.wrapper = memory, part
            inner.number = f"{number}.{inner.number}" if inner.number else number
        for reason, where in tree.malformed:
            self._tree.malformed[(reason, f"{number}.{where}")] = None
        part.children.append(tree.top)

    def _embedded(self, part: Part, depth: int) -> None:
        if depth >= self._limits.depth:
            self._tree.too_deep = True
            return
        if part.encoding not in ("", "7bit", "8bit", "binary"):
            self._malformed("encoded-message", part)
            return
        inner, _ = self._entity(part.body, part.end, part.number or "1", "text/plain")
        inner.embedded = True
        part.children.append(inner)
        self._note_header(inner)
        self._descend(inner, f"{inner.number}.", depth + 1)
        if not inner.children:
            inner.number = f"{inner.number}.1"

    def _multipart(self, part: Part, prefix: str, depth: int) -> None:
        boundary = part.type.get("boundary")
        if not boundary or len(boundary) > 200:
            self._malformed("no-boundary", part)
            return
        if depth >= self._limits.depth:
            self._tree.too_deep = True
            return
        if part.encoding in ("base64", "quoted-printable"):
            self._malformed("encoded-multipart", part)
        if sum(key == "boundary" or key.startswith("boundary*") for key, _ in part.type.pairs) > 1:
            self._malformed("two-boundaries", part)
        default = "message/rfc822" if part.type.token == "multipart/digest" else "text/plain"
        for index, (start, end) in enumerate(self._ranges(part, boundary.encode("utf-8", "replace")), 1):
            if self._count >= self._limits.parts:
                self._tree.too_many = True
                break
            self._count += 1
            child, long_header = self._entity(start, end, f"{prefix}{index}", default)
            self._tree.long_header |= long_header
            part.children.append(child)
            self._note_header(child)
            self._descend(child, f"{child.number}.", depth + 1)

    def _ranges(self, part: Part, boundary: bytes) -> Iterator[tuple[int, int]]:
        """Yield (start, end) of each part between the delimiter lines of a multipart."""
        begin = -1
        for line, after, closing in self._delimiters(part, boundary):
            if begin >= 0:
                yield begin, max(begin, self._before_line(line))
            if closing:
                if self._source.find(b"\n--" + boundary, max(after - 1, 0), part.end) >= 0:
                    self._malformed("delimiter-after-end", part)
                return
            begin = after
        self._malformed("truncated" if begin >= 0 else "no-delimiter", part)
        if begin >= 0:
            yield begin, part.end

    def _delimiters(self, part: Part, boundary: bytes) -> Iterator[tuple[int, int, bool]]:
        """Yield (offset of the line, offset behind it, whether it closes) for each delimiter line in a part's body."""
        needle = b"\n--" + boundary
        for found in self._source.find_all(needle, max(part.body - 1, 0), part.end):
            position = found + len(needle)
            tail = self._source.read(position, min(part.end, position + 256))
            match = _TAIL.match(tail)
            if match is not None:
                yield found + 1, position + match.end(), match.group(1) is not None

    def _before_line(self, line: int) -> int:
        """Return where the content before a delimiter line ends: its CRLF (or LF) belongs to the delimiter."""
        before = self._source.read(max(line - 2, 0), line)
        return line - (2 if before == b"\r\n" else 1)
