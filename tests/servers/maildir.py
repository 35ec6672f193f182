"""Reading Maildirs without the code under test."""

from __future__ import annotations

from pathlib import Path


def letters(box: Path) -> list[bytes]:
    """The bytes of every delivered mail of a Maildir, oldest first; nothing of what is still in tmp/."""
    files = [path for folder in ("new", "cur") if (box / folder).is_dir() for path in (box / folder).iterdir()]
    return [path.read_bytes() for path in sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))]
