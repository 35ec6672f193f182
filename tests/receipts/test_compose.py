from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrelay.model.decision import Action, Reason
from mailrelay.model.dispatch import DispatchState, Result
from mailrelay.model.document import Secrecy
from mailrelay.model.entry import Book, EntryStatus, RegisterEntry
from mailrelay.model.envelope import Door, Envelope, Notify, Origin, Recipient
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.identity import AgencyId
from mailrelay.model.receipt import Notice, Receipt
from mailrelay.receipts import drawer
from mailrelay.receipts.compose import Letterhead, canonical, compose, data_file, notice
from mailrelay.receipts.forms import FORMS
from tests.province import ARRIVED, DIRECTORY, a_content, an_envelope, at
from tests.receipts.office import MAIL_ID, NOTICE_ID, SIGNED_AT, a_decision, a_dispatch, a_record, an_outcome

WHY = Reason(
    "attachments.executable",
    "Tệp “bc.exe” là chương trình, không được gửi.",
    "bc.exe is a program.",
    "Gửi lại PDF.",
    "Send a PDF.",
)
LETTERHEAD = Letterhead(
    "bien-nhan@hoabinh.gov.vn", "hoabinh.gov.vn", hostname="mail.hoabinh.gov.vn", takes_answers=True
)
SEAL = b"\x30\x82seal"
ORIGINAL = b"From: <vpubnd@hoabinh.gov.vn>\r\nSubject: x\r\nMessage-ID: <goc-1@hoabinh.gov.vn>\r\n\r\nnoi dung\r\n"


def build(receipt: Receipt, original: bytes = b"", letterhead: Letterhead = LETTERHEAD) -> Notice:
    data = data_file(receipt, letterhead, NOTICE_ID, SIGNED_AT)
    return notice(receipt, letterhead, NOTICE_ID, SIGNED_AT, data=data, seal=SEAL, original=original)


def read(made: Notice) -> EmailMessage:
    """With the standard library's other parser and policy than ours."""
    message = email.message_from_bytes(made.raw, policy=email.policy.default)
    assert not message.defects and all(not part.defects for part in message.walk())
    return message


def text_of(message: EmailMessage, subtype: str = "plain") -> str:
    for part in message.walk():
        if part.get_content_type() == f"text/{subtype}":
            return str(part.get_content()).replace("\r\n", "\n")
    raise AssertionError(f"no text/{subtype}")


def words_of(message: EmailMessage) -> str:
    """The plain text on one line."""
    return " ".join(text_of(message).split())


def sent(**named: object) -> Receipt:
    record, content, recognition = a_record(**named)  # type: ignore[arg-type]
    return drawer.on_accept(record, content, recognition, DIRECTORY, (), SIGNED_AT)[0]


def returned() -> Receipt:
    return sent(decision=a_decision({"sotc": Action.RETURN}, [WHY]))


def held(index: int) -> Receipt:
    record, content, recognition = a_record(
        a_content("[KHẨN] 12/BC-STC", "", ("x.pdf",), sender="annv"),
        an_envelope("annv", ("sokhdt",)),
        a_decision({"sokhdt": Action.HOLD}, [WHY]),
    )
    return drawer.on_accept(record, content, recognition, DIRECTORY, (), SIGNED_AT)[index]


def settled(
    state: DispatchState, notify: frozenset[Notify] | None = None, orcpt: str | None = None, **outcome: object
) -> Receipt:
    record, *_ = a_record()
    dispatch = a_dispatch("x@y.vn", state, recipient=Recipient("x@y.vn", notify, orcpt))
    result = {DispatchState.FAILED: Result.FAILED, DispatchState.DEFERRED: Result.DEFERRED}.get(state, Result.DELIVERED)
    status = str(outcome.pop("status", "2.0.0"))
    pair = (replace(dispatch, created_at=ARRIVED.replace(day=20)), an_outcome(result, status, **outcome))
    return drawer.on_settled(record, [pair], DIRECTORY, SIGNED_AT)[0]


