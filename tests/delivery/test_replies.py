"""Replies: what is one, and that nothing else breaks the reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.delivery.replies import (
    MOST_LINES,
    Extensions,
    MalformedReply,
    Reply,
    ReplyParser,
    extensions_of,
    safe_text,
)


def read(*lines: bytes) -> Reply | None:
    parser = ReplyParser()
    reply = None
    for line in lines:
        assert reply is None
        reply = parser.feed(line)
    return reply


def test_replies_of_one_and_several_lines() -> None:
    assert Reply(250, ("",)) == read(b"250")
    assert Reply(250, ("2.0.0 ok",)) == read(b"250 2.0.0 ok")
    assert Reply(550, ("5.1.1 no", "5.1.1 user", "")) == read(b"550-5.1.1 no", b"550-5.1.1 user", b"550")
    assert None is read(b"250-more")


def test_text_and_status() -> None:
    reply = read(b"550-5.1.1 no", b"550 5.1.1 such user")
    assert reply is not None
    assert (reply.status, reply.text) == ("5.1.1", "no such user")
    assert Reply(450, ("5.1.1 wrong class",)).status == ""
    assert Reply(450, ("4.1.1234 too long",)).status == ""
    assert Reply(450, ("4.2.1",)).status == "4.2.1"


@pytest.mark.parametrize("line", [b"", b"25", b"2500 x", b"250x", b"150 x", b"650 x", b"abc", b"250 " + b"x" * 5000])
def test_malformed_lines(line: bytes) -> None:
    with pytest.raises(MalformedReply):
        read(line)


def test_malformed_sequences() -> None:
    with pytest.raises(MalformedReply):
        read(b"250-a", b"251 b")
    parser = ReplyParser()
    for _ in range(MOST_LINES):
        parser.feed(b"250-more")
    with pytest.raises(MalformedReply):
        parser.feed(b"250 end")


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_give_a_reply_or_malformed(lines: list[bytes]) -> None:
    parser = ReplyParser()
    try:
        for line in lines:
            reply = parser.feed(line)
            if reply is not None:
                assert 200 <= reply.code < 600
                extensions_of(reply)
                assert safe_text(reply.text).isprintable()
    except MalformedReply:
        pass


def test_extensions() -> None:
    reply = Reply(
        250, ("MX.example.vn hello", "size 1000", "PIPELINING", "AUTH=LOGIN", "LIMITS MAILMAX=5 RCPTMAX=20", "")
    )
    offered = extensions_of(reply)
    assert (offered.name, offered.size, offered.most_recipients) == ("mx.example.vn", 1000, 20)
    assert offered.offers("PIPELINING") and not offered.offers("DSN")
    assert extensions_of(Reply(250, ("x", "SIZE"))).size == 0
    assert extensions_of(Reply(250, ("x", "SIZE ٣"))).size == 0
    assert Extensions(name="x") == extensions_of(Reply(250, ("x",)))


def test_safe_text() -> None:
    assert safe_text("a\r\n\x1b b\tc\x00") == "a b c"
    assert safe_text("x" * 50, 10) == "x" * 9 + "…"
