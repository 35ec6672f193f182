"""What a mail says: the Content value and the attachment manifest, made from the MIME tree. Structure findings on the way."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailrelay.inspection import addresses, concealment, html, names
from mailrelay.inspection.decoding import decoder
from mailrelay.inspection.fields import Block, Field, decode, decode_bytes, tidy
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.mime import Part, Tree
from mailrelay.inspection.source import Source
from mailrelay.model.message import Address, Attachment, Content

_NOISE = frozenset(
    ("received", "authentication-results", "dkim-signature", "domainkey-signature", "x-google-dkim-signature")
)
_MOST_FIELDS = 200
_MOST_SUBJECTS = 50  # of attached mails
_MOST_HIDDEN = 20  # parts with hidden text
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,990}>")
_SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))
_SEALED = frozenset(("multipart/signed", "application/pkcs7-mime", "application/x-pkcs7-mime"))
_COMMENT = re.compile(rb"\([^()]*\)")


@dataclass(frozen=True, slots=True)
class File:
    """An attachment with what its checks need: where it lies in the mail, and its first and last bytes."""

    attachment: Attachment
    part: Part
    head: bytes
    tail: bytes


@dataclass(frozen=True, slots=True)
class Hidden:
    """Text in a part that a reader does not see, or not as it stands, and the ways in which it is hidden."""

    part: str
    ways: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All that one pass over a mail gave. `broken` names parts whose transfer encoding was foul.

    `concealed` says how the HTML of a signed mail hides or loads something (`concealment`); of others it is not asked.
    """

    content: Content
    files: tuple[File, ...]
    broken: tuple[str, ...]
    more_files: bool
    concealed: frozenset[str] = frozenset()
    hidden: tuple[Hidden, ...] = ()


def read(source: Source, tree: Tree, limits: Limits, authserv_id: str, type_of: Callable[[bytes], str]) -> Reading:
    """Make the Content of a mail. `type_of` tells a MIME type by the first bytes of a file."""
    body = _Body(source, limits, type_of)
    body.collect(tree)
    return Reading(
        content=_content(tree.top.block, body, _digest(source, tree.top.body), limits, authserv_id),
        files=tuple(body.files),
        broken=tuple(body.broken),
        more_files=body.more_files,
        concealed=frozenset(body.concealed),
        hidden=tuple(body.hidden),
    )


def _content(block: Block, body: _Body, digest: str, limits: Limits, authserv_id: str) -> Content:
    """What the header tells, and the body that was gathered."""
    shown = [field for field in block.fields if field.name not in _NOISE][:_MOST_FIELDS]
    fields = tuple((field.name, decode(field.value, limits.field_value)) for field in shown)
    values = dict(reversed(fields))  # the first of each name

    def value(name: str) -> str:
        if name in values or len(shown) < _MOST_FIELDS:
            return values.get(name, "")
        field = block.first(name)
        return decode(field.value, limits.field_value) if field else ""

    identity = _MESSAGE_ID.search(value("message-id"))
    return Content(
        subject=value("subject"),
        senders=_mailboxes(block.all("from"), limits.addresses),
        to=_mailboxes([*block.all("to"), *block.all("cc")], limits.addresses),
        date=value("date"),
        message_id=identity.group() if identity else "",
        in_reply_to=tuple(_MESSAGE_ID.findall(value("in-reply-to"))[:20]),
        references=tuple(_MESSAGE_ID.findall(value("references"))[:100]),
        fields=fields,
        text=body.text(),
        attachments=tuple(file.attachment for file in body.files),
        body_sha256=digest,
        received_count=len(block.all("received")),
        own_results=tuple((f.start, f.end) for f in block.all("authentication-results") if _is_ours(f, authserv_id)),
        inner_subjects=tuple(body.inner_subjects),
        inner_text=body.inner_text(),
    )


def _mailboxes(fields: Sequence[Field], most: int) -> tuple[Address, ...]:
    found: list[Address] = []
    for field in fields:
        found.extend(addresses.mailboxes(field.value, most - len(found)))
        if len(found) >= most:
            break
    return tuple(found)


def _is_ours(field: Field, authserv_id: str) -> bool:
    """Tell whether an Authentication-Results field bears our id (RFC 8601 section 2.2: id, then an optional version)."""
    value = field.value[:2000]
    for _ in range(5):
        value = _COMMENT.sub(b" ", value)
    words = value.partition(b";")[0].split()
    return bool(words) and words[0].strip(b'"').lower() == authserv_id.lower().encode()


def _digest(source: Source, start: int) -> str:
    digest = hashlib.sha256()
    for block in source.steps(start, source.size):
        digest.update(block)
    return digest.hexdigest()


