"""What verdicts rest on, in files named by their digest: one for all mails that rest on it. Knows no SQL and no mail.

A file lies at root/ab/abcd… and is whole or not there: written beside, synced, then named. Pieces are kept before the transaction
that names them commits; one that no row names does no harm.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from mailrelay.model.evidence import Exhibit
from mailrelay.store import durable

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class Evidence:
    """The folder of all pieces."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._turn = threading.Lock()

    def missing(self, exhibits: Iterable[Exhibit]) -> list[Exhibit]:
        """Those that are not kept yet: cheap, for nearly always it is none."""
        return [piece for piece in exhibits if not self._path(piece.digest).exists()]

    def keep(self, exhibits: Sequence[Exhibit]) -> None:
        """Make pieces durable. Raises OSError (a full disk) or StoreUnhealthy (a failed sync)."""
        with self._turn:
            for piece in self.missing(exhibits):
                self._write(piece)

    def read(self, digest: str) -> bytes | None:
        """The bytes of a piece, or None when there is no such piece, or none that is what its name says."""
        if not _DIGEST.match(digest):
            return None
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == digest else None

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest

    def _write(self, piece: Exhibit) -> None:
        path = self._path(piece.digest)
        durable.make_folder(self._root, path.parent)
        work = path.with_suffix(".new")
        work.unlink(missing_ok=True)
        try:
            with os.fdopen(durable.create(work), "wb") as file:
                file.write(piece.data)
            durable.sync_file(work)
            work.replace(path)
        finally:
            work.unlink(missing_ok=True)
        durable.sync_folder(path.parent)
