"""Attachments: families of disguises with mutants, and files that offices really exchange."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import pytest

from mailrelay.model.finding import Check
from tests.conformance.inspection.conftest import wrong
from tests.inspection import compounds
from tests.inspection import test_files as files
from tests.inspection.conftest import Bench, letter, with_file
from tests.inspection.papers import blank
from tests.inspection.test_names import PROGRAM

CHECKS = (Check.TYPE, Check.ARCHIVE, Check.MACRO, Check.PDF_ACTIVE, Check.NAME)
ELF = b"\x7fELF\x02\x01\x01" + b"\0" * 200
SCRIPT = b"#!/bin/sh\nrm -rf ~\n"
Maker = Callable[[], bytes]

packed, tarred, word, pdf_with = files.packed, files.tarred, files.word, files.pdf_with
LURE = ("a.pdf.exe", b"x")


def nested(times: int) -> bytes:
    data = packed(LURE)
    for _ in range(times):
        data = packed(("inner.zip", data))
    return data


def renamed_in_directory() -> bytes:
    """A ZIP whose directory and local headers name different files."""
    return packed(("aaaa.exe", b"x")).replace(b"aaaa.exe", b"aaaa.txt", 1)


def stored_twice() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", b"x")
        archive.writestr("a.exe", b"x")
    return out.getvalue()


def entry_of(name: str, data: bytes) -> bytes:
    """An entry of a ZIP file without a directory."""
    whole = packed((name, data))
    return whole[: whole.index(b"PK\x01\x02")]


def linked(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return out.getvalue()


def zipped_link(target: str) -> bytes:
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, target)
    return out.getvalue()


def enclosing(*files: tuple[str, bytes]) -> bytes:
    """A mail with attached files."""
    mail = letter()
    for name, data in files:
        mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


HARMLESS = ("a.txt", b"x")
DDE = b"<w:p><w:instrText>DDEAUTO c:\\\\x</w:instrText></w:p>"


def typed(part: str, kind: str, by: bytes = b"Override PartName") -> bytes:
    """A list of types that says what a part is, whatever it is called."""
    entry = b'<%s="%s" ContentType="application/vnd.openxmlformats-officedocument.%s+xml"/></Types>'
    return files.WORD.replace(b"</Types>", b"") + entry % (by, part.encode(), kind.encode())


def stream_of(filters: bytes, pack: Callable[[bytes], bytes]) -> bytes:
    """An object stream with a script in it."""
    data = pack(b"5 0 << /S /JavaScript /JS (x) >>")
    return b"4 0 obj << /Type /ObjStm /N 1 /First 4 /Filter %s >>\nstream\n%s\nendstream endobj" % (filters, data)


def upwards(data: bytes, width: int = 8) -> bytes:
    """Rows with the PNG predictor "up"."""
    data += b" " * (-len(data) % width)
    rows = [data[start : start + width] for start in range(0, len(data), width)]
    above = [bytes(width), *rows]
    return b"".join(
        b"\2" + bytes((a - b) & 255 for a, b in zip(*pair, strict=True)) for pair in zip(rows, above, strict=False)
    )


def objects_in(filters: bytes, pack: Callable[[bytes], bytes]) -> bytes:
    return stream_of(filters, lambda data: pack(b"5 0 << /Type /Font /Subtype /Type1 >>"))


FAMILIES: dict[str, list[tuple[bytes, str]]] = {
    "members that the directory does not list": [
        (packed(LURE) + packed(HARMLESS), "a.zip"),
        (packed(HARMLESS) + packed(LURE), "a.zip"),
        (packed(("a.pdf", PROGRAM)) + packed(HARMLESS), "a.zip"),
        (entry_of("a.pdf.exe", b"x") + packed(HARMLESS), "a.zip"),
        (packed(HARMLESS).replace(b"PK\x01\x02", entry_of("a.pdf.exe", b"x") + b"PK\x01\x02"), "a.zip"),
        (packed(("inner.zip", packed(LURE) + packed(HARMLESS))), "a.zip"),
    ],
    "links out of an archive": [
        (linked("a", "/etc/passwd"), "a.tar"),
        (linked("a", "../../b"), "a.tar"),
        (linked("a", "/etc/passwd", tarfile.LNKTYPE), "a.tar"),
        (linked("a", "", tarfile.CHRTYPE), "a.tar"),
        (gzip.compress(linked("a", "../b")), "a.tgz"),
        (zipped_link("/etc/passwd"), "a.zip"),
        (zipped_link("..\\..\\b"), "a.zip"),
    ],
    "programs in a mail that is a file": [
        (enclosing(LURE), "a.eml"),
        (enclosing(("a.pdf", PROGRAM)), "a.eml"),
        (enclosing(("a.zip", packed(LURE))), "a.eml"),
        (packed(("a.eml", enclosing(LURE))), "a.zip"),
        (enclosing(("a.eml", enclosing(LURE))), "a.eml"),
        (enclosing(LURE), "thu"),
    ],
    "program under another name": [(PROGRAM, name) for name in ("a.pdf", "a.docx", "a.jpg", "a.txt", "a", "a.dat")],
    "Unix program": [(ELF, name) for name in ("a.pdf", "a.bin", "a.zip", "a")],
    "script under another name": [(SCRIPT, name) for name in ("a.pdf", "a.txt", "a.doc", "a")],
    "other content than the name says": [
        (b"plain text\n" * 20, "a.pdf"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 60, "a.pdf"),
        (blank(), "a.jpg"),
        (gzip.compress(b"x"), "a.docx"),
        (b"GIF89a" + b"\0" * 60, "a.xlsx"),
    ],
    "two types in one": [
        (blank() + packed(LURE), "a.pdf"),
        (b"GIF89a" + b"\x01\0" * 30 + blank(), "a.gif"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 60 + packed(LURE), "a.png"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 60 + packed(LURE), "a.jpg"),
        (blank().replace(b"%PDF-1.7", b"%PDF-1.7<script>alert(1)</script>"), "a.pdf"),
    ],
    "program in an archive": [
        (packed(LURE), "a.zip"),
        (packed(("a.pdf", PROGRAM)), "a.zip"),
        (tarred(LURE), "a.tar"),
        (tarred(("a.pdf", ELF), mode="w:gz"), "a.tgz"),
        (tarred(LURE, mode="w:bz2"), "a.tar.bz2"),
        (tarred(LURE, mode="w:xz"), "a.tar.xz"),
        (gzip.compress(PROGRAM), "a.pdf.gz"),
        (stored_twice(), "a.zip"),
    ],
    "archive under another name": [(packed(LURE), name) for name in ("a.pdf", "a.docx", "a.jpg", "a", "a.zipx")],
    "archives in archives": [(nested(n), "a.zip") for n in range(1, 5)] + [(nested(20), "a.zip")],
    "archive bombs": [
        (packed(("a.txt", b"\0" * 12_000_000)), "a.zip"),
        (packed(*((f"{n}.txt", b"\0" * 1_000_000) for n in range(20))), "a.zip"),
        (gzip.compress(b"\0" * 12_000_000), "a.gz"),
        (tarred(("a", b"\0" * 12_000_000), mode="w:xz"), "a.tar.xz"),
        (packed(*((f"{n}", b"") for n in range(2000))), "a.zip"),
    ],
    "paths in archives": [(packed((name, b"x")), "a.zip") for name in ("../a", "..\\a", "/a", "C:/a", "a/../../b")],
    "foul archives": [
        (packed(LURE)[:-4], "a.zip"),
        (packed(LURE)[30:], "a.zip"),
        (renamed_in_directory(), "a.zip"),
        (b"Rar!\x1a\x07\x01\x00" + b"\xff" * 40, "a.rar"),
        (b"7z\xbc\xaf\x27\x1c" + b"\xff" * 40, "a.7z"),
    ],
    "macros": [(word(("word/vbaProject.bin", b"x")), name) for name in ("a.docm", "a.docx", "a.dotm", "a.doc")]
    + [(word(("word/VBAPROJECT.BIN", b"x")), "a.docx"), (word(("xl/macrosheets/sheet1.xml", b"x")), "a.xlsx")],
    "macros of the old Excel kind": [
        (compounds.excel(compounds.sheet("Macro1", 1, hidden)), f"a.{kind}")
        for hidden in (0, 2)
        for kind in ("xls", "xlt", "doc")
    ]
    + [(word(("xl/macrosheets/sheet1.bin", b"x")), name) for name in ("a.xlsb", "a.xlsx")]
    + [(word(("xl/sheet9.bin", b"x"), types=files.MACRO_SHEET), "a.xlsb")],
    "VBA made to deceive": [
        (word(("word/vbaProject.bin", data)), name)
        for data in (b"", b"\xff" * 600, files.VBA[:700], files.VBA[:-600], compounds.vba(b"\0" * 9))
        for name in ("a.docm", "a.docx")
    ],
    "DDE": [
        (files.field(files.RUNS), "a.docx"),
        (files.field(b"<w:instrText> QUOTE 68 68 69 65 85 </w:instrText>"), "a.docx"),
        (compounds.word97(b"\x13 DDEAUTO c:\\\\x \x15"), "a.doc"),
        (compounds.excel(compounds.record(0x1AE, b"\1\0\x09\0\0cmd\x03/c calc")), "a.xls"),
        (word(("xl/externalLinks/externalLink1.xml", b"<ddeLink ddeService='cmd' ddeTopic='/c calc'/>")), "a.xlsx"),
    ],
    "DDE where it is not looked for": [
        (word(("word/footnotes.xml", DDE)), "a.docx"),
        (word(("word/endnotes1.xml", DDE), types=typed("/word/endnotes1.xml", "wordprocessingml.endnotes")), "a.docx"),
        (word(("x/y.xml", DDE), types=typed("/x/y.xml", "wordprocessingml.document.main")), "a.docx"),
        (word(("X/Y.XML", DDE), types=typed("/x/y.xml", "wordprocessingml.header").upper()), "a.docx"),
        (word(("y.bin", DDE), types=typed("bin", "wordprocessingml.document.main", b"Default Extension")), "a.docx"),
        (
            word(("xl/l.xml", b"<ddeLink ddeService='x'/>"), types=typed("/xl/l.xml", "spreadsheetml.externalLink")),
            "a.xlsx",
        ),
    ],
    "documents that reach out": [
        (word(("word/_rels/settings.xml.rels", files.TEMPLATE)), "a.docx"),
        (word(("word/_rels/settings.xml.rels", files.TEMPLATE.lower())), "a.docx"),
        (word(("word/_rels/document.xml.rels", files.RELATION % b"oleObject")), "a.docx"),
        (word(("word/_rels/document.xml.rels", files.RELATION % b"frame")), "a.docx"),
        (b"{\\rtf1{\\*\\template http://evil}}", "a.doc"),
    ],
    "documents that reach out in other words": [
        *(
            (word(("word/_rels/settings.xml.rels", other)), "a.docx")
            for other in (
                files.TEMPLATE.decode().encode("utf-16"),
                files.TEMPLATE.decode().encode("utf-16-be"),
                files.TEMPLATE.replace(b"<Relationship ", b"<r:Relationship "),
                files.TEMPLATE.replace(b"attachedT", b"attached&#84;"),
                files.TEMPLATE.replace(b"External", b"E&#x78;ternal"),
                files.TEMPLATE.replace(b"<Relationship ", b"<Relationship a='>' "),
            )
        ),
        (word(("word/_rels/settings.xml.rels", files.TEMPLATE)) + word(), "a.docx"),
        (b"{\\rtf1{\\object\\objautlink\\objupdate{\\*\\objclass x}}}", "a.rtf"),
        (b"{\\rtf1{\\field{\\*\\fldinst DDEAUTO cmd}}}", "a.rtf"),
    ],
    "programs inside documents": [
        (word(("word/embeddings/oleObject1.bin", b"x")), "a.docx"),
        (word(("word/activeX/activeX1.bin", b"x")), "a.docx"),
        (b"{\\rtf1{\\object\\objocx{\\*\\objdata 01}}}", "a.rtf"),
        (files.compound("Root Entry", "\x01Ole10Native"), "a.xls"),
        (files.compound("Root Entry", "Equation Native"), "a.doc"),
    ],
    "active PDF": [
        (pdf_with(b"/OpenAction << /S /JavaScript /JS (x) >>"), "a.pdf"),
        (pdf_with(b"/OpenAction << /S /J#61#76aScript /J#53 (x) >>"), "a.pdf"),
        (pdf_with(b"", files.object_stream(b"5 0 << /S /Launch /F (x) >>")), "a.pdf"),
        (pdf_with(b"/AA << /O << /S /Launch /Win << /F (cmd) >> >> >>"), "a.pdf"),
        (pdf_with(b"/Names << /EmbeddedFiles 7 0 R >>"), "a.pdf"),
        (b"\0" * 500 + pdf_with(b"/OpenAction << /S /JavaScript /JS (x) >>"), "a.pdf"),
    ],
    "active PDF in a packing of its own": [
        (pdf_with(b"/OpenAction 5 0 R", data), "a.pdf")
        for data in (
            b"(stream\n) 5 0 obj << /S /JavaScr#69pt /J#53 (x) >> endobj (endstream)",
            stream_of(b"[/ASCII85Decode /FlateDecode]", lambda b: base64.a85encode(zlib.compress(b)) + b"~>"),
            stream_of(b"/ASCIIHexDecode", lambda b: b.hex().encode() + b">"),
            stream_of(b"[/Fl /FlateDecode]", lambda b: zlib.compress(zlib.compress(b))),
            stream_of(b"/LZWDecode", lambda b: b[::-1]),
            stream_of(b"9 0 R", lambda b: b.hex().encode()),
            stream_of(b"/FlateDecode /DecodeParms << /Predictor 12 /Columns 8 >>", lambda b: zlib.compress(upwards(b))),
            stream_of(b"/FlateDecode /DecodeParms << /Predictor 2 /Columns 8 >>", zlib.compress),
            stream_of(b"/FlateDecode", zlib.compress).replace(b"stream\n", b"stream\r", 1),
            stream_of(b"/FlateDecode", zlib.compress).replace(b"stream\n", b"stream \n", 1),
            stream_of(b"/FlateDecode", lambda b: zlib.compress(b" " * 17_000_000 + b)),
            stream_of(b"/FlateDecode" + b" " * 5000, zlib.compress),
            stream_of(b"/FlateDecode", lambda b: b"x" + zlib.compress(b)),
        )
    ],
    "PDF that goes elsewhere when it is opened": [
        (pdf_with(b"/OpenAction 5 0 R", b"5 0 obj << /S /URI /URI (http://evil.vn) >> endobj"), "a.pdf"),
        (pdf_with(b"/OpenAction 5 0 R", b"5 0 obj\n<< /Type /Action /S /GoToR /F (x) >> endobj"), "a.pdf"),
        (pdf_with(b"/OpenAction << /S /GoToE >>"), "a.pdf"),
        (pdf_with(b"/AA << /O << /Type /Action /S /URI /URI (http://evil.vn) >> >>"), "a.pdf"),
    ],
    "encrypted": [
        (files.compound("Root Entry", "EncryptedPackage", "EncryptionInfo"), "a.docx"),
        (files.compound("Root Entry", "EncryptedPackage"), "a.xlsx"),
        (
            packed(LURE)
            .replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01")
            .replace(b"\x14\x00\x00\x00", b"\x14\x00\x01\x00"),
            "a.zip",
        ),
        (files.compound("Root Entry", "EncryptedPackage"), "a.pptx"),
    ],
}
GENUINE: list[tuple[bytes, str, str]] = [
    (blank(), "Kế hoạch.pdf", "application/pdf"),
    *(
        (pdf_with(b"/OpenAction 9 0 R", data), "Công văn.pdf", "application/pdf")
        for data in (
            objects_in(b"/FlateDecode", zlib.compress) + b" 9 0 obj [3 0 R /Fit] endobj",
            objects_in(b"[/ASCII85Decode /FlateDecode]", lambda b: base64.a85encode(zlib.compress(b)) + b"~>"),
            objects_in(
                b"/FlateDecode /DecodeParms << /Predictor 12 /Columns 8 >>", lambda b: zlib.compress(upwards(b))
            ),
            b"9 0 obj << /S /GoTo /D [3 0 R /Fit] >> endobj 8 0 obj << /S /URI /URI (http://x.vn) >> endobj",
            b"9 0 obj << /Type /Action /D [3 0 R /Fit] /S /GoTo >> endobj",
        )
    ),
    (word(), "Dự thảo.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (word(("word/_rels/document.xml.rels", files.LINK)), "Dự thảo.docx", "application/octet-stream"),
    (word(("word/media/image1.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40)), "Dự thảo.docx", "application/octet-stream"),
    (compounds.word97(), "Công văn cũ.doc", "application/msword"),
    (word(("word/vbaProject.txt", b"x")), "Dự thảo.docx", "application/octet-stream"),
    (
        compounds.excel(compounds.sheet("Sheet1", 0), compounds.sheet("Bieu do", 2)),
        "Biểu tổng hợp.xls",
        "application/vnd.ms-excel",
    ),
    (word(("word/footnotes.xml", b"<w:instrText>NOTEREF a</w:instrText>")), "Dự thảo.docx", "application/octet-stream"),
    (
        word(("a/b.xml", b"x"), types=typed("/a/b.xml", "wordprocessingml.document.main")),
        "Dự thảo.docx",
        "application/octet-stream",
    ),
    (files.field(b"<w:instrText>PAGE</w:instrText>"), "Dự thảo.docx", "application/octet-stream"),
    (packed(("Phụ lục 1.pdf", blank()), ("Phụ lục 2.docx", word())), "Hồ sơ.zip", "application/zip"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 60, "ảnh.png", "image/png"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01" + b"\0" * 60, "ảnh.jpg", "image/jpeg"),
    ("STT;Họ và tên\r\n1;Nguyễn Văn A\r\n".encode(), "danh sách.csv", "text/csv"),
    (gzip.compress("văn bản".encode()), "số liệu.txt.gz", "application/gzip"),
    (linked("a/moi.pdf", "cu.pdf"), "hồ sơ.tar", "application/x-tar"),
    (zipped_link("cu.pdf"), "hồ sơ.zip", "application/zip"),
    (
        enclosing(("Phụ lục.pdf", blank()), ("Hồ sơ.zip", packed(("a.docx", word())))),
        "thư.eml",
        "application/octet-stream",
    ),
    (b"{\\rtf1 K\\u7871? ho\\u7841?ch}", "kế hoạch.rtf", "application/rtf"),
    (
        packed(("mimetype", b"application/vnd.oasis.opendocument.text"), ("content.xml", b"<x/>")),
        "a.odt",
        "application/octet-stream",
    ),
]


@pytest.mark.parametrize(("family", "number"), [(f, n) for f, mutants in FAMILIES.items() for n in range(len(mutants))])
async def test_no_disguise_goes_unsaid(office: Bench, family: str, number: int) -> None:
    data, name = FAMILIES[family][number]
    for kind in ("application/octet-stream", "application/pdf"):
        found = await office.examine(with_file(data, name, kind))
        assert wrong(found, *CHECKS), (family, name)


@pytest.mark.parametrize("number", range(len(GENUINE)))
async def test_genuine_files_are_left_alone(office: Bench, number: int) -> None:
    found = await office.examine(with_file(*GENUINE[number]))
    assert wrong(found, *CHECKS) == []


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 12
    assert all(len(mutants) >= 4 for mutants in FAMILIES.values())
