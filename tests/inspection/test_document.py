from __future__ import annotations

import time
import unicodedata
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrelay.inspection.document import WARNINGS, recognise
from mailrelay.model.document import Document, Kind, MessageClass, Recognition, Urgency
from tests.province import ARRIVED, DIRECTORY, a_content, an_envelope

PLAN = (Path(__file__).parent / "plan-59-KH-UBND-2013.txt").read_text(encoding="utf-8")
OUTSIDE = "vanthu@mic.gov.vn"


def look(
    subject: str = "",
    text: str = "",
    files: tuple[str, ...] = (),
    *,
    sender: str = "vpubnd",
    to: tuple[str, ...] = ("sotc",),
    fields: tuple[tuple[str, str], ...] = (),
) -> Recognition:
    content = a_content(subject, text, files, sender=sender, fields=fields)
    return recognise(content, an_envelope(sender, to), DIRECTORY, ARRIVED)


def paper(*args: object, **kwargs: object) -> Document:
    document = look(*args, **kwargs).document  # type: ignore[arg-type]
    assert document is not None
    return document


def code(document: Document | None) -> str | None:
    return str(document.code) if document and document.code else None


def test_the_plan_is_recognised_from_its_text() -> None:
    seen = look("Gửi các đơn vị", PLAN, ("ke hoach.pdf",), to=("huyen-tp", "so-ban-nganh"))
    document = seen.document
    assert seen.message_class is MessageClass.DOCUMENT and document is not None
    assert (code(document), document.type, document.issuer) == ("59/KH-UBND", "KH", "H28.UB")
    assert (document.issued_on, document.place) == (date(2013, 10, 28), "Hòa Bình")
    assert document.summary.startswith("THỰC HIỆN VIỆC TRAO ĐỔI VĂN BẢN ĐIỆN TỬ")
    assert document.signatory is not None and document.signatory.full_name == "Bùi Văn Tỉnh"
    assert len(document.distribution) == 6
    assert document.reply_to is None and not document.paper and document.urgency is Urgency.NORMAL
    assert seen.warnings == ()


def test_every_field_of_the_plan_has_its_evidence() -> None:
    document = paper("Gửi các đơn vị", PLAN, ("59_KH-UBND.pdf",), to=("so-ban-nganh",))
    evidence = {e.field: (e.source, e.confidence) for e in document.evidence}
    assert evidence["code"] == ("body", 90)
    assert {"code", "type", "issuer", "place", "issued_on", "summary", "signatory"} <= set(evidence)
    assert all(0 < e.confidence <= 100 and e.text for e in document.evidence)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_subject_says_all(form: str) -> None:
    subject = "[HỎA TỐC] 59/KH-UBND ngày 28/10/2013 V/v trao đổi văn bản điện tử [KÈM BẢN GIẤY]"
    document = paper(unicodedata.normalize(form, subject), "", ("x.pdf",))  # type: ignore[arg-type]
    assert (code(document), document.issued_on) == ("59/KH-UBND", date(2013, 10, 28))
    assert (document.summary, document.urgency, document.paper) == ("trao đổi văn bản điện tử", Urgency.FLASH, True)


