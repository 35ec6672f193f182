"""Modified UTF-7, quoting, sequence sets."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.intake.imap.names import decode_name, encode_name, is_quotable, quote, uid_set

NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", "INBOX"),
        ("Đã đăng ký", "&ARAA4w- &AREBAw-ng k&AP0-"),
        ("R&D", "R&-D"),
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 section 5.1.3
        ('a\\b"c', 'a\\b"c'),
        ("😀", "&2D3eAA-"),
    ],
)
def test_known_names(name: str, wire: str) -> None:
    assert encode_name(name) == wire
    assert decode_name(wire) == name


def test_both_forms_of_a_vietnamese_name_are_one_folder() -> None:
    assert encode_name(unicodedata.normalize("NFD", "Đã đăng ký")) == encode_name("Đã đăng ký")


@given(NAMES)
def test_round_trip(name: str) -> None:
    wire = encode_name(name)
    assert wire.isascii()
    assert all(0x20 <= ord(letter) < 0x7F for letter in wire)
    assert decode_name(wire) == unicodedata.normalize("NFC", name)


@given(NAMES)
def test_agrees_with_the_utf7_of_the_standard_library(name: str) -> None:
    """RFC 2152 with "&" for "+", "," for "/", and "-" always at the end of a shift."""

    def standard(match: re.Match[str]) -> str:
        if match[0] == "+":
            return "+-"
        return f"+{match[1].replace(',', '/')}-" if match[1] else "\0"

    utf7 = re.sub(r"&([^-]*)-|\+", standard, encode_name(name))
    assert utf7.encode().decode("utf-7").replace("\0", "&") == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("name", ["", "a\r\nb", "a\0b", "a\tb", "\ud800"])
def test_impossible_names(name: str) -> None:
    with pytest.raises(ValueError, match="mailbox name"):
        encode_name(name)


@pytest.mark.parametrize("wire", ["&", "&AR", "&A-", "&!!-", "Đ", "&2D0-", "a\tb"])
def test_malformed_wire_names(wire: str) -> None:
    with pytest.raises(ValueError, match="modified UTF-7"):
        decode_name(wire)


def test_quoting() -> None:
    assert quote('a"b\\c') == '"a\\"b\\\\c"'
    for text in ("mật khẩu", "a\r\nb", "a\0b"):
        assert not is_quotable(text)
        with pytest.raises(ValueError, match="quoted"):
            quote(text)


@pytest.mark.parametrize(("uids", "text"), [((5,), "5"), ((1, 2, 3), "1:3"), ((1, 2, 5, 7, 8), "1:2,5,7:8"), ((), "")])
def test_uid_set(uids: tuple[int, ...], text: str) -> None:
    assert uid_set(uids) == text


@given(st.sets(st.integers(1, 60)))
def test_uid_set_names_exactly_the_given(uids: set[int]) -> None:
    named: set[int] = set()
    for run in filter(None, uid_set(sorted(uids)).split(",")):
        first, _, last = run.partition(":")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == uids
