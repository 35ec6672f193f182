"""The MIME walk against the standard library, and transfer encodings in steps."""

from __future__ import annotations

import base64
import binascii
import email
import email.policy
import quopri
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailrelay.inspection import decoding, html, mime
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.source import STEP, Memory, Source
from tests.inspection.conftest import letter


def tree_of(raw: bytes, path: Path) -> tuple[mime.Tree, list[tuple[str, str, bytes]]]:
    path.write_bytes(raw)
    with Source(path) as source:
        tree = mime.walk(source, Limits())
        return tree, [
            (p.number, p.type.token, b"".join(p.content(source))) for p in tree.top.walk() if not p.is_multipart
        ]


def test_numbers_types_and_contents_agree_with_the_standard_library(tmp_path: Path) -> None:
    inner = letter(body="bên trong\n")
    mail = letter(body="Văn bản kèm theo.\n" * 50)
    mail.add_alternative("<p>Văn bản kèm theo.</p>\n", subtype="html")
    mail.add_attachment(b"\x00\x01" * 5000, maintype="application", subtype="pdf", filename="a.pdf")
    mail.add_attachment(inner)
    raw = mail.as_bytes()
    tree, leaves = tree_of(raw, tmp_path / "a.eml")
    expected = email.message_from_bytes(raw, policy=email.policy.compat32)
    parts = [p for p in expected.walk() if not p.is_multipart()]
    assert [(number, kind) for number, kind, _ in leaves] == [
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
        ("2", "application/pdf"),
        ("3", "message/rfc822"),
        ("3.1", "text/plain"),
    ]
    contents = [content for _, kind, content in leaves if not kind.startswith("message/")]
    assert contents == [p.get_payload(decode=True) for p in parts]
    assert tree.malformed == {}


MULTI = b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "leaves", "reasons"),
    [
        (MULTI % b"b" + b"pre\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\nepilogue", ["one", "two"], []),
        (MULTI % b"b" + b"--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\nhidden\r\n--b--\r\n", ["one"], ["delimiter-after-end"]),
        (MULTI % b"b" + b"--b  \t\r\n\r\none\r\n--b--  \r\n", ["one"], []),
        (MULTI % b"b" + b"--b\r\n\r\none\r\n--bad\r\nmore\r\n--b--\r\n", ["one\r\n--bad\r\nmore"], []),
        (MULTI % b"b" + b"--b\r\n\r\none", ["one"], ["truncated"]),
        (MULTI % b"b" + b"nothing", ["nothing"], ["no-delimiter"]),
        (b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\none", ["--b\r\n\r\none"], ["no-boundary"]),
        (MULTI % b"b" + b"--b\n\none\n--b--\n", ["one"], []),
        (MULTI % b"b" + b"--b\r\n--b\r\n\r\n--b--", ["", ""], []),
        (  # the inner multipart forgets its end: the outer boundary ends it
            MULTI % b"o" + b"--o\r\n" + MULTI % b"i" + b"--i\r\n\r\none\r\n--o\r\n\r\ntwo\r\n--o--",
            ["one", "two"],
            ["truncated"],
        ),
    ],
)
def test_boundaries(tmp_path: Path, raw: bytes, leaves: list[str], reasons: list[str]) -> None:
    tree, found = tree_of(raw, tmp_path / "a.eml")
    assert [content.decode() for _, _, content in found] == leaves
    assert [reason for reason, _ in tree.malformed] == reasons


