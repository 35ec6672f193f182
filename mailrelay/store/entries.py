"""The register books: numbers, entries, the ways by which their papers came, and their statuses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from itertools import combinations
from typing import Any

from mailrelay.model.document import Document
from mailrelay.model.entry import Book, EntryStatus, RegisterEntry
from mailrelay.model.faults import NotAllowed
from mailrelay.model.folding import fold
from mailrelay.model.identity import AgencyId, MailId
from mailrelay.store.codec import dumps, loads, microseconds, moment, plain
from mailrelay.store.transaction import Row, Transaction, require

_COLUMNS = (
    "agency, book, year, mail_id, status, document, counterpart, recipients, seq, entry_id, entered_at, arrived_at,"
    " accepted_on, note"
)
# Counted in the transaction that uses the number: an abort takes both back, so the numbers have no gap.
NEXT_SEQ = (
    "INSERT INTO book_counter (agency, book, year, last_seq) VALUES (:agency, :book, :year, 1)"
    " ON CONFLICT (agency, book, year) DO UPDATE SET last_seq = book_counter.last_seq + 1 RETURNING last_seq"
)
INSERT = (
    "INSERT INTO register_entry (agency, book, year, mail_id, status, document, counterpart, recipients, seq,"
    " entered_at, arrived_at, accepted_on, note, document_key, text_fold) VALUES (:agency, :book, :year, :mail_id,"
    " :status, :document, :counterpart, :recipients, :seq, :entered_at, :arrived_at, :accepted_on, :note,"
    " :document_key, :text_fold)"
)
FIND = f"SELECT {_COLUMNS} FROM register_entry WHERE agency = :agency AND book = :book AND document_key = :document_key"
GET = f"SELECT {_COLUMNS} FROM register_entry WHERE entry_id = :entry_id"
OF_MAIL = (
    f"SELECT {_COLUMNS} FROM register_entry"
    " WHERE entry_id IN (SELECT entry_id FROM entry_arrival WHERE mail_id = :mail_id) ORDER BY entry_id"
)
LISTING = (
    f"SELECT {_COLUMNS} FROM register_entry WHERE agency = :agency AND book = :book AND year = :year"
    " AND entry_id > :after_id ORDER BY entry_id LIMIT :limit"
)
ARRIVAL = "SELECT recipients FROM entry_arrival WHERE entry_id = :entry_id AND mail_id = :mail_id"
ADD_ARRIVAL = (
    "INSERT INTO entry_arrival (entry_id, mail_id, recipients, at) VALUES (:entry_id, :mail_id, :recipients, :at)"
)
WIDEN_ARRIVAL = "UPDATE entry_arrival SET recipients = :recipients WHERE entry_id = :entry_id AND mail_id = :mail_id"
ADD_STATUS = (
    "INSERT INTO entry_status (entry_id, at, status, actor, note) VALUES (:entry_id, :at, :status, :actor, :note)"
)
SEQ = "SELECT seq FROM register_entry WHERE entry_id = :entry_id"
_WITH = {"seq": ", seq = :seq, year = COALESCE(:year, year)", "note": ", note = :note", "day": ", accepted_on = :day"}
# One statement whatever goes with the status: {names of what is set besides: its text}.
SET_STATUS = {
    names: f"UPDATE register_entry SET status = :status{''.join(map(_WITH.__getitem__, names))} WHERE entry_id = :entry_id"
    for count in range(len(_WITH) + 1)
    for names in combinations(_WITH, count)
}
STATUSES = "SELECT at, status, actor, note FROM entry_status WHERE entry_id = :entry_id ORDER BY status_id"

_RECIPIENTS = tuple[str, ...]
_written = lru_cache(maxsize=16)(dumps)  # one paper has an entry in the books of every agency that gets it


def _entry(row: Row) -> RegisterEntry:
    (agency, book, year, mail_id, status, document, counterpart, recipients, *rest) = row
    seq, entry_id, entered_at, arrived_at, accepted_on, note = rest
    return RegisterEntry(
        agency=AgencyId(agency),
        book=Book(book),
        year=year,
        mail_id=MailId(mail_id),
        status=EntryStatus(status),
        document=loads(Document, document),
        counterpart=counterpart,
        recipients=loads(_RECIPIENTS, recipients),
        seq=seq,
        entry_id=entry_id,
        entered_at=None if entered_at is None else moment(entered_at),
        arrived_at=None if arrived_at is None else moment(arrived_at),
        accepted_on=None if accepted_on is None else date.fromisoformat(accepted_on),
        note=note,
    )


def next_seq(tx: Transaction, agency: AgencyId, book: Book, year: int) -> int:
    """The next number of a book, from 1. Use it in this transaction, and take it last: it is given back by an abort."""
    seq: int = tx.value(NEXT_SEQ, {"agency": agency, "book": book, "year": year})
    return seq


def insert(tx: Transaction, entry: RegisterEntry, document_key: str | None, *, actor: str = "") -> int:
    """Add an entry with its first arrival and first status; return its id.

    `document_key` names the paper within (agency, book): a second entry with it is refused by the store; None for papers
    that cannot be told apart. `entered_at` or `arrived_at` must be set (ValueError).
    """
    at = entry.arrived_at or entry.entered_at
    if at is None:
        raise ValueError("an entry needs the moment it arrived or was entered")
    code = "" if entry.document.code is None else str(entry.document.code)
    entry_id = tx.insert(
        INSERT,
        {
            "agency": entry.agency,
            "book": entry.book,
            "year": entry.year,
            "mail_id": entry.mail_id,
            "status": entry.status,
            "document": _written(entry.document),
            "counterpart": plain(entry.counterpart),
            "recipients": dumps(entry.recipients, _RECIPIENTS),
            "seq": entry.seq,
            "entered_at": None if entry.entered_at is None else microseconds(entry.entered_at),
            "arrived_at": None if entry.arrived_at is None else microseconds(entry.arrived_at),
            "accepted_on": None if entry.accepted_on is None else entry.accepted_on.isoformat(),
            "note": plain(entry.note),
            "document_key": document_key,
            "text_fold": fold(plain(f"{code} {entry.document.summary} {entry.counterpart}")),
        },
        "entry_id",
    )
    assert entry_id is not None
    _add_arrival(tx, entry_id, entry.mail_id, entry.recipients, at)
    _add_status(tx, entry_id, entry.status, at, actor, entry.note)
    return entry_id


def find(tx: Transaction, agency: AgencyId, book: Book, document_key: str) -> RegisterEntry | None:
    """The entry of a paper that is in the book already."""
    rows = tx.hold(FIND, {"agency": agency, "book": book, "document_key": document_key})
    return _entry(rows[0]) if rows else None


def get(tx: Transaction, entry_id: int) -> RegisterEntry | None:
    rows = tx.hold(GET, {"entry_id": entry_id})
    return _entry(rows[0]) if rows else None


def add_arrival(tx: Transaction, entry_id: int, mail_id: MailId, recipients: Sequence[str], at: datetime) -> None:
    """Note that a mail brought the paper of an entry. The same mail again only adds the recipients that are new."""
    arrival = {"entry_id": entry_id, "mail_id": mail_id}
    present = tx.hold(ARRIVAL, arrival)
    if not present:
        _add_arrival(tx, entry_id, mail_id, recipients, at)
        return
    before: tuple[str, ...] = loads(_RECIPIENTS, present[0][0])
    if wider := tuple(address for address in recipients if address not in before):
        tx.execute(WIDEN_ARRIVAL, arrival | {"recipients": dumps(before + wider, _RECIPIENTS)})


def _add_arrival(tx: Transaction, entry_id: int, mail_id: MailId, recipients: Sequence[str], at: datetime) -> None:
    arrival = {"entry_id": entry_id, "mail_id": mail_id, "at": microseconds(at)}
    tx.execute(ADD_ARRIVAL, {**arrival, "recipients": dumps(tuple(recipients), _RECIPIENTS)})


def of_mail(tx: Transaction, mail_id: MailId) -> tuple[RegisterEntry, ...]:
    """The entries whose paper a mail brought, first or again."""
    return tuple(_entry(row) for row in tx.hold(OF_MAIL, {"mail_id": mail_id}))


def set_status(
    tx: Transaction,
    entry_id: int,
    status: EntryStatus,
    *,
    at: datetime,
    actor: str,
    note: str = "",
    seq: int | None = None,
    year: int | None = None,
    accepted_on: date | None = None,
) -> None:
    """Append a status and make it the entry's present one. An empty note leaves the entry's note as it is.

    `year` goes with `seq`: a paper that arrived in December and is accepted in January stands in the new year's book.

    Raises NotFound, and NotAllowed when the entry has another number already.
    """
    change: dict[str, Any] = {"entry_id": entry_id, "status": status}
    if seq is not None and _is_new_number(tx, entry_id, seq):
        change |= {"seq": seq, "year": year}
    if note:
        change["note"] = plain(note)
    if accepted_on is not None:
        change["day"] = accepted_on.isoformat()
    require(tx.execute(SET_STATUS[tuple(name for name in _WITH if name in change)], change), f"mục {entry_id}")
    _add_status(tx, entry_id, status, at, actor, note)


def _is_new_number(tx: Transaction, entry_id: int, seq: int) -> bool:
    """False: the entry has this very number already. Raises NotAllowed when it has another one."""
    rows = tx.hold(SEQ, {"entry_id": entry_id})
    present = rows[0][0] if rows else None
    if present not in (None, seq):
        raise NotAllowed(f"Mục {entry_id} đã có số {present}. (The entry has its number already.)")
    return present is None


def _add_status(tx: Transaction, entry_id: int, status: EntryStatus, at: datetime, actor: str, note: str) -> None:
    parameters = {"entry_id": entry_id, "at": microseconds(at), "status": status}
    tx.execute(ADD_STATUS, parameters | {"actor": plain(actor), "note": plain(note)})


def statuses(tx: Transaction, entry_id: int) -> tuple[tuple[datetime, EntryStatus, str, str], ...]:
    """(at, status, actor, note) of an entry, oldest first."""
    rows = tx.rows(STATUSES, {"entry_id": entry_id})
    return tuple((moment(at), EntryStatus(status), actor, note) for at, status, actor, note in rows)


def listing(
    tx: Transaction, agency: AgencyId, book: Book, year: int, *, after_id: int = 0, limit: int = 50
) -> tuple[RegisterEntry, ...]:
    """A page of a book, in the order of entering."""
    parameters = {"agency": agency, "book": book, "year": year, "after_id": after_id, "limit": limit}
    return tuple(_entry(row) for row in tx.rows(LISTING, parameters))
