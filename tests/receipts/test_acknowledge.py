from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.model.message import Content
from mailrelay.receipts.acknowledge import ClerkAnswer, ReportKind, Verb, clerk_answer, may_answer, read_report
from tests.province import a_content, a_file, an_envelope

NOTICE = "<01880Z9Y68000G40R40M30E209@hoabinh.gov.vn>"


def test_a_persons_mail_may_be_answered() -> None:
    assert may_answer(a_content("59/KH-UBND", fields=(("subject", "59/KH-UBND"),)), an_envelope())
    assert may_answer(a_content("x", fields=(("auto-submitted", "no"),)), an_envelope())
    assert may_answer(a_content("x", fields=(("precedence", "first-class"),)), an_envelope())


@pytest.mark.parametrize(
    "field",
    [
        ("auto-submitted", "auto-replied"),
        ("auto-submitted", "auto-generated; owner=x"),
        ("auto-submitted", "Auto-Notified"),
        ("precedence", "bulk"),
        ("precedence", "List"),
        ("precedence", "junk"),
        ("list-id", "<tin.hoabinh.gov.vn>"),
        ("list-unsubscribe", "<mailto:x@y>"),
        ("list-post", "NO"),
        ("x-auto-response-suppress", "All"),
        ("x-auto-response-suppress", "OOF, AutoReply"),
        ("x-mailrelay-receipt", "sent"),
        ("content-type", "multipart/report; report-type=delivery-status; boundary=x"),
        ("content-type", "Multipart/Report; report-type=disposition-notification"),
    ],
)
def test_the_suppression_table_of_rfc_3834(field: tuple[str, str]) -> None:
    assert not may_answer(a_content("x", fields=(field,)), an_envelope())


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "MAILER-DAEMON@y.vn",
        "no-reply@y.vn",
        "noreply@y.vn",
        "postmaster@y.vn",
        "bounces+a=b@y.vn",
        "bien-nhan@hoabinh.gov.vn",
    ],
)
def test_addresses_that_nobody_reads_are_not_answered(sender: str) -> None:
    assert not may_answer(a_content("x"), an_envelope(sender, login=None))


def test_a_report_among_the_parts_is_not_answered() -> None:
    content = Content(attachments=(a_file("details", "message/delivery-status"),))
    assert not may_answer(content, an_envelope())


def answer(text: str) -> ClerkAnswer | None:
    content = a_content("Re: [VĂN BẢN ĐẾN] 59/KH-UBND", text, sender="sotc", in_reply_to=(NOTICE,))
    return clerk_answer(content, an_envelope("sotc", ("bien-nhan",)))


@pytest.mark.parametrize(
    ("text", "verb", "reason"),
    [
        ("TIẾP NHẬN", Verb.ACCEPT, ""),
        ("Tiếp nhận\n\n> PHIẾU VĂN BẢN ĐẾN", Verb.ACCEPT, ""),
        ("tiep nhan.", Verb.ACCEPT, ""),
        ("\n\n  Đã tiếp nhận, cảm ơn", Verb.ACCEPT, ""),
        ("VÀO SỔ", Verb.ACCEPT, ""),
        ("TRẢ LẠI: thiếu chữ ký số của cơ quan", Verb.RETURN, "thiếu chữ ký số của cơ quan"),
        ("Trả lại - gửi nhầm nơi nhận", Verb.RETURN, "gửi nhầm nơi nhận"),
        ("Từ chối tiếp nhận: sai thể thức", Verb.RETURN, "sai thể thức"),
        ("TRA LAI: thieu phu luc", Verb.RETURN, "thieu phu luc"),
        ("TRẢ LẠI", Verb.RETURN, ""),
    ],
)
def test_a_clerks_word(text: str, verb: Verb, reason: str) -> None:
    assert answer(text) == ClerkAnswer(verb, reason, (NOTICE,))


@pytest.mark.parametrize("text", ["", "Cảm ơn", "Sẽ tiếp nhận sau", "Tiếp nhận viên nghỉ hôm nay"[:9] + "x", "Vào sổ_"])
def test_other_words_are_no_answer(text: str) -> None:
    assert answer(text) is None


def test_an_automatic_answer_is_no_clerks_word() -> None:
    content = a_content(
        "Tự động", "TIẾP NHẬN", sender="sotc", in_reply_to=(NOTICE,), fields=(("auto-submitted", "auto-replied"),)
    )
    assert clerk_answer(content, an_envelope("sotc", ("bien-nhan",))) is None


