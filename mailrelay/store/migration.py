"""Brings a store's schema to the revision that this version was written for, and re-asserts the triggers."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailrelay.model.faults import StoreFault
from mailrelay.store import durable, sqlite
from mailrelay.store.migrations import HEAD
from mailrelay.store.transaction import SqliteTransaction
from mailrelay.store.triggers import assert_triggers
from mailrelay.telemetry import log

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 0x6D61696C72656C61  # "mailrela": held on PostgreSQL while the schema is looked at


def prepare_sqlite(path: Path) -> None:
    """Make or upgrade the file, then its triggers. Raises StoreFault; a failed upgrade leaves the file as it was."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(durable.create(path))
        durable.sync_folder(path.parent)
    connection = sqlite.connect(path, writing=True)
    try:
        if _revision(connection) != HEAD:
            log.info("store-upgrade", revision=HEAD)
            _upgrade_sqlite(path)
        # After a failed fsync the log may lie in the cache only, and the kernel would not tell again: write it into the file.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("BEGIN IMMEDIATE")
        assert_triggers(SqliteTransaction(connection))
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreFault(f"Không chuẩn bị được kho {path}: {error}. (The store cannot be prepared.)") from error
    finally:
        connection.close()


def check_sqlite(path: Path) -> None:
    """Raise StoreFault unless the file exists at the revision that this version reads."""
    if not path.exists():
        raise StoreFault(f"Chưa có kho {path}. (There is no store yet: start the service once.)")
    connection = sqlite.connect(path, writing=False)
    try:
        revision = _revision(connection)
    finally:
        connection.close()
    _require_head(revision)


def _require_head(revision: str | None) -> None:
    if revision != HEAD:
        raise StoreFault(
            f"Kho có phiên bản {revision or '–'}, chương trình này đọc {HEAD}: hãy khởi động dịch vụ một lần."
            " (The store is of another version: start the service once.)"
        )


def _revision(connection: sqlite3.Connection) -> str | None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _upgrade_sqlite(path: Path) -> None:
    import sqlalchemy

    def connect() -> sqlite3.Connection:
        connection = sqlite.connect(path, writing=True)
        connection.execute("PRAGMA foreign_keys=OFF")  # tables are rebuilt by migrations; checked as a whole afterwards
        return connection

    engine = sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=sqlalchemy.pool.NullPool)
    # The sqlite3 module would begin a transaction only at the first write, and never around DDL.
    sqlalchemy.event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.begin() as connection:
        upgrade(connection)
        if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise StoreFault("Nâng cấp kho sẽ để lại dòng mồ côi. (The upgrade would leave rows that point nowhere.)")


def prepare_postgresql(url: str) -> None:
    """Make or upgrade the schema, then the triggers; of several nodes that start at once, one does it. Raises StoreFault."""
    import psycopg
    import sqlalchemy

    from mailrelay.store import postgresql

    def connect() -> postgresql.Connection:
        connection = postgresql.connect(url)
        connection.autocommit = False
        return connection

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=connect, poolclass=sqlalchemy.pool.NullPool)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            own = connection.connection.driver_connection
            assert isinstance(own, psycopg.Connection)
            if _revision_postgresql(own) != HEAD:
                log.info("store-upgrade", revision=HEAD)
                upgrade(connection)
            assert_triggers(postgresql.PostgresqlTransaction(own, writing=True))
    except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        raise StoreFault(f"Không chuẩn bị được kho: {error}. (The store cannot be prepared.)") from error


def check_postgresql(url: str) -> None:
    """Raise StoreFault unless the database holds the revision that this version reads."""
    from mailrelay.store import postgresql

    with postgresql.connect(url) as connection:
        _require_head(_revision_postgresql(connection))


def _revision_postgresql(connection: Any) -> str | None:
    if connection.execute("SELECT to_regclass('alembic_version')").fetchone()[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def configuration() -> Config:
    """Alembic's configuration for our scripts, without a connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def upgrade(connection: Connection) -> None:
    """Run the chain up to its head inside the transaction of `connection`. Raises StoreFault for an unknown revision."""
    from alembic import command
    from alembic.util import CommandError

    config = configuration()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreFault(f"Không nâng cấp được kho: {error}. (The schema cannot be upgraded.)") from error