@pytest.mark.parametrize(
    ("subject", "sender", "expected", "issuer", "kind"),
    [
        ("59/KH-UBND V/v trao đổi", "vpubnd", "59/KH-UBND", "H28.UB", "KH"),
        ("12/TB-VPUBND", "vpubnd", "12/TB-VPUBND", "H28.01", "TB"),
        ("102/UBND-VX V/v lập hồ sơ", "vpubnd", "102/UBND-VX", "H28.UB", "CV"),
        ("665/STTTT-CNTT V/v lập dự toán", "sotttt", "665/STTTT-CNTT", "H28.03", "CV"),
        ("15/2012/QĐ-UBND", "vpubnd", "15/2012/QĐ-UBND", "H28.UB", "QĐ"),
        ("7/BC-SGDĐT tháng 10", "sogddt", "7/BC-SGDĐT", "H28.04", "BC"),
        ("59/KH-UBND V/v trao đổi", "caophong", "59/KH-UBND", "H28.21", "KH"),
        ("Kế hoạch số 59/KH-UBND ngày 28/10/2013", "dabac", "59/KH-UBND", "H28.22", "KH"),
        ("Gửi kèm Kế hoạch 59/KH-UBND", "vpubnd", "59/KH-UBND", "H28.UB", "KH"),
        ("745/qd-ubnd ve viec bo nhiem", "vpubnd", "745/QĐ-UBND", "H28.UB", "QĐ"),
        ("15a/TB-STC", "sotc", "15a/TB-STC", "H28.02", "TB"),
        ("Fwd: 15/TB-STC", "sotc", "15/TB-STC", "H28.02", "TB"),
    ],
)
def test_own_number_and_issuer_by_the_senders_box(
    subject: str, sender: str, expected: str, issuer: str, kind: str
) -> None:
    seen = look(subject, "", ("x.pdf",), sender=sender, to=("sokhdt",))
    assert seen.message_class is MessageClass.DOCUMENT and seen.document is not None
    assert (code(seen.document), seen.document.issuer, seen.document.type) == (expected, issuer, kind)
    assert "symbol-not-of-sender" not in seen.warnings


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("V/v triển khai Kế hoạch 59/KH-UBND", ""),
        ("Báo cáo kết quả thực hiện Kế hoạch số 59/KH-UBND", ""),
        ("Góp ý 59/KH-UBND", ""),
        ("Báo cáo tháng", "Căn cứ Quyết định số 745/QĐ-UBND ngày 09/5/2011;\nTheo Công văn số 102/UBND-VX"),
        ("Báo cáo tháng", "> Số: 59/KH-UBND"),
    ],
)
def test_a_cited_number_is_not_the_papers_own(subject: str, text: str) -> None:
    assert code(look(subject, text, ("bao cao.pdf",), sender="sotc", to=("vpubnd",)).document) is None


def test_the_number_comes_from_a_file_name_when_the_subject_only_cites() -> None:
    seen = look("V/v triển khai Kế hoạch 59/KH-UBND", "", ("12-STC-NS.pdf",), sender="sotc", to=("vpubnd",))
    assert code(seen.document) == "12/STC-NS"


def test_punctuation_of_the_abstract_is_kept_as_written() -> None:
    assert paper("Dự thảo Quy chế – lấy ý kiến", "", ("x.pdf",)).summary == "Dự thảo Quy chế – lấy ý kiến"
    assert paper("59/KH-UBND – Trao đổi", "", ("x.pdf",)).summary == "Trao đổi"


def test_the_number_line_wins_over_subject_and_file_name() -> None:
    seen = look("60/KH-UBND", "Số: 59/KH-UBND\n", ("61_KH-UBND.pdf",))
    assert code(seen.document) == "59/KH-UBND"
    assert "number-mismatch" in seen.warnings


def test_fields_of_other_software_win() -> None:
    fields = (
        ("x-vanban-so", "59"),
        ("x-vanban-kyhieu", "KH-UBND"),
        ("x-vanban-ngay", "2013-10-28"),
        ("x-vanban-trichyeu", "Trao đổi văn bản"),
        ("x-vanban-diadanh", "Hòa Bình"),
        ("x-vanban-nguoiky", "Bùi Văn Tỉnh"),
        ("x-vanban-chucvu", "Chủ tịch"),
        ("x-vanban-hanxuly", "15/11/2013"),
        ("x-vanban-bangiay", "1"),
    )
    document = paper("Văn bản", "", ("x.pdf",), fields=fields)
    assert (code(document), document.issued_on, document.summary) == (
        "59/KH-UBND",
        date(2013, 10, 28),
        "Trao đổi văn bản",
    )
    assert (document.place, document.due_on, document.paper) == ("Hòa Bình", date(2013, 11, 15), True)
    assert document.signatory is not None and document.signatory.position == "Chủ tịch"


def test_a_form_in_the_text() -> None:
    text = (
        "--- THÔNG TIN VĂN BẢN ---\nSố: 59/KH-UBND\nNgày: 28/10/2013\n"
        "Trích yếu: Trao đổi văn bản điện tử\nThời hạn: 15/11/2013\n"
    )
    document = paper("Gửi văn bản", text, ("x.pdf",))
    assert (code(document), document.issued_on, document.due_on) == (
        "59/KH-UBND",
        date(2013, 10, 28),
        date(2013, 11, 15),
    )
    assert document.summary == "Trao đổi văn bản điện tử"


