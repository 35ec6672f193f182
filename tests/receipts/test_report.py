from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.receipts.report import delivery_status, from_xtext

MAIL = {"envid": "", "received_at": "2013-10-29T09:05:00+07:00"}
ONE = {
    "address": "x@y.vn",
    "orcpt": "",
    "status": "5.1.1",
    "code": 550,
    "text": "5.1.1 unknown user",
    "remote": "mx.y.vn",
    "at": "2013-10-29T09:06:00+07:00",
}


def fields(action: str = "failed", envid: str = "", **changes: object) -> list[str]:
    facts = {"mail": {**MAIL, "envid": envid}, "action": action, "recipients": [{**ONE, **changes}]}
    body = delivery_status(facts, "mail.hoabinh.gov.vn").body.decode("ascii")
    return body.replace("\r\n ", " ").split("\r\n")


def test_the_fields_of_rfc_3464() -> None:
    assert fields(envid="QQ+2B1", orcpt="rfc822;x+2Bz@y.vn") == [
        "Original-Envelope-Id: QQ+1",
        "Reporting-MTA: dns; mail.hoabinh.gov.vn",
        "Arrival-Date: Tue, 29 Oct 2013 09:05:00 +0700",
        "",
        "Original-Recipient: rfc822; x+z@y.vn",
        "Final-Recipient: rfc822; x@y.vn",
        "Action: failed",
        "Status: 5.1.1",
        "Remote-MTA: dns; mx.y.vn",
        "Diagnostic-Code: smtp; 550 5.1.1 unknown user",
        "Last-Attempt-Date: Tue, 29 Oct 2013 09:06:00 +0700",
        "",
    ]


def test_a_failure_without_a_reply_is_our_own_diagnosis() -> None:
    assert "Diagnostic-Code: x-mailrelay; expired" in fields(code=0, text="expired")
    assert not any(line.startswith("Diagnostic-Code") for line in fields("delivered", code=0, text="ok"))


@pytest.mark.parametrize(
    ("status", "text", "told"),
    [
        ("5.1.1", "no such user", "550 5.1.1 no such user"),
        ("5.0.0", "no such user", "550 no such user"),  # the reply had no status of its own
        ("5.1.1", "5.1.1 no such user", "550 5.1.1 no such user"),
        ("4.4.7", "4.2.1 busy", "550 4.2.1 busy"),  # given up: the last reply stands there as it was
    ],
)
def test_a_reply_stands_there_as_it_was_given(status: str, text: str, told: str) -> None:
    assert f"Diagnostic-Code: smtp; {told}" in fields(status=status, text=text)


@pytest.mark.parametrize(
    ("hop", "told"),
    [
        ("mx.y.vn[192.0.2.7]:25", "dns; mx.y.vn"),
        ("mx.y.vn:25", "dns; mx.y.vn"),
        ("192.0.2.7:25", "dns; [192.0.2.7]"),
        ("2001:db8::7[2001:db8::7]:25", "dns; [2001:db8::7]"),
        ("/run/lmtp.sock", "x-mailrelay; /run/lmtp.sock"),
        ("", None),
    ],
)
def test_the_next_hop_is_named_as_rfc_3464_names_machines(hop: str, told: str | None) -> None:
    named = [line.partition(": ")[2] for line in fields(remote=hop) if line.startswith("Remote-MTA")]
    assert named == ([told] if told else [])


@pytest.mark.parametrize(
    ("action", "status", "expected"),
    [
        ("failed", "", "5.0.0"),
        ("failed", "4.4.7", "4.4.7"),
        ("failed", "2.0.0", "5.0.0"),
        ("expanded", "2.0.0", "2.0.0"),
        ("failed", "nonsense", "5.0.0"),
        ("delayed", "5.0.0", "4.0.0"),
        ("delayed", "4.4.1", "4.4.1"),
        ("delivered", "2.1.5", "2.1.5"),
        ("relayed", "", "2.0.0"),
    ],
)
def test_the_status_agrees_with_the_action(action: str, status: str, expected: str) -> None:
    assert f"Status: {expected}" in fields(action, status=status)


def test_an_address_beyond_ascii_stays_ascii_as_rfc_6533_has_it() -> None:
    assert "Final-Recipient: utf-8; nguy\\x{1EC5}n@y.vn" in fields(address="nguyễn@y.vn")


def test_xtext() -> None:
    assert from_xtext("a+2Bb+3Dc") == "a+b=c"
    assert from_xtext("a+0D+0Ab") == "a??b"
    assert from_xtext("+zz") == "+zz"


@given(st.text(max_size=200), st.text(max_size=120), st.text(max_size=120))
def test_no_text_adds_a_field(reply: str, remote: str, envid: str) -> None:
    names = [line.partition(":")[0] for line in fields(text=reply, remote=f"m{remote}", envid=f"e{envid}") if line]
    assert names == [
        "Original-Envelope-Id",
        "Reporting-MTA",
        "Arrival-Date",
        "Final-Recipient",
        "Action",
        "Status",
        "Remote-MTA",
        "Diagnostic-Code",
        "Last-Attempt-Date",
    ]
