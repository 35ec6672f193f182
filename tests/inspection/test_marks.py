from __future__ import annotations

import unicodedata

import pytest

from mailrelay.inspection.document_types import clean
from mailrelay.inspection.letterhead import own_page
from mailrelay.inspection.marks import paper_follows, secrecy_mark, take_apart, urgency_mark
from mailrelay.model.document import Secrecy, Urgency
from tests.province import a_content


def urgency(subject: str, fields: tuple[tuple[str, str], ...] = (), text: str = "") -> Urgency:
    mark = urgency_mark(take_apart(clean(subject)), fields, clean(text).splitlines())
    return mark.urgency if mark else Urgency.NORMAL


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("[KHẨN] 59/KH-UBND", Urgency.URGENT),
        ("[khẩn] 59/KH-UBND", Urgency.URGENT),
        ("[Khan] 59/KH-UBND", Urgency.URGENT),
        ("[THƯỢNG KHẨN] họp", Urgency.VERY_URGENT),
        ("[THUONG KHAN] hop", Urgency.VERY_URGENT),
        ("[HỎA TỐC] 59/KH-UBND", Urgency.FLASH),
        ("[Hoả tốc] 59/KH-UBND", Urgency.FLASH),
        ("[HOATOC] 59/KH-UBND", Urgency.FLASH),
        ("[HỎA TỐC HẸN GIỜ 10h ngày 29/10] họp", Urgency.TIMED_FLASH),
        ("59/KH-UBND V/v họp [HỎA TỐC]", Urgency.FLASH),
        ("HỎA TỐC: 59/KH-UBND", Urgency.FLASH),
        ("HOẢ TỐC 59/KH-UBND", Urgency.FLASH),
        ("HOA TOC - 59/KH-UBND", Urgency.FLASH),
        ("HỎA TỐC HẸN GIỜ: họp", Urgency.TIMED_FLASH),
        ("KHẨN - giấy mời họp", Urgency.URGENT),
        ("Re: KHẨN: giấy mời họp", Urgency.URGENT),
        ("59/KH-UBND - KHẨN", Urgency.URGENT),
        ("59/KH-UBND – KHẨN", Urgency.URGENT),
        ("THƯỢNG KHẨN 12/TB-STC", Urgency.VERY_URGENT),
        ("KHẨN TRƯƠNG NỘP BÁO CÁO", Urgency.NORMAL),
        ("Đề nghị khẩn trương nộp", Urgency.NORMAL),
        ("KHẨN CẤP DI DỜI DÂN", Urgency.NORMAL),
        ("KHAN HIẾM NƯỚC", Urgency.NORMAL),
        ("KHAN HIEM NUOC", Urgency.NORMAL),
        ("CÔNG ĐIỆN KHẨN", Urgency.NORMAL),
        ("khẩn", Urgency.NORMAL),
        ("KHÁN GIẢ", Urgency.NORMAL),
        ("[khẩn trương] họp", Urgency.NORMAL),
    ],
)
def test_urgency_in_the_subject(subject: str, expected: Urgency) -> None:
    assert urgency(subject) is expected
    assert urgency(unicodedata.normalize("NFD", subject)) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((("importance", "high"),), Urgency.URGENT),
        ((("x-priority", "1 (Highest)"),), Urgency.URGENT),
        ((("x-priority", "3"),), Urgency.NORMAL),
        ((("priority", "urgent"),), Urgency.URGENT),
        ((("importance", "normal"), ("x-priority", "1")), Urgency.NORMAL),
        ((("x-do-khan", "Hỏa tốc"),), Urgency.FLASH),
        ((("x-vanban-dokhan", "2"),), Urgency.VERY_URGENT),
        ((("x-do-khan", "thuong khan"), ("importance", "high")), Urgency.VERY_URGENT),
        ((("x-do-khan", "Thường"), ("importance", "high")), Urgency.NORMAL),
    ],
)
def test_fields_and_client_flags(fields: tuple[tuple[str, str], ...], expected: Urgency) -> None:
    assert urgency("59/KH-UBND", fields) is expected


def test_a_clients_flag_never_lowers_or_beats_the_subject() -> None:
    assert urgency("[HỎA TỐC] 59/KH-UBND", (("importance", "high"),)) is Urgency.FLASH
    assert urgency("[KHẨN] 59/KH-UBND", (("importance", "low"),)) is Urgency.URGENT


def test_a_line_of_the_paper() -> None:
    assert urgency("59/KH-UBND", text="Số: 59/KH-UBND\n\nHỎA TỐC\n") is Urgency.FLASH
    assert urgency("59/KH-UBND", text="Độ khẩn: Thượng khẩn") is Urgency.VERY_URGENT
    assert urgency("59/KH-UBND", text="Đề nghị triển khai hỏa tốc việc này.") is Urgency.NORMAL


