"""Cutting the stream: any split gives the same replies; no length is without limit."""

from __future__ import annotations

import sys
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.intake.imap.framing import Framing, Reply
from mailrelay.intake.imap.source import SourceLost

STREAM = (
    b"* OK [UIDVALIDITY 7] a text that ends in {3}\r\n"
    b"* 1 FETCH (UID 5 BODY[]<0> {12}\r\n* 2 EXISTS\r\n)\r\n"
    b"* 2 FETCH (UID 6 BODY[] {0}\r\n FLAGS ($A $B) X ~{3}\r\n\x00\r\n)\r\n"
    b"+ idling {9}\r\n"
    b"\r\n"
    b"A1 OK done {5}\r\n"
)
REPLIES: list[Reply] = [
    (b"* OK [UIDVALIDITY 7] a text that ends in {3}",),
    (b"* 1 FETCH (UID 5 BODY[]<0> ", b"* 2 EXISTS\r\n", b")"),
    (b"* 2 FETCH (UID 6 BODY[] ", b"", b" FLAGS ($A $B) X ", b"\x00\r\n", b")"),
    (b"+ idling {9}",),
    (b"",),
    (b"A1 OK done {5}",),
]


def test_replies() -> None:
    framing = Framing()
    assert list(framing.feed(STREAM)) == REPLIES
    assert framing.is_empty


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_split_gives_the_same(cuts: list[int]) -> None:
    framing = Framing()
    borders = [0, *sorted(cuts), len(STREAM)]
    found = [reply for start, end in pairwise(borders) for reply in framing.feed(STREAM[start:end])]
    assert found == REPLIES


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5))
def test_literals_come_out_as_they_went_in(literals: list[bytes]) -> None:
    stream = b"* 1 FETCH ("
    for literal in literals:
        stream += b"X {%d}\r\n" % len(literal) + literal
    (reply,) = Framing().feed(stream + b")\r\n")
    assert list(reply[1::2]) == literals


def test_is_not_empty_in_the_middle() -> None:
    framing = Framing()
    assert list(framing.feed(b"* 1 FETCH (X {5}\r\n")) == []
    assert not framing.is_empty
    assert list(framing.feed(b"12345")) == []
    assert not framing.is_empty
    assert list(framing.feed(b")\r\n")) == [(b"* 1 FETCH (X ", b"12345", b")")]
    assert framing.is_empty


def test_a_burst_of_many_lines_neither_recurses_nor_stalls() -> None:
    burst = b"".join(b"* %d FETCH (FLAGS (\\Seen))\r\n" % number for number in range(50_000))
    began = time.monotonic()
    assert sum(1 for _ in Framing().feed(burst)) == 50_000
    assert time.monotonic() - began < 2
    assert sys.getrecursionlimit() < 50_000


def test_a_long_line_that_comes_in_small_pieces_is_not_searched_again_and_again() -> None:
    framing = Framing()
    began = time.monotonic()
    for _ in range(50_000):
        assert list(framing.feed(b" 1234567")) == []
    assert len(next(framing.feed(b"\r\n"))[0]) == 400_000
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("tail", [b"", b"\r\n"])
def test_an_endless_line(tail: bytes) -> None:
    with pytest.raises(SourceLost, match="endless line"):
        list(Framing(line_limit=100).feed(b"x" * 101 + tail))


def test_an_endless_reply_of_literals() -> None:
    with pytest.raises(SourceLost, match="endless line"):
        list(Framing(line_limit=100).feed(b"* 1 FETCH (" + b" X {1}\r\ny" * 100))


@pytest.mark.parametrize("size", [b"1001", b"99999999999999999", b"9223372036854775808"])
def test_a_literal_that_is_too_large_is_refused_when_it_is_announced(size: bytes) -> None:
    with pytest.raises(SourceLost, match="larger piece"):
        list(Framing(literal_limit=1000).feed(b"* 1 FETCH (X {" + size + b"}\r\n"))
