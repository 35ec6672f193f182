"""What concerns PostgreSQL alone: its settings, its own schema, lost connections, a crash of the server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping

import psycopg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from mailrelay.model.faults import StoreFault, StoreFull, StoreNotNow
from mailrelay.store import Store, Transaction, dispatches, entries, log, messages, open_store, polls, receipts
from mailrelay.store.engine import open_reader
from mailrelay.store.postgresql import translate
from mailrelay.store.schema import metadata
from mailrelay.store.transaction import Engine
from tests.servers.postgresql import Postgresql
from tests.store.samples import event


@pytest.fixture
def database(postgresql: Postgresql) -> Iterator[str]:
    """The name of an empty database of this test alone."""
    postgresql.sql("CREATE DATABASE alone")
    yield "alone"
    postgresql.sql("DROP DATABASE alone WITH (FORCE)")


@pytest.mark.parametrize(
    ("sql", "translated"),
    [
        ("SELECT :a, :b_2 WHERE x = :a", "SELECT %(a)s, %(b_2)s WHERE x = %(a)s"),
        ("SELECT x::text, ':' FROM y", "SELECT x::text, ':' FROM y"),
        ("SELECT 7 % :n", "SELECT 7 %% %(n)s"),
        ("IN (:a0,:a1)", "IN (%(a0)s,%(a1)s)"),
    ],
)
def test_parameters_are_written_psycopgs_way(sql: str, translated: str) -> None:
    assert translate(sql) == translated


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
async def test_a_database_that_promises_less_than_durability_is_refused(
    postgresql: Postgresql, database: str, value: str
) -> None:
    postgresql.sql(f"ALTER DATABASE {database} SET synchronous_commit = {value}")
    with pytest.raises(StoreFault, match="synchronous_commit"):
        await open_store(postgresql.url(database))


async def test_a_database_in_another_encoding_is_refused(postgresql: Postgresql) -> None:
    postgresql.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StoreFault, match="server_encoding"):
        await open_store(postgresql.url("latin"))


async def test_a_server_that_is_not_there_is_a_fault(postgresql: Postgresql) -> None:
    with pytest.raises(StoreNotNow):
        await open_store(postgresql.url("nowhere"))
    with pytest.raises(StoreNotNow):
        await open_store("postgresql://127.0.0.1:1/x")


async def test_a_reader_makes_no_schema(postgresql: Postgresql, database: str) -> None:
    with pytest.raises(StoreFault):
        await open_reader(postgresql.url(database))


def _structure(url: str) -> set[tuple[str, ...]]:
    """Every column, constraint and index as PostgreSQL itself writes them."""
    queries = (
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name <> 'alembic_version'",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
    )
    with psycopg.connect(url) as connection:
        return {row for query in queries for row in connection.execute(query.encode()).fetchall()}


def test_migrations_make_the_tables_of_the_schema(
    postgresql: Postgresql, postgresql_template: str, database: str
) -> None:
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(postgresql_template))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    other = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(postgresql.url(database)))
    metadata.create_all(other)
    other.dispose()
    assert _structure(postgresql_template) == _structure(postgresql.url(database))


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TRIGGER log_event_no_update ON log_event",
        "ALTER TABLE log_event DISABLE TRIGGER log_event_no_update",
        "CREATE OR REPLACE FUNCTION log_event_no_update() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE OR REPLACE TRIGGER log_event_no_update BEFORE UPDATE ON log_event FOR EACH ROW WHEN (false)"
        " EXECUTE FUNCTION log_event_no_update()",
    ],
)
async def test_triggers_are_made_again_at_start(postgresql: Postgresql, postgresql_url: str, damage: str) -> None:
    postgresql.sql(damage, "contract")
    store = await open_store(postgresql_url)
    await store.write(lambda tx: log.append(tx, event()))
    with pytest.raises(StoreFault, match="append-only"):
        await store.write(lambda tx: tx.execute("UPDATE log_event SET actor = 'x'"))
    await store.close()


@pytest.mark.parametrize("table", ["log_event", "attempt", "entry_status", "register_entry", "book_counter"])
async def test_no_table_of_record_can_be_emptied(postgresql_url: str, table: str) -> None:
    store = await open_store(postgresql_url)
    with pytest.raises(StoreFault, match="never emptied"):
        await store.write(lambda tx: tx.execute(f"TRUNCATE {table} CASCADE"))
    await store.close()


async def test_an_error_that_a_closure_swallowed_is_no_commit(postgresql_url: str) -> None:
    """Without the check, PostgreSQL would answer COMMIT with a silent ROLLBACK."""
    store = await open_store(postgresql_url)

    def swallow(tx: Transaction) -> None:
        log.append(tx, event())
        with pytest.raises(psycopg.Error):
            tx.execute("SELECT 1 / 0")

    with pytest.raises(StoreFault):
        await store.write(swallow)
    assert await store.read(lambda tx: log.search(tx)) == ()
    await store.close()


async def test_a_full_disk_of_the_server_is_told_as_such_and_passes(postgresql_url: str) -> None:
    store = await open_store(postgresql_url)

    def fill(tx: Transaction) -> None:
        log.append(tx, event())
        tx.execute("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$")

    with pytest.raises(StoreFull):
        await store.write(fill)
    assert store.healthy
    assert await store.read(lambda tx: log.search(tx)) == ()
    await store.close()


async def test_a_server_that_went_away_before_the_commit_kept_nothing(postgresql_url: str) -> None:
    store = await open_store(postgresql_url)

    def die(tx: Transaction) -> None:
        log.append(tx, event())
        tx.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(StoreNotNow):
        await store.write(die)
    assert await store.read(lambda tx: log.search(tx)) == ()
    await store.close()


async def test_what_became_of_a_commit_without_an_answer_is_not_known(postgresql_url: str) -> None:
    """Then a mail's bytes must not go: its row may be there."""
    store = await open_store(postgresql_url)

    def die_in_the_commit(tx: Transaction) -> None:
        tx.execute("CREATE TABLE pg_temp.late (n int)")
        tx.execute(
            "CREATE FUNCTION pg_temp.die() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"
        )
        tx.execute(
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON pg_temp.late DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION pg_temp.die()"
        )
        tx.execute("INSERT INTO pg_temp.late VALUES (1)")

    with pytest.raises(StoreFault) as caught:
        await store.write(die_in_the_commit)
    assert not isinstance(caught.value, StoreNotNow)
    assert store.healthy
    await store.close()


