"""Names of files: twelve families of tricks, and names that clerks really give."""

from __future__ import annotations

import itertools

import pytest

from mailrelay.model.finding import Check
from tests.conformance.inspection.conftest import wrong
from tests.inspection.conftest import Bench, with_file

FAMILIES = {
    "double extension": ["a.pdf.exe", "a.docx.scr", "Kế hoạch.xls.js", "a.jpg.lnk", "a.pdf.html.hta"],
    "blanks before the extension": [f"a.pdf{' ' * n}.exe" for n in (1, 40, 200)]
    + ["a.pdf\u3000.exe", "a.pdf\u00a0.com"],
    "program's extension": ["a.exe", "a.SCR", "a.Vbs", "a.ps1", "a.iso", "a.jar", "a.url", "a.msi", "a.wsf"],
    "turned around": ["a\u202efdp.exe", "a\u202excod.scr", "\u202egpj.exe", "a\u2067fdp.exe", "a\u202dfdp.exe\u202c"],
    "hidden letters": ["a.e\u200bxe", "a\u2060.pdf", "a.pdf\ufeff", "a\u00ad.exe", "a\u3164.exe"],
    "trailing dots and blanks": ["a.exe.", "a.exe...", "a.exe ", "a.pdf .", "a.exe\u3000"],
    "device names": ["con", "NUL.pdf", "com1.txt", "LPT9.docx", "aux."],
    "paths": ["../a.pdf", "..\\..\\a.dll", "/etc/passwd", "C:\\a.pdf", "a/b.pdf", "\\\\server\\share\\a.pdf"],
    "NUL": ["a.pdf\0.exe", "a.exe\0.pdf", "\0a.exe", "a\0"],
    "full-width letters": ["a.ｅｘｅ", "a.pdf.ｓｃｒ", "a．exe", "a.ｖｂｓ"],
    "control characters": ["a.exe\t", "a\x01.exe", "a.\x7fexe", "a\u0085.exe"],
    "files that fetch or start something": [
        "a.rdp",
        "Biểu mẫu.iqy",
        "a.ONE",
        "a.psd1",
        "a.wll",
        "a.bas",
        "a.diagcab",
        "a.osd",
    ],
    "script files": ["a.py", "a.sh", "a.bat", "a.cmd", "a.js", "a.hta"],
}
GENUINE = [
    *(
        "Kế hoạch số 59-KH-UBND.pdf",
        "59_KH-UBND.signed.pdf",
        "Báo cáo Q1.2013.docx",
        "v1.2.xlsx",
        "Phụ lục 1 (bản 2).zip",
    ),
    *(
        "Quyết định 12.QĐ-UBND.pdf",
        "ảnh hiện trường.jpg",
        "Danh sách 30.4-1.5.xls",
        "THƯ MỜI HỌP.DOC",
        "Dự thảo…lần 3.docx",
    ),
    *(
        "CV 1777.BTTTT-UDCNTT.pdf",
        "phieu trinh.tar.gz",
        "Com.pdf",
        "console.txt",
        "aux1.pdf",
        "Hồ sơ [mật độ].pdf",
        "a+b=c.pdf",
    ),
]
MUTANTS = [(family, name) for family, names in FAMILIES.items() for name in names]


def quoted(name: str) -> bytes:
    return name.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def extended(name: str) -> bytes:
    return b"utf-8''" + b"".join(b"%%%02X" % byte for byte in name.encode())


def disposition(name: str, way: int) -> bytes:
    """One name in the ways that mail programs write it."""
    if way == 0:
        return b'attachment; filename="' + quoted(name) + b'"'
    if way == 1:
        return b"attachment; filename*=" + extended(name)
    if way == 2:
        half = len(name) // 2
        rest = extended(name[half:]).removeprefix(b"utf-8''")
        return b"attachment; filename*0*=" + extended(name[:half]) + b"; filename*1*=" + rest
    word = b"".join(b"=%02X" % byte for byte in name.encode())
    return b'attachment; filename="=?utf-8?Q?' + word + b'?="'


def mail_with(header: bytes) -> bytes:
    raw = with_file(b"some text\n", "PLACEHOLDER.bin", "application/octet-stream").as_bytes()
    return raw.replace(b'attachment; filename="PLACEHOLDER.bin"', header)


@pytest.mark.parametrize(("family", "name"), MUTANTS)
async def test_no_trick_goes_unsaid(office: Bench, family: str, name: str) -> None:
    for way in range(4):
        if way == 0 and any(letter in name for letter in "\0\t\x01\x7f\r\n"):
            continue  # cannot stand in a header as it is
        found = await office.examine(mail_with(disposition(name, way)))
        assert wrong(found, Check.NAME), (family, name, way)


@pytest.mark.parametrize("name", GENUINE)
async def test_genuine_names_are_left_alone(office: Bench, name: str) -> None:
    for way in range(4):
        found = await office.examine(mail_with(disposition(name, way)))
        assert wrong(found, Check.NAME) == []
        assert found.content.attachments[0].name == name


HIDING = [
    b"attachment; filename=\"a.pdf\"; filename*=utf-8''a.exe",
    b"attachment; filename*=utf-8''a.pdf; filename=\"a.exe\"",
    b'attachment; filename="a.pdf"\r\nContent-Type: application/pdf; name="a.exe"',
    b'attachment; filename="a.pdf"; filename="a.exe"',
    b'attachment; filename="a.pdf"; filename*0="a.e"; filename*1="xe"',
    b"attachment; FileName=\"a.pdf\"; FILENAME*=utf-8''a%2Eexe",
]


@pytest.mark.parametrize("header", HIDING)
async def test_the_worst_of_several_names_counts(office: Bench, header: bytes) -> None:
    found = await office.examine(mail_with(header))
    assert "executable-extension" in {finding.detail for finding in wrong(found, Check.NAME)}


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 10
    assert all(len(list(names)) >= 4 for _, names in itertools.groupby(MUTANTS, key=lambda pair: pair[0]))
