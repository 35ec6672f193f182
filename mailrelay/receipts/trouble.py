"""The forms of bad news: not sent, returned, not delivered, held. Facts in, card out. Pure."""

from __future__ import annotations

from mailrelay.model.document import MessageClass
from mailrelay.model.receipt import ReceiptKind
from mailrelay.model.rule import Text
from mailrelay.receipts import words
from mailrelay.receipts.card import Card, Section, Tone
from mailrelay.receipts.desk import Desk, footer
from mailrelay.receipts.facts import Facts
from mailrelay.receipts.sections import (
    SHOWN,
    files,
    moment,
    paper,
    paper_en,
    reasons,
    recipients,
    rest,
    subject_tail,
    to_review,
    understood,
    urgency_tag,
    who,
)

NOT_SENT = "KHÔNG CHUYỂN ĐƯỢC"


def returned(facts: Facts, desk: Desk) -> Card:
    return {"system": _returned_by_system, "holder": _returned_by_holder, "agency": _returned_by_agency}[facts["by"]](
        facts, desk
    )


def _thing(facts: Facts) -> str:
    return "thư" if facts["mail"]["class"] == MessageClass.LETTER.value else "văn bản"


def _not_sent(facts: Facts) -> Text:
    count, total = len(facts["recipients"]), facts.get("total", len(facts["recipients"]))
    if count < total:
        return Text(
            f"{NOT_SENT} – {_thing(facts)} chưa được gửi đến {count} trong {total} nơi nhận: {paper(facts)}.",
            f"Not sent to {count} of {total} recipients: {paper_en(facts)}.",
        )
    return Text(f"{NOT_SENT} – {_thing(facts)} chưa được gửi: {paper(facts)}.", f"Not sent: {paper_en(facts)}.")


def _returned_by_system(facts: Facts, desk: Desk) -> Card:
    sections, remedies, english = reasons(facts)
    vi = remedies.vi or "Sửa theo lý do bên dưới rồi gửi lại."
    return Card(
        badge=NOT_SENT,
        subject=subject_tail(facts),
        title=words.KINDS[ReceiptKind.RETURNED].vi,
        tone=Tone.BAD,
        outcome=_not_sent(facts),
        next_step=Text(f"Việc cần làm: {vi}", remedies.en or "Correct it and send again."),
        sections=(*sections, *understood(facts), *files(facts)),
        footer=footer(facts, desk),
        english=facts["outside"],
        details_en=english,
    )


def _returned_by_holder(facts: Facts, desk: Desk) -> Card:
    decider = f"{facts['clerk_name']} ({facts['clerk']})" if facts["clerk_name"] else facts["clerk"]
    return Card(
        badge=NOT_SENT,
        subject=subject_tail(facts),
        title=words.KINDS[ReceiptKind.RETURNED].vi,
        tone=Tone.BAD,
        outcome=_not_sent(facts),
        next_step=Text(f"Lý do: {facts['reason']}", f"Reason: {facts['reason']}"),
        sections=(
            Section("Người quyết định", (("Không chuyển", decider), ("Thời điểm", moment(facts["event_at"])))),
            recipients(facts, f"Nơi nhận ({len(facts['recipients'])})"),
            *understood(facts),
        ),
        footer=footer(facts, desk),
        english=facts["outside"],
    )


def _returned_by_agency(facts: Facts, desk: Desk) -> Card:
    agency = facts["agency_name"]
    contact = f"Văn thư {agency}" + (f" ({facts['contact']})" if facts["contact"] else "")
    return Card(
        badge="TRẢ LẠI",
        subject=subject_tail(facts),
        title="Trả lại văn bản",
        tone=Tone.BAD,
        outcome=Text(
            f"{agency} trả lại {paper(facts)}. Lý do: {facts['reason']}",
            f"{agency} has returned {paper_en(facts)}. Reason: {facts['reason']}",
        ),
        next_step=Text(
            f"Sửa theo lý do trên rồi gửi lại, hoặc liên hệ {contact}.",
            "Correct it and send again, or contact the agency.",
        ),
        sections=(
            Section(
                "Từ chối tiếp nhận",
                (("Cơ quan", agency), ("Người trả lại", facts["clerk"]), ("Thời điểm", moment(facts["event_at"]))),
            ),
            *understood(facts),
        ),
        footer=footer(facts, desk),
        english=facts["outside"],
    )


def _undelivered(facts: Facts) -> tuple[Section, Text, tuple[str, ...]]:
    lines: list[str] = []
    remedies: dict[str, str] = {}
    english: list[str] = []
    for one in facts["recipients"]:
        meaning, remedy = words.delivery_status(one["status"])
        remedies[remedy.vi] = remedy.en
        if len(lines) == SHOWN:
            continue
        lines.append(f"{who(one)}: {meaning.vi}{_said(one)}")
        english.append(f"{one['address']}: {meaning.en}" + (f" ({one['text']})" if one["text"] else ""))
    return (
        Section(f"Nơi nhận ({len(facts['recipients'])})", lines=(*lines, *rest(facts))),
        _joined(remedies),
        tuple(english),
    )


