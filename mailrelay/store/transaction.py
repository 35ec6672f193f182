"""What a closure `fn(tx)` may do to the store: SQL with `:name` parameters, the same text on both engines."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from mailrelay.model.faults import NotFound, StoreFault

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]
_NOTHING: Parameters = {}


class Engine(StrEnum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class Transaction(ABC):
    """One open transaction. Valid only inside its closure, which may run again when it met another one."""

    engine: Engine
    locks = False  # whether hold and hold_key have anything to do: others may be writing
    held: set[str]  # keys and mails that are held already, where there are locks

    @abstractmethod
    def execute(self, sql: str, parameters: Parameters = _NOTHING) -> int:
        """Run a statement that returns no rows; return how many rows it touched."""

    @abstractmethod
    def insert(self, sql: str, parameters: Parameters, key: str) -> int | None:
        """Add one row and return what its column `key` was given; None when there was one that it was in conflict with."""

    @abstractmethod
    def rows(self, sql: str, parameters: Parameters = _NOTHING) -> list[Row]:
        """Run a statement and return all its rows."""

    @abstractmethod
    def hold(self, sql: str, parameters: Parameters = _NOTHING) -> list[Row]:
        """Run a SELECT on one table whose rows nobody else may change until this transaction ends, if it may write."""

    @abstractmethod
    def hold_key(self, *key: str) -> None:
        """Let nobody else hold the same key until this transaction ends, if it may write: for rows that are not there yet."""

    def row(self, sql: str, parameters: Parameters = _NOTHING) -> Row | None:
        """The first row, or None."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def value(self, sql: str, parameters: Parameters = _NOTHING) -> Any:
        """The first column of the first row, or None."""
        found = self.rows(sql, parameters)
        return found[0][0] if found else None


class SqliteTransaction(Transaction):
    """`:name` is SQLite's own form, so statements go down as they are. A writer is alone: nothing has to be held."""

    __slots__ = ("_connection",)
    engine = Engine.SQLITE

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Parameters = _NOTHING) -> int:
        return self._connection.execute(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Parameters, key: str) -> int | None:
        """SQLite knows the number anyhow: to have it returned like other columns costs it a table of its own."""
        cursor = self._connection.execute(sql, parameters)
        return cursor.lastrowid if cursor.rowcount == 1 else None

    def rows(self, sql: str, parameters: Parameters = _NOTHING) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    hold = rows

    def hold_key(self, *key: str) -> None:
        return None


def placeholders(name: str, values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """Text and parameters for `IN (…)`: (":a0,:a1", {"a0": …, "a1": …})."""
    parameters = {f"{name}{index}": value for index, value in enumerate(values)}
    return ",".join(f":{key}" for key in parameters), parameters


def require(touched: int, thing: object) -> None:
    """Raise NotFound when a statement that must touch a row touched none."""
    if not touched:
        raise NotFound(f"Không có {thing} trong kho. (It is not in the store.)")


def contains(text: str) -> str:
    """The pattern for `LIKE … ESCAPE '!'` that finds `text` anywhere."""
    for letter in "!%_":
        text = text.replace(letter, "!" + letter)
    return f"%{text}%"


def as_answer(error: BaseException, engines: type[Exception]) -> Exception:
    """What the caller of a closure gets: errors of the engine (`engines`) as StoreFault, others as they were raised."""
    if isinstance(error, engines):
        answer: Exception = StoreFault(f"the store refused: {error}")
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    else:  # a future takes neither StopIteration nor what would end the loop
        answer = StoreFault(f"a closure was ended by {type(error).__name__}")
    answer.__cause__ = error
    return answer
