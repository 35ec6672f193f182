"""Replies on the wire: every row fits its lines in both alphabets, and no value can break out of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.intake.smtp.replies import LINE_LENGTH, Complaint, Wording, render, without_diacritics
from mailrelay.model.refusal import REFUSALS

ASCII, UTF8, AUTO = Wording("ascii"), Wording("utf-8"), Wording("auto", "https://mail.example.vn/loi/")


def _lines(reply: bytes) -> list[bytes]:
    assert reply.endswith(b"\r\n")
    lines = reply[:-2].split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert all(len(line) + 2 <= LINE_LENGTH for line in lines)
    return lines


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("wording", [ASCII, UTF8, AUTO])
def test_every_row_is_three_lines_without_a_cut(name: str, wording: Wording) -> None:
    row = REFUSALS[name]
    values = dict.fromkeys(row.placeholders, "đ" * 40)
    lines = _lines(render(Complaint(name, values), wording, smtputf8=True))
    code, status = str(row.code).encode(), row.status.encode()
    assert [line[:4] for line in lines] == [code + b"-", code + b"-", code + b" "]
    assert all(line[4:].startswith(status + b" ") for line in lines)
    assert f"[{name}]".encode() in lines[2]
    assert not any(line.endswith(b"...") for line in lines)


def test_ascii_by_default_and_utf8_where_the_client_asked_for_it() -> None:
    complaint = Complaint("secret-document")
    assert render(complaint, AUTO).isascii()
    assert "độ mật" in render(complaint, AUTO, smtputf8=True).decode()
    assert render(complaint, ASCII, smtputf8=True).isascii()
    assert "độ mật" in render(complaint, UTF8).decode()


def test_a_whole_reply() -> None:
    assert render(Complaint("no-such-recipient", {"recipient": "a@b.vn"}), AUTO) == (
        b"550-5.1.1 Khong co hop thu a@b.vn.\r\n"
        b"550-5.1.1 Viec can lam: Kiem tra lai dia chi trong danh ba cua tinh roi gui lai cho nguoi nay.\r\n"
        b"550 5.1.1 [no-such-recipient] https://mail.example.vn/loi/no-such-recipient"
        b" No mailbox a@b.vn here. Check the address and send again.\r\n"
    )


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Đã gửi “văn bản” – số 59/KH-UBND…", 'Da gui "van ban" - so 59/KH-UBND...'),
        ("ĐƯỜNG Nguyễn Huệ", "DUONG Nguyen Hue"),
        ("tiê\u0301ng", "tieng"),
        ("漢", "?"),
    ],
)
def test_without_diacritics(text: str, plain: str) -> None:
    assert without_diacritics(text) == plain


@given(st.text(max_size=2000), st.booleans())
def test_no_value_breaks_out_of_its_line(value: str, utf8: bool) -> None:
    reply = render(Complaint("policy", {"reason": value, "reason_en": value}), UTF8 if utf8 else ASCII)
    lines = _lines(reply)
    assert len(lines) == 3
    reply.decode()