@pytest.mark.parametrize(
    ("subject", "text", "expected"),
    [
        ("Trả lời văn bản số 59/KH-UBND", "", "59/KH-UBND"),
        ("Re: 59/KH-UBND ngày 28/10/2013", "", "59/KH-UBND"),
        ("12/STC-NS V/v trả lời Công văn số 102/UBND-VX", "", "102/UBND-VX"),
        (
            "12/STC-NS V/v dự toán",
            "Phúc đáp Công văn số 102/UBND-VX ngày 01/10/2013, Sở Tài chính báo cáo:",
            "102/UBND-VX",
        ),
        ("12/STC-NS V/v dự toán", "Căn cứ Công văn số 102/UBND-VX", None),
    ],
)
def test_what_a_paper_answers(subject: str, text: str, expected: str | None) -> None:
    document = paper(subject, text, ("x.pdf",), sender="sotc", to=("vpubnd",))
    assert (str(document.reply_to) if document.reply_to else None) == expected


CLASSES = [
    # a number of its own
    ("59/KH-UBND V/v trao đổi", "vpubnd", "sotc", ("59.pdf",), "document"),
    ("59/KH-UBND V/v trao đổi", "vpubnd", "sotc", (), "document"),
    ("12/GM-STTTT", "sotttt", "sotc", ("giay moi.pdf",), "document"),
    ("Công văn 1777/BTTTT-ƯDCNTT", OUTSIDE, "sotttt", ("cv.pdf",), "document"),
    ("24-HD/BTGTU", "vanthu@tinhuyhoabinh.dcs.vn", "sotc", ("hd.pdf",), "document"),
    # an official type with its file from an agency's box
    ("Báo cáo tháng 10", "sotc", "vpubnd", ("Bao cao.pdf",), "document"),
    ("Tờ trình xin kinh phí", OUTSIDE, "sotc", ("to trinh.pdf",), "document"),
    ("Gửi văn bản", "sotc", "vpubnd", ("12_BC-STC.pdf",), "document"),
    # a firm's numbered paper to an agency's box
    ("12/CV-ABC V/v thanh toán", "ketoan@abc.com.vn", "sotc", ("12-CV-ABC.pdf",), "document"),
    # official but unnumbered
    ("Giấy mời họp giao ban", "sotttt", "sotc", ("giay moi.pdf",), "exchange"),
    ("Giấy mời", "sotttt", "sotc", (), "exchange"),
    ("Mời họp về dự toán", "annv", "binhtt", (), "exchange"),
    ("Lịch công tác tuần 44", "vpubnd", "sotc", ("lich.xls",), "exchange"),
    ("Tài liệu phục vụ họp UBND tỉnh", "vpubnd", "sotc", ("tl.pdf",), "exchange"),
    ("Phiếu khảo sát ứng dụng CNTT", "sotttt", "sotc", ("phieu.doc",), "exchange"),
    ("Xin ý kiến dự thảo Quy chế thư điện tử", "sotttt", "sotc", ("du thao.doc",), "exchange"),
    ("Re: Giấy mời họp giao ban", "sotc", "sotttt", (), "exchange"),
    ("Trả lời: Giấy mời họp", "sotc", "sotttt", (), "exchange"),
    ("Re: 59/KH-UBND", "annv", "vpubnd", (), "exchange"),
    ("59/KH-UBND anh xem nhé", "annv", "binhtt", (), "exchange"),
    ("Tài liệu", "vpubnd", "sotc", ("Du thao Quy che.doc",), "exchange"),
    ("Góp ý", OUTSIDE, "sotc", (), "exchange"),
    # everything else
    ("Trưa nay ăn gì?", "annv", "binhtt", (), "letter"),
    ("Ảnh đám cưới", "annv", "binhtt", ("anh.jpg",), "letter"),
    ("Giấy mời dự đám cưới con gái", "annv", "binhtt", (), "letter"),
    ("Mời uống cà phê", "annv", "binhtt", (), "letter"),
    ("Báo cáo anh", "annv", "binhtt", ("x.pdf",), "letter"),
    ("Báo cáo chị", OUTSIDE, "binhtt", ("x.pdf",), "letter"),
    ("Cảm ơn", "sotc", "vpubnd", (), "letter"),
    ("Hỏi về 59/KH-UBND", "dan@gmail.com", "sotc", (), "letter"),
    ("Giấy mời họp", "quangcao@abc.com", "sotc", (), "letter"),
    ("12/CV-ABC", "ketoan@abc.com.vn", "annv", ("12-CV-ABC.pdf",), "letter"),
    ("", "annv", "binhtt", (), "letter"),
]


