"""Entries in the books (Decree 30/2020/NĐ-CP articles 15, 16, 22): who enters what, once, under which number.

The document's own code is recorded and checked, never allocated here; `seq` is the running number of our book. All
functions work inside the caller's transaction and touch the counters last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from mailrelay.model.agency import Agency, Directory
from mailrelay.model.calendar import vietnamese_date
from mailrelay.model.document import Document
from mailrelay.model.entry import Book, EntryStatus, RegisterEntry
from mailrelay.model.faults import NotAllowed, NotFound
from mailrelay.model.identity import AgencyId, MailId
from mailrelay.store import entries
from mailrelay.store.transaction import Transaction

_WAITING = frozenset({EntryStatus.AWAITING, EntryStatus.ARRIVED})
# What was given up may still arrive: a lost answer, another sending, a person who tries again.
_NOT_YET_THERE = frozenset({EntryStatus.AWAITING, EntryStatus.NOT_DELIVERED})


def document_key(document: Document, issuer: str, year: int) -> str | None:
    """The key under which one paper is one row: (issuer, year of issue, notation, number with suffix); None without a code.

    Districts and the province share the symbol UBND and every issuer restarts its numbers each year, so neither the
    number nor the notation alone identifies a paper (Decree 30 article 15). Leading zeros do not count.
    """
    if document.code is None:
        return None
    issued = document.issued_on.year if document.issued_on else year
    number = document.code.number.lstrip("0").lower() or "0"
    return f"{issuer.lower()}|{issued}|{document.code.notation.casefold()}|{number}"


def issuing_agency(document: Document, sender: str, directory: Directory) -> Agency | None:
    """The agency in whose outgoing book a local sender's paper belongs.

    A văn thư that keeps several books (VP UBND: its own and UBND tỉnh's) enters the paper under its issuer; anybody else
    under the own agency, whatever the notation says.
    """
    own = directory.agency_of(sender)
    if own is None:
        return None
    kept = directory.kept_by(sender)
    return next((agency for agency in kept if agency.agency_id == document.issuer), own)


def enter_outgoing(
    tx: Transaction, document: Document, agency: Agency, receivers: Sequence[str], mail_id: MailId, now: datetime
) -> RegisterEntry:
    """Enter a paper in its issuer's sổ văn bản đi; the same paper sent again is the same row with one more sending."""
    year = vietnamese_date(now).year
    key = document_key(document, agency.agency_id, year)
    known = entries.find(tx, agency.agency_id, Book.OUTGOING, key) if key else None
    if known is not None:
        entries.add_arrival(tx, known.entry_id, mail_id, receivers, now)
        return known
    entry = RegisterEntry(
        agency=agency.agency_id,
        book=Book.OUTGOING,
        year=year,
        mail_id=mail_id,
        status=EntryStatus.REGISTERED,
        document=document,
        counterpart="",
        recipients=tuple(receivers),
        seq=entries.next_seq(tx, agency.agency_id, Book.OUTGOING, year),
        entered_at=now,
    )
    return replace(entry, entry_id=entries.insert(tx, entry, key, actor="mailrelay"))


def enter_incoming(
    tx: Transaction,
    document: Document,
    agency: Agency,
    counterpart: str,
    receivers: Sequence[str],
    mail_id: MailId,
    now: datetime,
) -> RegisterEntry:
    """Note a paper in the receiver's sổ văn bản đến, without a number: "chờ vào sổ" until văn thư accepts it.

    `counterpart` is the issuer's agency id, or the address of a sender outside. The same paper by two ways is one entry
    with several arrivals.
    """
    year = vietnamese_date(now).year
    key = document_key(document, counterpart, year)
    known = entries.find(tx, agency.agency_id, Book.INCOMING, key) if key else None
    if known is not None and known.status is not EntryStatus.RETURNED:
        entries.add_arrival(tx, known.entry_id, mail_id, receivers, now)
        return known
    entry = RegisterEntry(
        agency=agency.agency_id,
        book=Book.INCOMING,
        year=year,
        mail_id=mail_id,
        status=EntryStatus.AWAITING,
        document=document,
        counterpart=counterpart,
        recipients=tuple(receivers),
        entered_at=now,
    )
    # A paper that was returned may come again: the returned row keeps the key, the new one stands beside it.
    return replace(entry, entry_id=entries.insert(tx, entry, key if known is None else None, actor="mailrelay"))


def receiving_agencies(
    receivers: Iterable[str], directory: Directory, sender_agency: AgencyId | None
) -> dict[AgencyId, list[str]]:
    """Group receiving addresses by agency, in order; a paper inside one agency is not an incoming document."""
    grouped: dict[AgencyId, list[str]] = {}
    for address in receivers:
        agency = directory.agency_of(address)
        if agency is not None and agency.agency_id != sender_agency:
            grouped.setdefault(agency.agency_id, []).append(address)
    return grouped


def arrive(tx: Transaction, entry: RegisterEntry, agency: Agency, now: datetime) -> RegisterEntry:
    """Record that the paper lies in the agency's mailbox (status 01); number it at once where the agency opted in."""
    if entry.book is not Book.INCOMING or entry.status not in _NOT_YET_THERE:
        return entry
    entries.set_status(tx, entry.entry_id, EntryStatus.ARRIVED, at=now, actor="mailrelay")
    there = replace(entry, status=EntryStatus.ARRIVED)
    if agency.automatic_acceptance:
        return _accepted(tx, there, actor="mailrelay", now=now, note="tự động tiếp nhận")
    return there


def accept(tx: Transaction, entry_id: int, *, actor: str, now: datetime, note: str = "") -> RegisterEntry:
    """Status 03: văn thư takes the paper in; it gets the next số đến of the Vietnamese year, and today as ngày đến.

    Raises NotFound, or NotAllowed when the entry is not an incoming one that waits.
    """
    return _accepted(tx, _waiting(tx, entry_id), actor=actor, now=now, note=note)


def _accepted(tx: Transaction, entry: RegisterEntry, *, actor: str, now: datetime, note: str) -> RegisterEntry:
    today = vietnamese_date(now)
    seq = entries.next_seq(tx, entry.agency, Book.INCOMING, today.year)
    status, year = EntryStatus.ACCEPTED, today.year
    entries.set_status(
        tx, entry.entry_id, status, at=now, actor=actor, note=note, seq=seq, year=year, accepted_on=today
    )
    return replace(entry, status=status, note=note or entry.note, seq=seq, year=year, accepted_on=today)


def give_back(tx: Transaction, entry_id: int, *, reason: str, actor: str, now: datetime) -> RegisterEntry:
    """Status 02: văn thư returns the paper with a reason (Decree 30 article 21.2b). It takes no number."""
    if not reason.strip():
        raise NotAllowed("Trả lại văn bản phải nêu lý do. (Returning a document needs a reason.)")
    _waiting(tx, entry_id)
    entries.set_status(tx, entry_id, EntryStatus.RETURNED, at=now, actor=actor, note=reason.strip())
    return _get(tx, entry_id)


def _waiting(tx: Transaction, entry_id: int) -> RegisterEntry:
    entry = _get(tx, entry_id)
    if entry.book is not Book.INCOMING or entry.status not in _WAITING:
        raise NotAllowed(
            f"Mục số {entry_id} không ở trạng thái chờ vào sổ. (Entry {entry_id} is not waiting; its status is {entry.status}.)"
        )
    return entry


def _get(tx: Transaction, entry_id: int) -> RegisterEntry:
    entry = entries.get(tx, entry_id)
    if entry is None:
        raise NotFound(f"Không có mục số {entry_id} trong sổ. (There is no register entry {entry_id}.)")
    return entry
