"""`register`: what văn thư does at a terminal."""

from __future__ import annotations

from pathlib import Path

from mailrelay.cli.office import act, find_agency, load, read
from mailrelay.cli.output import fail, moment, print_json, print_line, print_table, say
from mailrelay.cli.words import status_word
from mailrelay.model.agency import Directory
from mailrelay.model.calendar import format_date, utc_now, vietnamese_date
from mailrelay.model.entry import Book, RegisterEntry
from mailrelay.model.folding import fold
from mailrelay.model.identity import AgencyId
from mailrelay.reports.trace import entry_row
from mailrelay.store import entries

_BOOKS = {"di": Book.OUTGOING, "den": Book.INCOMING, "outgoing": Book.OUTGOING, "incoming": Book.INCOMING}


def register_list(
    config: Path | None, agency: str, book: str, year: int | None, after: int, limit: int, *, as_json: bool
) -> int:
    office = load(config)
    wanted = _BOOKS.get(fold(book))
    if wanted is None:
        fail(say("--book là di hoặc den.", "--book is outgoing or incoming."), 2)
    whose = find_agency(office.directory, agency)
    of_year = year or vietnamese_date(utc_now()).year
    rows = read(
        office.settings,
        lambda tx: entries.listing(tx, whose.agency_id, wanted, of_year, after_id=after, limit=limit),
    )
    following = rows[-1].entry_id if len(rows) == limit else None
    if as_json:
        print_json({"entries": [entry_row(entry) for entry in rows], "next": following})
        return 0
    name = (
        say("Sổ văn bản đi", "Outgoing register")
        if wanted is Book.OUTGOING
        else say("Sổ văn bản đến", "Incoming register")
    )
    columns = say(
        "Mục|Số|Ngày đến|Số, ký hiệu|Ngày VB|Tên loại và trích yếu|Từ|Trạng thái",
        "Entry|No|Accepted|Code|Dated|Type and summary|From|Status",
    ).split("|")
    print_table(f"{name} – {whose.name} – {of_year}", columns, [_row(entry, office.directory) for entry in rows])
    if following:
        print_line(say(f"Còn nữa: thêm --after {following}", f"More: add --after {following}"), "dim")
    return 0


def register_show(config: Path | None, entry_id: int, *, as_json: bool) -> int:
    office = load(config)
    entry, statuses = read(office.settings, lambda tx: (entries.get(tx, entry_id), entries.statuses(tx, entry_id)))
    if entry is None:
        fail(say(f"Không có mục số {entry_id}.", f"There is no entry {entry_id}."))
    if as_json:
        print_json(entry_row(entry, statuses))
        return 0
    _told(entry, office.directory)
    rows = [(moment(at), status_word(status), actor, note) for at, status, actor, note in statuses]
    print_table(say("Trạng thái", "Statuses"), say("Lúc|Trạng thái|Ai|Ghi chú", "At|Status|Who|Note").split("|"), rows)
    return 0


def register_accept(config: Path | None, entry_id: int, note: str, *, as_json: bool) -> int:
    office = load(config)
    row = act(office, "register.accept", {"entry": entry_id, "note": note})
    if as_json:
        print_json(row)
    else:
        accepted = say(
            f"Đã tiếp nhận: số đến {row['seq']}/{row['year']}.", f"Accepted: number {row['seq']}/{row['year']}."
        )
        print_line(accepted, "green")
    return 0


def register_return(config: Path | None, entry_id: int, reason: str, *, as_json: bool) -> int:
    office = load(config)
    row = act(office, "register.return", {"entry": entry_id, "reason": reason})
    if as_json:
        print_json(row)
    else:
        print_line(say("Đã trả lại; người gửi được báo ngay.", "Returned; the sender is told at once."), "yellow")
    return 0


def _row(entry: RegisterEntry, directory: Directory) -> tuple[str, ...]:
    document = entry.document
    other = directory.agency(AgencyId(entry.counterpart))
    return (
        str(entry.entry_id),
        str(entry.seq) if entry.seq is not None else "–",
        format_date(entry.accepted_on) if entry.accepted_on else "",
        str(document.code or ""),
        format_date(document.issued_on) if document.issued_on else "",
        f"{document.type} {document.summary}".strip(),
        other.name if other else entry.counterpart,
        status_word(entry.status),
    )


def _told(entry: RegisterEntry, directory: Directory) -> None:
    agency = directory.agency(entry.agency)
    print_line(f"{say('Cơ quan', 'Agency'):12} {agency.name if agency else entry.agency}")
    for name, value in zip(
        say(
            "Mục|Số|Ngày đến|Số, ký hiệu|Ngày VB|Trích yếu|Từ|Trạng thái",
            "Entry|No|Accepted|Code|Dated|Summary|From|Status",
        ).split("|"),
        _row(entry, directory),
        strict=True,
    ):
        print_line(f"{name:12} {value}")
    print_line(f"{say('Mã thư', 'Mail id'):12} {entry.mail_id}")
