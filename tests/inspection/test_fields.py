"""Header fields, addresses, parameters."""

from __future__ import annotations

import email.header
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.inspection import addresses, fields, parameters
from mailrelay.model.message import Address


def test_fields_are_split_with_their_offsets() -> None:
    raw = b"From: a\r\nSubject: one\r\n two\r\n\r\nbody: not a field\r\n"
    block = fields.split(raw, 100, 10)
    assert [(f.name, f.value, raw[f.start - 100 : f.end - 100]) for f in block.fields] == [
        ("from", b" a\r\n", b"From: a\r\n"),
        ("subject", b" one\r\n two\r\n", b"Subject: one\r\n two\r\n"),
    ]
    assert raw[block.end - 100 :] == b"body: not a field\r\n"


def test_a_line_that_is_no_field_begins_the_body() -> None:
    block = fields.split(b"From: a\r\nnonsense\r\nTo: b\r\n\r\n", 0, 10)
    assert ([f.name for f in block.fields], block.end, block.broken) == (["from"], 9, True)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"=?utf-8?B?S+G6vyBob+G6oWNo?=", "Kế hoạch"),
        (b"=?UTF-8?Q?K=E1=BA=BF_ho=E1=BA=A1ch?=", "Kế hoạch"),
        (b"=?utf-8?B?S+G6?=\r\n =?utf-8?B?vyBob+G6oWNo?=", "Kế hoạch"),  # one letter cut in two words
        ("Kế hoạch".encode(), "Kế hoạch"),
        (b"=?windows-1258?Q?K=EA=EC_hoa=F2ch?=", "Kế hoạch"),
        ("=?utf-8?Q?" + "".join(f"={b:02X}" for b in "Kế hoạch".encode()) + "?=", "Kế hoạch"),
        ("Ke\u0302\u0301 hoa\u0323ch".encode(), "Kế hoạch"),  # NFD from a Mac
        (b"a =?utf-8?Q?b?= c =?utf-8?Q?d?=", "a b c d"),
        (b"=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"),
        (b"=?idna?Q?xn--a?=", "xn--a"),
        (b"=?no-such?B?////?=", "яяяя"[:0] + b"\xff\xff\xff".decode("cp1258")),
        (b"=?utf-8?B?@@@@?=", ""),
        (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        (b"tab\tand\r\n fold", "tab\tand fold"),
        (b"a\0b", "a\u2400b"),
    ],
)
def test_values_are_decoded(raw: bytes | str, expected: str) -> None:
    assert fields.decode(raw.encode() if isinstance(raw, str) else raw) == expected


@given(st.binary(max_size=400))
def test_decoding_never_fails_and_gives_storable_text(raw: bytes) -> None:
    fields.decode(raw).encode()
    fields.split(raw, 0, 50)
    parameters.parse(raw).variants("filename")
    addresses.mailboxes(raw, 5)


LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))


@given(st.text(LETTERS, max_size=60).filter(lambda text: text.strip() == text))
def test_what_the_standard_library_encodes_is_decoded(text: str) -> None:
    encoded = email.header.Header(text, "utf-8").encode(linesep="\r\n").encode()
    assert fields.decode(encoded) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a@b.vn", [("", "a@b.vn")]),
        ("A B <a@b.vn>", [("A B", "a@b.vn")]),
        ('"A, B" <a@b.vn>, c@d.vn', [("A, B", "a@b.vn"), ("", "c@d.vn")]),
        ("a@b.vn (Nguyễn Lan)", [("Nguyễn Lan", "a@b.vn")]),
        ("Các sở: a@b.vn, c@d.vn;", [("", "a@b.vn"), ("", "c@d.vn")]),
        ("undisclosed-recipients:;", []),
        ('"x\\"y" <a@b.vn>', [('x"y', "a@b.vn")]),
        ("A <@relay,@two:a@b.vn>", [("A", "a@b.vn")]),
        ("=?utf-8?B?S+G6vw==?= <a@b.vn>", [("Kế", "a@b.vn")]),
        ('"=?utf-8?B?IDxhQGIudm4+LCBjQGQudm4=?=" <e@f.vn>', [(" <a@b.vn>, c@d.vn", "e@f.vn")]),
        ("A <a@b.vn> <c@d.vn>", [("A", "a@b.vn"), ("", "c@d.vn")]),
        ("(((((a@b.vn", [("((((a@b.v"[:0] + "((((a@b.v", "")]),
        ("", []),
        (",,,", []),
    ],
)
def test_addresses(raw: str, expected: list[tuple[str, str]]) -> None:
    assert addresses.mailboxes(raw.encode(), 10) == tuple(Address(*pair) for pair in expected)


