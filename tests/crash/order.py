"""What must have been asked of the kernel, and answered, before a client hears 250: read from a recording of system calls.

No disk has to fail for it, and what a file system does by itself (ext4 keeps the name of a new file when its bytes are
synced) hides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CALLS = "openat,write,pwrite64,fsync,fdatasync,sendto"
_LINE = re.compile(r"^(\d+)\s+(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$")
_RESULT = re.compile(r"\)\s+= (-?\d+)")
_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")


@dataclass(slots=True)
class Call:
    """One system call: line numbers of its begin and of its end, the path that it is about, the text of its arguments."""

    name: str
    begun: int
    ended: int
    path: str
    text: str


def read_calls(recording: Path) -> list[Call]:
    """The calls that ended well, in the order in which they began."""
    calls: list[Call] = []
    waiting: dict[str, Call] = {}
    for number, line in enumerate(recording.read_text(errors="replace").splitlines()):
        found = _LINE.match(line)
        if found is None:
            continue
        pid, resumed, name, rest = found.groups()
        call = waiting.pop(pid, None) if resumed else Call(name, number, number, _path(name, rest), rest)
        if call is None:
            continue  # began before the recording
        if "<unfinished ...>" in rest:
            waiting[pid] = call
            continue
        result = _RESULT.search(rest)
        if result is not None and int(result[1]) >= 0:
            call.ended = number
            calls.append(call)
    return sorted(calls, key=lambda call: call.begun)


def _path(name: str, rest: str) -> str:
    found = re.search(r'"([^"]*)"', rest) if name == "openat" else _DESCRIPTOR.match(rest)
    return found[1] if found else ""


def broken_promises(calls: list[Call], mail_id: str, spool: Path, store: Path) -> list[str]:
    """What was missing when the 250 of this mail went out. Empty: bytes, name and rows were on the disk by then."""
    return list(_broken(calls, mail_id, spool, store))


def _broken(calls: list[Call], mail_id: str, spool: Path, store: Path) -> Iterator[str]:
    said = [call for call in calls if call.name == "sendto" and f"250 2.0.0 {mail_id}" in call.text]
    if not said:
        yield f"no 250 for {mail_id} in the recording"
        return
    before = [call for call in calls if call.ended < said[0].begun]
    file = next((call.path for call in before if call.name == "openat" and mail_id in call.path), "")
    made = _last(before, "openat", file, having="O_CREAT")
    written = _last(before, "write", file)
    synced = _first_after(before, "fsync", file, written)
    named = _first_after(before, "fsync", str(Path(file).parent), made)
    if not file.startswith(str(spool)) or made < 0 or written < 0:
        yield "the bytes were not written into a file of the spool"
    if synced < 0:
        yield "the file was not synced after its last byte"
    if named < 0:
        yield "its folder was not synced after its name was made"
    log = str(store) + "-wal"
    rows = _first_after(before, "pwrite64", log, max(synced, named, written))
    if rows < 0:
        yield "nothing was written to the store after the bytes were safe"
    elif all(_first_after(before, name, log, rows) < 0 for name in ("fdatasync", "fsync")):
        yield "the store's log was not synced after the rows were written"


def _last(calls: list[Call], name: str, path: str, having: str = "") -> int:
    return max((c.ended for c in calls if c.name == name and c.path == path and having in c.text), default=-1)


def _first_after(calls: list[Call], name: str, path: str, line: int) -> int:
    """The line at which the first call of this kind ended that began after a line; -1 for none."""
    if line < 0:
        return -1
    return min((c.ended for c in calls if c.name == name and c.path == path and c.begun > line), default=-1)