def secrecy(
    subject: str = "", text: str = "", files: tuple[str, ...] = (), fields: tuple[tuple[str, str], ...] = ()
) -> Secrecy:
    return secrecy_mark(a_content(subject, text, files, fields=fields))


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("[MẬT] 12/BC-STC", Secrecy.CONFIDENTIAL),
        ("[mật] 12/BC-STC", Secrecy.CONFIDENTIAL),
        ("[MAT] 12/BC-STC", Secrecy.CONFIDENTIAL),
        ("Re: [TỐI MẬT] họp", Secrecy.SECRET),
        ("[TOI MAT] họp", Secrecy.SECRET),
        ("12/BC-STC [TUYỆT MẬT]", Secrecy.TOP_SECRET),
        ("[KHẨN][MẬT] 12/BC-STC", Secrecy.CONFIDENTIAL),
        ("(MẬT) 12/BC-STC", Secrecy.CONFIDENTIAL),
        ("MẬT - 12/BC-STC", Secrecy.CONFIDENTIAL),
        ("MẬT – 12/BC-STC", Secrecy.CONFIDENTIAL),
        ("MẬT 12/BC-STC", Secrecy.CONFIDENTIAL),
        ("TỐI MẬT: báo cáo", Secrecy.SECRET),
        ("TUYỆT MẬT 12/BC-STC", Secrecy.TOP_SECRET),
        ("[MẬT] [TỐI MẬT] hai dấu", Secrecy.SECRET),
        ("MẬT ONG HÒA BÌNH", Secrecy.NONE),
        ("MẬT KHẨU MỚI", Secrecy.NONE),
        ("Quy chế bảo mật thông tin", Secrecy.NONE),
        ("TẬP HUẤN BẢO MẬT", Secrecy.NONE),
        ("CÔNG TÁC BẢO VỆ BÍ MẬT NHÀ NƯỚC", Secrecy.NONE),
        ("MAT 12/BC-STC", Secrecy.NONE),
        ("MAT: dien thoai", Secrecy.NONE),
        ("Tôi mất điện thoại", Secrecy.NONE),
        ("[Bảo mật] đổi mật khẩu", Secrecy.NONE),
        ("Mật độ dân số", Secrecy.NONE),
        ("TOI MAT DIEN THOAI", Secrecy.NONE),
    ],
)
def test_secrecy_in_the_subject(subject: str, expected: Secrecy) -> None:
    assert secrecy(subject) is expected
    assert secrecy(unicodedata.normalize("NFD", subject)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("UBND TỈNH\nMẬT\nSố: 12/BC", Secrecy.CONFIDENTIAL),
        ("  *TUYỆT MẬT*  \n", Secrecy.TOP_SECRET),
        ("> TỐI MẬT\n> nội dung", Secrecy.SECRET),
        ("Độ mật: Tối mật", Secrecy.SECRET),
        ("ĐỘ MẬT: MẬT", Secrecy.CONFIDENTIAL),
        ("Độ mật: Không", Secrecy.NONE),
        ("Độ mật: Thường", Secrecy.NONE),
        ("đảm bảo an toàn bảo mật thông tin", Secrecy.NONE),
        ("Mật\n", Secrecy.NONE),
        ("MAT\n", Secrecy.NONE),
        ("Mật khẩu: MẬT", Secrecy.NONE),
        ("x" * 20_000 + "\nTỐI MẬT\n", Secrecy.SECRET),
    ],
)
def test_secrecy_in_the_text(text: str, expected: Secrecy) -> None:
    assert secrecy("Báo cáo", text) is expected


def test_secrecy_in_files_and_fields() -> None:
    assert secrecy(files=("12_BC-CAT (MẬT).pdf",)) is Secrecy.CONFIDENTIAL
    assert secrecy(files=("[TOI MAT] 12_BC-CAT.pdf",)) is Secrecy.SECRET
    assert secrecy(files=("TỐI MẬT - 12_BC-CAT.pdf",)) is Secrecy.SECRET
    assert secrecy(files=("Quy che bao mat.pdf", "MAT.pdf", "bảo mật.pdf")) is Secrecy.NONE
    assert secrecy(fields=(("x-do-mat", "Tuyet mat"),)) is Secrecy.TOP_SECRET
    assert secrecy(fields=(("x-vanban-domat", "1"),)) is Secrecy.CONFIDENTIAL
    assert secrecy(fields=(("x-do-mat", "Không"), ("sensitivity", "company-confidential"))) is Secrecy.NONE


@pytest.mark.parametrize(
    ("subject", "text", "follows"),
    [
        ("59/KH-UBND [KÈM BẢN GIẤY]", "", True),
        ("59/KH-UBND [kem ban giay]", "", True),
        ("59/KH-UBND", "Bản giấy gửi sau qua đường bưu điện.", True),
        ("59/KH-UBND", "Sở sẽ gửi bản chính sau.", True),
        ("59/KH-UBND", "Gửi kèm theo bản giấy.", True),
        ("59/KH-UBND", "Văn bản này không kèm bản giấy.", False),
        ("59/KH-UBND", "Không gửi bản giấy.", False),
        ("59/KH-UBND", "Thay thế dần văn bản giấy.", False),
    ],
)
def test_paper_follows(subject: str, text: str, follows: bool) -> None:
    assert (paper_follows(take_apart(clean(subject)), (), own_page(text)) is not None) is follows


def test_a_subject_is_taken_apart() -> None:
    parts = take_apart("[Ngoài tỉnh] Re: FW: [KHẨN] 59/KH-UBND V/v họp")
    assert parts.tags == ("Ngoài tỉnh", "KHẨN")
    assert (parts.is_reply, parts.is_forward, parts.rest) == (True, True, "59/KH-UBND V/v họp")
    assert take_apart("Trả lời: Giấy mời").is_reply
