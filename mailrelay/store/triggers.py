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


_NEVER_EMPTIED = tuple(sorted({rule[0] for rule in _RULES.values()}))
_TYPES = {"UPDATE": 19, "DELETE": 11, "TRUNCATE": 34}  # pg_trigger.tgtype: BEFORE, and FOR EACH ROW but for TRUNCATE


def assert_triggers(tx: Transaction) -> None:
    """Make every trigger that is missing or differs from ours, in the given transaction."""
    (_assert_postgresql if tx.engine is Engine.POSTGRESQL else _assert_sqlite)(tx)


def _assert_sqlite(tx: Transaction) -> None:
    present: dict[str, str] = dict(tx.rows("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    for name, (table, event, condition, sentence) in _RULES.items():
        when = f" WHEN {condition}" if condition else ""
        wanted = f"CREATE TRIGGER {name} BEFORE {event} ON {table}{when} BEGIN SELECT RAISE(ABORT, '{sentence}'); END"
        if present.get(name) != wanted:
            tx.execute(f"DROP TRIGGER IF EXISTS {name}")
            tx.execute(wanted)


def _assert_postgresql(tx: Transaction) -> None:
    """One function for each trigger, which holds its condition: so the catalogue shows all that could differ."""
    truncations = {
        f"{table}_no_truncate": (table, "TRUNCATE", "", f"{table} is never emptied") for table in _NEVER_EMPTIED
    }
    present = {
        name: (table, kind, enabled, source)
        for name, table, kind, enabled, source in tx.rows(
            "SELECT t.tgname, t.tgrelid::regclass::text, t.tgtype, t.tgenabled::text, p.prosrc"
            " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND t.tgqual IS NULL"
        )
    }
    for name, (table, event, condition, sentence) in (_RULES | truncations).items():
        body = f"RAISE EXCEPTION '{sentence}' USING ERRCODE = 'integrity_constraint_violation';"
        if condition:
            body = f"IF {condition} THEN {body} END IF; RETURN NEW;"
        body = f"BEGIN {body} END"
        if present.get(name) == (table, _TYPES[event], "O", body):
            continue
        each = "STATEMENT" if event == "TRUNCATE" else "ROW"
        place = f"BEFORE {event} ON {table} FOR EACH {each}"
        tx.execute(f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")
        tx.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
        tx.execute(f"CREATE TRIGGER {name} {place} EXECUTE FUNCTION {name}()")
