"""Sentences are filled in one pass, and strangers' names made legible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.model.message import Content
from mailrelay.policy.circulation import circulation_marks
from mailrelay.policy.sentences import fill, legible, listed, sized


def test_placeholders_are_filled_once() -> None:
    words = {"attachment": "{recipient}.exe", "recipient": "a@x.vn"}
    assert fill("Tệp {attachment} gửi {recipient}, {unknown}.", words) == "Tệp {recipient}.exe gửi a@x.vn, …."


@given(st.text(max_size=600))
def test_legible_is_one_printable_bounded_line(text: str) -> None:
    shown = legible(text)
    assert len(shown) <= 80
    assert shown.isprintable()


def test_the_end_of_a_long_name_stays_visible() -> None:
    assert legible("báo cáo " * 40 + "tháng.pdf.exe").endswith("tháng.pdf.exe")


def test_lists_are_short() -> None:
    assert listed(["a", "b", "a", ""]) == "a, b"
    assert listed("abcde") == "a, b, c (+2)"


@pytest.mark.parametrize(("octets", "shown"), [(0, "1 kB"), (12_345, "12 kB"), (12_500_000, "12,5 MB")])
def test_sizes(octets: int, shown: str) -> None:
    assert sized(octets) == shown


@pytest.mark.parametrize(
    ("subject", "text", "marks"),
    [
        ("[Lưu hành nội bộ] Báo cáo", "", ("internal",)),
        ("LƯU HÀNH NỘI BỘ - Báo cáo", "", ("internal",)),
        ("(LUU HANH NOI BO) bao cao", "", ("internal",)),
        ("", "Kính gửi\n  LƯU HÀNH NỘI BỘ  \nNội dung", ("internal",)),
        ("", "* XEM XONG TRẢ LẠI *\nTÀI LIỆU THU HỒI", ("return-after-reading", "recall")),
        ("Quy chế về tài liệu lưu hành nội bộ", "", ()),
        ("", "Tài liệu này được lưu hành nội bộ.\n", ()),
        ("", "VIỆC LƯU HÀNH NỘI BỘ CÁC TÀI LIỆU CỦA CƠ QUAN TRONG NĂM QUA\n", ()),
        ("THU HỒI đất", "", ()),
    ],
)
def test_circulation_marks(subject: str, text: str, marks: tuple[str, ...]) -> None:
    assert circulation_marks(Content(subject=subject, text=text)) == marks
