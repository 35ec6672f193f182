"""Secrecy marks on the face of office files and in archives; what merely speaks of secrets is left alone."""

from __future__ import annotations

import io

import pytest

from mailrelay.inspection import office_text
from mailrelay.model.finding import Check, Verdict
from tests.inspection import compounds
from tests.inspection.conftest import Bench, slugs, with_file
from tests.inspection.test_files import WORD, packed, pdf_with, word


def paragraphs(*texts: str) -> bytes:
    return "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in texts).encode()


def docx(*texts: str, raw: bytes = b"") -> bytes:
    body = b"<w:document><w:body>" + (raw or paragraphs(*texts)) + b"</w:body></w:document>"
    return packed(("[Content_Types].xml", WORD), ("word/document.xml", body))


def old_word(*lines: str) -> bytes:
    text = "\r".join(lines).encode("utf-16-le")
    fib = (b"\xec\xa5\xc1\x00" + b"\0" * 20 + (512).to_bytes(4, "little")).ljust(512, b"\0")
    return compounds.built(("WordDocument", fib + text), ("1Table", b"x"))


HEAD = ("ỦY BAN NHÂN DÂN", "TỈNH HÒA BÌNH", "Số: 12/BC-UBND")
IN_RUNS = b"<w:p><w:r><w:t>M</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>\xe1\xba\xacT</w:t></w:r></w:p>"
BOX = b"<w:p><w:r><w:pict><v:textbox><w:txbxContent><w:p><w:r><w:t>T\xe1\xbb\x90I M\xe1\xba\xacT</w:t></w:r></w:p></w:txbxContent>"
BOX += b"</v:textbox></w:pict></w:r></w:p>"
SHARED = "<sst><si><t>Biểu 1</t></si><si><r><t>TUYỆT </t></r><r><t>MẬT</t></r></si></sst>".encode()
ODF = "<office:text><text:h>Báo cáo</text:h><text:p>Độ<text:s/>mật: <text:span>Tối mật</text:span></text:p></office:text>".encode()
HEADER = ("word/header1.xml", paragraphs("MẬT"))
SLIDE = ("ppt/slides/slide1.xml", "<a:p><a:r><a:t>MẬT</a:t></a:r></a:p>".encode())
MARKED = {
    "first line": (docx("MẬT", *HEAD), "a.docx", "confidential"),
    "below the number": (docx(*HEAD, "TỐI MẬT", "BÁO CÁO"), "a.docx", "secret"),
    "over several runs": (docx(raw=paragraphs(*HEAD) + IN_RUNS), "a.docx", "confidential"),
    "in a text box": (docx(raw=paragraphs(*HEAD) + BOX), "a.docx", "secret"),
    "in a header": (word(HEADER), "a.docx", "confidential"),
    "with entities": (docx("&#77;&#7852;&#84;"), "a.docx", "confidential"),
    "in a workbook": (packed(("[Content_Types].xml", WORD), ("xl/sharedStrings.xml", SHARED)), "a.xlsx", "top-secret"),
    "on a slide": (packed(("[Content_Types].xml", WORD), SLIDE), "a.pptx", "confidential"),
    "in an OpenDocument file": (packed(("mimetype", b"application/x"), ("content.xml", ODF)), "a.odt", "secret"),
    "in a Word 97 file": (old_word(*HEAD, "TUYỆT MẬT"), "a.doc", "top-secret"),
    "in an archive": (packed(("van-ban.docx", docx("MẬT", *HEAD))), "a.zip", "confidential"),
    "two archives deep": (packed(("b.zip", packed(("van-ban.doc", old_word("TỐI MẬT"))))), "a.zip", "secret"),
    "in a member's name": (packed(("[TUYỆT MẬT] Kế hoạch.pdf", b"%PDF-1.4")), "a.zip", "top-secret"),
}
PLAIN = {
    "running text": docx(*HEAD, "Về công tác bảo mật; MẬT độ dân số; mật khẩu."),
    "a table about marks, further in": docx(*HEAD, *(f"Điều {n}" for n in range(office_text.LINES)), "MẬT", "TỐI MẬT"),
    "without diacritics": docx(*HEAD, "MAT"),
    "honey": docx("MẬT ONG", *HEAD),
    "Word 97": old_word(*HEAD, "Bảo mật"),
    "archive": packed(("Hồ sơ bảo mật.docx", docx(*HEAD))),
}


@pytest.mark.parametrize("name", MARKED)
async def test_marks_on_the_face_of_files_are_found(bench: Bench, name: str) -> None:
    data, filename, expected = MARKED[name]
    found = (await bench.examine(with_file(data, filename))).of(Check.SECRECY)
    assert [(f.verdict, f.detail, f.subject) for f in found] == [(Verdict.FAIL, expected, filename)]


@pytest.mark.parametrize("name", PLAIN)
async def test_what_only_speaks_of_secrets_is_left_alone(bench: Bench, name: str) -> None:
    assert (
        slugs(await bench.examine(with_file(PLAIN[name], "a.zip" if name == "archive" else "a.docx")), Check.SECRECY)
        == []
    )


def test_foul_markup_costs_little() -> None:
    for raw in (b"<w:br" * 200_000, b"<" * 900_000, b"&#" * 400_000, b"</w:p>" * 150_000, b"<w:t>" * 180_000):
        assert office_text.face(io.BytesIO(docx(raw=raw))) == "" or raw.startswith(b"&")


PAPERS = {
    "macros": (word(("word/vbaProject.bin", compounds.vba())), "a.docm", ["active-member"]),
    "hidden macros": (word(("word/vbaProject.bin", compounds.vba())), "a.docx", ["dangerous-member"]),
    "macro sheet": (compounds.excel(compounds.sheet("M", 1)), "a.xls", ["dangerous-member"]),
    "script in a PDF": (pdf_with(b"/OpenAction << /S /JavaScript /JS (x) >>"), "a.pdf", ["active-member"]),
    "launching PDF": (pdf_with(b"/AA << /O << /S /Launch /F (cmd.exe) >> >>"), "a.dat", ["dangerous-member"]),
    "plain": (word(), "a.docx", []),
    "plain PDF": (pdf_with(b""), "a.pdf", []),
}


@pytest.mark.parametrize("name", PAPERS)
async def test_papers_in_archives_are_looked_into(bench: Bench, name: str) -> None:
    data, member, expected = PAPERS[name]
    for packed_in in (packed((member, data)), packed(("b.zip", packed((member, data))))):
        assert slugs(await bench.examine(with_file(packed_in, "a.zip")), Check.ARCHIVE) == expected
