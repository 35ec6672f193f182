"""PDF signatures: what each is worth, and what a file as a whole amounts to."""

from __future__ import annotations

import io
import subprocess
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check, Finding, Verdict
from tests.inspection.conftest import Bench, Records, with_file
from tests.inspection.papers import NOW, Ca, Identity, blank, sign

NAME = "Kế hoạch 59.pdf"


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


@pytest.fixture(scope="module")
def person(ca: Ca) -> Identity:
    return ca.issue("Nguyễn Văn Bình", "Sở Tài chính", email="binh@hoabinh.gov.vn")


@pytest.fixture(scope="module")
def agency(ca: Ca) -> Identity:
    return ca.issue("Sở Tài chính", "Ủy ban nhân dân tỉnh Hòa Bình")


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory, ca: Ca) -> Path:
    folder = tmp_path_factory.mktemp("roots")
    ca.trusted_in(folder)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    tmp_path_factory: pytest.TempPathFactory, settings: InspectionSettings, directory: Directory, roots: Path
) -> AsyncIterator[Bench]:
    tmp_path = tmp_path_factory.mktemp("mails")
    inspector = Inspector(replace(settings, trust_roots=roots), txt=Records())
    await inspector.start()
    yield Bench(inspector, Records(), tmp_path, directory)
    await inspector.close()


async def judged(office: Bench, pdf: bytes) -> tuple[list[str], Finding]:
    """The details of the signatures, and the last finding: the reading of the file."""
    found = (await office.examine(with_file(pdf, NAME, "application/pdf"))).of(Check.PDF)
    assert {finding.subject for finding in found} == {NAME}
    return [finding.detail for finding in found if "field" in finding.facts], found[-1]


async def test_unsigned(office: Bench) -> None:
    details, reading = await judged(office, blank())
    assert (details, reading.verdict, reading.detail) == ([], Verdict.NONE, "unsigned")


async def test_a_persons_signature(office: Bench, person: Identity) -> None:
    details, reading = await judged(office, sign(blank(), person))
    assert (details, reading.verdict, reading.detail) == (["good"], Verdict.PASS, "person")
    assert reading.facts["agencies"] == ["stc"]
    assert reading.facts["signers"] == ["Nguyễn Văn Bình"]


async def test_the_facts_of_a_signature(office: Bench, agency: Identity) -> None:
    found = (await office.examine(with_file(sign(blank(), agency), NAME, "application/pdf"))).of(Check.PDF)
    facts = found[0].facts
    assert {
        key: facts[key] for key in ("intact", "trusted", "coverage", "modification", "clock", "old", "revocation")
    } == {
        "intact": True,
        "trusted": True,
        "coverage": "entire_file",
        "modification": "none",
        "clock": "signer",
        "old": False,
        "revocation": "unknown",
    }
    assert (facts["field"], facts["role"], facts["agency"], facts["ca"]) == (
        "Signature1",
        "agency",
        "stc",
        "Ban Cơ yếu Chính phủ",
    )
    assert (facts["algorithm"], facts["key_bits"]) == ("sha256/rsa", 2048)
    assert len(facts["certificate"]) == 64


async def test_both_signatures_in_order(office: Bench, person: Identity, agency: Identity) -> None:
    pdf = sign(sign(blank(), person, "Person"), agency, "Agency")
    details, reading = await judged(office, pdf)
    assert (details, reading.verdict, reading.detail) == (["good", "good"], Verdict.PASS, "both")


async def test_junk_behind_the_last_signature_is_a_change(office: Bench, person: Identity) -> None:
    details, reading = await judged(office, sign(blank(), person) + b"\n% nothing\n")
    assert (details, reading.verdict) == (["modified-after-signing"], Verdict.FAIL)


async def test_a_page_changed_in_an_update(office: Bench, person: Identity) -> None:
    writer = IncrementalPdfFileWriter(io.BytesIO(sign(blank(), person)))
    page = writer.root["/Pages"]["/Kids"][0].get_object()
    page["/Contents"] = writer.add_object(generic.StreamObject(stream_data=b"BT /F1 12 Tf 72 720 Td (forged) Tj ET"))
    writer.update_container(page)
    out = io.BytesIO()
    writer.write(out)
    details, reading = await judged(office, out.getvalue())
    assert (details, reading.verdict, reading.detail) == (
        ["modified-after-signing"],
        Verdict.FAIL,
        "modified-after-signing",
    )


async def test_a_byte_changed_under_the_signature(office: Bench, person: Identity) -> None:
    pdf = sign(blank(), person)
    details, reading = await judged(office, pdf.replace(b"72 720 Td", b"72 721 Td"))
    assert (details, reading.verdict, reading.detail) == (["broken"], Verdict.FAIL, "broken")


async def test_a_signature_taken_out_of_the_form(office: Bench, person: Identity) -> None:
    pdf = sign(blank(), person).replace(b"/AcroForm", b"/AcroFonn")
    _, reading = await judged(office, pdf)
    assert (reading.verdict, reading.detail) == (Verdict.FAIL, "broken")


async def test_an_unknown_ca(office: Bench) -> None:
    stranger = Ca("Nobody").issue("Sở Tài chính")
    details, reading = await judged(office, sign(blank(), stranger))
    assert (details, reading.verdict, reading.detail) == (["untrusted"], Verdict.NEUTRAL, "untrusted")


async def test_expired_when_signed(office: Bench, ca: Ca) -> None:
    old = ca.issue("Sở Tài chính", since=NOW - timedelta(days=900), until=NOW - timedelta(days=500))
    details, reading = await judged(office, sign(blank(), old))
    assert (details, reading.verdict, reading.detail) == (["expired"], Verdict.NEUTRAL, "expired")


