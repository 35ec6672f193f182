"""Strict address lists: nobody is guessed."""

from __future__ import annotations

import time
from contextlib import suppress
from email.headerregistry import Address, AddressHeader

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.intake.imap.recipients import MOST_RECIPIENTS, read_recipients


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a@x.vn", ["a@x.vn"]),
        (" <a@x.vn> ", ["a@x.vn"]),
        ("Nguyễn Văn A <a@x.vn>, b@x.vn", ["a@x.vn", "b@x.vn"]),
        ('"Sở Y tế, Hòa Bình" <a@x.vn>', ["a@x.vn"]),
        ('"A \\"b\\" <c@d.vn>" <a@x.vn>', ["a@x.vn"]),
        ("=?UTF-8?B?U+G7nyBZIHThur8=?= <a@x.vn>", ["a@x.vn"]),
        ("a@x.vn <a@x.vn>", ["a@x.vn"]),  # the address as its own name: many clients do it
        ("a@x.vn (Ông A (cũ)), b@x.vn", ["a@x.vn", "b@x.vn"]),
        ("Các sở: a@x.vn, B <b@x.vn>;, c@x.vn", ["a@x.vn", "b@x.vn", "c@x.vn"]),
        ("undisclosed-recipients:;", []),
        ("a@x.vn,, b@x.vn,", ["a@x.vn", "b@x.vn"]),
        ("a@x.vn,\r\n\tb@x.vn", ["a@x.vn", "b@x.vn"]),
        ("", []),
        ("văn.thư@x.vn", ["văn.thư@x.vn"]),
        ("a@tỉnh.vn", ["a@tỉnh.vn"]),
        ("a+b=c/d!e'f@x-y.vn", ["a+b=c/d!e'f@x-y.vn"]),
    ],
)
def test_clear_lists(value: str, found: list[str]) -> None:
    assert list(read_recipients(value.encode())) == found


@pytest.mark.parametrize(
    "value",
    [
        "Nguyen Van A a@x.vn",  # a reader with patience makes NguyenVanAa@x.vn of it
        "a@x.vn b@x.vn",
        "a@x.vn; b@x.vn",  # Outlook's habit: not a list of RFC 5322
        "<a@x.vn> <b@x.vn>",
        "<a@x.vn> b@x.vn",
        "A <a@x.vn",
        "A a@x.vn>",
        "A <>",
        "A < >",
        "A <b c@x.vn>",
        "A <@relay.vn:a@x.vn>",
        "A <a@x.vn, b@x.vn>",
        "a@x",
        "a@[192.0.2.1]",
        "a@-x.vn",
        "a@x_.vn",
        "a.@x.vn",
        ".a@x.vn",
        "a..b@x.vn",
        "a@x..vn",
        "a@b@x.vn",
        "@x.vn",
        "a@",
        '"a b"@x.vn',
        'A "',
        "A (",
        "A: b@x.vn",
        "A: B: c@x.vn;;",
        ": a@x.vn;",
        ";",
        "Tên",
        "a\0@x.vn",
        "a" * 65 + "@x.vn",
        "\udce1@x.vn",
        "A <a@x.vn> (open",
        "a\\@x.vn",
    ],
)
def test_unclear_lists(value: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_recipients(value.encode("utf-8", "surrogateescape"))


def test_limits() -> None:
    many = ", ".join(f"a{number}@x.vn" for number in range(MOST_RECIPIENTS))
    assert len(read_recipients(many.encode())) == MOST_RECIPIENTS
    with pytest.raises(ValueError, match="too many"):
        read_recipients(many.encode() + b", one@more.vn")
    with pytest.raises(ValueError, match="too long"):
        read_recipients(b" " * 200_000)


@pytest.mark.parametrize("piece", [b"(", b'"', b"<", b"a ", b"a@", b"\\(", b",", b"a.", b"x-", b":;", b"\r\n "])
def test_hostile_lists_do_not_stall(piece: bytes) -> None:
    began = time.monotonic()
    with suppress(ValueError):
        read_recipients(piece * (100_000 // len(piece)))
    assert time.monotonic() - began < 1


@given(st.text(st.sampled_from(list('ab.@<>(),;:"\\ é')), max_size=30))
def test_whatever_is_read_is_an_address(value: str) -> None:
    try:
        found = read_recipients(value.encode())
    except ValueError:
        return
    for address in found:
        assert address.count("@") == 1
        assert not set(address) & set('<>(),;:"\\ ')
        assert address in value


WORD = st.text(st.sampled_from("abcxyz0-_"), min_size=1, max_size=8)
LABEL = st.text(st.sampled_from("abcxyz0"), min_size=1, max_size=8)
ADDRESS = st.builds(
    lambda local, domain: f"{'.'.join(local)}@{'.'.join(domain)}",
    st.lists(WORD, min_size=1, max_size=3),
    st.lists(LABEL, min_size=2, max_size=3),
)
PHRASE = st.text(st.sampled_from("ab ,;:<>()@"), max_size=10)


@given(st.lists(st.tuples(PHRASE, ADDRESS), min_size=1, max_size=5))
def test_agrees_with_the_standard_library_on_what_it_writes(people: list[tuple[str, str]]) -> None:
    value = ", ".join(str(Address(phrase.strip(), addr_spec=address)) for phrase, address in people)
    parsed: dict[str, object] = {}
    AddressHeader.parse(value, parsed)
    assert list(read_recipients(value.encode())) == [address for _, address in people]
