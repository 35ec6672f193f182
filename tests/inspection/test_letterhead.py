from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrelay.inspection.document_types import clean
from mailrelay.inspection.letterhead import (
    HEAD,
    TAIL,
    about,
    addressees,
    distribution,
    due_on,
    find_date,
    own_page,
    place_and_date,
    signatory,
    title_and_summary,
)
from mailrelay.model.document import Signatory

PLAN = own_page((Path(__file__).parent / "plan-59-KH-UBND-2013.txt").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ngày 28 tháng 10 năm 2013", date(2013, 10, 28)),
        ("ngày 05 tháng 3 năm 2012", date(2012, 3, 5)),
        ("NGÀY 28 THÁNG 10 NĂM 2013", date(2013, 10, 28)),
        ("ngày 28/10/2013", date(2013, 10, 28)),
        ("09/5/2011", date(2011, 5, 9)),
        ("05/3/ 2012", date(2012, 3, 5)),
        ("28-10-2013", date(2013, 10, 28)),
        ("28.10.2013", date(2013, 10, 28)),
        ("ngày 28/10/13", date(2013, 10, 28)),
        ("ngay 28 thang 10 nam 2013", date(2013, 10, 28)),
    ],
)
def test_reads_dates_in_all_forms(text: str, expected: date) -> None:
    found = find_date(clean(text))
    assert found is not None and found.day == expected


def test_reads_iso_dates_only_where_asked_for() -> None:
    assert find_date("59_KH-UBND 20131028") is None
    for text in ("2013-10-28", "20131028", "2013/10/28"):
        found = find_date(text, iso=True)
        assert found is not None and found.day == date(2013, 10, 28)


def test_a_date_that_is_on_no_calendar_is_found_without_a_day() -> None:
    found = find_date("ngày 31/02/2013")
    assert found is not None and found.day is None


@pytest.mark.parametrize("text", ["22/22", "1/10/12/2013", "192.168.10.2013.5", "2011-2015", "1210/1300"])
def test_takes_no_fraction_or_address_for_a_date(text: str) -> None:
    assert find_date(text) is None


def test_place_and_date_of_the_plan() -> None:
    found = place_and_date(PLAN)
    assert found is not None and found.dated is not None
    assert (found.place, found.dated.day) == ("Hòa Bình", date(2013, 10, 28))


def test_place_beside_the_number_on_one_line() -> None:
    found = place_and_date(own_page("Số: 12/TB-UBND          Cao Phong, ngày 05 tháng 3 năm 2013"))
    assert found is not None and found.dated is not None
    assert (found.place, found.dated.day) == ("Cao Phong", date(2013, 3, 5))


def test_a_cited_date_is_no_date_line() -> None:
    assert place_and_date(own_page("Căn cứ Luật Công nghệ thông tin, ngày 29/6/2006;")) is None


def test_title_and_abstract_of_the_plan() -> None:
    kind, summary = title_and_summary(PLAN)
    assert kind == "KH"
    assert summary.startswith("THỰC HIỆN VIỆC TRAO ĐỔI VĂN BẢN ĐIỆN TỬ") and summary.endswith("2013-2015")


def test_abstract_of_a_letter() -> None:
    assert about("V/v trao đổi văn bản điện tử.") == "trao đổi văn bản điện tử"
    assert about("Số: 12/STC-NS V/v: lập dự toán") == "lập dự toán"
    assert about("Về việc họp giao ban") == "họp giao ban"
    assert about("Báo cáo về việc") == ""


