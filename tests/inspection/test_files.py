"""Archives, office files and PDF files: what is found inside, within limits."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import tarfile
import time
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import libarchive
import pytest

from mailrelay.inspection import archives, names
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Verdict
from tests.inspection import compounds
from tests.inspection.conftest import Bench, slugs, with_file
from tests.inspection.papers import blank
from tests.inspection.test_names import PROGRAM


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def tarred(*members: tuple[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def sevenfold(folder: Path, *members: tuple[str, bytes]) -> bytes:
    path = folder / "a.7z"
    with libarchive.file_writer(str(path), "7zip") as archive:
        for name, data in members:
            archive.add_file_from_memory(name, len(data), data)
    return path.read_bytes()


PAPER = ("Kế hoạch.docx", b"x" * 50)
LURE = ("Kế hoạch.pdf.exe", b"x")
CASES = {
    "plain": (packed(PAPER), "a.zip", []),
    "program by name": (packed(PAPER, LURE), "a.zip", ["dangerous-member"]),
    "program by content": (packed(("a.pdf", PROGRAM)), "a.zip", ["dangerous-member"]),
    "path": (packed(("../../etc/cron.d/a", b"x")), "a.zip", ["dangerous-member"]),
    "absolute path": (packed(("/etc/passwd", b"x")), "a.zip", ["dangerous-member"]),
    "right to left": (packed(("a\u202efdp.exe", b"x")), "a.zip", ["dangerous-member"]),
    "in an inner archive": (packed(("b.zip", packed(LURE))), "a.zip", ["dangerous-member"]),
    "four deep": (packed(("b.zip", packed(("c.zip", packed(("d.zip", packed(PAPER))))))), "a.zip", ["nested"]),
    "renamed": (packed(LURE), "a.pdf", ["dangerous-member"]),
    "1,001 members": (packed(*((f"{n}.txt", b"") for n in range(1001))), "a.zip", ["too-many"]),
    "bomb": (packed(("a.txt", b"\0" * 30_000_000)), "a.zip", ["ratio"]),
    "truncated": (packed(PAPER)[:-30], "a.zip", ["damaged"]),
    "not at all": (b"PK\x03\x04" + b"z" * 2000, "a.zip", ["damaged"]),
    "tar": (tarred(LURE), "a.tar", ["dangerous-member"]),
    "tar.gz": (tarred(LURE, mode="w:gz"), "a.tar.gz", ["dangerous-member"]),
    "gz of a program": (gzip.compress(PROGRAM), "a.gz", ["dangerous-member"]),
    "gz": (gzip.compress(b"text"), "a.txt.gz", []),
    "gz bomb": (gzip.compress(b"\0" * 30_000_000), "a.gz", ["ratio"]),
    "foul gz": (b"\x1f\x8b\x08" + b"nonsense", "a.gz", ["damaged"]),
    "foul rar": (b"Rar!\x1a\x07\x00nonsense", "a.rar", ["damaged"]),
}


@pytest.mark.parametrize("name", CASES)
async def test_archives(bench: Bench, name: str) -> None:
    data, filename, expected = CASES[name]
    assert slugs(await bench.examine(with_file(data, filename)), Check.ARCHIVE) == expected


async def test_seven_zip(bench: Bench, tmp_path: Path) -> None:
    found = await bench.examine(with_file(sevenfold(tmp_path, PAPER, LURE), "a.7z"))
    (finding,) = found.of(Check.ARCHIVE)
    assert (finding.detail, finding.verdict, finding.facts["found"], finding.facts["members"]) == (
        "dangerous-member",
        Verdict.FAIL,
        ["Kế hoạch.pdf.exe"],
        2,
    )


async def test_encrypted_zip(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("secret")
    subprocess.run(["zip", "-q", "-P", "1234", "a.zip", "a.txt"], cwd=tmp_path, check=True)
    assert slugs(await bench.examine(with_file((tmp_path / "a.zip").read_bytes(), "a.zip")), Check.ARCHIVE) == [
        "encrypted"
    ]


def test_a_directory_of_a_million_members_is_not_even_read(tmp_path: Path) -> None:
    raw = packed(PAPER)
    end = raw.rindex(b"PK\x05\x06")
    path = tmp_path / "a.zip"
    path.write_bytes(raw[: end + 10] + b"\xff\xff" + raw[end + 12 :])
    with Source(path) as source:
        job = Job("archive", "2", "a.zip", 0, source.size, size=source.size)
        assert [f.detail for f in archives.check(job, source, replace(Limits()))] == ["too-many"]


async def test_20000_members_are_quick(bench: Bench) -> None:
    data = packed(*((f"{n}.txt", b"") for n in range(20_000)))
    began = time.monotonic()
    assert slugs(await bench.examine(with_file(data, "a.zip")), Check.ARCHIVE) == ["too-many"]
    assert time.monotonic() - began < 5


CONTENT = b'<?xml version="1.0"?><Types><Override ContentType="application/vnd.%s+xml"/></Types>'
WORD = CONTENT % b"openxmlformats-officedocument.wordprocessingml.document.main"
MACRO = CONTENT % b"ms-word.document.macroEnabled.main"
RELATION = (
    b'<Relationships><Relationship Id="r1" Type="x/%s" Target="http://evil/a" TargetMode="External"/></Relationships>'
)
TEMPLATE = RELATION % b"attachedTemplate"
LINK = RELATION % b"hyperlink"


def word(*more: tuple[str, bytes], types: bytes = WORD) -> bytes:
    return packed(("[Content_Types].xml", types), ("word/document.xml", b"<w:document/>"), *more)


def compound(*streams: str) -> bytes:
    """The beginning of a compound file with a directory that names these streams."""
    entries = b"".join(name.encode("utf-16-le").ljust(64, b"\0") + b"\0" * 64 for name in streams)
    return (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(512, b"\0") + entries).ljust(2048, b"\0")


VBA = compounds.vba()
RUNS = b"<w:instrText> DD</w:instrText></w:r><w:r><w:instrText xml:space='x'>EAUTO c:\\x</w:instrText>"
MACRO_SHEET = CONTENT % b"ms-excel.intlmacrosheet"


def field(instruction: bytes) -> bytes:
    return packed(
        ("[Content_Types].xml", WORD), ("word/document.xml", b"<w:document>" + instruction + b"</w:document>")
    )


OFFICE = {
    "plain docx": (word(), "a.docx", []),
    "hyperlink": (word(("word/_rels/document.xml.rels", LINK)), "a.docx", []),
    "macros by part": (word(("word/vbaProject.bin", VBA)), "a.docm", ["macros"]),
    "macros by type": (word(types=MACRO), "a.docm", ["macros"]),
    "macros under a plain name": (word(("word/vbaProject.bin", VBA)), "a.docx", ["macros-hidden"]),
    "no VBA project at all": (word(("word/vbaProject.bin", b"\xff" * 10)), "a.docm", ["macros-damaged"]),
    "empty VBA project": (word(("word/vbaProject.bin", b"")), "a.docm", ["macros-damaged"]),
    "VBA project cut short": (word(("word/vbaProject.bin", VBA[:1500])), "a.docm", ["macros-damaged"]),
    "VBA project without directory": (
        word(("word/vbaProject.bin", compounds.built(("_VBA_PROJECT", b"x")))),
        "a.docm",
        ["macros-damaged"],
    ),
    "VBA directory overwritten": (
        word(("word/vbaProject.bin", compounds.vba(b"\0" * 50))),
        "a.docm",
        ["macros-damaged"],
    ),
    "remote template": (word(("word/_rels/settings.xml.rels", TEMPLATE)), "a.docx", ["remote-template"]),
    "embedded object": (word(("word/embeddings/oleObject1.bin", b"x")), "a.docx", ["active-content"]),
    "activeX": (word(("word/activeX/activeX1.xml", b"x")), "a.docx", ["active-content"]),
    "DDE": (field(b"<w:instrText>DDEAUTO c:\\x</w:instrText>"), "a.docx", ["active-content"]),
    "DDE in pieces": (field(RUNS), "a.docx", ["active-content"]),
    "DDE as an attribute": (field(b'<w:fldSimple w:instr="DDE cmd /c"/>'), "a.docx", ["active-content"]),
    "DDE in numbers": (field(b"<w:instrText> QUOTE 68 68 69 65 85 </w:instrText>"), "a.docx", ["active-content"]),
    "an ordinary field": (field(b"<w:instrText>PAGE \\* MERGEFORMAT</w:instrText>"), "a.docx", []),
    "link to another workbook": (
        word(("xl/externalLinks/_rels/externalLink1.xml.rels", RELATION % b"externalLinkPath")),
        "a.xlsx",
        ["active-content"],
    ),
    "XLM sheet": (word(("xl/macrosheets/sheet1.xml", b"x")), "a.xlsm", ["excel4-macros"]),
    "XLM sheet of a binary workbook": (word(("xl/macrosheets/sheet1.bin", b"x")), "a.xlsb", ["excel4-macros"]),
    "XLM sheet under another name": (
        word(("xl/worksheets/s.bin", b"x"), types=MACRO_SHEET),
        "a.xlsb",
        ["excel4-macros"],
    ),
    "doc with macros": (
        compounds.built(("WordDocument", b"x"), ("dir", compounds.DIRECTORY), ("_VBA_PROJECT", b"x")),
        "a.doc",
        ["macros"],
    ),
    "doc with macros, directory of the file foul": (
        compound("Root Entry", "_VBA_PROJECT"),
        "a.doc",
        ["macros", "macros-damaged"],
    ),
    "plain doc": (compounds.word97(), "a.doc", []),
    "doc with DDE": (compounds.word97(b"\x13 DDEAUTO c:\\\\x \x15"), "a.doc", ["active-content"]),
    "doc with DDE in wide letters": (
        compounds.word97("\x13 DDE cmd\x15".encode("utf-16-le")),
        "a.doc",
        ["active-content"],
    ),
    "encrypted doc": (compounds.word97(flags=1), "a.doc", ["encrypted"]),
    "encrypted docx": (compounds.built(("EncryptedPackage", b"x"), ("EncryptionInfo", b"x")), "a.docx", ["encrypted"]),
    "plain xls": (compounds.excel(compounds.sheet("Sheet1", 0)), "a.xls", []),
    "xls with a macro sheet": (
        compounds.excel(compounds.sheet("Sheet1", 0), compounds.sheet("Macro1", 1, 2)),
        "a.xls",
        ["excel4-macros"],
    ),
    "xls with a VBA module": (compounds.excel(compounds.sheet("Module1", 6)), "a.xls", ["macros"]),
    "xls with DDE": (
        compounds.excel(compounds.record(0x1AE, b"\1\0\x09\0\0cmd\x03/c calc")),
        "a.xls",
        ["active-content"],
    ),
    "encrypted xls": (compounds.excel(compounds.record(0x2F, b"\0" * 8)), "a.xls", ["encrypted"]),
    "xls whose list of sheets is cut": (compounds.excel(compounds.sheet("M", 1))[:1200], "a.xls", ["damaged"]),
    "SYLK with a macro sheet": (b'ID;P\nO;E\nC;X1;Y101;K0;EEXEC("calc")\nE\n', "a.slk", ["excel4-macros"]),
    "RTF with an object": (b"{\\rtf1{\\object{\\*\\objdata 0105}}}", "a.rtf", ["active-content"]),
    "RTF in the place of a doc": (b"{\\rtf1{\\*\\template http://evil}}", "a.doc", ["remote-template"]),
    "damaged docx": (word()[:-40], "a.docx", ["damaged"]),
    "Basic": (
        packed(("mimetype", b"application/vnd.oasis.opendocument.text"), ("Basic/Standard/Module1.xml", b"x")),
        "a.odt",
        ["macros-hidden"],
    ),
}


@pytest.mark.parametrize("name", OFFICE)
async def test_office_files(bench: Bench, name: str) -> None:
    data, filename, expected = OFFICE[name]
    found = await bench.examine(with_file(data, filename))
    assert slugs(found, Check.MACRO) == expected
    in_archive = (
        ["damaged"] if name == "damaged docx" else []
    )  # what is no sound package is looked at as an archive, too
    assert slugs(found, Check.ARCHIVE) == in_archive


def pdf_with(catalog: bytes, stream: bytes = b"") -> bytes:
    head, tail = (
        blank().split(b"/Type /Catalog", 1) if b"/Type /Catalog" in blank() else blank().split(b"/Type/Catalog", 1)
    )
    return head + b"/Type /Catalog " + catalog + tail + stream


def object_stream(content: bytes) -> bytes:
    data = zlib.compress(content)
    return (
        b"\n9 0 obj\n<< /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode /Length %d >>\nstream\n" % len(data)
        + data
        + b"\nendstream\nendobj\n"
    )


ACTIVE = {
    "plain": (blank(), []),
    "script": (pdf_with(b"/OpenAction << /S /JavaScript /JS (app.alert(1)) >>"), ["javascript", "open-action"]),
    "escaped name": (pdf_with(b"/Names << /J#61vaScript 5 0 R >>"), ["javascript"]),
    "in an object stream": (pdf_with(b"", object_stream(b"5 0 << /S /JavaScript /JS (x) >>")), ["javascript"]),
    "launch": (pdf_with(b"/AA << /O << /S /Launch /F (cmd.exe) >> >>"), ["launch"]),
    "embedded": (pdf_with(b"/Names << /EmbeddedFiles 7 0 R >>"), ["embedded-file"]),
    "form": (pdf_with(b"/AcroForm << /XFA 5 0 R >>"), ["xfa"]),
    "submit": (pdf_with(b"/A << /S /SubmitForm /F (http://x) >>"), ["submit-form"]),
    "jump to a page": (pdf_with(b"/OpenAction << /S /GoTo /D [1 0 R /Fit] >>"), []),
    "word in text": (pdf_with(b"/Title (JavaScript and Launch)"), []),
    "behind a false stream": (pdf_with(b"/Title (stream\n) /X << /S /JavaScript >>"), ["javascript"]),
}


@pytest.mark.parametrize("name", ACTIVE)
async def test_active_pdf(bench: Bench, name: str) -> None:
    data, expected = ACTIVE[name]
    assert slugs(await bench.examine(with_file(data, "a.pdf", "application/pdf")), Check.PDF_ACTIVE) == expected


def test_bare_names() -> None:
    assert [names.bare(name) for name in ("a/b.txt", "a\\b.txt", "b/", "b")] == ["b.txt", "b.txt", "b", "b"]


def winmail(*members: tuple[str, bytes]) -> bytes:
    def attribute(identity: int, value: bytes) -> bytes:
        return struct.pack("<BII", 2, identity, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)

    out = b"\x78\x9f\x3e\x22\x01\x00"
    for name, data in members:
        out += (
            attribute(0x00069002, b"\0" * 14)
            + attribute(0x00018010, name.encode() + b"\0")
            + attribute(0x0006800F, data)
        )
    return out


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (winmail(("a.txt", b"text")), []),
        (winmail(("a.txt", b"text"), ("a.pdf.exe", b"x")), ["dangerous-member"]),
        (winmail(("a.pdf", PROGRAM)), ["dangerous-member"]),
        (winmail(("a.zip", packed(LURE))), ["dangerous-member"]),
        (winmail(("a.exe", b"x"))[:-1], ["dangerous-member"]),
        (b"\x78\x9f\x3e\x22", []),
    ],
)
async def test_winmail_dat(bench: Bench, data: bytes, expected: list[str]) -> None:
    assert slugs(await bench.examine(with_file(data, "winmail.dat", "application/ms-tnef")), Check.ARCHIVE) == expected


async def test_a_signed_office_file_is_told_as_not_verified(bench: Bench) -> None:
    found = await bench.examine(with_file(word(("_xmlsignatures/sig1.xml", b"<Signature/>")), "a.docx"))
    assert (slugs(found, Check.OOXML), slugs(found, Check.MACRO)) == (["not-verified"], [])


async def test_uuencode_in_the_text(bench: Bench) -> None:
    mail = with_file(b"x", "a.txt")
    mail.get_body().set_content("Kính gửi\nbegin 644 a.pdf.exe\n#0V%T\n`\nend\n")  # type: ignore[union-attr]
    found = await bench.examine(mail)
    assert slugs(found, Check.NAME) == ["double-extension", "executable-extension"]
    assert slugs(found, Check.STRUCTURE) == ["malformed"]


async def test_a_message_in_pieces_is_told(bench: Bench) -> None:
    raw = b"From: a@b.vn\r\nMessage-ID: <a@b>\r\nContent-Type: message/partial; id=1; number=1; total=2\r\n\r\nx\r\n"
    found = await bench.examine(raw)
    assert [f.facts["reasons"] for f in found.of(Check.STRUCTURE)] == [["partial:0"]]  # the top entity