@pytest.mark.parametrize(("subject", "sender", "to", "files", "expected"), CLASSES)
def test_the_three_classes(subject: str, sender: str, to: str, files: tuple[str, ...], expected: str) -> None:
    seen = look(subject, "Kính gửi.", files, sender=sender, to=(to,))
    assert seen.message_class.value == expected
    assert (seen.document is None) == (expected == "letter")


def test_a_private_letter_that_speaks_of_a_document_stays_a_letter() -> None:
    text = "Chị ơi, theo Kế hoạch 59/KH-UBND thì mai nghỉ à?\n\nVào ngày 28/10/2013, Bình đã viết:\n> Số: 59/KH-UBND\n"
    assert look("Chiều đón con", text, sender="annv", to=("binhtt",)) == Recognition(MessageClass.LETTER)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("12/GM-STTTT V/v họp", Kind.INVITATION),
        ("12/STTTT-VP V/v mời họp giao ban", Kind.INVITATION),
        ("12/STTTT-VP V/v gửi tài liệu họp", Kind.MEETING_PAPERS),
        ("12/TB-STTTT", Kind.NOTICE),
        ("12/BC-STTTT công tác tháng 10", Kind.PERIODIC_REPORT),
        ("12/BC-STTTT quý III năm 2013", Kind.PERIODIC_REPORT),
        ("12/STTTT-VP lịch công tác tuần 44", Kind.SCHEDULE),
        ("12/STTTT-CNTT V/v khảo sát ứng dụng CNTT", Kind.SURVEY),
        ("12/STTTT-CNTT V/v tăng cường chỉ đạo", Kind.STEERING),
        ("12/STTTT-CNTT V/v góp ý dự thảo Quy chế", Kind.DRAFT),
        ("15/2012/QĐ-UBND ban hành Quy chế", Kind.LEGAL),
        ("12/STTTT-CNTT V/v cấp hộp thư", Kind.OTHER),
    ],
)
def test_the_ten_kinds(subject: str, expected: Kind) -> None:
    assert paper(subject, "", ("x.pdf",), sender="sotttt").kind is expected


def test_what_stays_within_an_agency_is_internal() -> None:
    assert paper("12/STC-VP V/v trang phục", "", ("x.pdf",), sender="sotc", to=("annv", "binhtt")).kind is Kind.INTERNAL


def test_a_blank_number_is_a_draft_and_no_document() -> None:
    seen = look("Họp giao ban", "Số:      /GM-STTTT\n", ("gm.doc",), sender="sotttt")
    assert seen.message_class is MessageClass.EXCHANGE
    assert code(seen.document) is None and seen.warnings == ("number-blank",)


@pytest.mark.parametrize(
    ("subject", "text", "files", "sender", "slug"),
    [
        ("Báo cáo tháng 10", "", ("x.pdf",), "sotc", "number-missing"),
        ("12/BC-STC", "", (), "sotc", "attachment-missing"),
        ("12/BC-STC ngày 31/02/2013", "", ("x.pdf",), "sotc", "date-invalid"),
        ("12/BC-STC ngày 05/11/2013", "", ("x.pdf",), "sotc", "date-after-arrival"),
        ("12/BC-STC", "", ("x.pdf",), "sotc", "date-missing"),
        ("12/BC-STC ngày 28/10/2013", "Hòa Bình, ngày 27 tháng 10 năm 2013", ("x.pdf",), "sotc", "date-mismatch"),
        ("06/2010/QĐ-UBND ngày 05/3/2012", "", ("x.pdf",), "vpubnd", "year-mismatch"),
        ("12/BC-STC", "", ("x.pdf",), "sotc", "summary-missing"),
        ("59/KH-UBND", "", ("x.pdf",), "sotc", "symbol-not-of-sender"),
        ("Văn bản", "", ("12_BC-STC.pdf", "13_BC-STC.pdf"), "sotc", "several-numbers"),
        ("12/BC-STC", "", ("13_BC-STC.pdf",), "sotc", "number-mismatch"),
        ("Văn bản", "", ("12-BC-XYZ.pdf",), "sotc", "number-uncertain"),
        (
            "12/STC-NS",
            "Nơi nhận:\n- Sở Kế hoạch và Đầu tư;\n- Lưu: VT.",
            ("x.pdf",),
            "sotc",
            "distribution-not-addressed",
        ),
    ],
)
def test_warnings(subject: str, text: str, files: tuple[str, ...], sender: str, slug: str) -> None:
    seen = look(subject, text, files, sender=sender, to=("sotttt",))
    assert slug in seen.warnings
    assert set(seen.warnings) <= set(WARNINGS)


