"""The paper that a mail carries: Decree 30/2020/NĐ-CP articles 7 and 9, plan 59/KH-UBND section III.

Every field of a document is optional and has its evidence; recognition warns, it never bounces.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mailrelay.model.identity import AgencyId


class MessageClass(StrEnum):
    """What kind of mail it is for the books."""

    DOCUMENT = "document"  # văn bản vào sổ
    EXCHANGE = "exchange"  # official, unnumbered: counted, not in the books
    LETTER = "letter"  # thư trao đổi, private mail: passes untouched
    RECEIPT = "receipt"  # our own notices


class Kind(StrEnum):
    """The ten kinds that the plan names (section III) and the rest."""

    INVITATION = "invitation"  # giấy mời họp
    MEETING_PAPERS = "meeting_papers"  # tài liệu phục vụ họp
    NOTICE = "notice"  # thông báo
    PERIODIC_REPORT = "periodic_report"  # báo cáo định kỳ
    SCHEDULE = "schedule"  # lịch công tác
    SURVEY = "survey"  # phiếu điều tra, khảo sát
    STEERING = "steering"  # thông tin chỉ đạo, điều hành
    INTERNAL = "internal"  # văn bản nội bộ
    DRAFT = "draft"  # dự thảo lấy ý kiến
    LEGAL = "legal"  # văn bản quy phạm pháp luật
    OTHER = "other"


class Urgency(StrEnum):
    """Độ khẩn, edXML Priority 0 to 4."""

    NORMAL = "normal"
    URGENT = "urgent"  # khẩn
    VERY_URGENT = "very_urgent"  # thượng khẩn
    FLASH = "flash"  # hỏa tốc
    TIMED_FLASH = "timed_flash"  # hỏa tốc hẹn giờ


class Secrecy(StrEnum):
    """Độ mật. Anything but NONE may not travel here (Law 29/2018/QH14)."""

    NONE = "none"
    CONFIDENTIAL = "confidential"  # mật
    SECRET = "secret"  # tối mật
    TOP_SECRET = "top_secret"  # tuyệt mật


@dataclass(frozen=True, slots=True)
class DocumentCode:
    """Số và ký hiệu: "59" and "KH-UBND". The number keeps its suffix letter ("15a") and is printed as written.

    The notation of a normative act begins with the year ("2012/QĐ-UBND"); that of a Party body holds the slash ("HD/BTGTU"),
    and its number is joined by a hyphen: 24-HD/BTGTU.
    """

    number: str
    notation: str

    def __str__(self) -> str:
        of_party = "/" in self.notation and not self.notation[:1].isdigit()
        return f"{self.number}{'-' if of_party else '/'}{self.notation}"


@dataclass(frozen=True, slots=True)
class Signatory:
    """Who signed as an official (not the key): authority is TM., KT., TL., TUQ. or ""."""

    full_name: str
    position: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a field of a document came from: `source` is subject, file-name, body, field, or sender; confidence 0 to 100."""

    field: str
    source: str
    text: str
    confidence: int


@dataclass(frozen=True, slots=True)
class Document:
    """The paper as far as it was understood. `type` is an abbreviation of the type table ("KH", "CV"), `issuer` an agency id."""

    code: DocumentCode | None = None
    kind: Kind = Kind.OTHER
    type: str = ""
    issuer: AgencyId | None = None
    issued_on: date | None = None
    place: str = ""
    summary: str = ""
    urgency: Urgency = Urgency.NORMAL
    secrecy: Secrecy = Secrecy.NONE
    signatory: Signatory | None = None
    distribution: tuple[str, ...] = ()
    reply_to: DocumentCode | None = None  # the document that this one answers
    due_on: date | None = None
    paper: bool = False  # a paper copy follows
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Recognition:
    """The answer of `inspection.document.recognise`: a class for every mail, a document for documents and exchanges."""

    message_class: MessageClass
    document: Document | None = None
    warnings: tuple[str, ...] = ()  # stable slugs: "number-missing", "date-after-arrival", …
