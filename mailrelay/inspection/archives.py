"""What lies inside archives: listed within limits, never unpacked to disk, never under a sender's name. In the worker only.

ZIP by the standard library, because its directory tells count, sizes and encryption at once; all else by libarchive.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import libarchive

from mailrelay.inspection import enclosed, members, names, office, tnef, zip_layout
from mailrelay.inspection.filing import decode_to_file
from mailrelay.inspection.jobs import MAILS, OFFICE, Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.marks import highest, secrecy_of_name
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.document import Secrecy
from mailrelay.model.finding import Check, Finding, Verdict

_HEAD = 512
_BLOCK = 64 * 1024
_SMALL = 8 * 1024 * 1024  # nothing that unpacks to less is called a bomb
_ARCHIVES = "zip rar 7z tar gz tgz bz2 tbz2 xz txz lzma zst cab lzh lha jar war eml"
_NESTED = frozenset(_ARCHIVES.split())
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe", b"#!")
_PACKED = (
    b"PK\x03\x04",
    b"Rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c",
    b"\x1f\x8b\x08",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"MSCF",
    tnef.SIGNATURE,
)

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00\x00", b"\x28\xb5\x2f\xfd", b"\x1f\x9d")

_VERDICTS = {
    "dangerous-member": Verdict.FAIL,
    "active-member": Verdict.POLICY,
    "ratio": Verdict.FAIL,
    "too-many": Verdict.POLICY,
    "too-big": Verdict.POLICY,
    "nested": Verdict.POLICY,
    "encrypted": Verdict.POLICY,
    "damaged": Verdict.POLICY,
}


@dataclass(slots=True)
class _Tally:
    """What was found in one attachment, over all archives in it. `slugs` maps each to the members that gave it."""

    limits: Limits
    size: int
    members: int = 0
    unpacked: int = 0
    slugs: dict[str, list[str]] = field(default_factory=dict)
    mark: Secrecy = Secrecy.NONE

    def found(self, slug: str, member: str = "") -> None:
        members = self.slugs.setdefault(slug, [])
        if member and len(members) < 10:
            members.append(names.shown(member))

    def count(self, size: int) -> bool:
        """Count one member; False when the limits are reached and no more may be looked at."""
        self.members += 1
        self.unpacked += max(size, 0)
        if self.members > self.limits.archive_members:
            self.found("too-many")
            return False
        return self.within()

    def within(self) -> bool:
        if self.unpacked > _SMALL and self.unpacked > self.size * self.limits.archive_ratio:
            self.found("ratio")
            return False
        if self.unpacked > self.limits.archive_bytes:
            self.found("too-big")
            return False
        return True


def check(job: Job, source: Source, limits: Limits) -> list[Finding]:
    """Look into one archive and the archives in it."""
    file = decode_to_file(job, source, limits.file)
    if file is None:
        return [note(Check.ARCHIVE, _VERDICTS["too-big"], "too-big", job.name, part=job.part)]
    tally = _Tally(limits, max(job.size, 1))
    with file:
        _look(file, tally, job.name, 1, mail=any(kind in MAILS for kind in (job.type, job.declared)))
    facts: dict[str, Any] = {"part": job.part, "members": tally.members, "unpacked": tally.unpacked}
    marked = [office.secret(tally.mark, job.name, job.part)] if tally.mark is not Secrecy.NONE else []
    return [
        *(
            note(Check.ARCHIVE, _VERDICTS[slug], slug, job.name, **facts, found=found)
            for slug, found in tally.slugs.items()
        ),
        *marked,
    ]


def _look(file: IO[bytes], tally: _Tally, name: str, depth: int, *, mail: bool = False) -> None:
    if depth > tally.limits.archive_depth:
        tally.found("nested", name)
        return
    try:
        if _is_zip(file):
            _look_into_zip(file, tally, depth)
        elif _starts_with(file, tnef.SIGNATURE):
            _look_into_files(tnef.files(file.read()), tally, depth)
        elif names.extension(name) == "eml" or mail:
            _look_into_files(enclosed.files(file.read(), tally.limits), tally, depth)
        else:
            _look_into_other(file, tally, name, depth)
    except MemoryError:
        raise
    except Exception as fault:  # zipfile alone raises eight kinds on foul directories, IndexError among them
        text = str(fault).lower()
        tally.found("encrypted" if "encrypt" in text or "passphrase" in text else "damaged", name)


def _is_zip(file: IO[bytes]) -> bool:
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    return head[:2] == b"PK" or zipfile.is_zipfile(file)


def _starts_with(file: IO[bytes], mark: bytes) -> bool:
    file.seek(0)
    head = file.read(len(mark))
    file.seek(0)
    return head == mark


def _look_into_files(files: Iterable[tuple[str, bytes]], tally: _Tally, depth: int) -> None:
    """What a mail that is a file holds, or what Outlook packs so that no other reader shows it (winmail.dat)."""
    for name, data in files:
        if not tally.count(len(data)):
            return
        _judge_name(name, tally)
        _judge_member(data[:_HEAD], name, io.BytesIO(data[_HEAD:]), len(data), tally, depth)


def _look_into_zip(file: IO[bytes], tally: _Tally, depth: int) -> None:
    if _announced(file) > 50 * tally.limits.archive_members:
        tally.found("too-many")  # not even the directory is read
        return
    with zipfile.ZipFile(file) as archive:
        if not archive.infolist() and tally.size > 1024:
            tally.found("damaged")  # bytes, but no directory of them
        for name in zip_layout.unlisted(file, archive):
            tally.found("damaged", name)
            _judge_name(name, tally)
        for info in archive.infolist():
            if not tally.count(info.file_size):
                return
            _judge_name(info.filename, tally)
            if info.is_dir():
                continue
            if info.flag_bits & 0x1:
                tally.found("encrypted", info.filename)
                continue
            with archive.open(info) as member:
                if stat.S_ISLNK(info.external_attr >> 16):
                    _judge_link(info.filename, member.read(_HEAD).decode("utf-8", "replace"), tally)
                    continue
                _judge_member(member.read(_HEAD), info.filename, member, info.file_size, tally, depth)


def _announced(file: IO[bytes]) -> int:
    """The number of members that the end record of a ZIP file announces."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 66_000))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    return int(struct.unpack_from("<H", tail, end + 10)[0]) if 0 <= end <= len(tail) - 12 else 0


