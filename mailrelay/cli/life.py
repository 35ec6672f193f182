"""One mail's life for a person's eyes: what it was understood to be, what was decided and why, where it is now."""

from __future__ import annotations

from mailrelay.cli.events import event_word
from mailrelay.cli.output import english, moment, print_line, print_table, say
from mailrelay.cli.words import (
    action_word,
    class_word,
    dispatch_word,
    receipt_state_word,
    spoken,
    state_word,
    status_word,
)
from mailrelay.model.agency import Directory
from mailrelay.model.calendar import format_date
from mailrelay.model.decision import Action, RecipientDecision
from mailrelay.model.document import Document
from mailrelay.model.entry import Book, EntryStatus, RegisterEntry
from mailrelay.model.finding import Finding, Verdict
from mailrelay.receipts import words
from mailrelay.reports.trace import Life


def show(life: Life, directory: Directory) -> None:
    """Print a mail's life: head, document, findings, decision, books, dispatches, receipts, history."""
    record = life.record
    origin = record.message.envelope.origin
    _pair(say("Mã thư", "Mail id"), record.message.mail_id)
    _pair(say("Loại", "Class"), class_word(record.message_class))
    _pair(say("Tình trạng", "State"), state_word(record.state))
    _pair(say("Nhận lúc", "Received"), f"{moment(record.message.received_at)}, {origin.door.value}")
    _pair(say("Người gửi", "Sender"), record.message.envelope.sender or "<>")
    _pair(say("Tiêu đề", "Subject"), record.subject)
    _pair("Message-ID", record.message_id)
    _pair("SHA-256", f"{record.message.digest} ({record.message.size} byte)")
    if record.document is not None:
        _document(record.document, record.warnings)
    _findings(life)
    _decision(life)
    if life.entries:
        rows = [_entry(entry, directory) for entry in life.entries]
        print_table(
            say("Sổ văn bản", "Books"),
            say("Mục|Cơ quan|Sổ|Số|Trạng thái", "Entry|Agency|Book|No|Status").split("|"),
            rows,
        )
    if life.dispatches:
        sent = [(d.recipient.address, dispatch_word(d.state), str(d.attempts), d.detail) for d in life.dispatches]
        print_table(
            say("Chuyển đến", "Dispatches"),
            say("Người nhận|Tình trạng|Lần|Chi tiết", "To|State|Tries|Detail").split("|"),
            sent,
        )
    if life.receipts:
        told = [(spoken(words.KINDS[r.kind]), r.to, receipt_state_word(r.state)) for r in life.receipts]
        print_table(say("Biên nhận", "Receipts"), say("Loại|Gửi cho|Tình trạng", "Kind|To|State").split("|"), told)
    if not life.events:  # a dry run has no past
        return
    history = [(moment(e.at), event_word(e.kind), e.agency or "", e.actor) for e in life.events]
    print_table(say("Diễn biến", "History"), say("Lúc|Sự kiện|Cơ quan|Ai", "At|Event|Agency|Actor").split("|"), history)


def _pair(name: str, value: str) -> None:
    if value:
        print_line(f"{name:12} {value}")


def _document(document: Document, warnings: tuple[str, ...]) -> None:
    issued = f" {say('ngày', 'of')} {format_date(document.issued_on)}" if document.issued_on else ""
    _pair(
        say("Văn bản", "Document"),
        f"{document.type} {document.code or say('(chưa có số)', '(no number)')}{issued}".strip(),
    )
    _pair(say("Trích yếu", "Summary"), document.summary)
    for warning in warnings:
        _pair(say("Lưu ý", "Warning"), spoken(words.WARNINGS[warning]))


def _findings(life: Life) -> None:
    told = [f for f in life.record.findings if f.verdict is not Verdict.NONE]
    rows = [(spoken(words.CHECKS[f.check]), spoken(words.VERDICTS[f.verdict]), f.subject, _meaning(f)) for f in told]
    if rows:
        print_table(
            say("Kiểm tra", "Findings"), say("Mục|Kết quả|Của|Nghĩa là", "Check|Verdict|Of|Meaning").split("|"), rows
        )


def _meaning(finding: Finding) -> str:
    known = words.meaning(finding.check, finding.detail, finding.facts)
    return spoken(known) if known else finding.detail


def _decision(life: Life) -> None:
    decision = life.record.decision
    if decision is None:
        return
    alike: dict[tuple[Action, tuple[str, ...]], list[RecipientDecision]] = {}
    for judged in decision.recipients:
        alike.setdefault((judged.action, judged.rules), []).append(judged)
    rows = []
    for (action, rules), group in alike.items():
        # The last is why; those before it say what else there is to know.
        reasons = " ".join((reason.en if english() else reason.vi) for reason in reversed(group[0].reasons))
        more = say(f" và {len(group) - 1} nơi khác", f" and {len(group) - 1} more") if len(group) > 1 else ""
        rows.append((group[0].recipient + more, action_word(action), ", ".join(rules), reasons))
    print_table(
        say("Quyết định", "Decision"), say("Người nhận|Việc|Quy tắc|Lý do", "To|Action|Rules|Reasons").split("|"), rows
    )


def _entry(entry: RegisterEntry, directory: Directory) -> tuple[str, ...]:
    agency = directory.agency(entry.agency)
    book = say("đi", "outgoing") if entry.book is Book.OUTGOING else say("đến", "incoming")
    waits = entry.status in (EntryStatus.AWAITING, EntryStatus.ARRIVED)
    none = say("chờ vào sổ", "none yet") if waits else "–"
    number = f"{entry.seq}/{entry.year}" if entry.seq is not None else none
    return (str(entry.entry_id), agency.name if agency else entry.agency, book, number, status_word(entry.status))
