from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrelay.inspection.document_types import clean, plain
from mailrelay.inspection.notation import (
    bodies_of,
    codes_in_name,
    empty_code,
    find_codes,
    loose_code,
    same_code,
    short_code,
)
from mailrelay.inspection.standing import known_body
from mailrelay.model.document import DocumentCode
from tests.province import DIRECTORY

PLAN = (Path(__file__).parent / "plan-59-KH-UBND-2013.txt").read_text(encoding="utf-8")
KNOWN = known_body(DIRECTORY)


def codes(text: str) -> list[str]:
    return [str(hit.code) for hit in find_codes(clean(text))]


def names(name: str) -> list[str]:
    return [str(hit.code) for hit in codes_in_name(clean(name), KNOWN)]


def test_finds_the_thirteen_numbers_of_the_plan() -> None:
    found = Counter(codes(PLAN))
    assert found == {
        "59/KH-UBND": 3,
        "26/2007/NĐ-CP": 1,
        "43/2011/NĐ-CP": 1,
        "1605/2010/QĐ-TTg": 1,
        "1755/2010/QĐ-TTg": 1,
        "15/CT-TTg": 1,
        "745/QĐ-UBND": 2,
        "1777/BTTTT-ƯDCNTT": 1,
        "06/2010/QĐ-UBND": 1,
        "1065/QĐ-TTg": 1,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("59/KH-UBND", "59/KH-UBND"),
        ("1777/BTTTT-ƯDCNTT", "1777/BTTTT-ƯDCNTT"),
        ("15/2012/QĐ-UBND", "15/2012/QĐ-UBND"),
        ("24-HD/BTGTU", "24-HD/BTGTU"),
        ("1240-CV/TU", "1240-CV/TU"),
        ("20/2011/TTLT-BNV-BTC", "20/2011/TTLT-BNV-BTC"),
        ("20/2023/QH15", "20/2023/QH15"),
        ("59 / KH - UBND", "59/KH-UBND"),
        ("59/KH–UBND", "59/KH-UBND"),
        ("59/KH – UBND", "59/KH-UBND"),
        ("24 – HD/BTGTU", "24-HD/BTGTU"),
        ("59/KH‑UBND", "59/KH-UBND"),
        ("59∕KH-UBND", "59/KH-UBND"),
        ("745/QÐ-UBND", "745/QĐ-UBND"),
        ("15a/TB-UBND", "15a/TB-UBND"),
        ("12/SGD&ĐT-VP", "12/SGD&ĐT-VP"),
        ("8/VP.UBND-NC.", "8/VP.UBND-NC"),
        ("07/QyĐ-BDT,", "07/QyĐ-BDT"),
        ("3/CTr-SNgV", "3/CTr-SNgV"),
        ("59/KH-UBND – Trao đổi", "59/KH-UBND"),
        ("15/QĐ - STC - Phê duyệt", "15/QĐ-STC"),
        ("102/UBND-VX - KHẨN", "102/UBND-VX"),
    ],
)
def test_reads_the_shapes_and_their_tolerated_forms(text: str, expected: str) -> None:
    assert codes(text) == [expected]


@pytest.mark.parametrize(
    "text",
    ["ngày 29/6/2006", "24h/7 ngày", "22/22 Sở", "km/h", "1/2 ngày", "http://x.vn/12/ab-cd", "tỷ lệ 3/4", "A4/B5"],
)
def test_takes_no_date_or_fraction_for_a_number(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("59_KH-UBND.pdf", ["59/KH-UBND"]),
        ("59-KH-UBND.pdf", ["59/KH-UBND"]),
        ("59.KH.UBND.pdf", ["59/KH-UBND"]),
        ("745_QD-UBND.signed.pdf", ["745/QĐ-UBND"]),
        ("12-ttr-stc.pdf", ["12/TTr-STC"]),
        ("102-UBND-VX.pdf", ["102/UBND-VX"]),
        ("15_2012_QĐ-UBND.docx", ["15/2012/QĐ-UBND"]),
        ("Ke hoach so 59 KH-UBND.pdf", ["59/KH-UBND"]),
        ("7_BC-SGDDT.pdf", ["7/BC-SGD&ĐT"]),
        ("1. 59-KH-UBND_ky so.pdf", ["59/KH-UBND"]),
        ("05-BC-XYZ.pdf", ["05/BC-XYZ"]),
        ("IMG_2023-10-11.jpg", []),
        ("12-BC-Tong hop.pdf", []),
        ("bao cao 2013-10-28.pdf", []),
        ("3-KH-abc.pdf", []),
        ("28-10-2013 BC-STC.pdf", []),
        ("2013.10.28_59-KH-UBND.pdf", ["59/KH-UBND"]),
    ],
)
def test_believes_a_file_name_only_with_a_known_type_or_body(name: str, expected: list[str]) -> None:
    assert names(name) == expected


def test_a_body_beyond_the_directory_is_less_sure_than_a_known_one() -> None:
    known, unknown = (next(codes_in_name(name, KNOWN)).confidence for name in ("5-BC-STC.pdf", "5-BC-XYZ.pdf"))
    assert known > unknown


def test_reads_what_was_typed_without_case_or_marks_when_type_and_body_are_known() -> None:
    hit = loose_code("745/qd-ubnd ve viec", KNOWN)
    assert hit is not None and hit.code == DocumentCode("745", "QĐ-UBND")
    assert loose_code("745/xx-ubnd", KNOWN) is None
    assert loose_code("3/bc-abc", KNOWN) is None


def test_blank_number_and_short_form() -> None:
    assert empty_code("   /GM-STTTT") == "GM-STTTT"
    assert empty_code("…./QĐ-UBND") == "QĐ-UBND"
    assert empty_code("12/GM-STTTT") == ""
    short = short_code("59/UBND")
    assert short is not None and short.code == DocumentCode("59", "UBND")


@pytest.mark.parametrize(
    ("notation", "bodies"),
    [
        ("KH-UBND", ("UBND",)),
        ("STTTT-CNTT", ("STTTT",)),
        ("2012/QĐ-UBND", ("UBND",)),
        ("HD/BTGTU", ("BTGTU",)),
        ("2011/TTLT-BNV-BTC", ("BNV", "BTC")),
        ("UBND-VX", ("UBND",)),
    ],
)
def test_names_the_bodies_in_a_notation(notation: str, bodies: tuple[str, ...]) -> None:
    assert bodies_of(DocumentCode("1", notation)) == bodies


def test_the_same_number_in_other_letters_is_the_same() -> None:
    assert same_code(DocumentCode("06", "QĐ-UBND"), DocumentCode("6", "QD-UBND"))
    assert not same_code(DocumentCode("15", "TB-UBND"), DocumentCode("15a", "TB-UBND"))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400))
def test_plain_keeps_offsets_of_cleaned_text(text: str) -> None:
    cleaned = clean(text)
    if all(len(letter.casefold()) == 1 for letter in cleaned):
        assert len(plain(cleaned)) == len(cleaned)


_TRICKY = "0123456789/-–.&aAbđĐUBNDQKH sSố:ngày\n\t_[](),VvMẬT"


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=_TRICKY, min_size=1, max_size=30).map(lambda piece: (piece * 300)[:8192]))
def test_random_text_is_read_in_bounded_time(text: str) -> None:
    started = time.process_time()
    for hit in find_codes(clean(text), limit=10_000):
        assert hit.code.number.rstrip("abcdefghijklmnopqrstuvwxyz").isdigit()
    list(codes_in_name(clean(text[:300]), KNOWN))
    assert time.process_time() - started < 0.5