def _judge_name(name: str, tally: _Tally) -> None:
    tally.mark = highest((tally.mark, secrecy_of_name(names.bare(name))))
    tricks = [slug for slug, verdict in names.tricks(names.bare(name)) if verdict is Verdict.FAIL]
    if tricks or _leads_out(name):
        tally.found("dangerous-member", name)


def _leads_out(path: str) -> bool:
    outside = ".." in path.replace("\\", "/").split("/") or path.startswith(("/", "\\"))
    return outside or (len(path) > 1 and path[1] == ":")


def _judge_link(name: str, target: str, tally: _Tally) -> None:
    """A link out of the folder that is unpacked into: what is unpacked behind it is written elsewhere."""
    if _leads_out(target):
        tally.found("dangerous-member", name)


def _judge_member(head: bytes, name: str, rest: Any, size: int, tally: _Tally, depth: int) -> None:
    """Judge a member by its first bytes; an archive inside is looked into."""
    if head.startswith(_PROGRAMS) and (head[:2] != b"MZ" or len(head) > 64):
        tally.found("dangerous-member", name)
    if names.extension(name) in _NESTED or head.startswith(_PACKED):
        if depth >= tally.limits.archive_depth:
            tally.found("nested", name)
            return
        inner = _bounded(head, rest, min(max(size, _SMALL), tally.limits.file), tally)
        if inner is not None and not _judge_paper(head, inner.getvalue(), name, tally):
            _look(inner, tally, name, depth + 1)
    elif members.is_paper(head, name) and size <= members.MOST:
        paper = _bounded(head, rest, members.MOST, tally)
        if paper is not None:
            _judge_paper(head, paper.getvalue(), name, tally)


def _judge_paper(head: bytes, data: bytes, name: str, tally: _Tally) -> bool:
    """Look at a paper in the archive; False for what is none."""
    if not members.is_paper(head, name):
        return False
    slug, mark = members.look(data, name, tally.limits)
    if slug:
        tally.found(slug, name)
    tally.mark = highest((tally.mark, mark))
    return names.extension(name) in OFFICE


def _bounded(head: bytes, rest: Any, most: int, tally: _Tally) -> io.BytesIO | None:
    data = bytearray(head)
    while block := rest.read(_BLOCK):
        data += block
        if len(data) > most:
            tally.found("too-big")
            return None
    return io.BytesIO(bytes(data))


class _Blocks:
    """A member of a libarchive archive as something that can be read."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            block = next(self._blocks, b"")
            if not block:
                break
            self._rest += block
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def _look_into_other(file: IO[bytes], tally: _Tally, name: str, depth: int) -> None:
    """RAR, 7z, tar, cab and the like; what is only compressed (gz, bz2, xz) has one member without a name."""
    file.seek(0)
    data = file.read()
    compressed = data.startswith(_COMPRESSED)
    before = tally.members
    try:
        _entries(data, "all", tally, name, depth)
    except libarchive.ArchiveError:
        if not compressed:
            raise
    if compressed and tally.members == before:  # compressed, but no archive inside
        _entries(data, "raw", tally, name, depth)


def _entries(data: bytes, form: str, tally: _Tally, name: str, depth: int) -> None:
    with libarchive.memory_reader(data, format_name=form) as archive:
        for entry in archive:
            member = name.rpartition(".")[0] if form == "raw" else str(entry.pathname or "")
            announced = int(entry.size or 0)
            if not tally.count(announced):
                return
            _judge_name(member, tally)
            if entry.issym or entry.islnk:
                _judge_link(member, str(entry.linkpath or ""), tally)
            elif not entry.isfile and not entry.isdir:
                tally.found("dangerous-member", member)  # a device or the like
            if not entry.isfile:
                continue
            blocks = _Blocks(iter(entry.get_blocks(_BLOCK)))
            head = blocks.read(_HEAD)
            if form == "raw" and head == data[:_HEAD]:
                tally.found("damaged", name)  # libarchive took it for what it is: not compressed at all
                return
            _judge_member(head, member, blocks, announced, tally, depth)
            if not announced and not _drained(blocks, tally):
                return


def _drained(blocks: _Blocks, tally: _Tally) -> bool:
    """Count the bytes of a member that did not tell its size."""
    while block := blocks.read(_BLOCK):
        tally.unpacked += len(block)
        if not tally.within():
            return False
    return True
