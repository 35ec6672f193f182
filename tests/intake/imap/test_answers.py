"""Reading answers."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.intake.imap import answers
from mailrelay.intake.imap.framing import Framing


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (
            (b"* 1 FETCH (UID 5 RFC822.SIZE 10 FLAGS (\\Seen $A))",),
            {"UID": b"5", "RFC822.SIZE": b"10", "FLAGS": [b"\\Seen", b"$A"]},
        ),
        ((b"* 1 fetch (FLAGS () uid 5 MODSEQ (12))",), {"UID": b"5", "FLAGS": [], "MODSEQ": [b"12"]}),
        ((b"* 1 FETCH (UID 5 BODY[]<0> ", b"a ) b", b")"), {"UID": b"5", "BODY[]<0>": b"a ) b"}),
        ((b'* 1 FETCH (UID 5 BODY[]<0> "a \\"b\\\\")',), {"UID": b"5", "BODY[]<0>": b'a "b\\'}),
        ((b"* 1 FETCH (UID 5 BODY[]<9> NIL)",), {"UID": b"5", "BODY[]<9>": None}),
        ((b"* 1 FETCH (UID 5",), None),
        ((b"* 1 FETCH (UID 5))",), None),
        ((b"* 1 FETCH UID 5",), None),
        ((b'* 1 FETCH (X "open)',), None),
        ((b"* 1 FETCH (" + b"(" * 50 + b")" * 51,), None),
        ((b"* 1 FETCH (" + b"a " * 40_000 + b")",), None),
        ((b"* 1 EXISTS",), None),
        ((b"* SEARCH 1",), None),
    ],
)
def test_fetched(reply: tuple[bytes, ...], found: object) -> None:
    assert answers.fetched(reply) == found


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3))
def test_anything_is_read_without_a_fault(parts: list[bytes]) -> None:
    answers.fetched((b"* 1 FETCH (" + parts[0], *parts[1:]))
    for part in parts:
        list(answers.searched((part,)))
        answers.code_of((part,))
        answers.capabilities_of(part)
        answers.exists((part,))


def test_a_hostile_line_does_not_stall() -> None:
    began = time.monotonic()
    for line in (
        b"* 1 FETCH (" + b" " * 8_000_000,
        b"* 1 FETCH (" + b'"' + b"\\a" * 30_000,
        b"* OK [" + b"A" * 1_000_000,
    ):
        answers.fetched((line,))
        answers.code_of((line,))
        answers.capabilities_of(line)
    assert time.monotonic() - began < 1


def test_content() -> None:
    assert answers.content_of({"BODY[]<0>": b"abc"}, 0) == b"abc"
    assert answers.content_of({"BODY[]": b"abc"}, 0) == b"abc"
    assert answers.content_of({"BODY[]": b"abc"}, 9) is None
    assert answers.content_of({"BODY[]<9>": b""}, 9) == b""
    assert answers.content_of({"BODY[]<0>": None}, 0) is None, "Dovecot says so of a mail that is gone"
    assert answers.content_of({"FLAGS": []}, 0) is None


def test_searched() -> None:
    def searched(line: bytes) -> list[int]:
        return list(answers.searched((line,)))

    assert searched(b"* SEARCH 4 8 15") == [4, 8, 15]
    assert searched(b"* SEARCH") == searched(b"* SEARCHED 4") == []
    assert searched(b"* SEARCH 4 (MODSEQ 917)") == [4]
    assert searched(b"* SEARCH 0 4294967295 4294967296 99999999999 -3 4a a5 6") == [4294967295, 6], "32 bits, never 0"


def test_uid_next() -> None:
    assert answers.uid_next((b'* STATUS "a b" (MESSAGES 3 UIDNEXT 17)',)) == 17
    assert answers.uid_next((b"* STATUS ", b"x (UIDNEXT 5)", b" (UIDNEXT 18)")) == 18
    assert answers.uid_next((b"* STATUS INBOX (MESSAGES 3)",)) == answers.uid_next((b"* 3 EXISTS",)) == 0


def test_codes_and_capabilities() -> None:
    assert answers.code_of((b"* OK [UIDVALIDITY 17] fine",)) == ("UIDVALIDITY", b"17")
    assert answers.code_of((b"* OK [PERMANENTFLAGS (\\Seen \\*)] x",)) == ("PERMANENTFLAGS", b"(\\Seen \\*)")
    assert answers.code_of((b"* OK still here",)) is None
    assert answers.capabilities_of(b"* CAPABILITY IMAP4rev1 Idle") == {"IMAP4REV1", "IDLE"}
    assert answers.capabilities_of(b"* OK [CAPABILITY IMAP4rev1] hello") == {"IMAP4REV1"}
    assert answers.capabilities_of(b"* OK hello") == frozenset()
    assert answers.exists((b"* 23 EXISTS",)) == 23
    assert answers.exists((b"* OK 23 EXISTS",)) is None
    assert answers.number(b"12") == 12
    assert answers.number(b"x") == answers.number(None) == 0


def test_the_body_of_a_mail_that_looks_like_protocol() -> None:
    """aioimaplib counts parentheses and drops "* " in such mails."""
    body = b"A1 OK done\r\n* BYE (((\r\n{99}\r\n* 1 EXISTS\r\n"
    (reply,) = Framing().feed(b"* 1 FETCH (UID 5 BODY[]<0> {%d}\r\n" % len(body) + body + b")\r\n")
    attributes = answers.fetched(reply)
    assert attributes is not None
    assert answers.content_of(attributes, 0) == body