def failed() -> Receipt:
    return settled(DispatchState.FAILED, status="5.1.1", code=550, text="5.1.1 <x@y.vn> unknown", remote="mx.y.vn")


def entry(status: EntryStatus, seq: int | None = None) -> RegisterEntry:
    record, *_ = a_record()
    assert record.document is not None
    return RegisterEntry(
        AgencyId("H28.02"),
        Book.INCOMING,
        2013,
        MAIL_ID,
        status,
        record.document,
        "H28.UB",
        seq=seq,
        accepted_on=ARRIVED.date() if seq else None,
    )


def incoming(seq: int | None = None) -> Receipt:
    record, *_ = a_record(findings=[Finding(Check.PDF, Verdict.PASS, "59_KH-UBND.pdf", "both")])
    entries = [entry(EntryStatus.ACCEPTED if seq else EntryStatus.ARRIVED, seq)]
    pair = (a_dispatch("sotc", DispatchState.DELIVERED), an_outcome())
    return drawer.on_settled(record, [pair], DIRECTORY, SIGNED_AT, entries=entries)[0]


def given_back() -> Receipt:
    record, *_ = a_record()
    row = entry(EntryStatus.RETURNED)
    return drawer.on_entry_returned(row, record, "Thiếu phụ lục kèm theo", at("sotc"), SIGNED_AT, directory=DIRECTORY)[
        0
    ]


def not_released() -> Receipt:
    record, *_ = a_record()
    dispatches = [a_dispatch("sotc", DispatchState.WITHDRAWN)]
    return drawer.on_held_returned(record, dispatches, "Chưa ký", at("vpubnd"), SIGNED_AT, directory=DIRECTORY)[0]


def alert(index: int = 1) -> Receipt:
    envelope = an_envelope("annv", ("sokhdt",))
    return drawer.on_secret_refused(envelope, Secrecy.SECRET, DIRECTORY, "ab" * 32, SIGNED_AT, mail_id=MAIL_ID)[index]


def status() -> Receipt:
    record, *_ = a_record()
    return drawer.status_slip(entry(EntryStatus.ACCEPTED, 1234), record, at("vpubnd"), SIGNED_AT, directory=DIRECTORY)


ALL: dict[str, Callable[[], Receipt]] = {
    "sent": sent,
    "incoming": incoming,
    "returned": returned,
    "given-back": given_back,
    "not-released": not_released,
    "failed": failed,
    "held-holder": lambda: held(0),
    "held-sender": lambda: held(1),
    "alert-officer": lambda: alert(0),
    "alert-sender": lambda: alert(1),
    "status": status,
    "delivered": lambda: settled(DispatchState.DELIVERED, frozenset({Notify.SUCCESS})),
    "relayed": lambda: settled(DispatchState.RELAYED, frozenset({Notify.SUCCESS})),
    "delayed": lambda: settled(DispatchState.DEFERRED, frozenset({Notify.DELAY}), status="4.4.1"),
}
every = pytest.mark.parametrize("name", ALL)


@every
def test_every_notice_reads_back_through_another_parser(name: str) -> None:
    receipt = ALL[name]()
    message = read(build(receipt))
    assert message["To"].addresses[0].addr_spec == receipt.to == build(receipt).recipient
    assert message["From"].addresses[0].addr_spec == "bien-nhan@hoabinh.gov.vn"
    assert str(message["Subject"]).startswith("[")
    assert message["Date"].datetime == SIGNED_AT
    assert message["Message-ID"] == f"<{NOTICE_ID}@hoabinh.gov.vn>" == build(receipt).message_id
    assert message["Auto-Submitted"] in ("auto-replied", "auto-generated")
    assert message["X-Mailrelay-Receipt"] == receipt.kind.value
    types = [part.get_content_type() for part in message.walk()]
    assert {"text/plain", "text/html", "application/json", "application/pkcs7-signature"} <= set(types)


