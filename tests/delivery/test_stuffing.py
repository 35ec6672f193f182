"""Dot-stuffing over every way of cutting a mail into blocks."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.delivery.stuffing import BareNewline, Stuffer

LINES = st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a.", b"abc", b"x" * 9]), max_size=8)


def whole(mail: bytes) -> bytes:
    """The rule itself, line by line (RFC 5321 section 4.5.2)."""
    lines = mail.split(b"\r\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def in_blocks(mail: bytes, cuts: list[int]) -> bytes:
    stuffer = Stuffer()
    edges = [0, *sorted(min(cut, len(mail)) for cut in cuts), len(mail)]
    pieces = [stuffer.stuff(mail[a:b]) for a, b in itertools.pairwise(edges)]
    return b"".join(pieces) + stuffer.end()


@pytest.mark.parametrize(
    "mail", [b"", b".", b".\r\n", b"a\r\n.\r\n", b"\r\n.\r\n.\r\n", b"a\r\n..b\r\n.", b".\r\n\r\n."]
)
def test_every_two_cuts(mail: bytes) -> None:
    for first in range(len(mail) + 1):
        for second in range(first, len(mail) + 1):
            assert whole(mail) == in_blocks(mail, [first, second])
    assert whole(mail) == in_blocks(mail, list(range(len(mail))))


@given(LINES, st.booleans(), st.lists(st.integers(0, 60), max_size=6))
def test_any_cuts(lines: list[bytes], ended: bool, cuts: list[int]) -> None:
    mail = b"\r\n".join(lines) + (b"\r\n" if ended and lines else b"")
    assert whole(mail) == in_blocks(mail, cuts)


BITS = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a"]), max_size=12).map(b"".join)


@given(BITS, st.lists(st.integers(0, 12), max_size=4))
def test_bare_newlines_never_pass(mail: bytes, cuts: list[int]) -> None:
    bare = b"\r" in (rest := mail.replace(b"\r\n", b"")) or b"\n" in rest
    if bare:
        with pytest.raises(BareNewline):
            in_blocks(mail, cuts)
    else:
        assert whole(mail) == in_blocks(mail, cuts)


@pytest.mark.parametrize(
    "mail", [b"a\n.\nb", b"a\r.\rb", b"a\r\n.\rb\r\n", b"\n", b"\r", b"a\r\r\n", b"a\n\r\n", b"\r\n\n"]
)
def test_smuggling_is_refused_at_every_cut(mail: bytes) -> None:
    for cut in range(len(mail) + 1):
        with pytest.raises(BareNewline):
            in_blocks(mail, [cut])
