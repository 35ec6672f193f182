"""Messages of LDAP in BER: what we send to the octet, and that nothing a server sends brings the reader down."""

from __future__ import annotations

import pytest
from asn1crypto import parser
from hypothesis import example, given
from hypothesis import strategies as st

from mailrelay.intake.smtp import ldap_messages as messages
from mailrelay.intake.smtp.ldap_messages import Answer, NotLdap, escape_dn, read_answer
from mailrelay.model.ldap_filter import Compared, Relation

_BIND = bytes.fromhex("30 10 02 01 01 60 0b 02 01 03 04 03 63 6e 3d 80 01 62")
_DONE = bytes.fromhex("02 01 01 61 07 0a 01 00 04 00 04 00")


def test_a_bind_is_what_rfc_4511_says() -> None:
    assert messages.bind_request(1, b"cn=", b"b") == _BIND


def test_long_values_and_numbers_are_written_right() -> None:
    """Checked by an independent reader of BER."""
    octets = messages.bind_request(300, b"x" * 200, b"y" * 70_000)
    content = parser.parse(octets, strict=True)[4]
    number, operation = parser.parse(content[:4], strict=True), parser.parse(content[4:], strict=True)
    assert (number[4], operation[:3]) == (b"\x01\x2c", (1, 1, 0))
    inside = operation[4]
    assert inside[:3] == b"\x02\x01\x03"
    assert parser.parse(inside[3:])[4] == b"x" * 200
    assert parser.parse(inside[3 + 203 :], strict=True)[4] == b"y" * 70_000


def test_a_login_goes_into_a_filter_as_one_value() -> None:
    wanted = Compared("uid", Relation.EQUAL, b"{login}")
    octets = messages.search_request(2, "dc=x", wanted, "*)(uid=*", 5)
    assert b"\xa3\x0f\x04\x03uid\x04\x08*)(uid=*" in octets


def test_answers_are_read_with_longer_lengths_too() -> None:
    """Active Directory writes every length in four octets."""
    assert read_answer(_DONE) == Answer(1, messages.BIND_RESPONSE, 0)
    long = bytes.fromhex("02 01 02 61 84 00 00 00 10 0a 01 31 04 84 00 00 00 00 04 84 00 00 00 01 41")
    assert read_answer(long) == Answer(2, messages.BIND_RESPONSE, 49)
    entry = bytes.fromhex("02 01 03 64 07 04 03 61 3d 62 30 00")
    assert read_answer(entry) == Answer(3, messages.SEARCH_ENTRY, dn=b"a=b")


@pytest.mark.parametrize("head", ["31 05", "30 80", "30 85", "30 ff"])
def test_lengths_without_end_are_refused(head: str) -> None:
    with pytest.raises(NotLdap):
        messages.length_of(bytes.fromhex(head))


@given(st.binary(max_size=80))
@example(b"")
@example(bytes.fromhex("02 01 01 61 84 ff ff ff ff"))
@example(bytes.fromhex("02 01 01 61 00"))
@example(bytes.fromhex("02 00 61 03 0a 01 00"))
@example(bytes.fromhex("02 01 01 61 06 0a 04 ff ff ff ff"))
def test_nothing_that_a_server_sends_brings_the_reader_down(octets: bytes) -> None:
    for content in (octets, _DONE[:4] + octets, _DONE[:-2] + octets):
        try:
            answer = read_answer(content)
        except NotLdap:
            continue
        assert isinstance(answer, Answer)


@pytest.mark.parametrize(
    ("login", "escaped"),
    [
        ("nam.stc", "nam.stc"),
        ("a,b+c", "a\\,b\\+c"),
        ('"<>;=\\', '\\"\\<\\>\\;\\=\\\\'),
        (" a ", "\\ a\\ "),
        ("#a", "\\#a"),
        (" ", "\\ "),
        ("a\0", "a\\00"),
    ],
)
def test_a_login_stays_a_value_within_a_name(login: str, escaped: str) -> None:
    assert escape_dn(login) == escaped
