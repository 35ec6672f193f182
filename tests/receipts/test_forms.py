"""What a person reads: subjects, sentences, their order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailrelay.model.dispatch import DispatchState, Result
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.receipts import drawer
from mailrelay.receipts.forms import FORMS
from tests.province import DIRECTORY, a_content, an_envelope, at
from tests.receipts import samples
from tests.receipts.office import MAIL_ID, SIGNED_AT, a_dispatch, a_record, an_outcome
from tests.receipts.samples import ALL, LETTERHEAD, ORIGINAL, build, incoming, read, returned, sent, text_of, words_of


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("sent", "[ĐÃ GỬI] 59/KH-UBND – Trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước"),
        ("incoming", "[VĂN BẢN ĐẾN] 59/KH-UBND – Trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước"),
        (
            "returned",
            "[KHÔNG CHUYỂN ĐƯỢC] 59/KH-UBND – Trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước",
        ),
        ("given-back", "[TRẢ LẠI] 59/KH-UBND – Trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước"),
        (
            "failed",
            "[KHÔNG CHUYỂN ĐƯỢC] 59/KH-UBND – Trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước",
        ),
        ("held-sender", "[TẠM GIỮ] [KHẨN] 12/BC-STC"),
        ("alert-officer", "[CẢNH BÁO] Không nhận thư có dấu chỉ độ mật"),
        ("silent-box", "[CẢNH BÁO] Không đọc được hộp thư tai-chinh-imap"),
        ("suspended", "[CẢNH BÁO] Tạm dừng gửi thư từ tài khoản sotc"),
        ("status", "[ĐÃ TIẾP NHẬN] 59/KH-UBND – Trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước"),
        ("delayed-unasked", "[CHẬM CHUYỂN] 59/KH-UBND"),
        ("corrected", "[ĐÍNH CHÍNH] 59/KH-UBND"),
        ("delayed", "[CHẬM CHUYỂN] 59/KH-UBND – Trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước"),
    ],
)
def test_subjects(name: str, subject: str) -> None:
    assert str(read(build(ALL[name]()))["Subject"]).startswith(subject)


PAPER = "văn bản số 59/KH-UBND ngày 28/10/2013 của UBND tỉnh Hòa Bình"


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        (
            "sent",
            [
                f"Hệ thống đã nhận {PAPER} lúc 09:05 ngày 29/10/2013 và đang chuyển đến 1 nơi nhận.",
                "HỆ THỐNG HIỂU LÀ Xếp loại: Văn bản, vào sổ Số, ký hiệu: 59/KH-UBND Ngày văn bản: 28/10/2013",
                "59_KH-UBND.pdf (244 KB): không có chữ ký số",
                "NƠI NHẬN (1) - Văn thư Sở Tài chính (sotc@hoabinh.gov.vn)",
            ],
        ),
        (
            "incoming",
            [
                f"Sở Tài chính có văn bản đến: {PAPER}, đến lúc 09:05 ngày 29/10/2013, chờ vào sổ.",
                "trả lời thư này, dòng đầu ghi TIẾP NHẬN để vào sổ, hoặc TRẢ LẠI: lý do.",
                "Số đến: (chờ vào sổ)",
                "59_KH-UBND.pdf (244 KB): có đủ chữ ký số cá nhân và cơ quan",
            ],
        ),
        (
            "returned",
            [
                f"KHÔNG CHUYỂN ĐƯỢC – văn bản chưa được gửi: {PAPER}.",
                "Việc cần làm: Gửi lại PDF.",
                "LÝ DO - Tệp “bc.exe” là chương trình, không được gửi.",
            ],
        ),
        (
            "given-back",
            [
                f"Sở Tài chính trả lại {PAPER}. Lý do: Thiếu phụ lục kèm theo",
                "Sửa theo lý do trên rồi gửi lại, hoặc liên hệ Văn thư Sở Tài chính (sotc@hoabinh.gov.vn).",
            ],
        ),
        (
            "not-released",
            [
                f"KHÔNG CHUYỂN ĐƯỢC – văn bản chưa được gửi: {PAPER}. Lý do: Chưa ký",
                "Không chuyển: Văn thư Văn phòng UBND tỉnh (vpubnd@hoabinh.gov.vn)",
            ],
        ),
        (
            "failed",
            [
                f"KHÔNG CHUYỂN ĐƯỢC – {PAPER} không đến được 1 nơi nhận.",
                "Việc cần làm: Kiểm tra lại địa chỉ trong danh bạ rồi gửi lại.",
                "x@y.vn: không có hộp thư này – máy chủ nhận trả lời: 5.1.1 <x@y.vn> unknown",
            ],
        ),
        (
            "held-holder",
            [
                "Đang chờ ông/bà quyết định: văn bản số 12/BC-STC của Sở Tài chính đang tạm giữ, chưa chuyển đến 1 nơi nhận.",
                "NGƯỜI GỬI - Nguyễn Văn An (annv@hoabinh.gov.vn)",
                "NGƯỜI GIỮ - Văn thư Sở Tài chính (sotc@hoabinh.gov.vn)",
            ],
        ),
        (
            "held-sender",
            [
                "Tạm giữ văn bản số 12/BC-STC của Sở Tài chính, chưa chuyển đến 1 nơi nhận.",
                "Không cần gửi lại: Văn thư Sở Tài chính (sotc@hoabinh.gov.vn) quyết định, kết quả sẽ báo ông/bà.",
                "CẦN XEM LẠI - Chưa thấy trích yếu.",
            ],
        ),
        (
            "alert-sender",
            [
                "Thư có dấu TỐI MẬT gửi lúc 09:05 ngày 29/10/2013 KHÔNG được nhận; nội dung đã xóa, không chuyển cho ai.",
                "Xóa thư này khỏi máy",
            ],
        ),
        (
            "day",
            [
                "2 thư từ bên ngoài bị bộ lọc coi là thư rác, đang tạm giữ, chưa chuyển; không thư nào bị xóa.",
                f"THƯ ĐANG GIỮ (2) - 09:05 ngày 29/10/2013, từ ban.hang@shop.example gửi sotc@hoabinh.gov.vn, mã thư {MAIL_ID}",
            ],
        ),
        (
            "silent-box",
            [
                "Hệ thống KHÔNG đọc được hộp thư tai-chinh-imap từ 17 phút nay (token endpoint: invalid_grant)",
                "Việc cần làm: Kiểm tra máy chủ, mật khẩu hoặc mã truy cập của hộp thư;",
                "SỰ VIỆC Thời điểm: 09:05 ngày 29/10/2013 Hộp thư: tai-chinh-imap",
            ],
        ),
        (
            "suspended",
            [
                "Tài khoản sotc gửi ra ngoài tỉnh nhiều bất thường nên tạm dừng gửi ra ngoài; có thể mật khẩu đã lộ.",
                "Việc cần làm: Đổi mật khẩu, quét mã độc máy tính, rồi đề nghị cán bộ CNTT mở lại.",
            ],
        ),
        ("status", [f"Văn thư Sở Tài chính đã tiếp nhận {PAPER}; số đến 1234, ngày 29/10/2013."]),
        ("delivered", ["đã chuyển đến hộp thư (1 nơi nhận)."]),
        ("relayed", ["đã chuyển sang hệ thống nhận, hệ thống đó không báo lại việc đến hộp thư (1 nơi nhận)."]),
        (
            "delayed",
            [
                f"Chưa chuyển được {PAPER} đến 1 nơi nhận; hệ thống đang tiếp tục thử.",
                "Không cần gửi lại: hệ thống tự thử lại đến 09:05 ngày 05/11/2013; đến lúc đó vẫn không được thì báo ông/bà.",
                "x@y.vn: không kết nối được máy chủ nhận – no route to host; lần thử tiếp theo 14:05 ngày 29/10/2013",
            ],
        ),
        ("delayed-unasked", ["Nếu gấp, báo trước cho nơi nhận bằng điện thoại."]),
        ("expanded", ["đã nhận và chuyển tiếp đến các thành viên của nhóm (1 nơi nhận).", "Tất cả các cơ quan"]),
        (
            "corrected",
            [
                "trước đó báo không chuyển được, nay đã chuyển đến hộp thư (1 nơi nhận).",
                "Bỏ qua thông báo không chuyển được trước đây; không cần gửi lại.",
            ],
        ),
        ("poisoned", ["việc gửi thư này làm dịch vụ dừng. Xem nhật ký.", "Đang chờ ông/bà quyết định"]),
    ],
)
def test_wording(name: str, sentences: list[str]) -> None:
    plain = words_of(read(build(ALL[name]())))
    for sentence in sentences:
        assert sentence in plain


def test_the_outcome_comes_before_anything_else_and_the_code_last() -> None:
    plain = words_of(read(build(returned())))
    order = [
        "KHÔNG CHUYỂN ĐƯỢC – văn bản chưa được gửi",
        "Việc cần làm",
        "LÝ DO",
        "HỆ THỐNG HIỂU LÀ",
        f"Mã thư: {MAIL_ID}",
    ]
    assert [plain.index(piece) for piece in order] == sorted(plain.index(piece) for piece in order)


def test_a_slip_with_its_number_asks_for_no_entry() -> None:
    plain = words_of(read(build(incoming(1234))))
    assert "đã tự động vào sổ: số đến 1234, ngày 29/10/2013" in plain and "TIẾP NHẬN" not in plain
    assert "Số đến: 1234" in plain


def test_no_answer_is_promised_where_none_is_read() -> None:
    plain = words_of(read(build(incoming(), letterhead=replace(LETTERHEAD, takes_answers=False))))
    assert "TIẾP NHẬN" not in plain and "trả lời thư này" not in plain


def test_an_outsider_is_told_in_english_too() -> None:
    envelope = Envelope("vanthu@mic.gov.vn", (Recipient(at("sotttt")),), Origin(Door.MX))
    record, *_ = a_record(
        a_content("12/BTTTT-CNTT", "", ("x.pdf",), sender="vanthu@mic.gov.vn"),
        envelope,
        findings=[Finding(Check.SPF, Verdict.PASS, "mic.gov.vn")],
    )
    pair = (a_dispatch("sotttt", DispatchState.FAILED), an_outcome(Result.FAILED, "5.2.2"))
    (receipt,) = drawer.on_settled(record, [pair], DIRECTORY, SIGNED_AT)
    message = read(build(receipt))
    assert message["Content-Language"] == "vi, en"
    plain = words_of(message)
    assert plain.index("không đến được") < plain.index(
        "ENGLISH Not delivered to 1 recipient(s): document 12/BTTTT-CNTT."
    )
    assert "sotttt@hoabinh.gov.vn: the mailbox is full" in plain


def test_an_exchange_is_told_that_it_enters_no_book() -> None:
    plain = words_of(read(build(sent(content=a_content("Giấy mời họp giao ban", "", ("x.pdf",))))))
    assert "Hệ thống đã nhận thư “Giấy mời họp giao ban” lúc 09:05 ngày 29/10/2013" in plain
    assert "Xếp loại: Trao đổi công việc, không vào sổ văn bản" in plain and "Số, ký hiệu:" not in plain
    assert "Nếu đây là văn bản có số, gửi lại và ghi số, ký hiệu ở tiêu đề thư." in plain


def test_signers_stand_together_after_the_reading_of_the_file() -> None:
    def found(detail: str, signer: str = "") -> Finding:
        return Finding(Check.PDF, Verdict.PASS, "59_KH-UBND.pdf", detail, {"signer": signer} if signer else {})

    signed = [found("good", "Bùi Văn Tỉnh"), found("good", "UBND tỉnh Hòa Bình"), found("both")]
    plain = words_of(read(build(sent(findings=signed))))
    assert (
        "có đủ chữ ký số cá nhân và cơ quan; chữ ký số hợp lệ, chứng thư tin cậy: Bùi Văn Tỉnh, UBND tỉnh Hòa Bình"
        in plain
    )


def test_what_is_wrong_with_a_file_is_said_once_and_plainly() -> None:
    def found(check: Check, detail: str) -> Finding:
        return Finding(check, Verdict.FAIL, "bc.pdf.exe", detail)

    bad = [
        found(Check.NAME, "double-extension"),
        found(Check.TYPE, "executable"),
        found(Check.ANTIVIRUS, "some-new-slug"),
    ]
    plain = words_of(read(build(sent(content=a_content("12/BC-UBND", "", ("bc.pdf.exe",)), findings=bad))))
    shown = "bc.pdf.exe (244 KB): tên tệp có hai đuôi, che đuôi thật; tệp là chương trình; mã độc: không đạt"
    assert f"{shown} NƠI NHẬN" in plain.replace("không có chữ ký số; ", "")


def test_a_letter_is_named_by_its_time_alone() -> None:
    record, *_ = a_record(a_content("Chuyện riêng", "x", sender="annv"), an_envelope("annv", ("binhtt",)))
    pair = (a_dispatch("binhtt", DispatchState.FAILED), an_outcome(Result.FAILED, "5.2.2"))
    (receipt,) = drawer.on_settled(record, [pair], DIRECTORY, SIGNED_AT)
    made = build(receipt)
    assert str(read(made)["Subject"]) == "[KHÔNG CHUYỂN ĐƯỢC] Thư gửi lúc 09:05 ngày 29/10/2013"
    assert read(made)["In-Reply-To"] is None
    assert read(build(receipt, ORIGINAL))["In-Reply-To"] == "<goc-1@hoabinh.gov.vn>"  # while the mail is at hand
    assert "Chuyện riêng" not in made.raw.decode() + text_of(read(made)) + text_of(read(made), "html")


def test_has_a_form_for_every_kind_that_the_drawer_issues() -> None:
    assert set(FORMS) == {make().kind for make in ALL.values()}


@pytest.mark.parametrize("name", ["silent-box", "suspended"])
def test_an_alarm_speaks_of_no_mail(name: str) -> None:
    """Nothing came back, and nothing was lost: the words of a return would send its reader looking for a mail."""
    told = words_of(read(build(ALL[name](), ORIGINAL)))
    assert "KHÔNG CHUYỂN ĐƯỢC" not in told and "Lý do" not in told and "CHƯA được gửi" not in told
    assert read(build(ALL[name](), ORIGINAL))["In-Reply-To"] is None


def test_whom_a_mail_did_not_reach_is_counted_where_not_all_are_listed() -> None:
    record, *_ = a_record(a_content("59/KH-UBND", "", ("x.pdf",)), an_envelope())
    pairs = [
        (
            replace(a_dispatch("sotttt", DispatchState.FAILED), recipient=Recipient(f"a{number}@bo.example")),
            an_outcome(Result.FAILED, "5.2.2" if number else "5.1.1"),
        )
        for number in reversed(range(100))
    ]
    (receipt,) = drawer.on_settled(record, pairs, DIRECTORY, SIGNED_AT)
    told = words_of(read(build(receipt)))
    assert told.count("hộp thư nhận đã đầy") == 60 and "… và 40 nơi nhận nữa" in told
    assert "Kiểm tra lại địa chỉ trong danh bạ rồi gửi lại." in told  # what to do for one of those


def test_a_long_list_shows_its_beginning_and_counts_the_rest() -> None:
    told = words_of(read(build(samples.day(300))))
    assert "300 thư từ bên ngoài" in told and told.count("mã thư 0") == 60 and "… và 240 thư nữa" in told
    assert len(samples.day(300).facts["held"]) == 200
