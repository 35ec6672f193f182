"""Bytes of incoming mail in files named by mail id, hashed on the way. Knows no SQL: a row in the store is the commit mark.

A file lies at root/YYYY/MM/DD/<mail id>.eml, dated in UTC by the moment inside the mail id. Nothing is renamed: a file
becomes a mail when the transaction that names it commits, after the store has synced it; a file without a row is dropped
when the service starts.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from mailrelay.failpoint import failpoint
from mailrelay.model.identity import MailId, is_mail_id, make_mail_id, milliseconds_of
from mailrelay.store import durable

_SUFFIX = ".eml"
_DAY = 86_400_000  # milliseconds
_SWEEP = 500  # mail ids asked for at a time


class Draft:
    """One incoming mail being written; synchronous, cheap calls. Ends with `finish` and a commit, or `discard`, or `give_up`."""

    __slots__ = ("_descriptor", "_digest", "_discarded", "mail_id", "path", "size")

    def __init__(self, mail_id: MailId, path: Path) -> None:
        self.mail_id = mail_id
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._discarded = False
        self._descriptor = durable.create(path)

    def write(self, block: bytes) -> None:
        """Append a block. Raises OSError (ENOSPC, EIO), after which the draft can only be discarded."""
        if self._descriptor < 0:
            raise ValueError("the draft is closed")
        written = os.write(self._descriptor, block)
        while written < len(block):  # a disk that fills up takes a part first, then says ENOSPC
            written += os.write(self._descriptor, memoryview(block)[written:])
        self._digest.update(block)
        self.size += written

    def finish(self) -> str:
        """Close the file and return the SHA-256 (hex) of its bytes. Again: the same answer. Not yet durable."""
        if self._discarded:
            raise ValueError("the draft was discarded")
        if self._descriptor >= 0:
            self._close()
            failpoint("spool.finish")
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Remove the file and sync its folder, so that it is gone even after a power cut. Again: nothing."""
        if self._discarded:
            return
        if self._descriptor >= 0:
            self._close()
        durable.remove(self.path)
        self._discarded = True

    def give_up(self) -> None:
        """Remove the file of a mail that nobody was told anything of. Quick, for it syncs nothing: a name that a power cut brings
        back has no row, and goes at the next start. Raises OSError."""
        if not self._discarded:
            if self._descriptor >= 0:
                self._close()
            self.path.unlink(missing_ok=True)
            self._discarded = True

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


@lru_cache(maxsize=64)
def _date_folder(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y/%m/%d")


class Spool:
    """The folder of all mail bytes. `now` and `randomness` make mail ids; both are injected by tests."""

    def __init__(
        self, root: Path, *, now: Callable[[], datetime], randomness: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._root = root
        self._now = now
        self._randomness = randomness
        self._synced: Path | None = None
        self._day = (-1, root)  # the folder that was asked for last; today's, but for mails that were put off
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def draft(self) -> Draft:
        """Begin a new mail. Raises OSError when the disk cannot take it, StoreUnhealthy when a sync failed."""
        mail_id = make_mail_id(int(self._now().timestamp() * 1000), self._randomness(10))
        path = self.path(mail_id)
        if path.parent != self._synced or not path.parent.is_dir():
            # Once a day and process: the commit syncs the date folder itself, this its ancestors.
            durable.make_folder(self._root, path.parent)
            self._synced = path.parent
        return Draft(mail_id, path)

    def path(self, mail_id: MailId) -> Path:
        """Where the bytes of a mail lie, or would lie. Raises ValueError for what is no mail id."""
        if not is_mail_id(mail_id):
            raise ValueError("not a mail id")
        return self._folder(milliseconds_of(mail_id) // _DAY) / (mail_id + _SUFFIX)

    def _folder(self, day: int) -> Path:
        if day != self._day[0]:
            self._day = (day, self._root / _date_folder(day))
        return self._day[1]

    def open(self, mail_id: MailId) -> BinaryIO:
        """Open the bytes of a mail for reading. Raises FileNotFoundError when they were removed."""
        return self.path(mail_id).open("rb")

    def remove(self, mail_id: MailId) -> None:
        """Remove the bytes of a mail for good; nothing when they are gone already."""
        durable.remove(self.path(mail_id))

    def listing(self) -> Iterator[MailId]:
        """The mail ids of all files, oldest day first."""
        for folder in self._folders():
            yield from _mail_ids(folder)

    def sweep(self, known: Callable[[Sequence[MailId]], Collection[MailId]]) -> tuple[MailId, ...]:
        """Drop every file whose mail id `known` does not give back, and return their ids.

        Only at start, under the lock of the data folder: a mail that is being written has no row yet.
        """
        dropped: list[MailId] = []
        for folder in self._folders():
            ids = list(_mail_ids(folder))
            chunks = (ids[start : start + _SWEEP] for start in range(0, len(ids), _SWEEP))
            orphans = [mail_id for chunk in chunks for mail_id in _without(chunk, known(chunk))]
            for mail_id in orphans:
                (folder / (mail_id + _SUFFIX)).unlink(missing_ok=True)
            if orphans:
                durable.sync_folder(folder)
            dropped += orphans
        return tuple(dropped)

    def _folders(self) -> list[Path]:
        return sorted(self._root.glob("[0-9]*/[0-9][0-9]/[0-9][0-9]"))

    def free_bytes(self) -> int:
        """Bytes that may still be written on the spool's file system."""
        status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize


def _mail_ids(folder: Path) -> Iterator[MailId]:
    with os.scandir(folder) as files:
        for file in files:
            name = file.name.removesuffix(_SUFFIX)
            if name != file.name and is_mail_id(name):
                yield MailId(name)


def _without(mail_ids: Sequence[MailId], known: Collection[MailId]) -> Iterator[MailId]:
    rows = frozenset(known)
    return (mail_id for mail_id in mail_ids if mail_id not in rows)
