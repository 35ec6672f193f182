"""Signed PDF files: families of attacks after signing, with mutants, and genuine files that `pdfsig` accepts too."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from mailrelay.model.finding import Check, Verdict
from tests.conformance.inspection.conftest import passes
from tests.inspection.conftest import Bench, with_file
from tests.inspection.papers import NOW, Ca, Identity, blank, sign

Change = Callable[[bytes], bytes]


def updated(change: Callable[[IncrementalPdfFileWriter], None]) -> Change:
    """An attack as an incremental update behind the signature."""

    def apply(pdf: bytes) -> bytes:
        writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
        change(writer)
        out = io.BytesIO()
        writer.write(out)
        return out.getvalue()

    return apply


def page(writer: IncrementalPdfFileWriter) -> generic.DictionaryObject:
    found = writer.root["/Pages"]["/Kids"][0].get_object()
    writer.update_container(found)
    assert isinstance(found, generic.DictionaryObject)
    return found


def stream(text: bytes) -> generic.StreamObject:
    return generic.StreamObject(stream_data=text)


def new_content(writer: IncrementalPdfFileWriter) -> None:
    page(writer)["/Contents"] = writer.add_object(stream(b"BT (forged) Tj ET"))


def second_content(writer: IncrementalPdfFileWriter) -> None:
    own = page(writer)
    own["/Contents"] = generic.ArrayObject([own.raw_get("/Contents"), writer.add_object(stream(b"BT (more) Tj ET"))])


def other_box(writer: IncrementalPdfFileWriter) -> None:
    page(writer)["/MediaBox"] = generic.ArrayObject(map(generic.NumberObject, (0, 0, 10, 10)))


def other_resources(writer: IncrementalPdfFileWriter) -> None:
    page(writer)["/Resources"] = generic.DictionaryObject({pdf_name("/Font"): generic.DictionaryObject()})


def one_more_page(writer: IncrementalPdfFileWriter) -> None:
    pages = writer.root["/Pages"]
    pages["/Kids"].append(writer.add_object(generic.DictionaryObject(page(writer))))
    pages["/Count"] = generic.NumberObject(2)
    writer.update_container(pages)


def annotation(kind: str, **more: generic.PdfObject) -> Callable[[IncrementalPdfFileWriter], None]:
    def change(writer: IncrementalPdfFileWriter) -> None:
        note = generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/Annot"),
                pdf_name("/Subtype"): pdf_name(kind),
                pdf_name("/Rect"): generic.ArrayObject(map(generic.NumberObject, (0, 0, 595, 842))),
                pdf_name("/Contents"): generic.TextStringObject("forged"),
                pdf_name("/AP"): generic.DictionaryObject({pdf_name("/N"): writer.add_object(stream(b"BT (x) Tj ET"))}),
            }
        )
        own = page(writer)
        own["/Annots"] = generic.ArrayObject([*own.get("/Annots", ()), writer.add_object(note)])

    return change


def catalog(name: str, value: generic.PdfObject) -> Callable[[IncrementalPdfFileWriter], None]:
    def change(writer: IncrementalPdfFileWriter) -> None:
        writer.root[name] = value
        writer.update_root()

    return change


def flipped(position: float) -> Change:
    def apply(pdf: bytes) -> bytes:
        end = pdf.index(b"/Contents <")  # behind it stands the signature itself, with its unsigned padding
        at = int(end * position)
        return pdf[:at] + bytes((pdf[at] ^ 1,)) + pdf[at + 1 :]

    return apply


def byte_range(turn: Callable[[list[int], int], list[int]]) -> Change:
    def apply(pdf: bytes) -> bytes:
        match = re.search(rb"/ByteRange\s*\[([\d\s]+)\]", pdf)
        assert match is not None
        numbers = turn([int(n) for n in match.group(1).split()], len(pdf))
        text = b" ".join(b"%d" % n for n in numbers).ljust(len(match.group(1)))
        return pdf[: match.start(1)] + text[: len(match.group(1))] + pdf[match.end(1) :]

    return apply


def emptied(pdf: bytes) -> bytes:
    return re.sub(rb"/Contents\s*<[0-9A-Fa-f]+>", lambda m: b"/Contents <" + b"0" * (len(m.group()) - 12) + b">", pdf)


def grown(pdf: bytes) -> bytes:
    """The signed bytes with a whole second file behind them."""
    return pdf + blank()


FAMILIES: dict[str, list[Change]] = {
    "a page changed in an update": [
        updated(f) for f in (new_content, second_content, other_box, other_resources, one_more_page)
    ],
    "something laid over the page": [
        updated(annotation(k)) for k in ("/FreeText", "/Stamp", "/Square", "/Redact", "/Watermark")
    ],
    "the catalogue changed in an update": [
        updated(catalog("/OpenAction", generic.DictionaryObject({pdf_name("/S"): pdf_name("/JavaScript")}))),
        updated(catalog("/OCProperties", generic.DictionaryObject())),
        updated(catalog("/Names", generic.DictionaryObject())),
        updated(catalog("/Pages", generic.DictionaryObject({pdf_name("/Count"): generic.NumberObject(0)}))),
    ],
    "signed bytes changed": [flipped(p) for p in (0.02, 0.3, 0.5, 0.7, 0.95)],
    "junk behind the end": [
        lambda p, j=j: p + j for j in (b"\n", b"% x\n", b"\0" * 600, b"%%EOF\n%%EOF\n", b"<html></html>")
    ],
    "a file behind the end": [
        grown,
        lambda p: p + p,
        lambda p: p + b"\nstartxref\n0\n%%EOF",
        lambda p: p + b"trailer\n<<>>\n",
    ],
    "byte range changed": [
        byte_range(lambda r, size: [0, 0, r[2], r[3]]),
        byte_range(lambda r, size: [r[0], r[1], r[2], r[3] - 20]),
        byte_range(lambda r, size: [r[0], r[1], size, 0]),
        byte_range(lambda r, size: [1, r[1] - 1, r[2], r[3]]),
        byte_range(lambda r, size: [0, 9, 0, 9]),
    ],
    "the signature taken out": [
        emptied,
        lambda p: p.replace(b"/AcroForm", b"/AcroXorm"),
        lambda p: p.replace(b"/FT /Sig", b"/FT /Six").replace(b"/FT/Sig", b"/FT/Six"),
        lambda p: p.replace(b"/ByteRange", b"/ByteXange"),
        lambda p: p.replace(b"/SubFilter", b"/SubXilter"),
    ],
    "cut short": [lambda p, n=n: p[: int(len(p) * n)] for n in (0.3, 0.6, 0.9, 0.99)],
}


async def reading(office: Bench, pdf: bytes) -> tuple[Verdict, str]:
    found = (await office.examine(with_file(pdf, "a.pdf", "application/pdf"))).of(Check.PDF)
    return (found[-1].verdict, found[-1].detail) if found else (Verdict.NONE, "")


@pytest.fixture(scope="module")
def genuine(ca: Ca, author: Identity) -> list[bytes]:
    """A person's signature, a person's and an agency's, and a certification that forbids every change."""
    agency = ca.issue("Sở Tài chính")
    return [
        sign(blank(), author),
        sign(sign(blank(), author, "One"), agency, "Two"),
        sign(blank(), author, certify=True),
    ]


