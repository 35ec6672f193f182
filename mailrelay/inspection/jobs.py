"""What is to be looked into beyond the first reading: one job for each signature block, PDF file, archive, office file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, get_type_hints

from mailrelay.inspection import cleartext, names, scope, tnef
from mailrelay.inspection.content import File, Reading
from mailrelay.inspection.decoding import decoded, decoder
from mailrelay.inspection.mime import Part, Tree
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check

_KINDS = {
    "openpgp": Check.OPENPGP,
    "openpgp-inline": Check.OPENPGP,
    "smime": Check.SMIME,
    "smime-opaque": Check.SMIME,
    "pdf": Check.PDF,
    "pdf-active": Check.PDF_ACTIVE,
    "xml": Check.XML,
    "archive": Check.ARCHIVE,
    "office": Check.MACRO,
}
_MOST_INLINE = 3  # texts with a signature inside that are judged
_PACKED = "zip rar 7z tar gz tgz bz2 tbz2 xz txz lzma zst cab lzh lha arj ace cpio z ar xar war ear eml"
_PAPERS = (
    "doc docx docm dot dotx dotm xls xlsx xlsm xlsb xlt xltx xltm xla xlam ppt pptx pptm pps ppsx ppsm pot potx potm rtf odt ods "
    "odp vsd vsdx vsdm pub mpp xml mht mhtml slk"
)
_ARCHIVES = frozenset(_PACKED.split())
OFFICE = frozenset(_PAPERS.split())
_ARCHIVE_TYPES = (
    *(
        "application/zip",
        "application/x-zip",
        "application/x-rar",
        "application/vnd.rar",
        "application/x-7z",
        "application/x-tar",
    ),
    *("application/gzip", "application/x-gzip", "application/x-bzip2", "application/x-xz", "application/x-lzma"),
    *("application/zstd", "application/x-zstd", "application/vnd.ms-cab", "application/x-lzh", "application/x-lha"),
    *("application/x-arj", "application/x-cpio", "application/x-archive", "application/x-xar"),
)
MAILS = frozenset(
    ("message/rfc822", "message/global")
)  # as files: an attached mail that is encoded, or goes by another type
_XML_TYPES = frozenset(("text/xml", "application/xml"))
_OFFICE_TYPES = (
    *(
        "application/msword",
        "application/vnd.ms-",
        "application/vnd.openxmlformats",
        "application/vnd.oasis",
        "application/cdfv2",
    ),
    *("application/x-ole", "text/rtf", "application/rtf", "application/encrypted"),
)


class Job(NamedTuple):  # cheap to make on both sides of the socket, where it goes as the list that it is
    """`kind` chooses the check; the range and encoding tell where the file lies in the mail.

    For a signature block `start` to `end` is the signed part with its header, `signature_start` to `signature_end` the block
    (in `encoding`), and `reason` tells why the signed part is not all that the mail shows ("" when it is). For a text with a
    signature inside `type` is its character set.
    """

    kind: str
    part: str
    name: str
    start: int
    end: int
    encoding: str = ""
    type: str = ""
    declared: str = ""
    size: int = 0
    reason: str = ""
    signature_start: int = 0
    signature_end: int = 0
    wrap_start: int = 0  # the opaque S/MIME block in the mail whose content the other offsets are in
    wrap_end: int = 0
    wrap_encoding: str = ""

    @property
    def whole(self) -> bool:
        """Whether the signed part is all that the mail shows."""
        return not self.reason

    @property
    def check(self) -> Check:
        return _KINDS[self.kind]

    def as_json(self) -> list[Any]:
        """The values in order."""
        return list(self)

    @classmethod
    def from_json(cls, value: object) -> Job:
        """Raises ValueError on anything unexpected."""
        if not isinstance(value, list) or [*map(type, value)] != _TYPES or value[0] not in _KINDS:
            raise ValueError("not a job")
        return cls(*value)

    def blocks(self, source: Source) -> Iterator[bytes]:
        """Yield the decoded file in blocks; `source` is the mail, or what `opened` made of it."""
        return decoded(source.steps(self.start, self.end), decoder(self.encoding))


_TYPES = list(get_type_hints(Job).values())


def of(source: Source, tree: Tree, reading: Reading) -> list[Job]:
    """Return the jobs of one mail in the order of its parts."""
    jobs: list[Job] = []
    for part in tree.parts:
        kind = _signature_kind(part)
        if not kind:
            continue
        reason = scope.beyond(source, tree, reading, part)
        if kind == "smime-opaque":
            jobs.append(_placed(part, kind, reason))
        else:
            jobs.append(_signed(part, kind, reason))
    jobs += _inline(source, tree, reading)
    for file in reading.files:
        jobs += [_file(kind, file) for kind in _kinds(file)]
    return jobs


def _inline(source: Source, tree: Tree, reading: Reading) -> list[Job]:
    """One job for each shown text that bears a signature inside."""
    if cleartext.MARK.decode() not in reading.content.text:
        return []
    found: list[Job] = []
    attached = {id(file.part) for file in reading.files}
    for part in tree.parts:
        if part.children or part.type.token != "text/plain" or id(part) in attached:
            continue
        if any(cleartext.MARK in block for block in part.content(source)):
            delsp = "delsp" if part.type.get("delsp").strip().lower() == "yes" else ""
            place = _placed(part, "openpgp-inline", scope.beyond_inline(tree, reading, part))
            found.append(place._replace(type=part.type.get("charset"), declared=delsp))
        if len(found) >= _MOST_INLINE:
            break
    return found


def _signature_kind(part: Part) -> str:
    """multipart/signed by RFC 3156 or RFC 8551 with exactly the two parts it must have, or an opaque block."""
    if part.type.token in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return "smime-opaque"
    if part.type.token != "multipart/signed" or len(part.children) != 2:
        return ""
    said = {part.type.get("protocol").strip().lower(), part.children[1].type.token}
    if "application/pgp-signature" in said:
        return "openpgp"
    return "smime" if said & {"application/pkcs7-signature", "application/x-pkcs7-signature"} else ""


def _wrap(part: Part) -> dict[str, Any]:
    """Where the opaque block around a part lies."""
    outer = part.wrapper
    return (
        {"wrap_start": outer.body, "wrap_end": outer.end, "wrap_encoding": outer.encoding} if outer is not None else {}
    )


def _placed(part: Part, kind: str, reason: str) -> Job:
    return Job(kind, part.number or "1", "", part.body, part.end, part.encoding, reason=reason, **_wrap(part))


def _signed(part: Part, kind: str, reason: str) -> Job:
    content, block = part.children
    return Job(
        kind=kind,
        part=part.number or "1",
        name="",
        start=content.start,
        end=content.end,
        encoding=block.encoding,
        reason=reason,
        signature_start=block.body,
        signature_end=block.end,
        **_wrap(part),
    )


def _file(kind: str, file: File) -> Job:
    attachment, part = file.attachment, file.part
    return Job(
        kind,
        attachment.part,
        attachment.name,
        part.body,
        part.end,
        part.encoding,
        attachment.type,
        attachment.declared,
        attachment.size,
        **_wrap(part),
    )


def _begins_as_xml(head: bytes) -> bool:
    begin = head[:200].removeprefix(b"\xef\xbb\xbf").lstrip()
    return begin.startswith((b"<?xml", b"\xff\xfe<\x00", b"\xfe\xff\x00<"))


def _kinds(file: File) -> list[str]:
    """A file may be several things at once: an office document is a ZIP, a polyglot is what it claims and what it is."""
    kind = file.attachment.type
    extensions = {names.extension(name) for name in file.attachment.names}
    found = []
    if kind == "application/pdf" or b"%PDF-" in file.head[:1024] or ("pdf" in extensions and file.attachment.size):
        found += ["pdf", "pdf-active"]
    if kind in _XML_TYPES or "xml" in extensions or file.attachment.declared in _XML_TYPES or _begins_as_xml(file.head):
        found.append("xml")
    is_office = kind.startswith(_OFFICE_TYPES) or bool(extensions & OFFICE)
    if is_office:
        found.append("office")
    zipped = file.head.startswith(b"PK") or b"PK\x05\x06" in file.tail
    packed = file.head.startswith(tnef.SIGNATURE) or (zipped and not is_office)
    packed = packed or kind in MAILS or file.attachment.declared in MAILS
    if kind.startswith(_ARCHIVE_TYPES) or extensions & _ARCHIVES or packed:
        found.append("archive")
    return found