def _said(one: Facts) -> str:
    """The next hop's own words, or what we found without any word of it."""
    said = "máy chủ nhận trả lời: " if one["code"] else ""
    return f" – {said}{one['text']}" if one["text"] else ""


def _joined(remedies: dict[str, str]) -> Text:
    return Text(" ".join(remedies), " ".join(remedies.values()))


def failed(facts: Facts, desk: Desk) -> Card:
    section, remedies, english = _undelivered(facts)
    count = len(facts["recipients"])
    return Card(
        badge=NOT_SENT,
        subject=subject_tail(facts),
        title=words.KINDS[ReceiptKind.FAILED].vi,
        tone=Tone.BAD,
        outcome=Text(
            f"{NOT_SENT} – {paper(facts)} không đến được {count} nơi nhận.",
            f"Not delivered to {count} recipient(s): {paper_en(facts)}.",
        ),
        next_step=Text(f"Việc cần làm: {remedies.vi}", remedies.en),
        sections=(section, *understood(facts)),
        footer=footer(facts, desk),
        english=facts["outside"],
        details_en=english,
    )


def delayed(facts: Facts, desk: Desk) -> Card:
    count = len(facts["recipients"])
    until = moment(min(one["until"] for one in facts["recipients"]))
    lines, english = [], []
    for one in facts["recipients"][:SHOWN]:
        meaning, _ = words.delivery_status(one["status"])
        lines.append(f"{who(one)}: {meaning.vi}{_said(one)}; lần thử tiếp theo {moment(one['next_at'])}")
        english.append(f"{one['address']}: {meaning.en}" + (f" ({one['text']})" if one["text"] else ""))
    return Card(
        badge="CHẬM CHUYỂN",
        subject=urgency_tag(facts) + subject_tail(facts),
        title=words.KINDS[ReceiptKind.DELAYED].vi,
        tone=Tone.WAIT,
        outcome=Text(
            f"Chưa chuyển được {paper(facts)} đến {count} nơi nhận; hệ thống đang tiếp tục thử.",
            f"Not yet delivered to {count} recipient(s), still being tried: {paper_en(facts)}.",
        ),
        next_step=Text(
            f"Không cần gửi lại: hệ thống tự thử lại đến {until}; đến lúc đó vẫn không được thì báo ông/bà."
            " Nếu gấp, báo trước cho nơi nhận bằng điện thoại.",
            f"Do not send again: it is tried until {until}. If it is urgent, tell the receiver by other means.",
        ),
        sections=(Section(f"Nơi nhận ({count})", lines=(*lines, *rest(facts))), *understood(facts)),
        footer=footer(facts, desk),
        english=facts["outside"],
        details_en=tuple(english),
    )


def held(facts: Facts, desk: Desk) -> Card:
    sections, _, english = reasons(facts)
    count = len(facts["recipients"])
    holders = ", ".join(who(one) for one in facts["holders"])
    if facts["to_holder"]:
        outcome = f"Đang chờ ông/bà quyết định: {paper(facts)} đang tạm giữ, chưa chuyển đến {count} nơi nhận."
        next_step = (
            f"Kiểm tra theo lý do bên dưới, rồi báo cho chuyển hay không chuyển, kèm mã thư, đến {desk.contact}."
        )
    else:
        outcome = f"Tạm giữ {paper(facts)}, chưa chuyển đến {count} nơi nhận."
        next_step = f"Không cần gửi lại: {holders} quyết định, kết quả sẽ báo ông/bà. Cần gấp thì liên hệ người này."
    return Card(
        badge="TẠM GIỮ",
        subject=urgency_tag(facts) + subject_tail(facts),
        title=words.KINDS[ReceiptKind.HELD].vi,
        tone=Tone.WAIT,
        outcome=Text(outcome, f"Held: {paper_en(facts)}, for {count} recipient(s)."),
        next_step=Text(next_step, "Do not send again; you will be told of the decision."),
        sections=(
            *sections,
            Section("Người gửi", lines=(_sender(facts),)),
            Section("Người giữ", lines=tuple(who(one) for one in facts["holders"])),
            *understood(facts),
            *to_review(facts),
        ),
        footer=footer(facts, desk),
        english=facts["outside"],
        details_en=english,
    )


def _sender(facts: Facts) -> str:
    mail = facts["mail"]
    return who({"name": mail["from_name"], "address": mail["from"] or "(không có)"})