class _Body:
    """Gathers readable text and files while going over the leaves once."""

    def __init__(self, source: Source, limits: Limits, type_of: Callable[[bytes], str]) -> None:
        self._source = source
        self._limits = limits
        self._type_of = type_of
        self._plain: list[str] = []
        self._html: list[str] = []
        self._inner: list[str] = []
        self.inner_subjects: list[str] = []
        self.files: list[File] = []
        self.broken: list[str] = []
        self.more_files = False
        self.concealed: set[str] = set()
        self._sealed = False
        self.hidden: list[Hidden] = []

    def text(self) -> str:
        return "\n".join(self._plain or self._html)[: self._limits.text]

    def inner_text(self) -> str:
        """What `text` leaves out: attached mails and text files, and the HTML beside plain text."""
        return "\n".join([*self._inner, *(self._html if self._plain else ())])[: 2 * self._limits.text]

    def collect(self, tree: Tree) -> None:
        inside: set[int] = set()  # ids of parts that lie in an attached message: their text is not the mail's
        signatures = _signature_parts(tree)
        self._sealed = tree.top.type.token in _SEALED
        for part in tree.parts:
            hidden = id(part) in inside
            if hidden or part.type.token.startswith("message/"):
                inside.update(id(child) for child in part.children)
            if part.embedded:
                self._take_subject(part)
            if part.is_multipart or id(part) in signatures or (part.embedded and part.children):
                continue
            is_html = part.type.token == "text/html"
            if not _is_text(part):
                self._take_file(part)
            elif hidden:
                self._take_text(part, self._inner, is_html=is_html)
            else:
                self._take_text(part, self._html if is_html else self._plain, is_html=is_html)

    def _take_subject(self, part: Part) -> None:
        subject = part.block.first("subject")
        if subject and len(self.inner_subjects) < _MOST_SUBJECTS:
            self.inner_subjects.append(decode(subject.value, self._limits.field_value))

    def _take_text(self, part: Part, target: list[str], *, is_html: bool) -> None:
        full = sum(map(len, target)) >= self._limits.text
        if full and target is self._inner:
            return
        by = decoder(part.encoding)
        data = bytearray()
        for block in part.content(self._source, by):
            data += block
            if len(data) >= self._limits.html:
                break
        if by.broken and part.number not in self.broken:
            self.broken.append(part.number)
        text = decode_bytes(bytes(data[: self._limits.html]), _marked(data) or part.type.get("charset")).removeprefix(
            "\ufeff"
        )
        if is_html and self._sealed and target is self._html:
            self.concealed |= concealment.find(text) | ({"too-long"} if len(data) >= self._limits.html else set())
        text = self._seen(part, text) if is_html else text.replace("\r\n", "\n")
        if not is_html and html.split_words(text):
            self.hidden.append(Hidden(part.number, ("zero-width",), ""))
        if text.strip() and not full:
            text = text[: self._limits.text]
            target.append(tidy(text) if is_html else text)  # what was decoded is tidy, what HTML spells out may not be

    def _seen(self, part: Part, source: str) -> str:
        """What a reader sees of HTML. The rest is no text of this mail, but may bear a secrecy mark like any other."""
        shown = html.read(source)
        if shown.ways and len(self.hidden) < _MOST_HIDDEN:
            self.hidden.append(Hidden(part.number, shown.ways, tidy(shown.hidden[:200])))
        if shown.hidden:
            self._inner.append(tidy(shown.hidden))
        return shown.text

    def _take_file(self, part: Part) -> None:
        if len(self.files) >= self._limits.attachments:
            self.more_files = True
            return
        by = decoder(part.encoding)
        digest = hashlib.sha256()
        head = b""
        tail = b""
        size = 0
        for block in part.content(self._source, by):
            digest.update(block)
            size += len(block)
            if len(head) < self._limits.magic:
                head = (head + block)[: self._limits.magic]
            tail = block[-1024:] if len(block) >= 1024 else (tail + block)[-1024:]
        if by.broken:
            self.broken.append(part.number)
        preferred, variants = names.named(part)
        attachment = Attachment(
            name=names.shown(preferred),
            names=tuple(variants),
            declared=part.type.token,
            type=self._type_of(head) if size else "inode/x-empty",
            size=size,
            sha256=digest.hexdigest(),
            part=part.number,
        )
        self.files.append(File(attachment, part, head, tail))
        if attachment.type.startswith("text/"):
            self._take_text(part, self._inner, is_html=_is_html(attachment))


def _marked(data: bytearray) -> str:
    """The character set that a byte order mark tells; browsers believe it more than what was declared."""
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf-8"
    return "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ""


def _is_text(part: Part) -> bool:
    """A part that a reader shows as the text of the mail."""
    if part.type.token not in ("text/plain", "text/html") or part.disposition.token == "attachment":
        return False
    return not names.variants(part)


def _is_html(file: Attachment) -> bool:
    """Whether a reader shows a text file as HTML, by any of what it goes by."""
    return "html" in file.type or "html" in file.declared or file.name.lower().endswith((".htm", ".html"))


def _signature_parts(tree: Tree) -> set[int]:
    """The second parts of multipart/signed: no files for a reader."""
    return {
        id(part.children[1])
        for part in tree.parts
        if part.type.token == "multipart/signed" and len(part.children) == 2 and is_signature(part.children[1])
    }


def is_signature(part: Part) -> bool:
    """Whether a part is a detached signature by its own type: no reader shows it."""
    return part.type.token in _SIGNATURES