async def test_good_when_signed_expired_since(office: Bench, ca: Ca) -> None:
    old = ca.issue("Sở Tài chính", since=NOW - timedelta(days=900), until=NOW - timedelta(days=500))
    found = (await office.examine(with_file(sign(blank(), old, at=NOW - timedelta(days=700)), NAME))).of(Check.PDF)
    assert [finding.detail for finding in found] == ["good", "agency"]
    assert (found[0].facts["expired_now"], found[0].facts["signed_at"][:10]) == (
        True,
        str((NOW - timedelta(days=700)).date()),
    )


async def test_an_old_algorithm_is_named_not_called_forged(office: Bench, agency: Identity) -> None:
    details, reading = await judged(office, sign(blank(), agency, md="sha1"))
    assert (details, reading.verdict) == (["weak-algorithm"], Verdict.NEUTRAL)


async def test_revocation_lists(office: Bench, roots: Path, ca: Ca, person: Identity, agency: Identity) -> None:
    (roots / "list.crl").write_bytes(ca.crl((person, NOW - timedelta(days=30))))
    details, reading = await judged(office, sign(blank(), person))
    assert (details, reading.verdict, reading.detail) == (["revoked"], Verdict.POLICY, "revoked")
    found = (await office.examine(with_file(sign(blank(), agency), NAME))).of(Check.PDF)
    assert (found[0].detail, found[0].facts["revocation"]) == ("good", "good")
    found = (await office.examine(with_file(sign(blank(), person, at=NOW - timedelta(days=60)), NAME))).of(Check.PDF)
    assert (
        found[0].detail == "revoked"
    )  # before the revocation by the signer's own clock, which whoever stole the key has too
    (roots / "list.crl").unlink()


async def test_roots_count_in_their_time(office: Bench, roots: Path, ca: Ca, agency: Identity) -> None:
    ca.trusted_in(roots, f"# to: {(NOW - timedelta(days=90)).date()}\n")
    assert (await judged(office, sign(blank(), agency)))[0] == ["untrusted"]
    assert (await judged(office, sign(blank(), agency, at=NOW - timedelta(days=100))))[0] == ["good"]
    ca.trusted_in(roots)


async def test_a_clock_in_the_future_is_no_clock(office: Bench, agency: Identity) -> None:
    found = (await office.examine(with_file(sign(blank(), agency, at=NOW + timedelta(days=100)), NAME))).of(Check.PDF)
    assert (found[0].facts["clock"], found[0].facts["signed_at"]) == ("none", "")


async def test_an_encrypted_file_is_never_called_unsigned(office: Bench, person: Identity) -> None:
    from pyhanko.pdf_utils.crypt import StandardSecurityHandler

    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(blank())))
    writer._assign_security_handler(StandardSecurityHandler.build_from_pw("a", "b", encrypt_metadata=True))
    out = io.BytesIO()
    writer.write(out)
    _, reading = await judged(office, out.getvalue())
    assert (reading.verdict, reading.detail) == (Verdict.NEUTRAL, "encrypted")


@pytest.mark.parametrize(
    "pdf",
    [
        b"%PDF-1.7\n" + b"[" * 500 + b"\ntrailer",
        b"%PDF-1.7\nnothing more",
        blank()[:200],
        b"%PDF-1.7\n1 0 obj\n" + b"<<" * 20_000 + b"\nstartxref\n9\n%%EOF",
    ],
)
async def test_foul_files(office: Bench, pdf: bytes) -> None:
    _, reading = await judged(office, pdf)
    assert (reading.verdict, reading.detail) == (Verdict.PERMERROR, "damaged")


async def test_pdfsig_agrees(tmp_path: Path, person: Identity) -> None:
    good = sign(blank(), person)
    for pdf, words in ((good, "Signature is Valid."), (good.replace(b"72 720 Td", b"72 721 Td"), "Digest Mismatch.")):
        path = tmp_path / "a.pdf"
        path.write_bytes(pdf)
        done = subprocess.run(["pdfsig", "-nocert", path], capture_output=True, text=True, check=False, timeout=20)
        assert words in done.stdout


async def test_a_bomb_in_a_file_is_damage(office: Bench) -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    head = b"%PDF-1.7\n1 0 obj\n<< /Type /XRef /Size 9 /W [1 2 1] /Root 2 0 R /Filter /FlateDecode /Length "
    pdf = head + b"%d >>\nstream\n" % len(bomb) + bomb + b"\nendstream\nendobj\nstartxref\n9\n%%EOF"
    _, reading = await judged(office, pdf)
    assert (reading.verdict, reading.detail) == (Verdict.PERMERROR, "damaged")


async def test_a_step_beyond_its_memory_is_a_finding(
    tmp_path: Path, settings: InspectionSettings, directory: Directory, person: Identity
) -> None:
    inspector = Inspector(replace(settings, memory_limit=12 * 1024 * 1024), txt=Records())  # not enough to load pyHanko
    await inspector.start()
    try:
        office = Bench(inspector, Records(), tmp_path, directory)
        found = await office.examine(with_file(sign(blank(), person), NAME, "application/pdf"))
        assert [(f.verdict, f.detail) for f in found.of(Check.PDF)] in (
            [(Verdict.TEMPERROR, "check-error")],
            [(Verdict.TEMPERROR, "worker-killed")],
        )
        assert found.content.attachments[0].name == NAME
    finally:
        await inspector.close()
