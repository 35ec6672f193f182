"""What the service left behind, read without its code: plain SQL on the store, files, and what others received."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

_MAILDIR_NAME = re.compile(r"\.M([0-9A-Z]{26})R")
_ID_FIELD = re.compile(rb"^X-Mailrelay-Id: ([0-9A-Z]{26})\r?$", re.MULTILINE)
_BLOCK = 1 << 20
_SQLITE = "sqlite:///"
Row = tuple[Any, ...]
Ask = Callable[[str], list[Row]]


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy that somebody has: which mail, for whom, and the digest of its last `size` bytes (the mail as it was sent)."""

    mail_id: str
    recipient: str
    digest: str


@dataclass(slots=True)
class Rows:
    """The tables, as the check needs them."""

    faults: list[str]  # by the engine's own check of itself
    messages: dict[str, Row]  # mail id -> state, class, door, digest, size
    dispatches: list[Row]  # id, mail id, recipient, state, attempts, tries that were recorded
    entries: list[Row]  # agency, book, year, seq
    counters: dict[Row, int]  # (agency, book, year) -> last number
    receipts: list[Row]  # kind, state, notice id
    events: Counter[tuple[str, str]]  # (mail id, kind)
    polled: list[Row]  # outcome, mail id


@dataclass(slots=True)
class Evidence:
    rows: Rows
    blobs: dict[str, Path]  # mail id -> file of the spool
    delivered: list[Copy] = field(default_factory=list)
    relayed: list[Copy] = field(default_factory=list)
    half_written: list[Path] = field(default_factory=list)  # left in the tmp/ of a Maildir


def read_rows(store: str) -> Rows:
    """Read the store at an address, of a running service or of a dead one, without touching its files."""
    with _snapshot(store) as (faults, found):
        tables = "sqlite_master" if store.startswith(_SQLITE) else "(SELECT tablename AS name FROM pg_tables) t"
        if not found(f"SELECT 1 FROM {tables} WHERE name = 'poll_outcome'"):
            return Rows(faults, {}, [], [], {}, [], Counter(), [])
        messages = found("SELECT mail_id, state, message_class, door, digest, size FROM message")
        tries = dict(found("SELECT dispatch_id, count(*) FROM attempt GROUP BY dispatch_id"))
        dispatches = found("SELECT dispatch_id, mail_id, recipient, state, attempts FROM dispatch")
        numbers = found("SELECT agency, book, year, last_seq FROM book_counter")
        # A mail that could not be judged in time is noted twice: when it was put aside, and when it was entered.
        put_aside = "kind = 'received' AND detail LIKE '%\"pending\"%'"
        events = found(f"SELECT mail_id, kind, count(*) FROM log_event WHERE NOT ({put_aside}) GROUP BY 1, 2")
        return Rows(
            faults=faults,
            messages={row[0]: row[1:] for row in messages},
            dispatches=[(*row, tries.get(row[0], 0)) for row in dispatches],
            entries=list(found("SELECT agency, book, year, seq FROM register_entry WHERE seq IS NOT NULL")),
            counters={row[:3]: row[3] for row in numbers},
            receipts=list(found("SELECT kind, state, notice_id FROM receipt")),
            events=Counter({(row[0], row[1]): row[2] for row in events}),
            polled=list(found("SELECT outcome, mail_id FROM poll_outcome WHERE uid > 0")),
        )


@contextmanager
def _snapshot(store: str) -> Iterator[tuple[list[str], Ask]]:
    """What the engine finds wrong in itself, and a way to ask the store as it is at this moment."""
    if store.startswith(_SQLITE):
        with _copied(Path(store.removeprefix(_SQLITE))) as copy, closing(sqlite3.connect(copy)) as connection:
            faults = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            faults += [f"foreign key of {row[0]} {row[1]}" for row in connection.execute("PRAGMA foreign_key_check")]
            yield faults, lambda sql: connection.execute(sql).fetchall()
    else:
        with psycopg.connect(store) as server:
            server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield [], lambda sql: server.execute(sql.encode()).fetchall()


OPEN = (
    "SELECT (SELECT count(*) FROM dispatch WHERE state IN ('queued', 'sending', 'deferred'))"
    " + (SELECT count(*) FROM receipt WHERE state IN ('due', 'queued'))"
    " + (SELECT count(*) FROM message WHERE state = 'pending')"
)  # what a running service still has to do: open dispatches, receipts that are due, mails that wait for judgement
POLLED = "SELECT count(*) FROM poll_outcome WHERE uid > 0"  # mails of the polled box that have come to an end


@contextmanager
def _copied(store: Path) -> Iterator[Path]:
    """The file and its log, as a crash at this moment would leave them; the log first, since a checkpoint goes into the file."""
    with tempfile.TemporaryDirectory(prefix="mailrelay-copy-") as folder:
        copy = Path(folder) / store.name
        for _ in range(20):
            before = _stamps(store)
            for suffix in ("-wal", ""):
                source = store.with_name(store.name + suffix)
                if source.exists():
                    shutil.copyfile(source, copy.with_name(copy.name + suffix))
            if _stamps(store) == before:
                break
        yield copy


def _stamps(store: Path) -> list[int]:
    """When the main file was last written: a copy that a checkpoint ran through is no copy."""
    return [path.stat().st_mtime_ns for path in (store,) if path.exists()]


def read_blobs(spool: Path) -> dict[str, Path]:
    """Every mail file of the spool by its mail id."""
    return {path.stem: path for path in spool.glob("*/*/*/*.eml")}


def digest_of(path: Path, last: int | None = None) -> str:
    """SHA-256 of a file, or of its last bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if last is not None:
            file.seek(max(0, path.stat().st_size - last))
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def read_maildirs(root: Path, sizes: dict[str, int], known: dict[Path, Copy]) -> list[Copy]:
    """Every delivered copy of all Maildirs. `sizes`: how long each mail was when it came in; `known`: files read before."""
    copies: list[Copy] = []
    for path in root.glob("*/new/*"):
        if path not in known:
            named = _MAILDIR_NAME.search(path.name)
            mail_id = named[1] if named else path.name
            known[path] = Copy(mail_id, path.parent.parent.name, digest_of(path, sizes.get(mail_id, 0)))
        copies.append(known[path])
    return copies


def read_arrivals(arrivals: Sequence[Any], sizes: dict[str, int]) -> list[Copy]:
    """Every copy that the next hop took."""
    copies: list[Copy] = []
    for mail in arrivals:
        field_ = _ID_FIELD.search(mail.data)
        mail_id = field_[1].decode() if field_ else "?"
        size = sizes.get(mail_id, 0)
        digest = hashlib.sha256(mail.data[-size:] if size else b"").hexdigest()
        copies += [Copy(mail_id, recipient, digest) for recipient in mail.recipients]
    return copies


def numbers_of(entries: Sequence[Row]) -> dict[Row, list[int]]:
    """The running numbers of each (agency, book, year), sorted."""
    books: dict[Row, list[int]] = defaultdict(list)
    for agency, book, year, seq in entries:
        books[agency, book, year].append(seq)
    return {book: sorted(numbers) for book, numbers in books.items()}
