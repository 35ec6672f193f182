"""The document log (nhật ký): events appended, read and searched; never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from mailrelay.model.entry import EventKind, LogEvent
from mailrelay.model.folding import fold
from mailrelay.model.identity import AgencyId, MailId
from mailrelay.store.codec import dumps, loads, microseconds, moment, plain
from mailrelay.store.transaction import Row, Transaction, contains

_COLUMNS = "at, kind, mail_id, agency, actor, detail, event_id"
APPEND = (
    "INSERT INTO log_event (at, kind, mail_id, agency, actor, detail, text_fold)"
    " VALUES (:at, :kind, :mail_id, :agency, :actor, :detail, :text_fold)"
)
GET = f"SELECT {_COLUMNS} FROM log_event WHERE event_id = :event_id"
OF_MAIL = f"SELECT {_COLUMNS} FROM log_event WHERE mail_id = :mail_id ORDER BY event_id"
_CONDITIONS = {
    "kind": "kind = :kind",
    "agency": "agency = :agency",
    "since": "at >= :since",
    "until": "at < :until",
    "before_id": "event_id < :before_id",
}
_DETAIL = Mapping[str, Any]
_MOST_WORDS = 16  # of one question


def _event(row: Row) -> LogEvent:
    at, kind, mail_id, agency, actor, detail, event_id = row
    return LogEvent(moment(at), EventKind(kind), mail_id, agency, actor, loads(_DETAIL, detail), event_id)


def _words(value: object) -> Iterator[str]:
    """Every text inside a detail, for searching."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _words(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _words(item)


@lru_cache(maxsize=64)
def _folded(words: str) -> str:
    """The events of one mail are found by the same words."""
    return fold(plain(words))


def append(tx: Transaction, event: LogEvent, *, words: str = "") -> int:
    """Add an event and return its id. It is found by `words` too, which are no part of the event itself."""
    said = fold(plain(" ".join((event.actor, event.agency or "", *_words(event.detail)))))
    more = _folded(words) if words else ""
    event_id = tx.insert(
        APPEND,
        {
            "at": microseconds(event.at),
            "kind": event.kind,
            "mail_id": event.mail_id,
            "agency": event.agency,
            "actor": plain(event.actor),
            "detail": dumps(event.detail, _DETAIL),
            "text_fold": f"{said} {more}" if said and more else said or more,
        },
        "event_id",
    )
    assert event_id is not None
    return event_id


def get(tx: Transaction, event_id: int) -> LogEvent | None:
    row = tx.row(GET, {"event_id": event_id})
    return None if row is None else _event(row)


def of_mail(tx: Transaction, mail_id: MailId) -> tuple[LogEvent, ...]:
    """The events of one mail in the order in which they were written."""
    return tuple(_event(row) for row in tx.rows(OF_MAIL, {"mail_id": mail_id}))


def search(
    tx: Transaction,
    *,
    kind: EventKind | None = None,
    agency: AgencyId | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    text: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> tuple[LogEvent, ...]:
    """Events newest first: `since` <= at < `until`, every word of `text` found anywhere, in any spelling.

    `before_id` continues a page.
    """
    asked: dict[str, Any] = {
        "kind": kind,
        "agency": agency,
        "since": None if since is None else microseconds(since),
        "until": None if until is None else microseconds(until),
        "before_id": before_id,
    }
    parameters = {name: value for name, value in asked.items() if value is not None}
    words = {f"word{at}": contains(word) for at, word in enumerate(fold(plain(text or "")).split()[:_MOST_WORDS])}
    conditions = [_CONDITIONS[name] for name in parameters]
    conditions += [f"text_fold LIKE :{name} ESCAPE '!'" for name in words]
    where = " AND ".join(conditions) or "1 = 1"
    sql = f"SELECT {_COLUMNS} FROM log_event WHERE {where} ORDER BY event_id DESC LIMIT :limit"
    return tuple(_event(row) for row in tx.rows(sql, {**parameters, **words, "limit": limit}))
