"""Tricks with names and types of attachments."""

from __future__ import annotations

import pytest

from mailrelay.inspection import names
from mailrelay.model.finding import Check
from tests.inspection.conftest import Bench, letter, slugs, with_file

PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
PROGRAM = (
    b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00"
    + b"\xb8"
    + b"\0" * 43
    + b"\x40\0\0\0PE\0\0\x64\x86"
    + b"\0" * 200
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Kế hoạch 59.pdf", []),
        ("bao.cao.2013.pdf", []),
        ("v1.2.docx", []),
        ("ke hoach.tar.gz", []),
        ("a.pdf.exe", ["double-extension", "executable-extension"]),
        ("a.pdf                         .exe", ["double-extension", "executable-extension"]),
        ("a.PDF.ＥＸＥ", ["double-extension", "executable-extension"]),
        ("a.exe.", ["executable-extension", "trailing-dot"]),
        ("a.exe ", ["executable-extension", "trailing-dot"]),
        ("a\u202efdp.exe", ["executable-extension", "right-to-left-override"]),
        ("a.ex\u200be", ["executable-extension", "zero-width"]),
        ("CON.pdf", ["device-name"]),
        ("lpt1", ["device-name"]),
        ("../../etc/passwd", ["path"]),
        ("C:\\Windows\\a.pdf", ["path"]),
        ("a.pdf\u2400.exe", ["null-byte"]),
        ("a.txt:b.exe", []),
        ("a.js", ["executable-extension"]),
        ("a.lnk", ["executable-extension"]),
    ],
)
def test_tricks_in_one_name(name: str, expected: list[str]) -> None:
    assert sorted(slug for slug, _ in names.tricks(name)) == [s for s in sorted(expected)]


def test_names_are_shown_without_their_tricks() -> None:
    assert names.shown("a\u202efdp.exe\r\n") == "a\\u202efdp.exe\\u000d\\u000a"


async def test_the_worst_variant_counts(bench: Bench) -> None:
    raw = with_file(PDF, "a.pdf", "application/pdf").as_bytes()
    found = await bench.examine(raw.replace(b'filename="a.pdf"', b"filename=\"a.pdf\"; filename*=utf-8''a.exe"))
    assert slugs(found, Check.NAME) == ["executable-extension", "variants-differ"]
    assert found.content.attachments[0].names == ("a.pdf", "a.exe")


@pytest.mark.parametrize(
    ("data", "name", "kind", "expected"),
    [
        (PDF, "a.pdf", "application/pdf", []),
        (PROGRAM, "a.pdf", "application/pdf", ["executable", "mismatch-declared", "mismatch-name"]),
        (PROGRAM, "a.bin", "application/octet-stream", ["executable"]),
        (b"#!/bin/sh\nrm -rf x\n", "a.txt", "application/octet-stream", ["script"]),
        (b"plain text, no PDF at all\n", "a.pdf", "application/pdf", ["mismatch-name"]),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 60, "a.pdf", "application/octet-stream", ["mismatch-name"]),
        (b"GIF89a" + b"\x01\0" * 30 + b"%PDF-1.4\n" + b"x" * 50, "a.gif", "image/gif", ["polyglot"]),
        (PDF + b"PK\x05\x06" + b"\0" * 18, "a.pdf", "application/pdf", ["polyglot"]),
        (b"", "a.pdf", "application/pdf", []),
    ],
)
async def test_types(bench: Bench, data: bytes, name: str, kind: str, expected: list[str]) -> None:
    assert slugs(await bench.examine(with_file(data, name, kind)), Check.TYPE) == expected


async def test_a_nameless_file_is_in_the_manifest(bench: Bench) -> None:
    mail = letter()
    mail.add_attachment(PROGRAM, maintype="image", subtype="png")
    found = await bench.examine(mail)
    assert [(a.name, a.part) for a in found.content.attachments] == [("", "2")]
    assert "executable" in slugs(found, Check.TYPE)
