"""Which mails are being sent at this moment, in a small file that outlives the process. Who starts next learns what it died in.

Not synced to the disk: it need not outlive the machine, whose end is no mail's fault.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mailrelay.model.identity import MailId

_SLOT = 32  # a mail id has 26 characters
_FREE = b"\0" * _SLOT


class UnderWay:
    """`left` holds the mails that an earlier process of this folder was sending when it ended; None when that is not known."""

    def __init__(self, path: Path, slots: int = 512) -> None:
        """Raises OSError when the file cannot be opened. Its room is taken at once, for a full disk must not stop a sending."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        written = os.pread(self._file, os.fstat(self._file).st_size, 0)
        self.left: frozenset[MailId] | None = _mails(written) if written else None
        self._slots = slots
        self._free: list[int] = []

    def forget(self) -> None:
        """The mails that were left are known in the queue now: begin anew. Raises OSError."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, _FREE * self._slots, 0)
        self._free = list(range(self._slots))

    def begin(self, mail_id: MailId) -> int:
        """Note that a mail is being sent; return the slot, -1 when it cannot be noted. Never raises: the store tells of disks."""
        if not self._free:
            return -1
        slot = self._free.pop()
        self._write(slot, mail_id.encode().ljust(_SLOT, b"\0"))
        return slot

    def end(self, slot: int) -> None:
        """Note that it is not any more."""
        if slot >= 0:
            self._write(slot, _FREE)
            self._free.append(slot)

    def _write(self, slot: int, content: bytes) -> None:
        with suppress(OSError):
            os.pwrite(self._file, content, slot * _SLOT)

    def close(self) -> None:
        descriptor, self._file = self._file, -1  # never another file's
        os.close(descriptor)


def _mails(written: bytes) -> frozenset[MailId]:
    slots = (written[at : at + _SLOT].rstrip(b"\0") for at in range(0, len(written), _SLOT))
    return frozenset(MailId(slot.decode("ascii", "replace")) for slot in slots if slot)