def test_every_warning_is_tested() -> None:
    tested = {case[4] for case in test_warnings.pytestmark[0].args[1]}  # type: ignore[attr-defined]
    assert tested | {"number-blank", "tag-unknown", "type-unknown"} == set(WARNINGS)


def test_a_party_type_beyond_the_table_is_unknown() -> None:
    seen = look("24-XX/BTGTU", "", ("x.pdf",), sender="vanthu@tinhuyhoabinh.dcs.vn")
    assert "type-unknown" in seen.warnings


def test_the_distribution_list_is_compared_with_groups_too() -> None:
    text = "Nơi nhận:\n- Các sở, ban, ngành tỉnh;\n- UBND các huyện, thành phố;\n"
    assert "distribution-not-addressed" in look("59/KH-UBND", text, ("x.pdf",), to=("so-ban-nganh",)).warnings
    assert (
        "distribution-not-addressed"
        not in look("59/KH-UBND", text, ("x.pdf",), to=("so-ban-nganh", "huyen-tp")).warnings
    )


def test_a_plus_address_names_the_type_and_an_unknown_tag_warns() -> None:
    known = look("Số liệu", "", ("so lieu.xls",), sender="sotc", to=("sotttt+baocao",))
    assert known.message_class is MessageClass.DOCUMENT and known.document is not None and known.document.type == "BC"
    assert "tag-unknown" in look("12/BC-STC", "", ("x.pdf",), sender="sotc", to=("sotttt+abc",)).warnings


def test_a_paper_passed_on_names_its_issuer_by_the_letterhead() -> None:
    text = "UBND HUYỆN CAO PHONG\nSố: 12/BC-UBND\n"
    seen = look("Chuyển tiếp văn bản", text, ("x.pdf",), sender="sotc", to=("sotttt",))
    assert seen.document is not None and seen.document.issuer == "H28.21"
    assert "symbol-not-of-sender" in seen.warnings
    assert paper("12/BC-STTTT", "", ("x.pdf",), sender="sotc", to=("sokhdt",)).issuer == "H28.03"


def test_the_day_of_arrival_is_vietnamese() -> None:
    late = datetime(2013, 10, 28, 17, 30, tzinfo=UTC)  # half past midnight on the 29th in Hòa Bình
    content = a_content("12/BC-STC ngày 29/10/2013", "", ("x.pdf",), sender="sotc")
    assert "date-after-arrival" not in recognise(content, an_envelope("sotc"), DIRECTORY, late).warnings


def test_two_hundred_files_and_no_more_are_looked_at() -> None:
    files = tuple(f"anh {number:03}.jpg" for number in range(200))
    assert look("Ảnh", "", (*files, "59_KH-UBND.pdf")).message_class is MessageClass.LETTER
    assert look("Ảnh", "", (*files[1:], "59_KH-UBND.pdf")).message_class is MessageClass.DOCUMENT


_WORDS = "59/KH-UBND|Số:| /|ngày 28/10/2013|V/v|[MẬT]|[|]|Re:|Căn cứ|Nơi nhận:|- |TM.|CHỦ TỊCH|Hòa Bình, ngày|KẾ HOẠCH|đ|>|(|．"
_PIECES = st.sampled_from(
    [*_WORDS.split("|"), "\n", "\u0323", "\u202e", "\0", "9" * 40, "-" * 30, "a" * 50, "UBND-" * 10]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECES, max_size=60), st.lists(_PIECES, max_size=12), st.lists(_PIECES, max_size=8), st.booleans())
def test_recognition_is_total_and_quick(text: list[str], subject: list[str], name: list[str], known: bool) -> None:
    started = time.process_time()
    seen = look(
        " ".join(subject),
        "".join(text) * 40,
        ("".join(name) or "x", "y.pdf"),
        sender="vpubnd" if known else "ai@o-dau.example",
    )
    assert (seen.document is None) == (seen.message_class is MessageClass.LETTER)
    assert set(seen.warnings) <= set(WARNINGS)
    assert time.process_time() - started < 1.5
