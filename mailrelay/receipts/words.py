"""Every sentence that a notice may use, in Vietnamese and English: one table per thing that has a name. Data; composes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailrelay.model.dispatch import DispatchState
from mailrelay.model.document import Kind, Secrecy, Urgency
from mailrelay.model.entry import EntryStatus
from mailrelay.model.finding import Check, Verdict
from mailrelay.model.receipt import ReceiptKind
from mailrelay.model.rule import Text
from mailrelay.receipts.finding_words import AGENCY_FIRST, FINDINGS, REASONS, STALE, WRONG_CLOCK

KINDS: Mapping[ReceiptKind, Text] = {
    ReceiptKind.SENT: Text("Xác nhận đã gửi", "Confirmation of sending"),
    ReceiptKind.INCOMING: Text("Phiếu văn bản đến", "Incoming document slip"),
    ReceiptKind.TRACKING: Text("Phiếu theo dõi", "Tracking slip"),
    ReceiptKind.RETURNED: Text("Thông báo không chuyển được", "Notice of non-acceptance"),
    ReceiptKind.FAILED: Text("Thông báo không chuyển được", "Non-delivery notice"),
    ReceiptKind.DELAYED: Text("Thông báo chậm gửi", "Delay notice"),
    ReceiptKind.HELD: Text("Thông báo tạm giữ", "Notice of a held mail"),
    ReceiptKind.DECIDED: Text("Thông báo kết quả duyệt", "Notice of a decision"),
    ReceiptKind.RECALL: Text("Thông báo lấy lại văn bản", "Notice of recall"),
    ReceiptKind.STATUS: Text("Thông báo trạng thái xử lý", "Status notice"),
    ReceiptKind.ALERT: Text("Cảnh báo", "Alert"),
    ReceiptKind.STATEMENT: Text("Bảng tổng hợp trong ngày", "Daily statement"),
    ReceiptKind.DSN: Text("Báo cáo chuyển thư", "Delivery report"),
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """How a complaint about a box or a login is told. `outcome` None: as the refusal table says it."""

    subject: str
    label: str
    outcome: Text | None = None


# Names of the refusal table that speak of no mail: what they tell is no return.
ALARMS: Mapping[str, Alarm] = {
    "box-not-polled": Alarm("Không đọc được hộp thư", "Hộp thư"),
    "login-suspended": Alarm(
        "Tạm dừng gửi thư từ tài khoản",
        "Tài khoản",
        Text(
            "Tài khoản {} gửi ra ngoài tỉnh nhiều bất thường nên tạm dừng gửi ra ngoài; có thể mật khẩu đã lộ."
            " Thư trong tỉnh vẫn gửi, nhận được.",
            "Login {} may not send to the outside for now, after unusual amounts of mail; its password may be stolen.",
        ),
    ),
}

URGENCIES: Mapping[Urgency, Text] = {
    Urgency.NORMAL: Text("Thường", "normal"),
    Urgency.URGENT: Text("Khẩn", "urgent"),
    Urgency.VERY_URGENT: Text("Thượng khẩn", "very urgent"),
    Urgency.FLASH: Text("Hỏa tốc", "flash"),
    Urgency.TIMED_FLASH: Text("Hỏa tốc hẹn giờ", "flash, by the hour"),
}

SECRECIES: Mapping[Secrecy, Text] = {
    Secrecy.NONE: Text("Không", "none"),
    Secrecy.CONFIDENTIAL: Text("MẬT", "confidential"),
    Secrecy.SECRET: Text("TỐI MẬT", "secret"),
    Secrecy.TOP_SECRET: Text("TUYỆT MẬT", "top secret"),
}

DOCUMENT_KINDS: Mapping[Kind, Text] = {
    Kind.INVITATION: Text("Giấy mời họp", "meeting invitation"),
    Kind.MEETING_PAPERS: Text("Tài liệu họp", "meeting papers"),
    Kind.NOTICE: Text("Thông báo", "notice"),
    Kind.PERIODIC_REPORT: Text("Báo cáo định kỳ", "periodic report"),
    Kind.SCHEDULE: Text("Lịch công tác", "work schedule"),
    Kind.SURVEY: Text("Phiếu điều tra, khảo sát", "survey"),
    Kind.STEERING: Text("Thông tin chỉ đạo, điều hành", "steering information"),
    Kind.INTERNAL: Text("Văn bản nội bộ", "internal document"),
    Kind.DRAFT: Text("Dự thảo lấy ý kiến", "draft for comment"),
    Kind.LEGAL: Text("Văn bản quy phạm pháp luật", "normative act"),
    Kind.OTHER: Text("Văn bản khác", "other document"),
}

DISPATCH_STATES: Mapping[DispatchState, Text] = {
    DispatchState.QUEUED: Text("đang chuyển", "on its way"),
    DispatchState.SENDING: Text("đang chuyển", "on its way"),
    DispatchState.DELIVERED: Text("đã chuyển đến hộp thư", "delivered to the mailbox"),
    DispatchState.RELAYED: Text("đã chuyển sang hệ thống nhận", "handed over to the receiving system"),
    DispatchState.DEFERRED: Text("chưa chuyển được, đang thử lại", "not yet delivered, being retried"),
    DispatchState.FAILED: Text("không chuyển được", "not delivered"),
    DispatchState.WITHDRAWN: Text("đã rút, không chuyển", "withdrawn"),
    DispatchState.HELD: Text("tạm giữ, chưa chuyển", "held"),
}

ENTRY_STATUSES: Mapping[EntryStatus, Text] = {
    EntryStatus.AWAITING: Text("Chờ chuyển đến", "awaiting delivery"),
    EntryStatus.REGISTERED: Text("Đã ghi sổ văn bản đi", "in the outgoing register"),
    EntryStatus.ARRIVED: Text("Đã đến, chờ vào sổ", "arrived, waiting to be entered"),
    EntryStatus.RETURNED: Text("Trả lại", "returned"),
    EntryStatus.ACCEPTED: Text("Đã tiếp nhận, vào sổ", "accepted and entered"),
    EntryStatus.ASSIGNED: Text("Đã phân công xử lý", "assigned"),
    EntryStatus.IN_PROGRESS: Text("Đang xử lý", "in progress"),
    EntryStatus.COMPLETED: Text("Hoàn thành", "completed"),
    EntryStatus.RECALLED: Text("Bên gửi đề nghị lấy lại", "recall asked for"),
    EntryStatus.RECALL_AGREED: Text("Đồng ý cho lấy lại", "recall agreed"),
    EntryStatus.RECALL_REFUSED: Text("Không đồng ý cho lấy lại", "recall refused"),
    EntryStatus.VOID: Text("Hủy", "void"),
    EntryStatus.NOT_DELIVERED: Text("Không chuyển được", "not delivered"),
}

VERDICTS: Mapping[Verdict, Text] = {
    Verdict.NONE: Text("không có", "none"),
    Verdict.PASS: Text("đạt", "pass"),
    Verdict.FAIL: Text("không đạt", "fail"),
    Verdict.PARTIAL: Text("đạt một phần", "partial"),
    Verdict.NEUTRAL: Text("không kết luận", "neutral"),
    Verdict.SOFTFAIL: Text("nghi vấn", "softfail"),
    Verdict.POLICY: Text("cần lưu ý", "needs attention"),
    Verdict.TEMPERROR: Text("tạm thời chưa kiểm tra được", "not checked for now"),
    Verdict.PERMERROR: Text("không kiểm tra được", "cannot be checked"),
}

CHECKS: Mapping[Check, Text] = {
    Check.SPF: Text("Máy chủ gửi (SPF)", "sending server (SPF)"),
    Check.DKIM: Text("Chữ ký của máy chủ gửi (DKIM)", "signature of the sending server (DKIM)"),
    Check.ARC: Text("Chuỗi chuyển tiếp (ARC)", "forwarding chain (ARC)"),
    Check.DMARC: Text("Tên miền người gửi (DMARC)", "sender's domain (DMARC)"),
    Check.OPENPGP: Text("Chữ ký OpenPGP", "OpenPGP signature"),
    Check.SMIME: Text("Chữ ký S/MIME", "S/MIME signature"),
    Check.PDF: Text("Chữ ký số trên tệp PDF", "digital signature in the PDF"),
    Check.XML: Text("Chữ ký số trên tệp XML", "digital signature in the XML file"),
    Check.OOXML: Text("Chữ ký số trên tệp văn phòng", "digital signature in the office file"),
    Check.TYPE: Text("Loại tệp", "file type"),
    Check.NAME: Text("Tên tệp", "file name"),
    Check.ARCHIVE: Text("Tệp nén", "archive"),
    Check.MACRO: Text("Macro", "macros"),
    Check.PDF_ACTIVE: Text("Nội dung động trong PDF", "active content in the PDF"),
    Check.ANTIVIRUS: Text("Mã độc", "malware"),
    Check.SPAM: Text("Thư rác", "spam"),
    Check.SIZE: Text("Dung lượng", "size"),
    Check.STRUCTURE: Text("Cấu trúc thư", "structure of the mail"),
    Check.SECRECY: Text("Độ mật", "secrecy"),
    Check.SENDER: Text("Người gửi", "sender"),
}

WARNINGS: Mapping[str, Text] = {
    "number-missing": Text("Chưa thấy số, ký hiệu của văn bản.", "No document number was found."),
    "number-blank": Text("Số văn bản còn để trống: coi là dự thảo.", "The number is blank: taken as a draft."),
    "number-mismatch": Text(
        "Số, ký hiệu trên tiêu đề, tên tệp và nội dung không khớp nhau.",
        "The numbers in subject, file name and text differ.",
    ),
    "number-uncertain": Text("Số, ký hiệu chỉ được đoán từ tên tệp.", "The number was only guessed from a file name."),
    "several-numbers": Text("Thư có nhiều tệp mang số khác nhau.", "The files bear several numbers."),
    "type-unknown": Text("Chưa rõ tên loại văn bản.", "The type of document is not known."),
    "symbol-not-of-sender": Text(
        "Ký hiệu không phải của cơ quan gửi.", "The notation is not that of the sending agency."
    ),
    "date-missing": Text("Chưa thấy ngày văn bản.", "No date of issue was found."),
    "date-invalid": Text("Ngày văn bản không có trên lịch.", "The date of issue is not on the calendar."),
    "date-after-arrival": Text("Ngày văn bản sau ngày gửi.", "The date of issue lies after the date of sending."),
    "date-mismatch": Text("Ngày văn bản ở các chỗ ghi khác nhau.", "Different dates of issue are given."),
    "year-mismatch": Text(
        "Năm trong số văn bản khác năm của ngày văn bản.", "The year in the number is not that of the date."
    ),
    "summary-missing": Text("Chưa thấy trích yếu.", "No abstract was found."),
    "attachment-missing": Text("Thư không có tệp văn bản đính kèm.", "No document file is attached."),
    "tag-unknown": Text(
        "Phần sau dấu + của địa chỉ nhận không có trong danh mục.", "The tag after + in the address is not known."
    ),
    "distribution-not-addressed": Text(
        "Nơi nhận trên văn bản có cơ quan mà thư này không gửi đến.",
        "The distribution list names an agency that this mail is not addressed to.",
    ),
}

# RFC 3463 status (or its subject and detail) -> what it means and what to do. The longest match counts.
_NO_ADDRESS = (
    Text("không có hộp thư này", "no such mailbox"),
    Text("Kiểm tra lại địa chỉ trong danh bạ rồi gửi lại.", "Check the address and send again."),
)
_NO_ROUTE = (
    Text("không tìm được đường chuyển đến máy chủ nhận", "no way to the receiving server"),
    Text("Báo cán bộ CNTT kiểm tra tên miền của địa chỉ nhận.", "Ask the IT officer to check the domain."),
)
_REFUSED = (
    Text("máy chủ nhận từ chối", "refused by the receiving server"),
    Text("Liên hệ nơi nhận, đọc câu trả lời kèm theo.", "Contact the receiver and tell the reply below."),
)
DELIVERY_STATUSES: Mapping[str, tuple[Text, Text]] = {
    "1.1": _NO_ADDRESS,
    "1.2": _NO_ROUTE,
    "1.3": _NO_ADDRESS,
    "1.6": _NO_ADDRESS,
    "1.10": (
        Text("tên miền này không nhận thư", "the domain accepts no mail"),
        Text("Dùng địa chỉ khác của nơi nhận.", "Use another address."),
    ),
    "2.1": (
        Text("hộp thư đã ngừng hoạt động", "the mailbox is disabled"),
        Text("Gửi tới hộp thư văn thư của đơn vị đó.", "Write to the registry mailbox of that agency."),
    ),
    "2.2": (
        Text("hộp thư nhận đã đầy", "the mailbox is full"),
        Text("Báo nơi nhận dọn hộp thư rồi gửi lại.", "Ask the receiver to make room, then send again."),
    ),
    "2.3": (
        Text("thư lớn hơn mức nơi nhận cho phép", "too big for the mailbox"),
        Text("Nén hoặc chia nhỏ tệp rồi gửi lại.", "Make the files smaller and send again."),
    ),
    "3": (
        Text("hệ thống nhận gặp sự cố", "the receiving system has a fault"),
        Text("Gửi lại sau; nếu vẫn lỗi, báo cán bộ CNTT.", "Send again later, or ask the IT officer."),
    ),
    "3.4": (
        Text("thư lớn hơn mức nơi nhận cho phép", "too big for the receiving system"),
        Text("Nén hoặc chia nhỏ tệp rồi gửi lại.", "Make the files smaller and send again."),
    ),
    "4": (
        Text("không kết nối được máy chủ nhận", "the receiving server cannot be reached"),
        Text("Gửi lại sau, hoặc gửi bằng cách khác nếu gấp.", "Send again later, or by other means if urgent."),
    ),
    "4.4": _NO_ROUTE,
    "4.6": (
        Text("thư chạy vòng giữa các máy chủ", "the mail went round in a loop"),
        Text("Báo cán bộ CNTT.", "Ask the IT officer."),
    ),
    "4.7": (
        Text("đã thử nhiều lần đến hết thời hạn mà chưa chuyển được", "retried until the time limit without success"),
        Text("Gửi lại, hoặc gửi bằng cách khác nếu gấp.", "Send again, or by other means if urgent."),
    ),
    "6": (
        Text("máy chủ nhận không xử lý được dạng thư này", "the receiving server cannot take this form of mail"),
        Text("Soạn lại thư dạng thông thường, tệp PDF, rồi gửi lại.", "Write it again in a plain form and send again."),
    ),
    "7": _REFUSED,
}
_UNKNOWN_STATUS = (Text("không chuyển được", "not delivered"), _REFUSED[1])


def delivery_status(status: str) -> tuple[Text, Text]:
    """Return what an RFC 3463 status ("5.1.1") means, and what to do."""
    _, _, rest = status.partition(".")
    return DELIVERY_STATUSES.get(rest) or DELIVERY_STATUSES.get(rest.partition(".")[0]) or _UNKNOWN_STATUS


SIGNATURE_CHECKS = frozenset(check.value for check in (Check.PDF, Check.OPENPGP, Check.SMIME, Check.XML, Check.OOXML))


def finding(facts: Mapping[str, Any]) -> str:
    """Say in one Vietnamese clause what a finding means, with signer and time where it has them.

    A slug that the table does not know (a newer check) is told by its verdict; a test holds the table complete.
    """
    known = meaning(Check(facts["check"]), facts["detail"], facts)
    clause = known.vi if known else VERDICTS[Verdict(facts["verdict"])].vi
    name = signer(facts)
    return f"{clause} ({name})" if name else clause


def meaning(check: Check, detail: str, facts: Mapping[str, Any]) -> Text | None:
    """What a finding means, with the reason and what else a reader must know of it; None for a slug that has no words."""
    known = FINDINGS.get(check, {}).get(detail)
    if known is None:
        return None
    more = [REASONS[str(facts["reason"])]] if facts.get("reason") in REASONS else []
    if facts.get("clock_wrong") is True:
        more.append(WRONG_CLOCK)
    if facts.get("revocation") == "stale":
        hours = facts.get("revocation_age_hours", "?")
        more.append(Text(STALE.vi.format(hours), STALE.en.format(hours)))
    if facts.get("in_order") is False:
        more.append(AGENCY_FIRST)
    return Text("; ".join((known.vi, *(one.vi for one in more))), "; ".join((known.en, *(one.en for one in more))))


def finding_of_file(facts: Mapping[str, Any]) -> str:
    """The same for a list of files: a finding that is told only by its verdict says what was checked, too."""
    known = facts["detail"] in FINDINGS.get(Check(facts["check"]), {})
    return finding(facts) if known else f"{CHECKS[Check(facts['check'])].vi.lower()}: {finding(facts)}"


def signer(facts: Mapping[str, Any]) -> str:
    """Who signed, as the finding names it, or ""."""
    return str(facts.get("signer") or facts.get("identity") or facts.get("agency") or "")
