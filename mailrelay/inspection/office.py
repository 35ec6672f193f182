"""Active content in office files: macros, remote templates, embedded programs (OOXML, OLE, RTF, OpenDocument). In the worker only.

The packages are read by their lists and relationships; nothing is executed or decrypted.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import IO

from mailrelay.inspection import names, office_text, old_office, zip_layout
from mailrelay.inspection.filing import decode_to_file
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.marks import secrecy_of_text
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.document import Secrecy
from mailrelay.model.finding import Check, Finding, Verdict

_PLAIN = frozenset(("docx", "dotx", "xlsx", "xltx", "pptx", "ppsx", "potx", "odt", "ods", "odp", "rtf", "xml"))
_MOST_XML = 8 * 1024 * 1024
_STEP = 1024 * 1024
_SIGNED = "signed"  # not a slug: the package bears XML signatures, which are told as such and not verified

_RELATION = re.compile(
    rb"<(?:[\w.-]{1,40}:)?Relationship\b(?:[^<>\"']|\"[^\"<]{0,4000}+\"|'[^'<]{0,4000}+')*+>", re.IGNORECASE
)
_NUMBERED = re.compile(rb"&#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}));")
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
_REMOTE = re.compile(rb"attachedTemplate|/frame|/subDocument|oleObject|externalLink", re.IGNORECASE)
_DDE = re.compile(rb"DDEAUTO|\bDDE\b[\s\S]{0,40}?(?:cmd|powershell|mshta|excel)|<ddeLink", re.IGNORECASE)
_INSTRUCTION = re.compile(rb"<w:instrText\b[^<>]{0,200}>([^<]{0,2000})|\bw:instr=\"([^\"]{0,2000})", re.IGNORECASE)
_TEXTS = (
    "word/document",
    "word/header",
    "word/footer",
    "word/footnotes",
    "word/endnotes",
    "word/comments",
    "xl/externallinks",
)
_TYPED = re.compile(rb"<(?:\w{1,20}:)?(?:override|default)\b[^<>]{0,2000}>")
_FIELDS = re.compile(
    rb"\.main\+xml|wordprocessingml\.(?:header|footer|footnotes|endnotes|comments)\+xml|externallink\+xml"
)
_PLACED = re.compile(rb"\b(partname|extension)\s*=\s*[\"']([^\"'<>]{1,500})[\"']")
_MOST_LIST = 1024 * 1024
_QUOTED = re.compile(rb"\bQUOTE(?:\s+\d{2,3}){4}", re.IGNORECASE)
_MOST_PROJECT = 32 * 1024 * 1024
_RTF = (
    (rb"\objautlink", "active-content"),
    (rb"\objupdate", "active-content"),
    (b"DDEAUTO", "active-content"),
    (rb"\objdata", "active-content"),
    (rb"\objocx", "active-content"),
    (rb"\*\template", "remote-template"),
)
VERDICTS = {
    "macros": Verdict.POLICY,
    "macros-hidden": Verdict.FAIL,
    "macros-damaged": Verdict.FAIL,
    "excel4-macros": Verdict.FAIL,
    "remote-template": Verdict.FAIL,
    "active-content": Verdict.POLICY,
    "encrypted": Verdict.POLICY,
    "damaged": Verdict.POLICY,
    "too-big": Verdict.POLICY,
}


ACTIVE = frozenset(VERDICTS) - {"encrypted", "damaged", "too-big"}


def check(job: Job, source: Source, limits: Limits) -> list[Finding]:
    """Look into one office file."""
    file = decode_to_file(job, source, limits.file)
    if file is None:
        return [_note(job, "too-big")]
    with file:
        slugs, mark = read(file, job.name, limits)
    findings = [_note(job, slug) for slug in slugs if slug != _SIGNED]
    if _SIGNED in slugs:
        findings.insert(0, note(Check.OOXML, Verdict.NEUTRAL, "not-verified", job.name, part=job.part))
    if mark is not Secrecy.NONE:
        findings.append(secret(mark, job.name, job.part))
    return findings


def secret(mark: Secrecy, name: str, part: str) -> Finding:
    """The finding of a secrecy mark in a file."""
    return note(Check.SECRECY, Verdict.FAIL, mark.value.replace("_", "-"), name, part=part)


def read(file: IO[bytes], name: str, limits: Limits) -> tuple[list[str], Secrecy]:
    """The slugs of what is in an office file, and the secrecy mark on its face. Raises nothing for what the file holds."""
    head = file.read(512)
    file.seek(0)
    try:
        found = list(dict.fromkeys(_slugs(file, head, limits)))
    except MemoryError:
        raise
    except Exception as fault:  # zipfile alone raises eight kinds on foul directories, IndexError among them
        return ["encrypted" if "ncrypt" in str(fault) else "damaged"], Secrecy.NONE
    mark = Secrecy.NONE
    try:
        mark = secrecy_of_text(office_text.face(file))
    except MemoryError:
        raise
    except Exception:  # what was found above stays found
        found = found or ["damaged"]
    if "macros" in found and names.extension(name) in _PLAIN:
        found[found.index("macros")] = "macros-hidden"
    return found, mark


def _note(job: Job, slug: str) -> Finding:
    return note(Check.MACRO, VERDICTS[slug], slug, job.name, part=job.part)


def _slugs(file: IO[bytes], head: bytes, limits: Limits) -> Iterator[str]:
    if head.startswith(old_office.SIGNATURE):
        yield from old_office.slugs(file)
    elif head.startswith(b"PK"):
        with zipfile.ZipFile(file) as package:
            yield from _package(package, limits)
            if zip_layout.unlisted(file, package):
                yield "damaged"  # other readers may open another document
    elif head.lstrip().startswith(b"{\\rt"):
        yield from _marks(file, _RTF)
    elif head.startswith(b"ID;"):  # SYLK, a text form of sheets that Excel opens by its content
        yield from _marks(file, ((b"\nO;E", "excel4-macros"), (b"EXEC(", "excel4-macros"), (b"CALL(", "excel4-macros")))
    elif b"<?mso-application" in head or b"schemas.microsoft.com/office/word/2003" in head:
        yield from _marks(file, ((b"w:binData", "macros"), (b"editdata.mso", "macros")))


def _marks(file: IO[bytes], marks: tuple[tuple[bytes, str], ...]) -> Iterator[str]:
    """Yield what is meant by the marks that stand anywhere in a file, read in steps."""
    overlap = max(len(mark) for mark, _ in marks)
    rest = b""
    while block := file.read(_STEP):
        block = rest + block
        for mark, slug in marks:
            if mark in block:
                yield slug
        rest = block[-overlap:]


def _package(package: zipfile.ZipFile, limits: Limits) -> Iterator[str]:
    members = package.infolist()
    if len(members) > 5 * limits.archive_members:
        yield "too-big"
        del members[5 * limits.archive_members :]
    lowered = [member.filename.lower().replace("\\", "/") for member in members]
    yield from _by_names(lowered)
    yield from _projects(package, members, lowered)
    room = _MOST_XML
    named, endings = _by_type(package, members, lowered)
    for member, name in zip(members, lowered, strict=True):
        is_list = name.endswith(".rels") or name == "[content_types].xml"
        if not is_list and not name.startswith(_TEXTS) and name not in named and not name.endswith(endings):
            continue
        with package.open(member) as stream:
            data = _readable(stream.read(room))
        room -= len(data)
        yield from _relations(data) if is_list else ("active-content",) * _has_dde(data)
        if room <= 0:
            yield "too-big"
            return


def _readable(data: bytes) -> bytes:
    """XML in one encoding, with numbered letters spelt out: both are other ways to write the same words."""
    if data.startswith(_WIDE):
        order = "utf-16" if data[0] > 0xF0 else "utf-16-le" if data[0] else "utf-16-be"
        data = data.decode(order, "replace").encode("utf-8", "replace")
    return _NUMBERED.sub(_letter, data) if b"&#" in data else data


def _letter(match: re.Match[bytes]) -> bytes:
    number = int(match[1], 16) if match[1] else int(match[2])
    return chr(number).encode("utf-8", "replace") if number < 0x110000 else b""


def _by_type(
    package: zipfile.ZipFile, members: list[zipfile.ZipInfo], lowered: list[str]
) -> tuple[frozenset[str], tuple[str, ...]]:
    """The parts that hold fields by the list of types, whatever they are called: their names, and the endings of such names."""
    data = b""
    for member, name in zip(members, lowered, strict=True):
        if name == "[content_types].xml" and len(data) < _MOST_XML:
            with package.open(member) as stream:
                data += stream.read(_MOST_LIST)
    named: set[str] = set()
    endings: set[str] = set()
    for match in _TYPED.finditer(_readable(data).lower()):
        if _FIELDS.search(match.group()) is None:
            continue
        for kind, value in _PLACED.findall(match.group()):
            text = value.decode("utf-8", "replace")
            (named if kind == b"partname" else endings).add(text.lstrip("/") if kind == b"partname" else f".{text}")
    return frozenset(named), tuple(endings)


def _has_dde(data: bytes) -> bool:
    """A field that starts another program; its name may be cut over several runs, or written in numbers."""
    fields = b"".join(run + simple for run, simple in _INSTRUCTION.findall(data))
    return bool(_DDE.search(data) or _DDE.search(fields) or _QUOTED.search(fields))


def _projects(package: zipfile.ZipFile, members: list[zipfile.ZipInfo], lowered: list[str]) -> Iterator[str]:
    """What the VBA projects are; one that cannot be followed is worse than one that can."""
    for member, name in zip(members, lowered, strict=True):
        if name.endswith("vbaproject.bin"):
            with package.open(member) as stream:
                yield old_office.project(io.BytesIO(stream.read(_MOST_PROJECT)))


def _by_names(lowered: list[str]) -> Iterator[str]:
    for name in lowered:
        if name.startswith("_xmlsignatures/") and name.endswith(".xml"):
            yield _SIGNED
        elif name.startswith("xl/macrosheets/"):
            yield "excel4-macros"
        elif name.startswith(("basic/", "scripts/")):
            yield "macros"
        elif "/activex/" in name or (
            name.startswith(("word/embeddings/", "xl/embeddings/", "ppt/embeddings/")) and name.endswith(".bin")
        ):
            yield "active-content"


def _relations(data: bytes) -> Iterator[str]:
    lowered = data.lower()
    if b"macroenabled" in lowered:
        yield "macros"
    if b"macrosheet" in lowered:  # the type of the part or of the relation to it, whatever the part is called
        yield "excel4-macros"
    for match in _RELATION.finditer(data):
        relation = match.group()
        if b"external" not in relation.lower() or not _REMOTE.search(relation):
            continue
        yield "remote-template" if b"attachedtemplate" in relation.lower() else "active-content"
