"""The form of each kind of notice: facts in, card out. First sentence the outcome, second what to do now, codes last. Pure."""

from __future__ import annotations

from collections.abc import Callable

from mailrelay.model.document import MessageClass
from mailrelay.model.entry import EntryStatus
from mailrelay.model.receipt import ReceiptKind
from mailrelay.model.rule import Text
from mailrelay.receipts import words
from mailrelay.receipts.alerts import alert
from mailrelay.receipts.card import Card, Section, Tone
from mailrelay.receipts.desk import Desk, footer
from mailrelay.receipts.facts import Facts
from mailrelay.receipts.sections import (
    capital,
    day,
    files,
    moment,
    paper,
    paper_en,
    recipients,
    sender_checks,
    subject_tail,
    to_review,
    understood,
    urgency_tag,
    who,
)
from mailrelay.receipts.trouble import delayed, failed, held, returned

_LISTED = 60  # mails of a list that are shown one by one; the data file has more


def card(kind: ReceiptKind, facts: Facts, desk: Desk) -> Card:
    """Return the card of a notice. Raises KeyError for a kind that has no form."""
    return FORMS[kind](facts, desk)


def _sent(facts: Facts, desk: Desk) -> Card:
    count = len(facts["recipients"])
    at = moment(facts["mail"]["received_at"])
    if facts["mail"]["class"] == MessageClass.EXCHANGE.value:
        next_step = "Không cần làm gì thêm. Nếu đây là văn bản có số, gửi lại và ghi số, ký hiệu ở tiêu đề thư."
    elif facts["warnings"]:
        next_step = "Văn bản vẫn được chuyển; xin xem mục “Cần xem lại” bên dưới."
    else:
        next_step = "Không cần làm gì thêm: nơi nào không chuyển được hoặc trả lại, hệ thống báo ngay."
    return Card(
        badge="ĐÃ GỬI",
        subject=urgency_tag(facts) + subject_tail(facts),
        title=words.KINDS[ReceiptKind.SENT].vi,
        tone=Tone.GOOD,
        outcome=Text(
            f"Hệ thống đã nhận {paper(facts)} lúc {at} và đang chuyển đến {count} nơi nhận.",
            f"Accepted {paper_en(facts)}; it is on its way to {count} recipient(s).",
        ),
        next_step=Text(next_step, "Nothing needs to be done; you will be told of any trouble."),
        sections=(
            *understood(facts),
            *to_review(facts),
            *files(facts),
            recipients(facts, f"Nơi nhận ({count})"),
        ),
        footer=footer(facts, desk),
        english=facts["outside"],
    )


def _incoming(facts: Facts, desk: Desk) -> Card:
    entry = facts["entry"] or {}
    agency, seq = facts["agency_name"], entry.get("seq")
    arrived = moment(facts["arrived_at"])
    if seq:
        status = f"đã tự động vào sổ: số đến {seq}" + (
            f", ngày {day(entry['accepted_on'])}" if entry["accepted_on"] else ""
        )
        how = "trả lời thư này: TRẢ LẠI: lý do" if desk.takes_answers else "trả lại trên hệ thống"
        next_step = f"Kiểm tra tính xác thực, toàn vẹn; nếu không đúng, {how}."
    else:
        status = "chờ vào sổ"
        how = (
            "trả lời thư này, dòng đầu ghi TIẾP NHẬN để vào sổ, hoặc TRẢ LẠI: lý do"
            if desk.takes_answers
            else "vào sổ hoặc trả lại trên hệ thống"
        )
        next_step = f"Kiểm tra tính xác thực, toàn vẹn rồi {how}."
    stamp = Section(
        "Thông tin đăng ký",
        (
            ("Cơ quan nhận", agency),
            ("Số đến", str(seq) if seq else "(chờ vào sổ)"),
            ("Ngày đến", day(entry["accepted_on"]) if entry.get("accepted_on") else "(ngày tiếp nhận)"),
            ("Thời điểm đến", arrived),
            ("Tác giả", _author(facts)),
            ("Người nhận", "; ".join(who(one) for one in facts["recipients"])),
        ),
    )
    return Card(
        badge="VĂN BẢN ĐẾN",
        subject=urgency_tag(facts) + subject_tail(facts),
        title=words.KINDS[ReceiptKind.INCOMING].vi,
        tone=Tone.NEWS,
        outcome=Text(f"{agency} có văn bản đến: {paper(facts)}, đến lúc {arrived}, {status}.", ""),
        next_step=Text(f"{next_step} (Nghị định 30/2020/NĐ-CP, Điều 21, 22)", ""),
        sections=(
            stamp,
            *understood(facts, "Văn bản"),
            *to_review(facts),
            *sender_checks(facts),
            *files(facts),
        ),
        footer=footer(facts, desk),
    )


def _author(facts: Facts) -> str:
    return str(facts["document"]["issuer_name"] or facts["sender_agency"] or facts["mail"]["from"])


