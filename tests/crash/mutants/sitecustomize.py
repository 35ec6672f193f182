"""Breaks one promise of the service on purpose, named by MAILRELAY_MUTANT, so that the crash tests can prove they notice.

Python imports this module at its start when the folder stands in PYTHONPATH. Without the variable it does nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def _file_sync_left_out() -> None:
    from mailrelay.store import durable

    def sync_file(path: Path, fsync: durable.Fsync = os.fsync) -> None:
        """Promises what it does not do."""

    durable.sync_file = sync_file


def _folder_sync_left_out() -> None:
    from mailrelay.delivery import maildir
    from mailrelay.store import durable

    def sync_folder(folder: Path, fsync: durable.Fsync = os.fsync) -> None:
        """Promises what it does not do."""

    durable.sync_folder = sync_folder
    maildir._sync_folder = sync_folder


def _commit_not_synced() -> None:
    """synchronous=NORMAL: SQLite syncs its log at checkpoints only."""
    from mailrelay.store import sqlite

    connect = sqlite.connect

    def careless(path: Path, *, writing: bool) -> sqlite3.Connection:
        connection = connect(path, writing=writing)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    sqlite.connect = careless


def _reply_before_commit() -> None:
    """Every caller is answered as soon as its rows are written, and the commit follows a little later."""
    import time

    from mailrelay.store import writer

    commit = "COMMIT"

    class Hasty:
        """A connection that answers the callers before it commits."""

        def __init__(self, connection: Any, batch: Sequence[Any]) -> None:
            self._connection = connection
            self._batch = batch

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

        def execute(self, sql: str, *arguments: Any) -> Any:
            if sql == commit:
                writer._answer(self._batch)
                time.sleep(0.05)
            return self._connection.execute(sql, *arguments)

    serve = writer.Writer._serve

    def hasty(self: Any, connection: Any, batch: Sequence[Any]) -> None:
        serve(self, Hasty(connection, batch), batch)

    writer.Writer._serve = hasty


MUTANTS: dict[str, Callable[[], None]] = {
    "no-file-sync": _file_sync_left_out,
    "no-folder-sync": _folder_sync_left_out,
    "no-commit-sync": _commit_not_synced,
    "reply-before-commit": _reply_before_commit,
}

_chosen = os.environ.get("MAILRELAY_MUTANT", "")
if _chosen:
    MUTANTS[_chosen]()
