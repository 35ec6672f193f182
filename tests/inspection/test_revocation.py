"""Revocation: what a timed job fetches from a CA on loopback, what that does to verdicts, and who may make us fetch."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mailrelay.inspection import fetching
from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.fetching import Unreachable
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check, Finding, Verdict
from tests.inspection.conftest import Bench, Records, with_file
from tests.inspection.papers import NOW, Ca, Identity, blank, sign
from tests.inspection.test_smime import BODY, block, detached
from tests.servers.authority import Authority, serving

AUTHOR = "vanthu.stc@hoabinh.gov.vn"


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


@pytest.fixture(scope="module")
def author(ca: Ca) -> Identity:
    return ca.issue("Nguyễn Thị Lan", "Sở Tài chính", email=AUTHOR)


@pytest.fixture
def authority() -> Iterator[Authority]:
    with serving() as running:
        yield running


@asynccontextmanager
async def opened(
    tmp_path: Path, settings: InspectionSettings, directory: Directory, ca: Ca, *lines: str
) -> AsyncIterator[Bench]:
    """An office that trusts the CA; `lines` are what its administrator wrote into the file of the CA."""
    roots = tmp_path / "trust"
    roots.mkdir()
    ca.trusted_in(roots, "".join(f"# {line}\n" for line in lines))
    cache = tmp_path / "revocation"
    inspector = Inspector(replace(settings, trust_roots=roots, revocation=cache), txt=Records())
    await inspector.start()
    (tmp_path / "mails").mkdir()
    try:
        yield Bench(inspector, Records(), tmp_path / "mails", directory)
    finally:
        await inspector.close()


async def judged(office: Bench, author: Identity) -> Finding:
    (finding,) = (await office.examine(detached(BODY, block(author, BODY)))).of(Check.SMIME)
    return finding


def outcome(finding: Finding) -> tuple[Verdict, str, str]:
    return finding.verdict, finding.detail, finding.facts["revocation"]


Office = tuple[Path, InspectionSettings, Directory, Ca]


@pytest.fixture
def office(tmp_path: Path, settings: InspectionSettings, directory: Directory, ca: Ca) -> Office:
    return tmp_path, settings, directory, ca


async def test_a_fetched_list_says_good_and_then_revoked(
    office: Office, authority: Authority, ca: Ca, author: Identity
) -> None:
    authority.crl = ca.crl(der=True)
    async with opened(*office, f"crl: {authority.address('/ca.crl')}") as bench:
        before = await judged(bench, author)
        assert outcome(before) == (Verdict.NEUTRAL, "revocation-unknown", "unknown")  # asked for, and not there yet
        assert await bench.inspector.refresh_revocation(NOW) == 1
        good = await judged(bench, author)
        assert outcome(good) == (Verdict.PASS, "good", "good")
        assert (good.facts["revocation_source"], good.facts["revocation_age_hours"]) == ("crl", 24)
        assert "crl" in [piece["kind"] for piece in good.facts["evidence"]]
        authority.crl = ca.crl((author, NOW - timedelta(hours=2)), made=NOW - timedelta(hours=1), der=True)
        assert await bench.inspector.refresh_revocation(NOW + timedelta(hours=1)) == 0  # in date: not fetched again yet
        assert await bench.inspector.refresh_revocation(NOW + timedelta(hours=7)) == 1
        revoked = await judged(bench, author)
        assert outcome(revoked) == (Verdict.POLICY, "revoked", "revoked")
        assert revoked.facts["revoked_at"] == (NOW - timedelta(hours=2)).isoformat(timespec="seconds")
        assert authority.asked == ["/ca.crl", "/ca.crl"]


async def test_a_list_out_of_date_is_a_fact_with_its_age(
    office: Office, authority: Authority, ca: Ca, author: Identity
) -> None:
    authority.crl = ca.crl(made=NOW - timedelta(days=40), until=NOW - timedelta(days=10), der=True)
    async with opened(*office, f"crl: {authority.address('/ca.crl')}") as bench:
        await bench.inspector.refresh_revocation(NOW)
        stale = await judged(bench, author)
        assert outcome(stale) == (Verdict.NEUTRAL, "revocation-unknown", "stale")
        assert stale.facts["revocation_age_hours"] == 40 * 24
        authority.crl = None  # the CA is down: what is out of date stays so
        await bench.inspector.refresh_revocation(NOW + timedelta(hours=1))
        assert outcome(await judged(bench, author))[2] == "stale"


async def test_ocsp_is_asked_by_the_job_for_what_mails_raised(
    office: Office, authority: Authority, ca: Ca, author: Identity
) -> None:
    serials: list[int] = []

    def answer(serial: int) -> bytes:
        serials.append(serial)
        return ca.ocsp(author)

    authority.ocsp = answer
    async with opened(*office, f"ocsp: {authority.address('/ocsp')}") as bench:
        assert outcome(await judged(bench, author)) == (Verdict.NEUTRAL, "revocation-unknown", "unknown")
        assert authority.asked == []  # the mail itself made nobody fetch
        assert await bench.inspector.refresh_revocation(NOW) == 1
        good = await judged(bench, author)
        assert (outcome(good), good.facts["revocation_source"]) == ((Verdict.PASS, "good", "good"), "ocsp")
        assert "ocsp" in [piece["kind"] for piece in good.facts["evidence"]]
        authority.ocsp = lambda serial: ca.ocsp(author, revoked=NOW - timedelta(hours=3), made=NOW)
        assert await bench.inspector.refresh_revocation(NOW + timedelta(hours=7)) == 1
        assert outcome(await judged(bench, author)) == (Verdict.POLICY, "revoked", "revoked")
        assert serials == [author.certificate.serial_number]


async def test_only_answers_and_lists_of_the_ca_itself_count(
    office: Office, authority: Authority, ca: Ca, author: Identity
) -> None:
    liar = Ca()  # the same name, another key
    good = ca.ocsp(author)
    foul = [
        liar.ocsp(author),
        ca.ocsp(author, by=ca.delegate(usage=False)),
        ca.ocsp(author, by=liar.delegate()),
        b"",
        b"x" * 99,
    ]
    serial = author.certificate.serial_number
    length = (serial.bit_length() + 7) // 8
    foul.append(good.replace(serial.to_bytes(length, "big"), (serial ^ 1).to_bytes(length, "big")))
    assert foul[-1] != good
    async with opened(*office, f"ocsp: {authority.address('/ocsp')}", f"crl: {authority.address('/ca.crl')}") as bench:
        await judged(bench, author)
        moment = NOW
        for data in foul:
            authority.ocsp = lambda _, data=data: data  # type: ignore[misc]
            authority.crl = liar.crl((author, NOW), der=True)
            moment += timedelta(minutes=11)
            assert await bench.inspector.refresh_revocation(moment) == 0
        assert outcome(await judged(bench, author)) == (Verdict.NEUTRAL, "revocation-unknown", "unknown")
        authority.ocsp = lambda _: ca.ocsp(author, by=ca.delegate())
        assert await bench.inspector.refresh_revocation(moment + timedelta(minutes=11)) == 1
        assert outcome(await judged(bench, author)) == (Verdict.PASS, "good", "good")


async def test_an_older_list_does_not_take_the_place_of_a_newer_one(
    office: Office, authority: Authority, ca: Ca, author: Identity
) -> None:
    authority.crl = ca.crl((author, NOW - timedelta(days=3)), made=NOW - timedelta(days=1), der=True)
    async with opened(*office, f"crl: {authority.address('/ca.crl')}") as bench:
        await bench.inspector.refresh_revocation(NOW)
        authority.crl = ca.crl(made=NOW - timedelta(days=5), der=True)  # played back by somebody on the line
        assert await bench.inspector.refresh_revocation(NOW + timedelta(hours=7)) == 0
        assert outcome(await judged(bench, author)) == (Verdict.POLICY, "revoked", "revoked")


async def test_a_certificate_in_a_mail_makes_nobody_fetch(
    office: Office, authority: Authority, ca: Ca, settings: InspectionSettings
) -> None:
    key = ca.issue("Lan", email=AUTHOR)
    place = x509.DistributionPoint([x509.UniformResourceIdentifier(authority.address("/evil.crl"))], None, None, None)
    access = x509.AccessDescription(
        x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(authority.address("/evil"))
    )
    pointed = (
        x509.CertificateBuilder(extensions=list(key.certificate.extensions))
        .subject_name(key.certificate.subject)
        .issuer_name(ca.name)
        .public_key(key.key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.CRLDistributionPoints([place]), critical=False)
        .add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        .sign(ca.key, x509.base.hashes.SHA256())  # type: ignore[attr-defined]
    )
    who = Identity(pointed, key.key, key.chain)
    async with opened(*office) as bench:
        finding = await judged(bench, who)
        assert (finding.detail, finding.facts["revocation"]) == ("good", "unknown")  # no source is kept for this CA
        assert await bench.inspector.refresh_revocation(NOW) == 0
        assert authority.asked == []


async def test_the_cache_holds_what_is_needed_and_no_more(
    office: Office, authority: Authority, ca: Ca, author: Identity
) -> None:
    authority.crl = ca.crl()  # as PEM, which some CAs publish
    tmp_path = office[0]
    async with opened(*office, f"crl: {authority.address('/ca.crl')}") as bench:
        await bench.inspector.refresh_revocation(NOW)
        (first,) = (tmp_path / "revocation").glob("*.crl")
        authority.crl = ca.crl(made=NOW, der=True)
        await bench.inspector.refresh_revocation(NOW + timedelta(hours=7))
        (second,) = (tmp_path / "revocation").glob("*.crl")
        assert first != second
        index = json.loads((tmp_path / "revocation" / "index.json").read_text())
        assert [entry["sha256"] for entry in index.values()] == [second.stem]
        assert not list((tmp_path / "revocation").glob("*.tmp"))
        ca.trusted_in(tmp_path / "trust")  # the administrator takes the address away
        await bench.inspector.refresh_revocation(NOW + timedelta(hours=8))
        assert not list((tmp_path / "revocation").glob("*.crl"))


async def test_an_exchange_is_bounded_in_time_and_size_and_follows_nobody(authority: Authority) -> None:
    authority.crl = b"x" * 100
    authority.pause = 0.1
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unreachable, match=r"time|Timeout"):
        await fetching.fetch(authority.address("/ca.crl"), limit=0.6)
    assert asyncio.get_running_loop().time() - began < 5
    authority.pause = 0.0
    authority.crl = b"x" * (fetching.MOST_BYTES + 1)
    with pytest.raises(Unreachable, match="size"):
        await fetching.fetch(authority.address("/ca.crl"))
    authority.moved_to = authority.address("/elsewhere")
    asked = len(authority.asked)
    with pytest.raises(Unreachable, match="status 302"):
        await fetching.fetch(authority.address("/ca.crl"))
    assert len(authority.asked) == asked + 1
    for address in (
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://user:pw@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "x",
    ):
        with pytest.raises(Unreachable):
            await fetching.fetch(address)


async def test_signed_before_the_revocation(office: Office, ca: Ca, author: Identity) -> None:
    """The signer's own clock proves nothing; a trusted stamp does, or a revocation that says nothing against the key."""
    then = NOW - timedelta(days=60)
    stamper = ca.issue("TSA", stamping=True)
    async with opened(*office) as bench:
        roots = office[0] / "trust"

        async def detail(pdf: bytes) -> tuple[str, bool, bool]:
            found = (await bench.examine(with_file(pdf, "a.pdf"))).of(Check.PDF)[0]
            return found.detail, found.facts["valid_when_signed"], found.facts["valid_now"]

        by_clock, by_stamp = sign(blank(), author, at=then), sign(blank(), author, at=then, stamp=stamper)
        (roots / "list.crl").write_bytes(ca.crl((author, NOW - timedelta(days=30))))
        assert await detail(by_clock) == ("revoked", False, False)
        assert await detail(by_stamp) == ("revoked-later", True, False)
        late = sign(blank(), author, at=NOW - timedelta(days=5), stamp=stamper)
        assert await detail(late) == ("revoked", False, False)
        superseded = ca.crl((author, NOW - timedelta(days=30)), reason=x509.ReasonFlags.superseded)
        (roots / "list.crl").write_bytes(superseded)
        assert await detail(by_clock) == ("revoked-later", True, False)
        compromised = ca.crl((author, NOW - timedelta(days=30)), reason=x509.ReasonFlags.key_compromise)
        (roots / "list.crl").write_bytes(compromised)
        assert await detail(by_clock) == ("revoked", False, False)


def test_openssl_agrees_with_our_lists(tmp_path: Path, ca: Ca, author: Identity) -> None:
    (tmp_path / "ca.pem").write_bytes(ca.pem())
    (tmp_path / "leaf.pem").write_bytes(author.certificate.public_bytes(serialization.Encoding.PEM))
    for revoked in ((), ((author, NOW - timedelta(hours=2)),)):
        (tmp_path / "list.pem").write_bytes(ca.crl(*revoked))
        command = ["openssl", "verify", "-CAfile", "ca.pem", "-CRLfile", "list.pem", "-crl_check", "leaf.pem"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=20)
        assert (done.returncode == 0) is (not revoked), done.stderr