@every
def test_every_notice_is_fit_for_any_transport(name: str) -> None:
    raw = build(ALL[name]()).raw
    assert raw.isascii() and b"\0" not in raw
    lines = raw.split(b"\r\n")
    assert all(b"\n" not in line and b"\r" not in line for line in lines)
    assert max(map(len, lines)) <= 78


@every
def test_every_data_file_is_canonical_json_and_sealed_as_sent(name: str) -> None:
    receipt = ALL[name]()
    sealed: list[bytes] = []

    def seal(data: bytes) -> bytes:
        sealed.append(data)
        return SEAL

    made = compose(receipt, sender="", domain="hoabinh.gov.vn", notice_id=NOTICE_ID, signed_at=SIGNED_AT, seal=seal)
    parts = {part.get_filename(): part.get_content() for part in read(made).walk() if part.get_filename()}
    assert parts == {"bien-nhan.json": sealed[0], "bien-nhan.json.p7s": SEAL}
    data = json.loads(sealed[0])
    assert rfc8785.dumps(data) == sealed[0]
    assert data["facts"] == receipt.facts and data["kind"] == receipt.kind.value and data["event"] == receipt.event_key
    assert (data["event_at"], data["issued_at"]) == ("2013-10-29T09:05:01+07:00", "2013-10-29T09:05:01+07:00")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="ascii")), inner, max_size=4)
    ),
)


@given(st.dictionaries(st.text(st.characters(codec="ascii")), _JSON, max_size=6))
def test_the_canonical_form_is_that_of_rfc_8785(data: dict[str, object]) -> None:
    assert canonical(data) == rfc8785.dumps(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [1.5, 2**53, {"é": 1}, {1: 2}, b"x", {1, 2}])
def test_what_has_no_certain_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical({"x": value})


@every
def test_the_same_facts_give_the_same_bytes(name: str) -> None:
    assert build(ALL[name]()).raw == build(ALL[name]()).raw


@every
def test_the_card_says_what_the_text_says_and_loads_nothing(name: str) -> None:
    message = read(build(ALL[name]()))
    html, plain = text_of(message, "html"), words_of(message)
    assert not re.search(r"<(?:img|link|script|style|iframe)|url\(|@import|https?://", html)
    shown = " ".join(re.sub(r"<[^>]+>", " ", html).replace("&#8226;", " ").replace("&nbsp;", " ").split())
    for word in re.findall(r"[\w/@.-]{6,}", plain.lower()):
        assert word in shown.lower()


@every
def test_no_notice_speaks_in_another_clock_or_tongue(name: str) -> None:
    plain = words_of(read(build(ALL[name]())))
    assert "UTC" not in plain and "ENGLISH" not in plain
    assert not re.search(r"\d{4}-\d\d-\d\d|[AP]M\b", plain)


def test_what_a_reply_is_and_what_is_news() -> None:
    replied = {name for name, make in ALL.items() if read(build(make()))["Auto-Submitted"] == "auto-replied"}
    assert replied == {"sent", "returned", "given-back", "not-released", "failed", "delivered", "relayed", "delayed"}


def test_notices_thread_under_the_mail_they_are_about() -> None:
    message = read(build(sent()))
    assert message["In-Reply-To"] == message["References"] == "<goc-1@hoabinh.gov.vn>"
    assert read(build(alert(), ORIGINAL))["In-Reply-To"] is None


# What a person reads


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
        ("status", "[ĐÃ TIẾP NHẬN] 59/KH-UBND – Trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước"),
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
        ("status", [f"Văn thư Sở Tài chính đã tiếp nhận {PAPER}; số đến 1234, ngày 29/10/2013."]),
        ("delivered", ["đã chuyển đến hộp thư (1 nơi nhận)."]),
        ("relayed", ["đã chuyển sang hệ thống nhận, hệ thống đó không báo lại việc đến hộp thư (1 nơi nhận)."]),
        ("delayed", ["chưa chuyển được, hệ thống đang thử lại (1 nơi nhận).", "Không cần gửi lại"]),
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


# Reports


def report_parts(message: EmailMessage) -> list[EmailMessage]:
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    parts = [part for part in message.iter_parts() if isinstance(part, EmailMessage)]
    assert len(parts) == 3  # RFC 6522 section 3
    return parts


