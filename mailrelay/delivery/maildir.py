"""Final delivery into a Maildir: durable before it is reported, and never twice. Blocking; runs in the courier's threads."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from pathlib import Path

from mailrelay.delivery.content import blocks
from mailrelay.delivery.outcome import Trouble, of_success, of_trouble
from mailrelay.failpoint import failpoint
from mailrelay.model.dispatch import Outcome, Parcel, Result
from mailrelay.model.envelope import Recipient
from mailrelay.model.identity import milliseconds_of

_TROUBLES = {
    errno.ENOSPC: Trouble.NO_SPACE,
    errno.EDQUOT: Trouble.BOX_FULL,
    errno.EACCES: Trouble.NOT_PERMITTED,
    errno.EPERM: Trouble.NOT_PERMITTED,
    errno.EROFS: Trouble.NOT_PERMITTED,
}

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # an address never begins a header field of its own


class _Unreadable(Exception):
    """The stored mail, not the Maildir, is at fault."""


def put(folder: Path, parcel: Parcel, recipient: Recipient, hostname: str) -> Outcome:
    """Write one recipient's copy into the Maildir and sync it. DELIVERED, or DEFERRED for whatever the disk said.

    The file name is made of the mail id and the recipient: after a crash the same delivery finds its own file, also when a
    client has moved it to cur/ meanwhile, and leaves it.
    """
    name = file_name(parcel, recipient, hostname)
    try:
        _make(folder)
        if parcel.attempts != 1 and _is_there(folder, name):
            _sync_folder(folder / "cur")
        else:
            _write(folder, name, parcel, recipient)
        return _synced(folder, name, recipient.address)
    except _Unreadable as fault:
        return of_trouble(recipient.address, Trouble.NO_MAIL, detail=str(fault))
    except OSError as fault:
        trouble = _TROUBLES.get(fault.errno or 0, Trouble.BOX_FAULT)
        return of_trouble(recipient.address, trouble, detail=fault.strerror or "")


def file_name(parcel: Parcel, recipient: Recipient, hostname: str) -> str:
    """seconds.M<mail id>R<recipient>.host: the usual form of a Maildir name, the same for the same delivery."""
    mark = hashlib.sha256(recipient.address.encode()).hexdigest()[:12]
    host = re.sub(r"[^A-Za-z0-9.-]", "-", hostname) or "localhost"
    return f"{milliseconds_of(parcel.mail_id) // 1000}.M{parcel.mail_id}R{mark}.{host}"


def final_fields(sender: str, recipient: str) -> bytes:
    """Return-Path (RFC 5321 section 4.4: only at final delivery) and the address that the copy was delivered to."""
    return f"Return-Path: <{_CONTROL.sub('', sender)}>\r\nDelivered-To: {_CONTROL.sub('', recipient)}\r\n".encode()


def _make(folder: Path) -> None:
    """Create the Maildir and what is missing above it, mode 0700, each new name synced in its parent."""
    missing = [part for part in (folder / "tmp", folder / "new", folder / "cur") if not part.is_dir()]
    if not missing:
        return
    above = folder
    while not above.is_dir():
        missing.append(above)
        above = above.parent
    for part in sorted(missing, key=lambda path: len(path.parts)):
        with contextlib.suppress(FileExistsError):
            part.mkdir(mode=0o700)
        _sync_folder(part.parent)


def _is_there(folder: Path, name: str) -> bool:
    if (folder / "new" / name).exists():
        return True
    with os.scandir(folder / "cur") as entries:
        return any(entry.name.partition(":")[0] == name for entry in entries)


def _write(folder: Path, name: str, parcel: Parcel, recipient: Recipient) -> None:
    made = folder / "tmp" / name
    with contextlib.suppress(FileNotFoundError):
        made.unlink()  # left by a crash
    try:
        with open(made, "xb", buffering=0, opener=_private) as file:
            _fill(file.fileno(), parcel, recipient)
            os.fsync(file.fileno())
        failpoint("maildir.before-rename")
        made.rename(folder / "new" / name)
        failpoint("maildir.before-sync")
    except BaseException:
        with contextlib.suppress(OSError):
            made.unlink()
        raise


def _fill(descriptor: int, parcel: Parcel, recipient: Recipient) -> None:
    pieces = blocks(parcel.path, parcel.rendering, final_fields(parcel.sender, recipient.address))
    while True:
        try:
            piece = next(pieces, None)
        except OSError as fault:
            raise _Unreadable(fault.strerror or type(fault).__name__) from fault
        if piece is None:
            return
        view = memoryview(piece)
        while view:
            view = view[os.write(descriptor, view) :]


def _synced(folder: Path, name: str, recipient: str) -> Outcome:
    try:
        _sync_folder(folder / "new")
    except OSError:
        # A second fsync would report success for what the kernel has dropped: the next try must write anew.
        with contextlib.suppress(OSError):
            (folder / "new" / name).unlink()
        raise
    return of_success(recipient, Result.DELIVERED)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