@pytest.mark.parametrize(("family", "number"), [(f, n) for f, mutants in FAMILIES.items() for n in range(len(mutants))])
async def test_no_attack_passes(office: Bench, genuine: list[bytes], family: str, number: int) -> None:
    for signed in genuine:
        attacked = FAMILIES[family][number](signed)
        assert attacked != signed
        assert (await reading(office, attacked))[0] is not Verdict.PASS, family


async def test_foreign_certificates_do_not_pass(office: Bench, ca: Ca) -> None:
    signers = [
        Ca().issue("Sở Tài chính"),  # a CA of the same name with another key
        Ca("Sở Tài chính").issue("Sở Tài chính"),
        ca.issue("Sở Tài chính", until=NOW - timedelta(days=1)),
        ca.issue("Sở Tài chính", since=NOW + timedelta(days=1)),
        ca.issue("Sở Tài chính", bits=1024),
    ]
    for who in signers:
        found = await office.examine(with_file(sign(blank(), who), "a.pdf"))
        assert passes(found, Check.PDF) == []


async def test_genuine_files_pass_here_and_with_pdfsig(office: Bench, author: Identity, ca: Ca, tmp_path: Path) -> None:
    agency = ca.issue("Sở Tài chính")
    controls = [
        (sign(blank(), author), "person"),
        (sign(blank(), agency), "agency"),
        (sign(sign(blank(), author, "One"), agency, "Two"), "both"),
        (sign(sign(sign(blank(), author, "One"), agency, "Two"), agency, "Three"), "both"),
        (sign(blank(), author, certify=True), "person"),
        (sign(blank(), author, at=NOW - timedelta(days=100)), "person"),
    ]
    for pdf, expected in controls:
        assert await reading(office, pdf) == (Verdict.PASS, expected)
        path = tmp_path / "a.pdf"
        path.write_bytes(pdf)
        done = subprocess.run(["pdfsig", "-nocert", path], capture_output=True, text=True, check=False, timeout=20)
        assert "Signature is Valid." in done.stdout
        assert "Mismatch" not in done.stdout


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 8
    assert all(len(mutants) >= 4 for mutants in FAMILIES.values())
