"""Scans are told from papers with text: a stamp over a picture is no text layer, a logo is no page."""

from __future__ import annotations

import random
import zlib

import pytest

from mailrelay.inspection.pdf_layers import is_scan
from mailrelay.model.finding import Check, Verdict
from tests.inspection.conftest import Bench, slugs, with_file
from tests.inspection.papers import blank

NOISE = random.Random(1).randbytes(60_000)


def obj(head: bytes, data: bytes, *, pack: bool = True) -> bytes:
    body = zlib.compress(data) if pack else data
    head += b" /Filter /FlateDecode" if pack else b""
    return b"1 0 obj\n<< " + head + b" /Length %d >>\nstream\n" % len(body) + body + b"\nendstream\nendobj\n"


def pdf(*objects: bytes) -> bytes:
    return b"%PDF-1.7\n" + b"".join(objects) + b"trailer\n<< >>\n%%EOF\n"


PICTURE = obj(b"/Type /XObject /Subtype /Image /Filter /DCTDecode", NOISE, pack=False)
LOGO = obj(b"/Subtype /Image", NOISE[:3000], pack=False)
SHOWN = obj(b"", b"q 595 0 0 842 0 0 cm /Im0 Do Q")
TEXT = obj(b"", b"BT /F1 12 Tf (K\\351) Tj ET")
TEXTS = obj(b"", b"BT /F1 12 Tf [(K) 20 <0041>] TJ ET", pack=False)
STAMP = obj(b"/Subtype /Form /BBox [0 0 100 50]", b"BT (K\xfd b\x1ei: UBND) Tj ET")
SCANS = {"a picture": pdf(PICTURE, SHOWN), "two": pdf(PICTURE, PICTURE, SHOWN), "stamped": pdf(PICTURE, SHOWN, STAMP)}
PAPERS = {
    "text": pdf(TEXT),
    "text beside a picture": pdf(PICTURE, TEXT),
    "text in another form": pdf(PICTURE, TEXTS),
    "recognised text below the picture": pdf(obj(b"", b"BT 3 Tr (x) Tj ET"), PICTURE),
    "a logo alone": pdf(LOGO, SHOWN),
    "nothing": blank(),
    "encrypted": pdf(PICTURE, SHOWN, b"<< /Encrypt 5 0 R >>"),
}


@pytest.mark.parametrize("name", SCANS)
async def test_scans_are_noted_as_a_fact(bench: Bench, name: str) -> None:
    found = await bench.examine(with_file(SCANS[name], "Công văn.pdf", "application/pdf"))
    assert [(f.verdict, f.detail) for f in found.of(Check.TYPE)] == [(Verdict.NEUTRAL, "scan")]


@pytest.mark.parametrize("name", PAPERS)
async def test_papers_with_text_are_no_scans(bench: Bench, name: str) -> None:
    assert slugs(await bench.examine(with_file(PAPERS[name], "a.pdf", "application/pdf")), Check.TYPE) == []


@pytest.mark.parametrize(
    "data", [b"stream\n" * 400_000, b"<< /Subtype " * 300_000, obj(b"", b"\0" * 30_000_000), b"[" * 900_000]
)
def test_foul_files_cost_little(data: bytes) -> None:
    assert is_scan(b"%PDF-1.4\n" + data) is False
