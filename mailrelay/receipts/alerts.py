"""The forms of alerts: a paper with a secrecy mark was refused, a box or a login needs a person. Facts in, card out. Pure."""

from __future__ import annotations

from mailrelay.model.document import Secrecy
from mailrelay.model.rule import Text
from mailrelay.receipts import words
from mailrelay.receipts.card import Card, Section, Tone
from mailrelay.receipts.desk import Desk
from mailrelay.receipts.facts import Facts
from mailrelay.receipts.sections import moment


def alert(facts: Facts, desk: Desk) -> Card:
    return _alarm(facts, desk) if "alarm" in facts else _secret_refused(facts, desk)


def _alarm(facts: Facts, desk: Desk) -> Card:
    """What is wrong with a box or a login. No mail is lost by it, and none is returned."""
    alarm, reason, name = words.ALARMS[facts["alarm"]], facts["reason"], facts["name"]
    rows = [
        ("Thời điểm", moment(facts["event_at"])),
        (alarm.label, name),
        ("Cơ quan", facts["agency"]),
    ]
    outcome = alarm.outcome
    return Card(
        badge="CẢNH BÁO",
        subject=f"{alarm.subject} {name}",
        title=f"{alarm.subject} {name}",
        tone=Tone.BAD,
        outcome=Text(outcome.vi.format(name), outcome.en.format(name)) if outcome else Text(reason["vi"], reason["en"]),
        next_step=Text(f"Việc cần làm: {reason['remedy_vi']}", reason["remedy_en"]),
        sections=(Section("Sự việc", tuple(row for row in rows if row[1])),),
        footer=(f"Mã thư: {facts['mail']['mail_id']} · Hỗ trợ: {desk.contact}",),
    )


def _secret_refused(facts: Facts, desk: Desk) -> Card:
    mark = words.SECRECIES[Secrecy(facts["mark"])].vi
    if facts["to_sender"]:
        next_step = (
            "Xóa thư này khỏi máy và hộp Thư đã gửi, gửi văn bản theo quy định về bảo vệ bí mật nhà nước;"
            " hỏi cán bộ bảo mật của đơn vị. Nếu ghi nhầm dấu chỉ độ mật, người có thẩm quyền bỏ dấu rồi mới gửi lại."
        )
    else:
        next_step = "Liên hệ người gửi, xử lý theo quy định về bảo vệ bí mật nhà nước. Hệ thống không giữ nội dung."
    rows = [
        ("Thời điểm", moment(facts["at"])),
        ("Dấu chỉ độ mật", mark),
        ("Người gửi", (facts["from_name"] and f"{facts['from_name']} ({facts['from']})") or facts["from"] or "–"),
        ("Cơ quan", facts["agency"]),
        ("Tài khoản", facts["login"]),
        ("Máy gửi", facts["peer"]),
        ("SHA-256 của thư", facts["sha256"]),
    ]
    return Card(
        badge="CẢNH BÁO",
        subject="Không nhận thư có dấu chỉ độ mật",
        title="Từ chối thư có dấu chỉ độ mật",
        tone=Tone.BAD,
        outcome=Text(
            f"Thư có dấu {mark} gửi lúc {moment(facts['at'])} KHÔNG được nhận; nội dung đã xóa, không chuyển cho ai.",
            "A mail marked secret was refused; nothing of it was kept or sent on.",
        ),
        next_step=Text(next_step, ""),
        sections=(Section("Sự việc", tuple(row for row in rows if row[1])),),
        footer=(
            f"Mã thư: {facts['mail']['mail_id']} · Hỗ trợ: {desk.contact}",
            "Thông báo này không chứa nội dung của thư.",
        ),
    )
