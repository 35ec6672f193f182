"""Addresses and parameters of MAIL and RCPT: what is read, what is refused, and that nothing else is possible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.intake.smtp.envelope import MailCommand, parse_mail, parse_rcpt
from mailrelay.intake.smtp.path import Malformed, read_path
from mailrelay.intake.smtp.replies import Complaint
from mailrelay.model.envelope import Notify, Recipient

DOMAIN = "hoabinh.gov.vn"


def _rcpt(argument: str, *, smtputf8: bool = False, esmtp: bool = True) -> Recipient | Complaint:
    return parse_rcpt(argument, domain=DOMAIN, smtputf8=smtputf8, esmtp=esmtp)


@pytest.mark.parametrize(
    ("argument", "sender"),
    [
        ("FROM:<a@example.vn>", "a@example.vn"),
        ("from:<A.b+C@Example.VN>", "A.b+C@Example.VN"),
        ("FROM: <a@example.vn>", "a@example.vn"),
        ("FROM:<>", ""),
        ("FROM:<> ", ""),
        ("FROM:<a@localhost>", "a@localhost"),
        ("FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]"),
        ("FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"),
        ('FROM:<"a b"@example.vn>', '"a b"@example.vn'),
        ('FROM:<"a.b"@example.vn>', "a.b@example.vn"),
        (r'FROM:<"a\"b"@example.vn>', r'"a\"b"@example.vn'),
        (r'FROM:<"\a"@example.vn>', "a@example.vn"),
        ("FROM:<bounce+a=b%c!d@example.vn>", "bounce+a=b%c!d@example.vn"),
        (f"FROM:<{'a' * 64}@example.vn>", f"{'a' * 64}@example.vn"),
        ("FROM:<a@xn--nm-5ja.vn>", "a@xn--nm-5ja.vn"),
    ],
)
def test_senders_are_read(argument: str, sender: str) -> None:
    assert parse_mail(argument) == MailCommand(sender)


@pytest.mark.parametrize(
    "path",
    [
        "<(c)b@example.vn>", "<b @example.vn>", "<b@example.vn(c)>", '<a"b"@example.vn>', "<b@ example.vn>",
        "<@h1,@h2:b@example.vn>", "<@h1:b@example.vn>", "<b@c@example.vn>", "<b@>", "<@example.vn>", "<b>", "<b@example.vn",
        "<.b@example.vn>", "<b.@example.vn>", "<b..c@example.vn>", "<b@example..vn>", "<b@.example.vn>", "<b@example.vn.>",
        "<b@-example.vn>", "<b@example-.vn>", "<b@exa_mple.vn>", "<b@example.vn\x00>", "<b\x00@example.vn>", '<"b\x07"@x.vn>',
        "<b@[300.1.1.1]>", "<b@[IPv6:zz]>", "<b@[192.0.2.1>", "<<b@example.vn>>", "<\tb@example.vn>", '<"b@example.vn>',
        f"<{'a' * 65}@example.vn>", f"<b@{'a' * 64}.vn>", f"<b@{'a.' * 127}vn>", "<Nam <b@example.vn>>", "<b@example。vn>",
    ],
)  # fmt: skip
def test_what_is_no_path_is_refused(path: str) -> None:
    assert parse_mail(f"FROM:{path} SMTPUTF8") == Complaint("bad-sender-address")
    assert _rcpt(f"TO:{path}", smtputf8=True) == Complaint("bad-recipient-address")


@pytest.mark.parametrize(
    "argument", ["", "FROM", "FROM:", "FROM:b@example.vn", "TO:<b@example.vn>", "FROM <b@example.vn>"]
)
def test_what_is_no_command_is_a_syntax_error(argument: str) -> None:
    assert parse_mail(argument) == Complaint("syntax", {"expected": "MAIL FROM:<address>"})


def test_nothing_may_stick_to_the_path() -> None:
    assert parse_mail("FROM:<b@example.vn>SIZE=1") == Complaint("syntax", {"expected": "MAIL FROM:<address>"})


@pytest.mark.parametrize(
    "path",
    ["<>", "<a%b@example.vn>", "<a!b@example.vn>", '<"a@b"@example.vn>', '<"a%b"@example.vn>', "<a%b@hoabinh.gov.vn>"],
)
def test_recipients_that_ask_for_routing_are_refused(path: str) -> None:
    assert _rcpt(f"TO:{path}") == Complaint("bad-recipient-address")


@pytest.mark.parametrize("word", ["postmaster", "Postmaster", "POSTMASTER"])
def test_postmaster_needs_no_domain(word: str) -> None:
    assert _rcpt(f"TO:<{word}>") == Recipient(f"{word}@{DOMAIN}")


@pytest.mark.parametrize("address", ["văn.thư@hoabinh.gov.vn", "a@hòa-bình.vn", '"văn thư"@hoabinh.gov.vn'])
def test_letters_beyond_ascii_need_smtputf8(address: str) -> None:
    assert parse_mail(f"FROM:<{address}> SMTPUTF8") == MailCommand(address, smtputf8=True)
    assert parse_mail(f"FROM:<{address}>") == Complaint("smtputf8-required")
    assert _rcpt(f"TO:<{address}>", smtputf8=True) == Recipient(address)
    assert _rcpt(f"TO:<{address}>") == Complaint("smtputf8-required")


@pytest.mark.parametrize(
    "address",
    [
        "va\u0306n@example.vn",
        "a\u202eb@example.vn",
        "a\u200bb@example.vn",
        "a\u00a0b@example.vn",
        "a@b\uff0evn",
        f"a@{'ă' * 60}.vn",
    ],
)
def test_invisible_and_unnormalised_letters_are_refused(address: str) -> None:
    assert parse_mail(f"FROM:<{address}> SMTPUTF8") == Complaint("bad-sender-address")


def test_all_parameters_of_mail_keep_their_letters() -> None:
    argument = "FROM:<a@example.vn> size=1000 Body=8bitmime SMTPUTF8 RET=hdrs ENVID=QQ+2B314xY REQUIRETLS AUTH=e+3Dmc2@example.vn"
    command = MailCommand("a@example.vn", 1000, "HDRS", "QQ+2B314xY", "8BITMIME", True, True, "e+3Dmc2@example.vn")
    assert parse_mail(argument) == command


def test_parameters_of_rcpt_keep_their_letters() -> None:
    argument = "TO:<a@example.vn> NOTIFY=success,DELAY ORCPT=rfc822;Dana+2BX@Ivory.EDU"
    notify = frozenset({Notify.SUCCESS, Notify.DELAY})
    assert _rcpt(argument) == Recipient("a@example.vn", notify, "rfc822;Dana+2BX@Ivory.EDU")
    assert _rcpt("TO:<a@example.vn> NOTIFY=NEVER") == Recipient("a@example.vn", frozenset({Notify.NEVER}))
    assert _rcpt("TO:<a@example.vn> ORCPT=utf-8;văn@x.vn") == Recipient("a@example.vn", None, "utf-8;văn@x.vn")


@pytest.mark.parametrize(
    ("parameter", "named"),
    [
        ("SIZE", "SIZE"), ("SIZE=", "SIZE"), ("SIZE=-1", "SIZE"), ("SIZE=1k", "SIZE"), (f"SIZE={'9' * 21}", "SIZE"),
        ("SIZE=1 SIZE=2", "SIZE"), ("SIZE=1 size=2", "size"), ("BODY=BINARYMIME", "BODY"), ("BODY", "BODY"), ("BODY=X", "BODY"),
        ("SMTPUTF8=1", "SMTPUTF8"), ("REQUIRETLS=1", "REQUIRETLS"), ("RET=ALL", "RET"), ("RET", "RET"),
        (f"ENVID={'x' * 101}", "ENVID"), ("ENVID=a+2b", "ENVID"), ("ENVID=a+", "ENVID"), ("ENVID=a=b", "ENVID"),
        ("=1", "-"), ("S_ZE=1", "S_ZE"), ("SIZE=1\x01", "SIZE"), ("AUTH=", "AUTH"), ("AUTH", "AUTH"),
    ],
)  # fmt: skip
def test_bad_parameters_of_mail_are_named(parameter: str, named: str) -> None:
    expected = Complaint("bad-parameter", {"parameter": named.replace("-", "")})
    assert parse_mail(f"FROM:<a@example.vn> {parameter}") == expected


@pytest.mark.parametrize(
    "parameter",
    ["NOTIFY=NEVER,SUCCESS", "NOTIFY=", "NOTIFY", "NOTIFY=SUCCESS,,DELAY", "NOTIFY=ALL", "ORCPT=a@b", "ORCPT=rfc822;",
     "ORCPT=rfc822;a+zz", f"ORCPT=rfc822;{'x' * 500}", "NOTIFY=DELAY NOTIFY=DELAY"],
)  # fmt: skip
def test_bad_parameters_of_rcpt_are_refused(parameter: str) -> None:
    assert _rcpt(f"TO:<a@example.vn> {parameter}") == Complaint(
        "bad-parameter", {"parameter": parameter[:6].rstrip("=")}
    )


def test_parameters_that_were_not_offered_are_unknown() -> None:
    assert parse_mail("FROM:<a@example.vn> MT-PRIORITY=3") == Complaint(
        "unknown-parameter", {"parameter": "MT-PRIORITY"}
    )
    assert _rcpt("TO:<a@example.vn> SIZE=3") == Complaint("unknown-parameter", {"parameter": "SIZE"})
    assert parse_mail("FROM:<a@example.vn> SIZE=3", esmtp=False) == Complaint(
        "unknown-parameter", {"parameter": "SIZE=3"}
    )


@given(st.text(max_size=80))
def test_no_text_brings_the_reader_down(text: str) -> None:
    for argument in (text, f"FROM:<{text}>", f"FROM:<a@example.vn> {text}"):
        assert isinstance(parse_mail(argument), MailCommand | Complaint)
    for argument in (text, f"TO:<{text}>", f"TO:<a@example.vn> {text}"):
        assert isinstance(_rcpt(argument, smtputf8=True), Recipient | Complaint)


@given(st.text(alphabet='ab@.<>()"\\ ,:;[]%!\t\r\n\0ăé。', max_size=24))
def test_what_is_accepted_has_one_reading(text: str) -> None:
    """An accepted address has one @ outside quotes, no brackets, blanks or controls outside quotes, and reads the same again."""
    read = parse_mail(f"FROM:<{text}> SMTPUTF8")
    if isinstance(read, MailCommand) and read.sender:
        local_part, _, domain = read.sender.rpartition("@")
        assert domain and local_part
        if not local_part.startswith('"'):
            assert not set(local_part) & set('@<>()",:;[]\\ \t\r\n\0')
        assert not set(read.sender) & set("\t\r\n\0")
        assert read_path(f"<{read.sender}>") == (read.sender, len(read.sender) + 2)


@given(st.from_regex(r"[a-z0-9.!#$&'*+/=?^_`{|}~-]{1,66}@[a-z0-9.-]{1,40}", fullmatch=True))
def test_the_quick_way_and_the_full_grammar_agree(address: str) -> None:
    try:
        full: object = MailCommand(read_path(f"<{address}>")[0])
    except Malformed:
        full = Complaint("bad-sender-address")
    assert parse_mail(f"FROM:<{address}>") == full


@pytest.mark.parametrize("literal", ["IPv6:::1%eth0", "IPv6:fe80::1%25", "127.0.0.1%1"])
def test_an_address_literal_has_no_zone(literal: str) -> None:
    """RFC 5321 section 4.1.3 knows none, though the standard library reads one."""
    assert parse_mail(f"FROM:<a@[{literal}]>") == Complaint("bad-sender-address")
