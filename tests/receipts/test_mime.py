from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mailrelay.receipts import mime

VIETNAMESE = "[ĐÃ GỬI] 59/KH-UBND – Thực hiện việc trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước"


def parsed(header: str) -> email.message.EmailMessage:
    return email.message_from_bytes(f"{header}\r\n\r\n".encode("ascii"), policy=email.policy.default)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), max_size=300))
def test_a_subject_of_any_text_comes_back_whole(text: str) -> None:
    header = mime.field("Subject", mime.encoded(text))
    assert all(len(line) <= 78 for line in header.split("\r\n"))
    assert " ".join(str(parsed(header)["Subject"]).split()) == " ".join(text.split())


@given(st.text(max_size=200))
def test_no_text_breaks_out_of_its_field(text: str) -> None:
    message = parsed(mime.field("Subject", mime.encoded(text)) + "\r\nX-Next: here")
    assert message.keys() == ["Subject", "X-Next"]


def test_a_long_vietnamese_subject_is_folded_in_encoded_words() -> None:
    header = mime.field("Subject", mime.encoded(VIETNAMESE))
    assert header.isascii() and all(len(line) <= 76 for line in header.split("\r\n"))
    assert parsed(header)["Subject"] == VIETNAMESE


def test_mailboxes() -> None:
    shown = parsed(mime.field("From", mime.mailbox("Hệ thống gửi, nhận văn bản", "bien-nhan@hoabinh.gov.vn")))[
        "From"
    ].addresses[0]
    assert (shown.display_name, shown.addr_spec) == ("Hệ thống gửi, nhận văn bản", "bien-nhan@hoabinh.gov.vn")
    assert mime.mailbox("", "a@b.vn") == "<a@b.vn>"
    assert mime.mailbox("Van thu", "a@b.vn") == '"Van thu" <a@b.vn>'


def test_an_address_beyond_ascii_or_with_specials_becomes_an_empty_group() -> None:
    for address in ("nguyễn@hoabinh.gov.vn", "a>@b.vn", "a@b.vn\r\nBcc: c@d.vn"):
        header = mime.field("To", mime.mailbox("", address))
        assert header.isascii()
        assert parsed(header).keys() == ["To"] and parsed(header)["To"].addresses == ()


def test_only_sound_message_ids_are_threaded() -> None:
    assert mime.message_ids(["<a@b>", "no-brackets", "<x y@z>", "<a@b>", "<c@d\r\nBcc: x>"]) == "<a@b>"
    assert mime.message_ids(f"<{n}@b>" for n in range(30)).count("<") == 10


def test_a_date_is_written_in_vietnamese_time_without_the_locale() -> None:
    assert mime.date(datetime(2013, 12, 31, 18, 0, 0, tzinfo=UTC)) == "Wed, 1 Jan 2014 01:00:00 +0700"


def test_what_may_travel_as_it_is() -> None:
    assert mime.is_seven_bit(b"Subject: x\r\n\r\nabc\r\n")
    assert not mime.is_seven_bit("Subject: é\r\n".encode())
    assert not mime.is_seven_bit(b"a\nb\r\n")
    assert not mime.is_seven_bit(b"a\rb\r\n")
    assert not mime.is_seven_bit(b"a" * 999 + b"\r\n")
    assert not mime.is_seven_bit(b"a\0b")


def test_a_multipart_is_read_back_part_by_part() -> None:
    parts = [
        mime.text("plain", "Chào\nbạn\n"),
        mime.leaf("application/json", b"{}", name="x.json", disposition="attachment"),
    ]
    raw = mime.multipart("mixed", parts, "=_b").encode()
    message = email.message_from_bytes(b"MIME-Version: 1.0\r\n" + raw, policy=email.policy.default)
    first, second = message.iter_parts()
    assert first.get_content().splitlines() == ["Chào", "bạn"]
    assert (second.get_filename(), second.get_content_disposition(), second.get_content()) == (
        "x.json",
        "attachment",
        b"{}",
    )
