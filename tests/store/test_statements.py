"""Every statement that the rooms send, held against the tables: it can be prepared, and it never reads a whole table."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from mailrelay.model.message import MessageState
from mailrelay.store import backlog, dispatches, entries, leases, log, messages, polls, receipts, sqlite
from mailrelay.store.transaction import Engine, SqliteTransaction
from tests.store.samples import NOW, dispatch, record

_ROOMS = (backlog, dispatches, entries, leases, log, messages, polls, receipts)
_READS_ALL = {"dispatches.COUNTS"}


def _statements() -> Iterator[tuple[str, str]]:
    for room in _ROOMS:
        name = room.__name__.rpartition(".")[2]
        for constant, value in vars(room).items():
            if constant.isupper() and not constant.startswith("_") and isinstance(value, str):
                yield f"{name}.{constant}", value
            elif constant.isupper() and not constant.startswith("_") and isinstance(value, Mapping):
                yield from ((f"{name}.{constant}", sql) for key, sql in value.items() if key is not Engine.POSTGRESQL)


@pytest.mark.parametrize(("name", "sql"), list(_statements()))
def test_a_statement_fits_the_tables_and_uses_their_indexes(sqlite_path: Path, name: str, sql: str) -> None:
    connection = sqlite.connect(sqlite_path, writing=True)
    parameters = dict.fromkeys(re.findall(r":(\w+)", sql), 1)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    connection.close()
    tables = "message|dispatch|register_entry|entry_arrival|entry_status|log_event|attempt|receipt|poll_outcome"
    scans = [step for step in plan if re.match(rf"SCAN ({tables})\b", step) and "USING" not in step]
    assert scans == [] or name in _READS_ALL


@pytest.mark.parametrize("state", [MessageState.PENDING, MessageState.HELD, MessageState.MOVING])
def test_open_mails_are_found_without_looking_at_the_others(sqlite_path: Path, state: MessageState) -> None:
    connection = sqlite.connect(sqlite_path, writing=True)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {messages.IN_STATE[state]}", {"limit": 1})]
    connection.close()
    assert plan == ["SEARCH message USING COVERING INDEX ix_message_open (state=?)"]


def test_a_row_is_checked_without_a_table_made_for_it(sqlite_path: Path) -> None:
    """Lists of words in CHECKs, RETURNING: SQLite makes a table for each, for every row."""
    connection = sqlite.connect(sqlite_path, writing=True)
    rows = (log.APPEND, messages.INSERT, dispatches.INSERT, dispatches.ADD_ATTEMPT, receipts.INSERT, entries.INSERT)
    for sql in rows:
        parameters = dict.fromkeys(re.findall(r":(\w+)", sql), 1)
        steps = [row[1] for row in connection.execute(f"EXPLAIN {sql}", parameters)]
        assert steps.count("OpenEphemeral") == 0, sql
    connection.close()


def _steps(path: Path, waiting: int) -> int:
    """How many steps of SQLite's machine (in tens) a claim takes that finds every destination saturated."""
    connection = sqlite.connect(path, writing=True)
    tx = SqliteTransaction(connection)
    tx.execute("BEGIN")
    for number in range(waiting):
        mail = record()
        messages.insert(tx, mail)
        dispatches.insert(tx, [dispatch(mail.message.mail_id, "r@x", destination=f"d{number % 4}")])
    tx.execute("COMMIT")
    lease = timedelta(minutes=20)
    assert len(dispatches.claim(tx, NOW, lease, 50, per_destination=2)) == 8
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.set_progress_handler(step, 10)
    assert dispatches.claim(tx, NOW, lease, 50, per_destination=2) == ()
    connection.close()
    return steps


def test_a_claim_costs_the_same_however_much_waits(sqlite_path: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_path, tmp_path / "other.db")
    assert _steps(sqlite_path, 3000) < 1.5 * _steps(tmp_path / "other.db", 100)


def test_a_search_without_conditions_reads_from_the_end(sqlite_path: Path) -> None:
    """The newest page is read backwards by id and stops when it is full."""
    connection = sqlite3.connect(sqlite_path)
    sent: list[str] = []
    connection.set_trace_callback(sent.append)
    log.search(SqliteTransaction(connection))
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sent[0]}")]
    assert plan == ["SCAN log_event"]  # by rowid, no sorter
    connection.close()
