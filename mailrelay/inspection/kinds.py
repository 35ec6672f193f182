"""Which of the plan's ten kinds a mail belongs to (59/KH-UBND section II), apart from its type. Words only; no judgement."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailrelay.inspection.document_types import plain
from mailrelay.model.document import Kind


@dataclass(frozen=True, slots=True)
class Words:
    """A pattern read with its marks where a text has marks, and without where it has none ("mời họp" is not "mỗi hộp")."""

    marked: re.Pattern[str]
    bare: re.Pattern[str]

    def are_in(self, text: str) -> bool:
        return (self.bare if text.isascii() else self.marked).search(text.lower()) is not None


def _words(pattern: str) -> Words:
    bounded = rf"(?<!\w)(?:{pattern})(?!\w)"
    return Words(re.compile(bounded), re.compile(plain(bounded)))


# In order: the first that matches wins. A kind is looked for in the subject, the file names and the title, never in running text.
_KINDS: tuple[tuple[Kind, Words], ...] = (
    (Kind.DRAFT, _words("dự thảo|xin ý kiến|lấy ý kiến|góp ý|tham gia ý kiến|cho ý kiến")),
    (
        Kind.MEETING_PAPERS,
        _words("tài liệu (?:[^ ]{1,12} ){0,3}(?:họp|hội nghị|kỳ họp|kì họp|làm việc|hội thảo|tập huấn|giao ban)"),
    ),
    (
        Kind.INVITATION,
        _words(
            "giấy mời|thư mời|mời (?:tham )?(?:dự )?(?:cuộc )?(?:họp|hội nghị|làm việc|giao ban|tập huấn|hội thảo)|triệu tập"
        ),
    ),
    (
        Kind.SCHEDULE,
        _words("lịch (?:công tác|làm việc|tuần|trực|họp|giao ban|tiếp (?:công )?dân)|chương trình công tác tuần"),
    ),
    (Kind.SURVEY, _words("phiếu (?:điều tra|khảo sát|thu thập|hỏi|lấy ý kiến)|khảo sát|điều tra thống kê")),
)
_NOTICE = _words("thông báo")
_PERIOD = _words("tháng|quý|tuần|năm|định kỳ|định kì|sơ kết|tổng kết")
_INTERNAL = _words("nội bộ")
_STEERING = _words("chỉ đạo|điều hành|đôn đốc|chấn chỉnh|tăng cường")
_BY_TYPE = {"GM": Kind.INVITATION, "TB": Kind.NOTICE, "CT": Kind.STEERING, "CĐ": Kind.STEERING}
# A wedding card is no official invitation, nor is a meeting of one's old class.
_PRIVATE = _words(
    "đám cưới|lễ cưới|cưới|thành hôn|ăn hỏi|tân gia|thôi nôi|đầy tháng|đám giỗ|giỗ đầu|họp lớp|họp phụ huynh|bữa tiệc|tiệc|ăn trưa"
    "|ăn tối|đá bóng|uống cà phê|đi cà phê|(?:mừng|dự|tiệc) sinh nhật|sinh nhật (?:con|cháu|em|anh|chị|bé|mẹ|bố)"
)

EXCHANGES = frozenset({Kind.DRAFT, Kind.MEETING_PAPERS, Kind.INVITATION, Kind.SCHEDULE, Kind.SURVEY})


def kind_by_words(text: str) -> Kind | None:
    """Return the exchange kind that the words of a subject, a title or a file name give, or None."""
    spaced = text.replace("_", " ")
    if _PRIVATE.are_in(spaced):
        return None
    return next((kind for kind, words in _KINDS if words.are_in(spaced)), None)


def kind_of(document_type: str, *, normative: bool, subject: str, summary: str, within_agency: bool) -> Kind:
    """Return the kind of a document from its type, its words, and whether it stays within one agency."""
    if normative:
        return Kind.LEGAL
    by_words = kind_by_words(subject) or kind_by_words(summary)
    if by_words is not None:
        return by_words
    if document_type == "BC" and (_PERIOD.are_in(subject) or _PERIOD.are_in(summary)):
        return Kind.PERIODIC_REPORT
    if within_agency or _INTERNAL.are_in(subject):
        return Kind.INTERNAL
    if document_type in _BY_TYPE:
        return _BY_TYPE[document_type]
    if _STEERING.are_in(subject) or _STEERING.are_in(summary):
        return Kind.STEERING
    return Kind.NOTICE if _NOTICE.are_in(subject) else Kind.OTHER