async def _append(store: Store, actor: str) -> None:
    await store.write(lambda tx: log.append(tx, event(actor=actor)))


async def test_connections_that_the_server_dropped_are_replaced(postgresql: Postgresql, postgresql_url: str) -> None:
    store = await open_store(postgresql_url)
    await asyncio.gather(*(_append(store, str(n)) for n in range(8)))
    await store.read(lambda tx: log.search(tx))
    postgresql.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'contract'")
    await asyncio.gather(*(_append(store, str(n)) for n in range(8, 16)))
    assert len(await store.read(lambda tx: log.search(tx))) == 16
    assert store.healthy
    await store.close()


async def test_what_was_acknowledged_survives_a_crash_of_the_server() -> None:
    with Postgresql() as server:
        server.sql("CREATE DATABASE crash")
        store = await open_store(server.url("crash"))
        acknowledged: set[str] = set()
        failed: list[BaseException] = []

        async def client(number: int) -> None:
            for turn in range(1000):
                try:
                    await _append(store, f"{number}-{turn}")
                except StoreFault as fault:
                    failed.append(fault)
                    return
                acknowledged.add(f"{number}-{turn}")

        clients = [asyncio.create_task(client(number)) for number in range(8)]
        while len(acknowledged) < 100:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(server.crash)
        await asyncio.gather(*clients)
        assert len(failed) == 8
        with pytest.raises(StoreNotNow):
            await _append(store, "meanwhile")
        assert (store.healthy, store.reachable) == (True, False)  # it passes: nothing is known to be broken
        await asyncio.to_thread(server.start)
        await _append(store, "after")
        assert store.reachable
        stored = {found.actor for found in await store.read(lambda tx: log.search(tx, limit=10_000))}
        assert acknowledged <= stored
        assert "after" in stored
        await store.close()


def _statements() -> list[tuple[str, str]]:
    found = []
    for room in (dispatches, entries, log, messages, polls, receipts):
        for constant, value in vars(room).items():
            if constant.isupper() and not constant.startswith("_") and constant != "COUNTS":
                texts = [value] if isinstance(value, str) else []
                if isinstance(value, Mapping):
                    texts = [sql for key, sql in value.items() if key is not Engine.SQLITE]
                found += [(f"{room.__name__}.{constant}", sql) for sql in texts]
    return found


async def test_every_statement_has_an_index_to_use(postgresql_url: str) -> None:
    store = await open_store(postgresql_url)

    def plans(tx: Transaction) -> dict[str, list[str]]:
        tx.execute("SET LOCAL enable_seqscan = off")
        tx.execute("SET LOCAL enable_bitmapscan = off")
        found = {}
        for name, sql in _statements():
            if sql.startswith("INSERT"):
                continue
            parameters = dict.fromkeys(re.findall(r"(?<!:):(\w+)", sql))
            lines = [row[0] for row in tx.rows(f"EXPLAIN {sql}", parameters)]
            found[name] = [line.strip() for line in lines if "Seq Scan on" in line and "Function" not in line]
        return {name: lines for name, lines in found.items() if lines}

    assert await store.write(plans) == {}
    await store.close()