def test_signatory_of_the_plan() -> None:
    assert signatory(PLAN) == Signatory("Bùi Văn Tỉnh", "CHỦ TỊCH", "")


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("KT. GIÁM ĐỐC\nPHÓ GIÁM ĐỐC\n\n(Đã ký)\n\nTrần Thị Bình", Signatory("Trần Thị Bình", "PHÓ GIÁM ĐỐC", "KT.")),
        (
            "TM. ỦY BAN NHÂN DÂN\nCHỦ TỊCH\n\nNguyễn Văn An",
            Signatory("Nguyễn Văn An", "CHỦ TỊCH", "TM."),
        ),
        (
            "TM. ỦY BAN NHÂN DÂN\nKT. CHỦ TỊCH\nPHÓ CHỦ TỊCH\n\nNguyễn Văn An",
            Signatory("Nguyễn Văn An", "PHÓ CHỦ TỊCH", "KT."),
        ),
        ("TL. CHỦ TỊCH\nCHÁNH VĂN PHÒNG\n\nTS. Lê Văn Cường", Signatory("Lê Văn Cường", "CHÁNH VĂN PHÒNG", "TL.")),
        ("TUQ. GIÁM ĐỐC\n\nLê Văn Cường", Signatory("Lê Văn Cường", "GIÁM ĐỐC", "TUQ.")),
        ("GIÁM ĐỐC\n\n\ncho tôi hỏi một việc", None),
        ("Trân trọng,\nNguyễn Văn An", None),
    ],
)
def test_signature_blocks(block: str, expected: Signatory | None) -> None:
    assert signatory(own_page(block)) == expected


def test_distribution_of_the_plan() -> None:
    assert distribution(PLAN) == (
        "Bộ Thông tin và Truyền thông",
        "Chủ tịch, các Phó Chủ tịch UBND tỉnh",
        "Các sở, ban, ngành tỉnh",
        "UBND các huyện, thành phố",
        "Báo Hòa Bình, Đài PTTH tỉnh, Cổng TTĐT",
        "Lãnh đạo Văn phòng",
    )


def test_as_above_means_the_addressees() -> None:
    text = "Kính gửi:\n- Sở Tài chính;\n- Sở Nội vụ.\n\nNơi nhận:\n- Như trên;\n- Lưu: VT, VX (2)."
    assert distribution(own_page(text)) == ("Sở Tài chính", "Sở Nội vụ")
    assert addressees(own_page("Kính gửi: Sở Tài chính (để biết).")) == ["Sở Tài chính"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Đề nghị gửi báo cáo trước ngày 15/11/2013.", date(2013, 11, 15)),
        ("Hạn trả lời: 15/11/2013", date(2013, 11, 15)),
        ("Thời hạn: ngày 15 tháng 11 năm 2013", date(2013, 11, 15)),
        ("chậm nhất là 17h00 ngày 15/11/2013", date(2013, 11, 15)),
        ("ngày 28/10/2013 đã họp; gửi về Sở trước 15/11/2013", date(2013, 11, 15)),
        ("họp ngày 15/11/2013", None),
        ("trước Quý III năm 2014", None),
    ],
)
def test_due_dates(text: str, expected: date | None) -> None:
    found = due_on(clean(text))
    assert (found.day if found else None) == expected


def test_what_was_quoted_is_not_the_authors() -> None:
    text = "Đồng ý.\n\nVào ngày 28/10/2013, An đã viết:\n> Số: 59/KH-UBND\nSố: 60/KH-UBND\n"
    assert own_page(text).text.strip() == "Đồng ý."
    assert own_page("Xem dưới\n-----Original Message-----\nSố: 59/KH-UBND").text == "Xem dưới"
    assert own_page("> Số: 59/KH-UBND\nĐồng ý").text == "Đồng ý"


def test_only_head_and_tail_of_a_long_text_are_read() -> None:
    assert len(own_page("a" * 60_000).text) == HEAD + TAIL + 1


@settings(max_examples=50, deadline=None)
@given(
    st.text(alphabet="ngàythánăm 0123456789/.-,:\nKínhgửiNơiậ()TMK.CHỦTỊCH>", min_size=1, max_size=40).map(
        lambda piece: (piece * 400)[:12_288]
    )
)
def test_random_text_is_read_in_bounded_time(text: str) -> None:
    started = time.process_time()
    own = own_page(text)
    place_and_date(own)
    title_and_summary(own)
    signatory(own)
    distribution(own)
    due_on(own.text, own.plain_text)
    assert time.process_time() - started < 1.0
