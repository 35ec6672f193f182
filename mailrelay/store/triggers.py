"""What no statement may do to the rows, whoever sends it: append-only tables and fixed numbers. Asserted again at each start."""

from __future__ import annotations

from mailrelay.store.transaction import Engine, Transaction

_APPEND_ONLY = ("log_event", "attempt", "entry_status")

# name -> (table, event, condition on OLD and NEW or "", what is said)
_RULES: dict[str, tuple[str, str, str, str]] = {
    **{
        f"{table}_no_{event.lower()}": (table, event, "", f"{table} is append-only")
        for table in _APPEND_ONLY
        for event in ("UPDATE", "DELETE")
    },
    "register_entry_no_delete": ("register_entry", "DELETE", "", "a register entry is never deleted"),
    "register_entry_fixed": (
        "register_entry",
        "UPDATE",
        "OLD.agency <> NEW.agency OR OLD.book <> NEW.book"
        " OR (OLD.seq IS NOT NULL AND (NEW.seq IS NULL OR OLD.seq <> NEW.seq OR OLD.year <> NEW.year))",
        "the book and number of a register entry are fixed",
    ),
    "book_counter_no_delete": ("book_counter", "DELETE", "", "a counter is never deleted"),
    "book_counter_upward": ("book_counter", "UPDATE", "NEW.last_seq <> OLD.last_seq + 1", "a counter goes up by one"),
}


def _sqlite(name: str) -> str:
    table, event, condition, sentence = _RULES[name]
    when = f" WHEN {condition}" if condition else ""
    return f"CREATE TRIGGER {name} BEFORE {event} ON {table}{when} BEGIN SELECT RAISE(ABORT, '{sentence}'); END"


def assert_triggers(tx: Transaction) -> None:
    """Make every trigger that is missing or differs from ours, in the given transaction."""
    if tx.engine is not Engine.SQLITE:
        raise NotImplementedError
    present: dict[str, str] = dict(tx.rows("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    for name in _RULES:
        wanted = _sqlite(name)
        if present.get(name) == wanted:
            continue
        tx.execute(f"DROP TRIGGER IF EXISTS {name}")
        tx.execute(wanted)
