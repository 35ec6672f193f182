"""The tables: migrations make what schema.py says, and the rows keep their own rules whoever writes them."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.schema import CreateIndex, CreateTable

from mailrelay.model.dispatch import DispatchState
from mailrelay.model.entry import Book, EntryStatus
from mailrelay.model.faults import StoreFault
from mailrelay.store import Store, Transaction, dispatches, entries, log, messages, migration, open_store, receipts
from mailrelay.store import polls as polls_room
from mailrelay.store.migrations import HEAD
from mailrelay.store.schema import metadata
from tests.store.samples import FINANCE, NOW, dispatch, entry, event, mail_id, receipt, record


def test_the_newest_revision_is_the_head_of_one_chain() -> None:
    assert ScriptDirectory.from_config(migration.configuration()).get_heads() == [HEAD]


@pytest.fixture
def connection(sqlite_path: Path) -> Iterator[sqlalchemy.Connection]:
    engine = sqlalchemy.create_engine(f"sqlite:///{sqlite_path}")
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def test_migrations_make_the_tables_of_the_schema(connection: sqlalchemy.Connection) -> None:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    assert compare_metadata(context, metadata) == []


def _lines(sql: str) -> list[str]:
    return sorted(line.strip(" \t,") for line in sql.strip().splitlines())


def test_migrations_make_every_check_and_index_as_the_schema_says(connection: sqlalchemy.Connection) -> None:
    """Alembic compares no CHECKs and no partial indexes: the statements themselves are compared, word by word."""
    made = {name: sql for name, sql in connection.exec_driver_sql("SELECT name, sql FROM sqlite_master") if sql}
    for table in metadata.sorted_tables:
        statements: list[Any] = [(table.name, CreateTable(table))]
        statements += [(index.name, CreateIndex(index)) for index in table.indexes]
        for name, statement in statements:
            wanted = str(statement.compile(dialect=connection.dialect))
            assert _lines(made[name]) == _lines(wanted)


async def _rows(store: Store) -> tuple[int, int]:
    """One row in every table; the ids of the entry and the dispatch."""
    mail = mail_id()

    def fill(tx: Transaction) -> tuple[int, int]:
        messages.insert(tx, record(mail))
        log.append(tx, event())
        seq = entries.next_seq(tx, FINANCE, Book.INCOMING, 2026)
        entry_id = entries.insert(tx, entry(mail, seq=seq), "key")
        (dispatch_id,) = dispatches.insert(tx, [dispatch(mail)])
        tx.execute(
            "INSERT INTO attempt (dispatch_id, at, result, status, outcome) VALUES (:id, 1, 'failed', '5.0.0', '{}')",
            {"id": dispatch_id},
        )
        receipts.insert(tx, receipt(mail))
        polls_room.record(tx, "a", "INBOX", 1, 1, "taken")
        polls_room.set_cursor(tx, "a", "INBOX", 1, 1)
        return entry_id, dispatch_id

    return await store.write(fill)


_REFUSED = [
    "UPDATE log_event SET actor = 'x'",
    "DELETE FROM log_event",
    "UPDATE attempt SET status = '2.0.0'",
    "DELETE FROM attempt",
    "UPDATE entry_status SET note = 'x'",
    "DELETE FROM entry_status",
    "DELETE FROM register_entry",
    "UPDATE register_entry SET seq = 2",
    "UPDATE register_entry SET seq = NULL",
    "UPDATE register_entry SET year = 2027",
    "UPDATE register_entry SET agency = 'H28.01'",
    "UPDATE register_entry SET book = 'outgoing'",
    "DELETE FROM book_counter",
    "UPDATE book_counter SET last_seq = 7",
    "UPDATE book_counter SET last_seq = 0",
    "UPDATE message SET state = 'lost'",
    "UPDATE message SET size = -1",
    "UPDATE message SET digest = 'short'",
    "UPDATE message SET subject = NULL",
    "UPDATE register_entry SET status = '99'",
    "UPDATE register_entry SET accepted_on = '1/2/2026'",
    "UPDATE dispatch SET state = 'gone'",
    "UPDATE dispatch SET state = 'sending'",  # without a lease
    "UPDATE dispatch SET lease_until = 1",  # without being sent
    "UPDATE dispatch SET urgency = 5",
    "UPDATE dispatch SET attempts = -1",
    "UPDATE dispatch SET mail_id = '01AAAAAAAAAAAAAAAAAAAAAAAA'",
    "UPDATE receipt SET state = 'x'",
    "UPDATE receipt SET notice_id = '01AAAAAAAAAAAAAAAAAAAAAAAA'",
    "DELETE FROM message",
    "INSERT INTO log_event (at, kind, actor, detail, text_fold) VALUES (1, 'gossip', '', '{}', '')",
    "INSERT INTO entry_arrival (entry_id, mail_id, recipients, at) VALUES (999, '01AAAAAAAAAAAAAAAAAAAAAAAA', '[]', 1)",
    "INSERT INTO entry_status (entry_id, at, status, actor, note) VALUES (999, 1, '01', '', '')",
    "INSERT INTO attempt (dispatch_id, at, result, status, outcome) VALUES (999, 1, 'failed', '5.0.0', '{}')",
]


@pytest.mark.parametrize("statement", _REFUSED)
async def test_the_tables_refuse(store: Store, statement: str) -> None:
    await _rows(store)
    with pytest.raises(StoreFault):
        await store.write(lambda tx: tx.execute(statement))
    assert store.healthy


async def test_a_column_takes_its_own_type_only(store: Store) -> None:
    await _rows(store)
    with pytest.raises(StoreFault):
        await store.write(lambda tx: tx.execute("UPDATE message SET size = :size", {"size": "large"}))


async def test_two_entries_never_bear_one_number(store: Store) -> None:
    first, second = mail_id(), mail_id()

    def twice(tx: Transaction) -> None:
        for mail in (first, second):
            messages.insert(tx, record(mail))
            entries.insert(tx, entry(mail, seq=1), None)

    with pytest.raises(StoreFault):
        await store.write(twice)


async def test_a_number_may_be_given_later_and_its_entry_voided(store: Store) -> None:
    mail = mail_id()

    def number_and_void(tx: Transaction) -> None:
        messages.insert(tx, record(mail))
        entry_id = entries.insert(tx, entry(mail), None)
        entries.set_status(tx, entry_id, EntryStatus.ACCEPTED, at=NOW, actor="sotc", seq=1, year=2027)
        entries.set_status(tx, entry_id, EntryStatus.VOID, at=NOW, actor="sotc")
        dispatches.insert(tx, [dispatch(mail, state=DispatchState.HELD)])

    await store.write(number_and_void)


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TRIGGER log_event_no_update",
        "DROP TRIGGER log_event_no_update; CREATE TRIGGER log_event_no_update BEFORE UPDATE ON log_event BEGIN SELECT 1; END",
    ],
)
async def test_triggers_are_made_again_at_start(sqlite_path: Path, damage: str) -> None:
    with sqlite3.connect(sqlite_path) as raw:
        raw.executescript(damage)
    store = await open_store(f"sqlite:///{sqlite_path}")
    await _rows(store)
    with pytest.raises(StoreFault, match="append-only"):
        await store.write(lambda tx: tx.execute("UPDATE log_event SET actor = 'x'"))
    await store.close()


async def test_two_processes_may_start_at_once(tmp_path: Path) -> None:
    """The schema is made once, under the engine's own lock."""
    code = "import asyncio, sys; from mailrelay.store import open_store\n"
    code += "async def main():\n await (await open_store('sqlite:///' + sys.argv[1])).close()\nasyncio.run(main())"
    path = tmp_path / "new.db"
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(path), stderr=asyncio.subprocess.PIPE)
        for _ in range(2)
    ]
    ends = [(child, (await child.communicate())[1]) for child in children]
    assert [(child.returncode, error) for child, error in ends if child.returncode] == []
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