@given(
    contents=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    boundary=st.text("abcXYZ019'()+_,-./:=?", min_size=1, max_size=30),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_what_was_packed_is_unpacked(tmp_path: Path, contents: list[bytes], boundary: str) -> None:
    packed = [base64.encodebytes(content).replace(b"\n", b"\r\n") for content in contents]
    head = b"Content-Transfer-Encoding: base64\r\n\r\n"
    mark = boundary.encode()
    raw = MULTI % (b'"' + mark + b'"')
    raw += b"".join(b"--" + mark + b"\r\n" + head + part + b"\r\n" for part in packed) + b"--" + mark + b"--\r\n"
    _, found = tree_of(raw, tmp_path / "a.eml")
    assert [content for _, _, content in found] == contents


def test_a_delimiter_on_the_edge_of_a_step_is_found(tmp_path: Path) -> None:
    for shift in range(-6, 3):
        raw = MULTI % b"bb" + b"--bb\r\n\r\n"
        raw += b"x" * (STEP - len(raw) + shift) + b"\r\n--bb\r\n\r\ntwo\r\n--bb--\r\n"
        _, found = tree_of(raw, tmp_path / "a.eml")
        assert [len(content) for _, _, content in found] == [len(found[0][2]), 3]


def split_at(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


def decode(data: bytes, encoding: str, cuts: list[int]) -> tuple[bytes, bool]:
    by = decoding.decoder(encoding)
    return b"".join(decoding.decoded(split_at(data, cuts), by)), by.broken


@given(content=st.binary(max_size=500), width=st.integers(1, 90), cuts=st.lists(st.integers(0, 2000), max_size=5))
def test_base64_in_steps(content: bytes, width: int, cuts: list[int]) -> None:
    letters = base64.b64encode(content)
    data = b"".join(letters[n : n + width] + b"\r\n" for n in range(0, len(letters), width))
    assert decode(data, "base64", cuts) == (content, False)


@given(content=st.binary(max_size=500), cuts=st.lists(st.integers(0, 2000), max_size=5))
def test_quoted_printable_in_steps(content: bytes, cuts: list[int]) -> None:
    data = quopri.encodestring(content).replace(b"\n", b"\r\n")
    assert decode(data, "quoted-printable", cuts)[0] == binascii.a2b_qp(data)


@given(content=st.binary(max_size=500), cuts=st.lists(st.integers(0, 2000), max_size=5))
def test_uuencode_in_steps(content: bytes, cuts: list[int]) -> None:
    lines = [binascii.b2a_uu(content[n : n + 45]) for n in range(0, len(content), 45)]
    data = b"begin 644 a.bin\n" + b"".join(lines) + b"`\nend\n"
    assert decode(data, "x-uuencode", cuts) == (content, False)


@given(st.binary(max_size=300), st.sampled_from(["base64", "quoted-printable", "x-uuencode", "7bit"]))
def test_foul_encodings_are_decoded_as_far_as_they_go(data: bytes, encoding: str) -> None:
    decode(data, encoding, [7, 100])


def test_data_behind_the_padding_is_marked() -> None:
    assert decode(b"QQ==QkJC", "base64", [])[1]
    assert decode(b"QQ==\r\nQkJC\r\n", "base64", [6])[1]
    assert not decode(b"QQ==\r\n", "base64", [])[1]


def test_text_of_html() -> None:
    source = "<html><head><title>x</title></head><body><p>Kính&nbsp;gửi</p><!-- <p>ẩn</p> -->"
    source += "<script>a<b</script>1 < 2<br>hết</body>"
    assert html.text_of(source) == "Kính gửi\n1 < 2\nhết"


def test_a_mail_of_the_standard_library_has_no_flaw(tmp_path: Path) -> None:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["Subject"] = "x"
    mail.set_content("y\n")
    tree, leaves = tree_of(mail.as_bytes(), tmp_path / "a.eml")
    assert (leaves, tree.malformed) == ([("1", "text/plain", b"y\r\n")], {})


@pytest.mark.parametrize("length", [*range(4060, 4130), 70_000])
def test_a_header_of_any_length_is_read_to_its_end(tmp_path: Path, length: int) -> None:
    """A look that ends inside a field must not take half a name for the end of the header."""
    filler = b"X-Filler: " + b"x" * 50 + b"\r\n"
    many = filler * (length // len(filler)) + b"X-Last: " + b"y" * (length % len(filler)) + b"\r\n"
    raw = many + b"From: <an@x.vn>\r\nSubject: last\r\n\r\nbody\r\n"
    path = tmp_path / "mail.eml"
    path.write_bytes(raw)
    with Source(path) as source:
        tree = mime.walk(source, Limits(fields=2000))
    subject = tree.top.block.first("subject")
    assert subject is not None
    assert (subject.text, tree.top.body, dict(tree.malformed)) == ("last", len(raw) - 6, {})


@pytest.mark.parametrize("size", [0, 1, 1000, STEP, STEP + 1, 3 * STEP - 5])
def test_a_mail_is_the_same_whether_it_is_read_once_or_in_steps(size: int, tmp_path: Path) -> None:
    data = (b"0123456789\r\n--b" * (size // 15 + 1))[:size]
    path = tmp_path / "a.eml"
    path.write_bytes(data)
    with Source(path) as file, Memory(data) as memory:
        assert (file.size, memory.size) == (size, size)
        for start, end in ((0, size), (3, size + 9), (size // 2, size), (size, size + 1), (5, 4)):
            for one in (file, memory):
                blocks = list(one.steps(start, end))
                assert b"".join(blocks) == one.read(start, end) == data[start:end]
                assert all(blocks) and all(len(block) <= STEP for block in blocks)
            assert list(file.find_all(b"\n--b", start, end)) == list(memory.find_all(b"\n--b", start, end))
            assert file.find(b"--b", start, end) == data.find(b"--b", start, end) == memory.find(b"--b", start, end)