def test_no_more_addresses_than_asked() -> None:
    assert len(addresses.mailboxes(b", ".join(b"a%d@b.vn" % n for n in range(50)), 7)) == 7


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'attachment; filename="a b.pdf"', ["a b.pdf"]),
        (b"attachment; filename=a.pdf", ["a.pdf"]),
        (b"attachment; filename*=UTF-8''K%E1%BA%BF.pdf", ["Kế.pdf"]),
        (b"attachment; filename*0*=UTF-8''K%E1%BA; filename*1*=%BF; filename*2=.pdf", ["Kế.pdf"]),
        (b'attachment; filename="=?utf-8?B?S+G6vw==?=.pdf"', ["Kế.pdf"]),
        (b"attachment; filename=\"a.pdf\"; filename*=utf-8''b.exe", ["a.pdf", "b.exe"]),
        (b'attachment; filename="a\\"b.pdf"', ['a"b.pdf']),
        (b'attachment; filename="C:\\dir\\a.pdf"', ["C:\\dir\\a.pdf"]),
        (b"attachment; FILENAME = a.pdf ; size=3", ["a.pdf"]),
        (b"attachment; filename*0=a; filename*2=c", ["a"]),
        (b'attachment; filename="unclosed', ["unclosed"]),
        (b"attachment", []),
    ],
)
def test_every_variant_of_a_parameter(raw: bytes, expected: list[str]) -> None:
    assert parameters.parse(raw).variants("filename") == expected


def by_line(data: bytes) -> tuple[list[tuple[bytes, bytes]], int, bool]:
    """A header read line by line: names, values, where the body begins, whether a foul line began it."""
    found: list[list[bytes]] = []
    position = 0
    is_open = False
    for line in re.findall(rb"[^\n]*\n|[^\n]+\Z", data):
        name, colon, value = line.partition(b":")
        if is_open and line[:1] in b" \t" and line.strip():
            found[-1][1] += line
        elif line in (b"\n", b"\r\n") or line.startswith(b"\r\n"):
            return [(n, v) for n, v in found], position + len(line), False
        elif colon and re.fullmatch(rb"[\x21-\x39\x3b-\x7e]+[ \t]*", name):
            found.append([name.rstrip(b" \t").lower(), value])
            is_open = True
        elif position == 0 and line.startswith(b"From "):
            is_open = False
        else:
            return [(n, v) for n, v in found], position, True
        position += len(line)
    return [(n, v) for n, v in found], position, False


PIECES = (b"A", b"From ", b":", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\x0b", b"x: y\r\n", b" z\r\n", b"\xff", b"\0")


@given(st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join))
def test_fields_are_split_as_they_are_line_by_line(data: bytes) -> None:
    block = fields.split(data, 7, 100)
    names, end, broken = by_line(data)
    assert [(field.name.encode(), field.value) for field in block.fields] == names
    assert (block.end - 7, block.broken) == (end, broken)
    for field in block.fields:
        assert data[field.start - 7 : field.end - 7] == field.label + b":" + field.value
        assert field in block.all(field.name)
    assert block.has_doubles == (len({name for name, _ in names}) < len(names))


def test_the_first_field_of_a_name_is_the_first_that_stands_there() -> None:
    block = fields.split(b"A: 1\r\nB: 2\r\na: 3\r\n\r\n", 0, 10)
    first = block.first("a")
    assert first is not None and first.value == b" 1\r\n"
    assert [field.value for field in block.all("a")] == [b" 1\r\n", b" 3\r\n"]
    assert block.first("c") is None


def by_letter(text: str) -> str:
    """A quoted string read letter by letter: a backslash takes the quote or backslash behind it, else it stands for itself."""
    letters = []
    rest = iter(range(len(text)))
    for at in rest:
        if text[at] == '"':
            break
        if text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\"):
            at = next(rest)
        letters.append(text[at])
    return "".join(letters)


@given(st.text('ab"\\; =', max_size=20))
def test_quoted_values_are_read_as_they_are_letter_by_letter(text: str) -> None:
    text = f'{text}"; y=1'
    assert parameters.parse(f'attachment; x="{text}'.encode()).get("x") == by_letter(text)
