from __future__ import annotations

import json
import re
from dataclasses import replace
from email.message import EmailMessage

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrelay.model.dispatch import DispatchState, Result
from mailrelay.receipts import drawer
from mailrelay.receipts.compose import canonical, compose
from tests.province import DIRECTORY, a_content
from tests.receipts.office import NOTICE_ID, SIGNED_AT, a_dispatch, a_record, an_outcome
from tests.receipts.samples import ALL, ORIGINAL, SEAL, alert, build, failed, read, sent, text_of, words_of

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


def test_fractions_and_names_beyond_ascii_are_left_to_the_slow_way() -> None:
    assert (
        canonical({"b": 1e21, "a": 1.0, "\U0001f600": 1, "\uffff": 2})
        == '{"a":1,"b":1e+21,"\U0001f600":1,"\uffff":2}'.encode()
    )


@pytest.mark.parametrize("value", [b"x", {1, 2}, object()])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
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
    told = {"sent", "returned", "given-back", "not-released", "failed", "delivered", "relayed", "delayed", "expanded"}
    assert replied == told | {"corrected", "corrected-asked"}


def test_notices_thread_under_the_mail_they_are_about() -> None:
    message = read(build(sent()))
    assert message["In-Reply-To"] == message["References"] == "<goc-1@hoabinh.gov.vn>"
    assert read(build(alert(), ORIGINAL))["In-Reply-To"] is None


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
    assert reports == {"failed", "delivered", "relayed", "delayed", "expanded", "corrected-asked"}


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
