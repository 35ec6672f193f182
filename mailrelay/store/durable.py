"""The file operations that make bytes survive a power cut, each with what it promises. The only place that calls fsync.

A failed fsync is never tried again: the kernel may have dropped the pages, and a second call would report success. It is
raised as StoreUnhealthy; every other trouble (a file that is gone, no descriptors left) stays an OSError.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mailrelay.failpoint import failpoint
from mailrelay.model.faults import StoreUnhealthy

Fsync = Callable[[int], None]


def _sync(path: Path, flags: int, fsync: Fsync) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        fsync(descriptor)
    except OSError as error:
        raise StoreUnhealthy(f"fsync failed: {error.strerror or error}") from error
    finally:
        os.close(descriptor)


def sync_file(path: Path, fsync: Fsync = os.fsync) -> None:
    """After it: the bytes and the size of the file survive a power cut. Its name does not, until its folder is synced."""
    _sync(path, os.O_RDONLY, fsync)


def sync_folder(folder: Path, fsync: Fsync = os.fsync) -> None:
    """After it: every name made in or taken from this folder before the call survives a power cut."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY, fsync)


def make_folder(root: Path, folder: Path, fsync: Fsync = os.fsync) -> None:
    """Make `folder`, somewhere below `root`, and whatever is missing on the way (mode 0700).

    After it: the names of all folders from `root` down survive a power cut, also of those that existed before (a process
    that was killed may have made them without syncing).
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_folder(root.parent, fsync)
    for ancestor in reversed(folder.parents):
        if ancestor == root or root in ancestor.parents:
            sync_folder(ancestor, fsync)


def create(path: Path) -> int:
    """Open a new file (mode 0600) for writing and return its descriptor. Promises nothing until it is synced."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def remove(path: Path, fsync: Fsync = os.fsync) -> None:
    """Unlink a file if it is there. After it: the name stays gone after a power cut."""
    path.unlink(missing_ok=True)
    failpoint("durable.before-removal-sync")
    if path.parent.exists():
        sync_folder(path.parent, fsync)