def test_an_answer_to_nothing_is_no_answer() -> None:
    assert clerk_answer(a_content("x", "TIẾP NHẬN", sender="sotc"), an_envelope("sotc", ("bien-nhan",))) is None


POSTFIX = b"""Return-Path: <>\r
From: MAILER-DAEMON@mx.y.vn (Mail Delivery System)\r
To: sotc@hoabinh.gov.vn\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status;\r
\tboundary="B"\r
\r
--B\r
Content-Description: Notification\r
Content-Type: text/plain; charset=us-ascii\r
\r
I'm sorry.\r
\r
--B\r
Content-Description: Delivery report\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.y.vn\r
Original-Envelope-Id: 01880Z9X700000000000000000\r
X-Postfix-Queue-ID: 4F1\r
\r
Final-Recipient: rfc822; lan@y.vn\r
Original-Recipient: rfc822;lan@y.vn\r
Action: failed\r
Status: 5.1.1\r
Remote-MTA: dns; in.y.vn\r
Diagnostic-Code: smtp; 550 5.1.1\r
    unknown user\r
\r
Final-Recipient: rfc822; hoa@y.vn\r
Action: relayed\r
Status: 2.0.0\r
\r
--B\r
Content-Type: message/rfc822\r
\r
Message-ID: <goc-1@hoabinh.gov.vn>\r
Subject: x\r
\r
y\r
--B--\r
"""


def test_reads_the_report_of_another_system() -> None:
    report = read_report(POSTFIX)
    assert report is not None and report.kind is ReportKind.DELIVERY
    assert (report.original_message_id, report.envelope_id) == ("<goc-1@hoabinh.gov.vn>", "01880Z9X700000000000000000")
    first, second = report.recipients
    assert (first.recipient, first.action, first.status, first.remote) == ("lan@y.vn", "failed", "5.1.1", "in.y.vn")
    assert first.diagnostic == "550 5.1.1 unknown user"
    assert (second.recipient, second.action) == ("hoa@y.vn", "relayed")


MDN = b"""Content-Type: multipart/report; report-type=disposition-notification; boundary=B\r
MIME-Version: 1.0\r
\r
--B\r
Content-Type: text/plain\r
\r
read\r
--B\r
Content-Type: message/disposition-notification\r
\r
Reporting-UA: pc.y.vn; Mail 1.0\r
Final-Recipient: rfc822;lan@y.vn\r
Original-Message-ID: <goc-1@hoabinh.gov.vn>\r
Disposition: %s; displayed\r
\r
--B--\r
"""


@pytest.mark.parametrize(
    ("mode", "automatic"),
    [
        (b"manual-action/MDN-sent-manually", False),
        (b"manual-action/MDN-sent-automatically", True),
        (b"automatic-action/MDN-sent-automatically", True),
    ],
)
def test_reads_a_disposition_notification(mode: bytes, automatic: bool) -> None:
    report = read_report(MDN % mode)
    assert report is not None and report.kind is ReportKind.DISPOSITION
    assert report.original_message_id == "<goc-1@hoabinh.gov.vn>"
    assert (report.recipients[0].recipient, report.recipients[0].action) == ("lan@y.vn", "displayed")
    assert report.automatic is automatic


def test_an_ordinary_mail_is_no_report() -> None:
    assert read_report(b"Subject: x\r\n\r\nhello\r\n") is None
    assert read_report(b"Content-Type: multipart/report; boundary=B\r\n\r\n--B\r\n\r\nx\r\n--B--\r\n") is None


@given(st.binary(max_size=400), st.integers(0, len(POSTFIX)))
def test_a_damaged_report_never_raises(noise: bytes, cut: int) -> None:
    report = read_report(POSTFIX[:cut] + noise + POSTFIX[cut:])
    assert report is None or all(one.action for one in report.recipients)


def test_every_word_of_the_forms_can_be_answered(tmp_path: Path) -> None:
    """The slip tells the clerk to write exactly what is understood here."""
    from mailrelay.receipts import forms

    source = Path(forms.__file__).read_text(encoding="utf-8")
    for word, verb in (("TIẾP NHẬN", Verb.ACCEPT), ("TRẢ LẠI: lý do", Verb.RETURN)):
        assert word in source
        given = answer(word)
        assert given is not None and given.verb is verb