@pytest.mark.parametrize("name", ["failed", "delivered", "relayed", "delayed"])
def test_a_report_has_its_three_parts(name: str) -> None:
    human, status, returned_part = report_parts(read(build(ALL[name]())))
    assert human.get_content_type() == "multipart/mixed"
    assert status.get_content_type() == "message/delivery-status"
    per_message, per_recipient = status.get_payload()
    assert per_message["Reporting-MTA"] == "dns; mail.hoabinh.gov.vn"
    assert per_recipient["Action"] == name
    assert per_recipient["Final-Recipient"] == "rfc822; x@y.vn"
    assert per_recipient["Status"][0] == {"failed": "5", "delayed": "4"}.get(name, "2")
    assert returned_part.get_content_type() == "text/rfc822-headers"
    assert "Message-ID: <goc-1@hoabinh.gov.vn>" in returned_part.get_payload()


def test_only_reports_are_reports() -> None:
    reports = {name for name, make in ALL.items() if read(build(make())).get_content_type() == "multipart/report"}
    assert reports == {"failed", "delivered", "relayed", "delayed"}


def test_the_whole_mail_comes_back_only_when_asked_for_with_a_failure() -> None:
    for ret, receipt, expected in (
        ("FULL", failed(), "message/rfc822"),
        ("HDRS", failed(), "text/rfc822-headers"),
        ("", failed(), "text/rfc822-headers"),
        ("FULL", ALL["delivered"](), "text/rfc822-headers"),
    ):
        facts = dict(receipt.facts)
        asked = replace(receipt, facts={**facts, "mail": {**facts["mail"], "ret": ret}})
        third = report_parts(read(build(asked, ORIGINAL)))[2]
        assert third.get_content_type() == expected
        assert b"noi dung" in third.as_bytes() or expected != "message/rfc822"
        assert (b"noi dung" in third.as_bytes()) == (expected == "message/rfc822")


def test_an_original_that_is_not_seven_bit_comes_back_as_an_encoded_header() -> None:
    original = "Subject: tiếng Việt\r\nMessage-ID: <goc-1@hoabinh.gov.vn>\r\n\r\nx\r\n".encode()
    facts = dict(failed().facts)
    asked = replace(failed(), facts={**facts, "mail": {**facts["mail"], "ret": "FULL"}})
    third = report_parts(read(build(asked, original)))[2]
    assert third.get_content_type() == "text/rfc822-headers"
    assert "Subject: tiếng Việt" in str(third.get_content())


def test_has_a_form_for_every_kind_that_the_drawer_issues() -> None:
    assert set(FORMS) == {make().kind for make in ALL.values()}


_HOSTILE = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)


@settings(max_examples=60, deadline=None)
@given(_HOSTILE, _HOSTILE, _HOSTILE)
def test_nothing_in_a_mail_breaks_the_form_of_a_notice(subject: str, name: str, reply: str) -> None:
    content = a_content(f"59/KH-UBND V/v {subject}", "", (f"{name}.pdf",), message_id=f"<{subject}>")
    record, content, recognition = a_record(content)
    receipts = list(drawer.on_accept(record, content, recognition, DIRECTORY, (), SIGNED_AT))
    pair = (
        a_dispatch("x@y.vn", DispatchState.FAILED),
        an_outcome(Result.FAILED, "5.1.1", code=550, text=reply, remote=reply),
    )
    receipts += drawer.on_settled(record, [pair], DIRECTORY, SIGNED_AT)
    for receipt in receipts:
        made = build(receipt)
        assert made.raw.isascii() and all(len(line) <= 998 for line in made.raw.split(b"\r\n"))
        message = read(made)
        known = {"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted"}
        known |= {"X-Auto-Response-Suppress", "X-Mailrelay-Receipt", "Content-Language", "MIME-Version", "Content-Type"}
        assert set(message.keys()) <= known
        assert "<script" not in text_of(message, "html")
