"""SPF and DMARC at port 25: a whole examination against a loopback name server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import pytest_asyncio

from mailrelay.inspection.authentication import dmarc, results_field, spf
from mailrelay.inspection.authentication.domains import aligned, organisational_domain
from mailrelay.inspection.dns import Resolver, TxtAnswer
from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.inspection.slugs import note
from mailrelay.model.agency import Directory
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.finding import Check, Finding, Findings, Verdict
from tests.inspection.conftest import Bench, Records, letter
from tests.inspection.test_dkim import Key, signed
from tests.servers.dns import DnsServer

DOMAIN = "stc.hoabinh.gov.vn"


@pytest.fixture(scope="module")
def key() -> Key:
    return Key()


@pytest.fixture(scope="module")
def server(key: Key) -> Iterator[DnsServer]:
    zone = {
        f"k1._domainkey.{DOMAIN}": {"TXT": [key.record.decode()]},
        "_dmarc.hoabinh.gov.vn": {"TXT": ["v=DMARC1; p=reject"]},
        "moit.gov.vn": {"TXT": ["v=spf1 ip4:192.0.2.0/24 mx -all"], "MX": ["10 mx.moit.gov.vn."]},
        "mx.moit.gov.vn": {"A": ["198.51.100.7"]},
        "_dmarc.moit.gov.vn": {"TXT": ["v=DMARC1; p=none"]},
        "ill.vn": {"SERVFAIL": []},
        "_dmarc.ill.vn": {"SERVFAIL": []},
    }
    with DnsServer(zone) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    server: DnsServer, tmp_path_factory: pytest.TempPathFactory, settings: InspectionSettings, directory: Directory
) -> AsyncIterator[Bench]:
    resolver = Resolver([f"127.0.0.1:{server.port}"], 1.0)
    inspector = Inspector(settings, txt=resolver.txt, names=resolver)
    await inspector.start()
    yield Bench(inspector, Records(), tmp_path_factory.mktemp("mails"), directory)
    await inspector.close()


def stranger(sender: str, peer: str) -> Envelope:
    return Envelope(sender, (Recipient("vanthu@hoabinh.gov.vn"),), Origin(Door.MX, peer=peer, helo="mail.example"))


def said(found: Findings, check: Check) -> tuple[Verdict, str] | None:
    return next(((f.verdict, f.detail) for f in found.of(check)), None)


@pytest.mark.parametrize(
    ("sender", "peer", "by_spf", "by_dmarc"),
    [
        ("a@moit.gov.vn", "192.0.2.9", (Verdict.PASS, "authorised"), (Verdict.PASS, "aligned")),
        ("a@moit.gov.vn", "198.51.100.7", (Verdict.PASS, "authorised"), (Verdict.PASS, "aligned")),
        ("a@moit.gov.vn", "203.0.113.1", (Verdict.FAIL, "not-authorised"), (Verdict.SOFTFAIL, "not-aligned")),
        ("a@none.vn", "203.0.113.1", (Verdict.NONE, "no-record"), (Verdict.NONE, "no-record")),
        ("a@ill.vn", "203.0.113.1", (Verdict.TEMPERROR, "dns-failure"), (Verdict.TEMPERROR, "dns-failure")),
    ],
)
async def test_spf_and_dmarc(
    office: Bench, sender: str, peer: str, by_spf: tuple[Verdict, str], by_dmarc: tuple[Verdict, str]
) -> None:
    found = await office.examine(letter(sender=f"A <{sender}>"), stranger(sender, peer))
    assert (said(found, Check.SPF), said(found, Check.DMARC)) == (by_spf, by_dmarc)


async def test_our_own_domain_from_outside_needs_a_signature(office: Bench, key: Key) -> None:
    forged = letter(sender=f"Văn thư <vanthu@{DOMAIN}>").as_bytes()
    by = stranger("list@none.vn", "203.0.113.1")
    found = await office.examine(forged, by)
    assert said(found, Check.DMARC) == (Verdict.FAIL, "not-aligned")
    found = await office.examine(signed(key, forged), by)
    assert said(found, Check.DMARC) == (Verdict.PASS, "aligned")
    (judged,) = found.of(Check.DMARC)
    assert judged.subject == DOMAIN
    assert judged.facts.items() >= {"p": "reject", "record": "hoabinh.gov.vn", "by": "dkim"}.items()
    assert [piece["kind"] for piece in judged.facts["evidence"]] == ["dns"]


async def test_a_login_outranks_the_edge(office: Bench) -> None:
    found = await office.examine(letter())
    assert (found.of(Check.SPF), found.of(Check.DMARC)) == ((), ())


async def test_a_resolver_that_breaks_costs_no_mail(
    office: Bench, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(name: str) -> TxtAnswer:
        raise RuntimeError(name)

    bench = office.inspector._bench
    assert bench.names is not None
    monkeypatch.setattr(bench.names, "txt", broken)
    monkeypatch.setattr(office.inspector, "_bench", replace(bench, txt=broken))
    found = await office.examine(letter(sender="A <a@moit.gov.vn>"), stranger("a@moit.gov.vn", "192.0.2.9"))
    assert (said(found, Check.SPF), said(found, Check.DMARC)) == ((Verdict.TEMPERROR, "dns-failure"),) * 2


def dkim(domain: str, verdict: Verdict = Verdict.PASS) -> Finding:
    return note(Check.DKIM, verdict, "good", f"d={domain}; s=k", domain=domain)


@pytest.mark.parametrize(
    ("record", "author", "findings", "expected"),
    [
        ("v=DMARC1; p=reject", "a@a.b.vn", [dkim("b.vn")], "pass"),
        ("v=DMARC1; p=reject; adkim=s", "a@a.b.vn", [dkim("b.vn")], "fail"),
        (
            "v=DMARC1; p=reject",
            "a@a.hoabinh.vn",
            [dkim("b.hoabinh.vn")],
            "fail",
        ),  # a public suffix: strangers to each other
        ("v=DMARC1; p=reject", "a@a.gov.vn", [dkim("gov.vn")], "fail"),
        ("v=DMARC1; p=reject", "a@b.vn", [dkim("b.vn", Verdict.PARTIAL)], "fail"),
        ("v=DMARC1; p=reject", "a@b.vn", [dkim("b.vn", Verdict.POLICY)], "fail"),
        ("v=DMARC1; p=reject", "a@b.vn", [dkim("b.vn", Verdict.TEMPERROR)], "temperror"),
        ("v=DMARC1; p=none", "a@b.vn", [], "softfail"),
        ("v=DMARC1; p=what", "a@b.vn", [], "permerror"),
        ("v=DMARC1; p=what; rua=mailto:x@b.vn", "a@b.vn", [], "softfail"),
        ("V=dmarc1;p=Quarantine", "a@b.vn", [], "fail"),
        ("something", "a@b.vn", [], "none"),
    ],
)
async def test_policies(record: str, author: str, findings: list[Finding], expected: str) -> None:
    domain = author.rpartition("@")[2]
    records = Records({f"_dmarc.{organisational_domain(domain)}": TxtAnswer((record.encode(),), "ok")})
    judged = await dmarc.check([author], findings, None, records)
    assert judged is not None
    assert judged.verdict.value == expected


async def test_the_policy_for_subdomains() -> None:
    records = Records({"_dmarc.b.vn": TxtAnswer((b"v=DMARC1; p=reject; sp=none",), "ok")})
    judged = await dmarc.check(["x@a.b.vn"], [], None, records)
    assert judged is not None
    assert (judged.verdict, judged.facts["p"], records.asked) == (
        Verdict.SOFTFAIL,
        "none",
        ["_dmarc.a.b.vn", "_dmarc.b.vn"],
    )


async def test_no_author_and_many() -> None:
    assert await dmarc.check([], [], None, Records()) is None
    judged = await dmarc.check(["a@b.vn", "c@d.vn"], [], None, Records())
    assert judged is not None
    assert (judged.verdict, judged.detail) == (Verdict.PERMERROR, "several-authors")


def test_alignment() -> None:
    assert aligned("stc.hoabinh.gov.vn", "hoabinh.gov.vn")
    assert not aligned("hoabinh.gov.vn", "hagiang.gov.vn")
    assert not aligned("a.hoabinh.vn", "b.hoabinh.vn")
    assert not aligned("gov.vn", "hoabinh.gov.vn")
    assert not aligned("", "")


async def test_a_peer_without_an_address_is_not_judged() -> None:
    assert await spf.check("local", "a@b.vn", "x", None) is None  # type: ignore[arg-type]


def test_their_results() -> None:
    findings = [
        note(Check.SPF, Verdict.PASS, "authorised", "moit.gov.vn", identity="mailfrom"),
        note(Check.DMARC, Verdict.SOFTFAIL, "not-aligned", "moit.gov.vn", p="none"),
    ]
    field = b" ".join(results_field("relay", findings).split())
    assert field == (
        b"Authentication-Results: relay; spf=pass smtp.mailfrom=moit.gov.vn; dmarc=fail reason=not-aligned "
        b"header.from=moit.gov.vn policy.published-domain-policy=none"
    )