_REPORTED = {
    "delivered": (
        "ĐÃ CHUYỂN",
        Tone.GOOD,
        Text("đã chuyển đến hộp thư", "delivered"),
        Text("Không cần làm gì thêm.", ""),
    ),
    "relayed": (
        "ĐÃ CHUYỂN TIẾP",
        Tone.GOOD,
        Text(
            "đã chuyển sang hệ thống nhận, hệ thống đó không báo lại việc đến hộp thư",
            "relayed to a system that does not report",
        ),
        Text("Không cần làm gì thêm; cần chắc chắn thì hỏi nơi nhận.", ""),
    ),
    "expanded": (
        "ĐÃ CHUYỂN NHÓM",
        Tone.GOOD,
        Text(
            "đã nhận và chuyển tiếp đến các thành viên của nhóm", "accepted and passed on to the members of the group"
        ),
        Text("Không cần làm gì thêm; thành viên nào không nhận được, hệ thống báo ngay.", "Nothing needs to be done."),
    ),
}
_CORRECTED = Text(
    "Bỏ qua thông báo không chuyển được trước đây; không cần gửi lại.",
    "Please disregard the earlier non-delivery notice; do not send again.",
)


def _reported(facts: Facts, desk: Desk) -> Card:
    if facts["action"] == "delayed":
        return delayed(facts, desk)
    badge, tone, state, next_step = _REPORTED[facts["action"]]
    count = len(facts["recipients"])
    corrects = facts.get("corrects", False)
    if corrects:
        badge, next_step = "ĐÍNH CHÍNH", _CORRECTED
        state = Text(f"trước đó báo không chuyển được, nay {state.vi}", f"after all {state.en}")
    return Card(
        badge=badge,
        subject=subject_tail(facts),
        title=words.KINDS[ReceiptKind.DSN].vi,
        tone=tone,
        outcome=Text(
            f"{capital(paper(facts))}: {state.vi} ({count} nơi nhận).",
            f"{capital(paper_en(facts))}: {state.en} ({count}).",
        ),
        next_step=next_step,
        sections=(recipients(facts, f"Nơi nhận ({count})", state.vi),),
        footer=footer(facts, desk),
        english=facts["outside"],
    )


def _status(facts: Facts, desk: Desk) -> Card:
    """Status of the receiving agency (codes 03 to 06): made on request, never mailed by default."""
    entry = facts["entry"]
    status = EntryStatus(entry["status"])
    agency = facts["agency_name"]
    outcome = f"{capital(paper(facts))}: {agency} {words.ENTRY_STATUSES[status].vi.lower()}."
    if status is EntryStatus.ACCEPTED and entry["seq"]:
        on = f", ngày {day(entry['accepted_on'])}" if entry["accepted_on"] else ""
        outcome = f"Văn thư {agency} đã tiếp nhận {paper(facts)}; số đến {entry['seq']}{on}."
    return Card(
        badge=words.ENTRY_STATUSES[status].vi.upper() if status is not EntryStatus.ACCEPTED else "ĐÃ TIẾP NHẬN",
        subject=subject_tail(facts),
        title=words.KINDS[ReceiptKind.STATUS].vi,
        tone=Tone.GOOD,
        outcome=Text(outcome, f"{agency}: {words.ENTRY_STATUSES[status].en} – {paper_en(facts)}."),
        next_step=Text("", ""),
        sections=understood(facts),
        footer=footer(facts, desk),
        english=facts["outside"],
    )


def _statement(facts: Facts, desk: Desk) -> Card:
    """What the spam filter made wait since the last list."""
    total, shown = facts["total"], facts["held"][:_LISTED]
    lines = [f"{moment(one['received_at'])}, {_way(one)}, mã thư {one['mail_id']}" for one in shown]
    if total > len(shown):
        lines.append(f"… và {total - len(shown)} thư nữa")
    return Card(
        badge="THƯ RÁC",
        subject=f"{total} thư đang tạm giữ, chờ văn thư xem",
        title="Danh sách thư rác đang tạm giữ",
        tone=Tone.WAIT,
        outcome=Text(
            f"{total} thư từ bên ngoài bị bộ lọc coi là thư rác, đang tạm giữ, chưa chuyển; không thư nào bị xóa.", ""
        ),
        next_step=Text(
            f"Xem người gửi: thư nào cần nhận thì báo cho chuyển, kèm mã thư, đến {desk.contact}."
            " Đúng là thư rác thì không cần làm gì.",
            "",
        ),
        sections=(Section(f"Thư đang giữ ({total})", lines=tuple(lines)),),
        footer=footer(facts, desk),
    )


def _way(one: Facts) -> str:
    return f"từ {one['from'] or '(không có)'} gửi {', '.join(one['recipients'])}"


FORMS: dict[ReceiptKind, Callable[[Facts, Desk], Card]] = {
    ReceiptKind.SENT: _sent,
    ReceiptKind.INCOMING: _incoming,
    ReceiptKind.RETURNED: returned,
    ReceiptKind.FAILED: failed,
    ReceiptKind.DELAYED: delayed,
    ReceiptKind.HELD: held,
    ReceiptKind.ALERT: alert,
    ReceiptKind.STATEMENT: _statement,
    ReceiptKind.STATUS: _status,
    ReceiptKind.DSN: _reported,
}
