"""`trace` and `log`: what an auditor asks. Reads only."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from mailrelay.cli import life
from mailrelay.cli.events import event_word, particulars, summary
from mailrelay.cli.office import find_agency, load, read
from mailrelay.cli.output import fail, moment, print_json, print_line, print_table, say
from mailrelay.model.calendar import VIETNAM
from mailrelay.model.entry import EventKind, LogEvent
from mailrelay.model.identity import MailId, is_mail_id
from mailrelay.model.record import veiled
from mailrelay.reports.trace import Life, event_row, life_of, shape
from mailrelay.store import log, messages
from mailrelay.store.transaction import Transaction


def trace(
    config: Path | None, mail_id: str | None, message_id: str | None, sha256: str | None, *, as_json: bool
) -> int:
    """Exit 0 and the life of the mail; 1 when there is none; with several mails of one Message-ID the newest, and a list."""
    named = [value for value in (mail_id, message_id, sha256) if value]
    if len(named) != 1:
        fail(say("Hãy nêu một mã thư, --message-id hoặc --sha256.", "Name one mail id, --message-id or --sha256."), 2)
    if mail_id and not is_mail_id(mail_id.upper()):
        fail(say(f"“{mail_id}” không phải mã thư (26 ký tự).", f"{mail_id} is not a mail id (26 characters)."), 2)
    office = load(config)

    def question(tx: Transaction) -> tuple[Life | None, tuple[MailId, ...]]:
        found: tuple[MailId, ...]
        if mail_id:
            found = (MailId(mail_id.upper()),)
        else:
            found = messages.find(tx, message_id=message_id, sha256=sha256.lower() if sha256 else None)
            if message_id and not found:  # a letter is kept under a digest of its Message-ID
                found = messages.find(tx, message_id=veiled(message_id))
        return (life_of(tx, found[-1]) if found else None), found

    told, found = read(office.settings, question)
    if told is None:
        fail(say("Không có thư này trong nhật ký.", "No such mail in the log."))
    if as_json:
        print_json(shape(told))
        return 0
    if len(found) > 1:
        print_line(
            say(f"Có {len(found)} thư như vậy: {', '.join(found)}", f"{len(found)} such mails: {', '.join(found)}")
        )
    life.show(told, office.directory)
    return 0


def log_search(
    config: Path | None,
    text: str,
    kind: str | None,
    agency: str | None,
    since: str | None,
    until: str | None,
    before: int | None,
    limit: int,
    *,
    as_json: bool,
) -> int:
    office = load(config)
    start, end = _day(since), _day(until)
    whose = find_agency(office.directory, agency).agency_id if agency else None

    def question(tx: Transaction) -> tuple[LogEvent, ...]:
        return log.search(
            tx,
            kind=_kind(kind),
            agency=whose,
            since=start,
            until=end + timedelta(days=1) if end else None,
            text=text or None,
            before_id=before,
            limit=limit,
        )

    events = read(office.settings, question)
    following = events[-1].event_id if len(events) == limit else None
    if as_json:
        print_json({"events": [event_row(event) for event in events], "next": following})
        return 0
    columns = say("Số|Lúc|Sự kiện|Mã thư|Cơ quan|Ai|Chi tiết", "Row|At|Event|Mail id|Agency|Actor|Detail").split("|")
    print_table(say("Nhật ký văn bản", "Document log"), columns, [_row(event) for event in events])
    if following:
        print_line(say(f"Còn nữa: thêm --before {following}", f"More: add --before {following}"), "dim")
    return 0


def log_show(config: Path | None, event_id: int, *, as_json: bool) -> int:
    office = load(config)
    event = read(office.settings, lambda tx: log.get(tx, event_id))
    if event is None:
        fail(say(f"Không có dòng nhật ký số {event_id}.", f"There is no log row {event_id}."))
    if as_json:
        print_json(event_row(event))
        return 0
    names = say("Số|Lúc|Sự kiện|Mã thư|Cơ quan|Ai", "Row|At|Event|Mail id|Agency|Actor").split("|")
    for name, value in zip(names, _row(event), strict=False):
        print_line(f"{name:12} {value}")
    for name, value in particulars(event):
        print_line(f"  {name}: {value}")
    return 0


def _row(event: LogEvent) -> tuple[str, ...]:
    return (
        str(event.event_id),
        moment(event.at),
        event_word(event.kind),
        event.mail_id or "",
        event.agency or "",
        event.actor,
        summary(event),
    )


def _kind(name: str | None) -> EventKind | None:
    if not name:
        return None
    try:
        return EventKind(name)
    except ValueError:
        known = ", ".join(kind.value for kind in EventKind)
        fail(say(f"Không có loại sự kiện “{name}”. Các loại: {known}", f"No event kind {name}. Known: {known}"), 2)


def _day(text: str | None) -> datetime | None:
    if not text:
        return None
    for pattern in ("%d/%m/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=VIETNAM)
        except ValueError:
            continue
    fail(say(f"Ngày “{text}” không đúng dạng dd/mm/yyyy.", f"{text} is not a date (dd/mm/yyyy or yyyy-mm-dd)."), 2)
