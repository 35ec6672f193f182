"""The envelope as commands: parameters only where offered, letter for letter, and nothing that breaks out of its line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.delivery.commands import Mail, mail_command, objection, rcpt_command, recipient_objection
from mailrelay.delivery.outcome import Trouble
from mailrelay.delivery.replies import Extensions
from mailrelay.model.envelope import Notify, Recipient

ALL = Extensions("mx", frozenset({"SIZE", "8BITMIME", "SMTPUTF8", "REQUIRETLS", "DSN", "CHUNKING", "BINARYMIME"}), 0)
BARE = Extensions("mx")


def test_parameters_only_where_offered(parcel) -> None:
    mail = Mail(parcel(smtputf8=True, requiretls=True, ret="HDRS", envid="QQ+2B314159"), 77)
    expected = "MAIL FROM:<a@hoabinh.gov.vn> SIZE=77 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=QQ+2B314159\r\n"
    assert mail_command(mail, ALL).decode() == expected
    assert mail_command(mail, BARE) == b"MAIL FROM:<a@hoabinh.gov.vn>\r\n"
    assert mail_command(Mail(parcel(sender="", body="7BIT"), 1), ALL) == b"MAIL FROM:<> SIZE=1\r\n"


def test_dsn_parameters_keep_their_case() -> None:
    notify = frozenset({Notify.DELAY, Notify.FAILURE, Notify.SUCCESS})
    to = Recipient("b@x.vn", notify, "rfc822;Bob+2BTest@X.vn")
    assert rcpt_command(to, ALL) == b"RCPT TO:<b@x.vn> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;Bob+2BTest@X.vn\r\n"
    assert (
        rcpt_command(replace(to, notify=frozenset({Notify.NEVER}), orcpt=None), ALL)
        == b"RCPT TO:<b@x.vn> NOTIFY=NEVER\r\n"
    )
    assert rcpt_command(to, BARE) == b"RCPT TO:<b@x.vn>\r\n"
    assert rcpt_command(Recipient("b@x.vn"), ALL) == b"RCPT TO:<b@x.vn>\r\n"


def test_parameters_that_would_break_the_line_are_left_out(parcel) -> None:
    assert b"ENVID" not in mail_command(Mail(parcel(envid="x\r\nRCPT TO:<evil>"), 1), ALL)
    assert rcpt_command(Recipient("b@x.vn", orcpt="rfc822;a b"), ALL) == b"RCPT TO:<b@x.vn>\r\n"


@pytest.mark.parametrize(
    "address",
    [
        "b@x.vn>\r\nDATA",
        "b\r\n@x.vn",
        "b c@x.vn",
        "<b@x.vn",
        "b@x.vn>",
        "b",
        "@x.vn",
        "b@",
        "a,b@x.vn",
        'a"b"@x.vn',
        "b@x y",
    ],
)
def test_bad_addresses_are_never_said(parcel, address: str) -> None:
    assert recipient_objection(Mail(parcel(), 1), Recipient(address), ALL) is Trouble.BAD_ADDRESS
    assert objection(Mail(parcel(sender=address), 1), ALL, secured=True) is Trouble.BAD_ADDRESS


@pytest.mark.parametrize(
    "address", ["b@x.vn", '"b c"@x.vn', '"b\\"<c>"@x.vn', "b+c/d=e@x.vn", "b@[192.0.2.1]", "thử@x.vn"]
)
def test_good_addresses(parcel, address: str) -> None:
    assert recipient_objection(Mail(parcel(), 1), Recipient(address), ALL) is None


@given(st.text(max_size=30))
def test_whatever_passes_is_one_path(address: str) -> None:
    from mailrelay.delivery.commands import _PATH

    if _PATH.match(address):
        command = rcpt_command(Recipient(address), BARE)
        assert command.count(b"\r") == command.count(b"\n") == 1
        local, _, domain = address.rpartition("@")
        assert ">" not in domain
        assert local.startswith('"') or not set('<> "') & set(local)


def test_objections(parcel) -> None:
    small = Extensions("mx", frozenset({"SIZE"}), 100)
    assert objection(Mail(parcel(), 101), small, secured=True) is Trouble.TOO_BIG
    assert objection(Mail(parcel(), 100), small, secured=True) is None
    assert objection(Mail(parcel(requiretls=True), 1), ALL, secured=False) is Trouble.NO_REQUIRETLS
    assert objection(Mail(parcel(body="BINARYMIME"), 1), BARE, secured=True) is Trouble.NO_BINARY
    assert objection(Mail(parcel(body="BINARYMIME"), 1), ALL, secured=True) is None
    assert objection(Mail(parcel(), 10**9), Extensions("mx", frozenset({"SIZE"}), 0), secured=True) is None


def test_smtputf8(parcel) -> None:
    ascii_mail, utf8_mail = Mail(parcel(smtputf8=True), 1), Mail(parcel(smtputf8=True), 1, utf8_header=True)
    assert objection(utf8_mail, BARE, secured=True) is Trouble.NO_UTF8_HEADER
    # The client asked for SMTPUTF8, but nothing in the mail needs it: any hop will do.
    assert objection(ascii_mail, BARE, secured=True) is None
    assert recipient_objection(ascii_mail, Recipient("b@x.vn"), BARE) is None
    assert recipient_objection(ascii_mail, Recipient("thử@x.vn"), BARE) is Trouble.NO_UTF8
    assert recipient_objection(Mail(parcel(sender="thử@x.vn"), 1), Recipient("b@x.vn"), BARE) is Trouble.NO_UTF8
    assert recipient_objection(ascii_mail, Recipient("thử@x.vn"), ALL) is None
