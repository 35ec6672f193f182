"""The recount: what lies in the mailboxes, found by digest in the files themselves, never by asking the service."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from email import message_from_binary_file
from pathlib import Path


def digests(maildir: Path, sizes: Iterable[int]) -> set[str]:
    """SHA-256 of the last N bytes of every mail in a Maildir, for each size N asked for.

    The service only puts trace fields above a mail, so a mail arrived unchanged when its bytes are the tail of a file.
    """
    wanted = sorted(set(sizes))
    found: set[str] = set()
    for path in mails(maildir):
        data = path.read_bytes()
        found.update(hashlib.sha256(data[-size:]).hexdigest() for size in wanted if size <= len(data))
    return found


def notices(maildir: Path) -> list[str]:
    """The kinds of our receipts in a Maildir, one for each notice that lies there."""
    kinds = []
    for path in mails(maildir):
        with path.open("rb") as file:
            kind = message_from_binary_file(file)["X-Mailrelay-Receipt"]
        if kind:
            kinds.append(str(kind))
    return kinds


def mails(maildir: Path) -> list[Path]:
    return sorted(path for part in ("new", "cur") for path in (maildir / part).glob("*") if path.is_file())
