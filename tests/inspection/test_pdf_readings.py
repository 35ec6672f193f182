"""What the signatures of one PDF file amount to in an office, in one line for a clerk; with the facts that a court asks for."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.writer import PdfFileWriter

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.receipts import words
from tests.inspection.conftest import Bench, Records, with_file
from tests.inspection.papers import NOW, Ca, Identity, blank, sign


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


@pytest.fixture(scope="module")
def person(ca: Ca) -> Identity:
    return ca.issue("Nguyễn Văn Bình", "Sở Tài chính", email="binh@hoabinh.gov.vn")


@pytest.fixture(scope="module")
def agency(ca: Ca) -> Identity:
    return ca.issue("Sở Tài chính", "Ủy ban nhân dân tỉnh Hòa Bình")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    tmp_path_factory: pytest.TempPathFactory, settings: InspectionSettings, directory: Directory, ca: Ca
) -> AsyncIterator[Bench]:
    roots = tmp_path_factory.mktemp("roots")
    ca.trusted_in(roots)
    inspector = Inspector(replace(settings, trust_roots=roots), txt=Records())
    await inspector.start()
    yield Bench(inspector, Records(), tmp_path_factory.mktemp("mails"), directory)
    await inspector.close()


def scanned(*, text: bool = False) -> bytes:
    """A page that is one picture, with `text` a text layer beside it."""
    name = generic.pdf_name
    writer = PdfFileWriter()
    size = {name("/Width"): generic.NumberObject(1), name("/Height"): generic.NumberObject(1)}
    kind = {name("/Type"): name("/XObject"), name("/Subtype"): name("/Image"), name("/ColorSpace"): name("/DeviceGray")}
    bits = {name("/BitsPerComponent"): generic.NumberObject(8)}
    image = writer.add_object(generic.StreamObject({**kind, **size, **bits}, stream_data=b"\x80"))
    resources = {name("/XObject"): generic.DictionaryObject({name("/Im0"): image})}
    if text:
        font = {name("/Type"): name("/Font"), name("/Subtype"): name("/Type1"), name("/BaseFont"): name("/Helvetica")}
        resources[name("/Font")] = generic.DictionaryObject({name("/F1"): generic.DictionaryObject(font)})
    content = writer.add_object(generic.StreamObject(stream_data=b"q 595 0 0 842 0 0 cm /Im0 Do Q"))
    page = {
        name("/Type"): name("/Page"),
        name("/MediaBox"): generic.ArrayObject(map(generic.NumberObject, (0, 0, 595, 842))),
        name("/Resources"): generic.DictionaryObject(resources),
        name("/Contents"): content,
    }
    writer.insert_page(generic.DictionaryObject(page))  # type: ignore[no-untyped-call]
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


async def read(office: Bench, pdf: bytes) -> Finding:
    return (await office.examine(with_file(pdf, "a.pdf", "application/pdf"))).of(Check.PDF)[-1]


def line(finding: Finding) -> str:
    text = words.meaning(finding.check, finding.detail, finding.facts)
    assert text is not None
    return text.vi


Make = Callable[[Ca, Identity, Identity], bytes]
READINGS: dict[str, tuple[Make, Verdict, str]] = {
    "unsigned": (lambda ca, p, a: blank(), Verdict.NONE, "không có chữ ký số"),
    "person": (lambda ca, p, a: sign(blank(), p), Verdict.PASS, "có chữ ký số cá nhân, chưa có chữ ký số cơ quan"),
    "agency": (lambda ca, p, a: sign(blank(), a), Verdict.PASS, "có chữ ký số cơ quan, chưa có chữ ký số cá nhân"),
    "both": (
        lambda ca, p, a: sign(sign(blank(), p, "One"), a, "Two"),
        Verdict.PASS,
        "có đủ chữ ký số cá nhân và cơ quan",
    ),
    "agency first": (
        lambda ca, p, a: sign(sign(blank(), a, "One"), p, "Two"),
        Verdict.PASS,
        "có đủ chữ ký số cá nhân và cơ quan; cơ quan ký trước cá nhân",
    ),
    "copy of a paper": (
        lambda ca, p, a: sign(scanned(), a),
        Verdict.PASS,
        "bản sao điện tử (sao y) có chữ ký số cơ quan",
    ),
    "copy by its word": (
        lambda ca, p, a: sign(blank(), a, reason="SAO Y BẢN CHÍNH"),
        Verdict.PASS,
        "bản sao điện tử (sao y) có chữ ký số cơ quan",
    ),
    "no copy: a scan with text": (
        lambda ca, p, a: sign(scanned(text=True), a),
        Verdict.PASS,
        "có chữ ký số cơ quan, chưa có chữ ký số cá nhân",
    ),
    "no copy: a person's": (
        lambda ca, p, a: sign(scanned(), p),
        Verdict.PASS,
        "có chữ ký số cá nhân, chưa có chữ ký số cơ quan",
    ),
    "untrusted": (
        lambda ca, p, a: sign(blank(), Ca("Nobody").issue("Sở Tài chính")),
        Verdict.NEUTRAL,
        "chứng thư không do tổ chức tin cậy cấp",
    ),
    "expired": (
        lambda ca, p, a: sign(blank(), ca.issue("Sở Tài chính", until=NOW - timedelta(days=1))),
        Verdict.NEUTRAL,
        "chứng thư hết hạn khi ký",
    ),
    "old algorithm": (lambda ca, p, a: sign(blank(), a, md="sha1"), Verdict.NEUTRAL, "hợp lệ khi ký, thuật toán cũ"),
    "wrong clock": (
        lambda ca, p, a: sign(blank(), a, at=NOW + timedelta(days=100)),
        Verdict.PASS,
        "có chữ ký số cơ quan, chưa có chữ ký số cá nhân",
    ),
    "changed": (
        lambda ca, p, a: sign(blank(), a) + b"% more\n",
        Verdict.FAIL,
        "tệp bị sửa sau khi ký",
    ),
}


@pytest.mark.parametrize("name", READINGS)
async def test_a_reading_is_one_line(office: Bench, ca: Ca, person: Identity, agency: Identity, name: str) -> None:
    make, verdict, expected = READINGS[name]
    found = await read(office, make(ca, person, agency))
    assert (found.verdict, line(found)) == (verdict, expected)


async def test_valid_when_signed_and_valid_now_are_told_apart(office: Bench, ca: Ca, agency: Identity) -> None:
    gone = ca.issue("Sở Tài chính", since=NOW - timedelta(days=900), until=NOW - timedelta(days=100))
    then = await read(office, sign(blank(), gone, at=NOW - timedelta(days=200)))
    assert (then.verdict, then.detail) == (Verdict.PASS, "agency")
    assert (then.facts["valid_when_signed"], then.facts["valid_now"]) == (True, False)
    now = await read(office, sign(blank(), agency))
    assert (now.facts["valid_when_signed"], now.facts["valid_now"]) == (True, True)


async def test_a_stamped_signature_tells_a_clock_that_is_wrong(office: Bench, ca: Ca, agency: Identity) -> None:
    stamper = ca.issue("TSA", stamping=True)
    pdf = sign(blank(), agency, at=NOW - timedelta(days=50), stamp=stamper)
    (first, _) = (await office.examine(with_file(pdf, "a.pdf"))).of(Check.PDF)
    assert (first.facts["clock"], first.facts["clock_wrong"]) == ("timestamp", False)
    assert first.facts["signed_at"] == (NOW - timedelta(days=50)).isoformat(timespec="seconds")


async def test_the_evidence_of_each_signature(office: Bench, person: Identity, agency: Identity) -> None:
    findings = await office.examine(with_file(sign(sign(blank(), person, "One"), agency, "Two"), "a.pdf"))
    one, two, _ = findings.of(Check.PDF)
    kinds = [[piece["kind"] for piece in each.facts["evidence"]] for each in (one, two)]
    assert kinds == [["certificate", "certificate", "tools"]] * 2
    assert one.facts["evidence"][1:] == two.facts["evidence"][1:]  # the CA and the tools are kept once
    assert len(findings.exhibits) == 4
    assert {piece["sha256"] for each in (one, two) for piece in each.facts["evidence"]} == {
        piece.digest for piece in findings.exhibits
    }
