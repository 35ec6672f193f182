"""Marks that limit the circulation of a paper: LƯU HÀNH NỘI BỘ, XEM XONG TRẢ LẠI, TÀI LIỆU THU HỒI. Pure."""

from __future__ import annotations

import re

from mailrelay.model.folding import fold
from mailrelay.model.message import Content

_MARKS = {
    "luu hanh noi bo": "internal",
    "xem xong tra lai": "return-after-reading",
    "tai lieu thu hoi": "recall",
}
_TAG = re.compile(r"[\[【(]([^\[\]【】()]{1,60})[\]】)]")
_LAST_WORDS = re.compile("BỘ|BO|LẠI|LAI|HỒI|HOI")
_EDGES = " \t*_[](){}<>|\"'“”.:;!–-"


def circulation_marks(content: Content) -> tuple[str, ...]:
    """The marks of a mail: a tag in brackets or capitals in the subject, capitals on a line of their own in the text.

    Never a mere part of a sentence: "tài liệu lưu hành nội bộ năm 2013" in running text is no mark.
    """
    subject = content.subject
    found = {_MARKS.get(fold(tag)) for tag in _TAG.findall(subject)}
    found |= {mark for words, mark in _MARKS.items() if words in fold(_capitals(subject))}
    if _LAST_WORDS.search(content.text):
        found |= {_of_line(line) for line in content.text.splitlines()}
    return tuple(mark for mark in _MARKS.values() if mark in found)


def _capitals(text: str) -> str:
    """The words of a text that are written in capitals throughout."""
    return " ".join(word if word.isupper() else "|" for word in text.split())


def _of_line(line: str) -> str | None:
    words = line[:120].strip(_EDGES)
    return _MARKS.get(fold(words)) if 12 <= len(words) <= 40 and words.isupper() else None
