"""DKIM: our two-step verification against dkimpy's, and the rules that are ours."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from dkim.canonicalization import CanonicalizationPolicy
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.inspection.authentication import body, keys, results_field
from mailrelay.inspection.dns import TxtAnswer
from mailrelay.inspection.slugs import note
from mailrelay.model.finding import Check, Finding, Verdict
from tests.inspection.conftest import Bench, letter

DOMAIN = b"stc.hoabinh.gov.vn"
NAME = "k1._domainkey.stc.hoabinh.gov.vn"


class Key:
    """An RSA key with its record."""

    def __init__(self, bits: int = 2048) -> None:
        self.private = rsa.generate_private_key(65537, bits)
        self.pem = self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        der = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)


@pytest.fixture(scope="module")
def key() -> Key:
    return Key()


def raw_letter() -> bytes:
    return letter(body="Kính gửi  các đơn vị.\t\n\nHai.\n\n\n").as_bytes()


def signed(key: Key, raw: bytes | None = None, **more: object) -> bytes:
    raw = raw_letter() if raw is None else raw
    options: dict[str, object] = {"canonicalize": (b"relaxed", b"relaxed"), **more}
    return bytes(dkim.sign(raw, b"k1", DOMAIN, key.pem, **options)) + raw


def publish(bench: Bench, record: bytes, *, state: str = "ok") -> None:
    records = (record,) if state == "ok" else ()
    bench.records.zone[NAME] = TxtAnswer(records, state)  # type: ignore[arg-type]


async def judged(bench: Bench, raw: bytes) -> tuple[Verdict, str, dict[str, object]]:
    (finding,) = (await bench.examine(raw)).of(Check.DKIM)
    return finding.verdict, finding.detail, dict(finding.facts)


@pytest.mark.parametrize("head", [b"simple", b"relaxed"])
@pytest.mark.parametrize("form", [b"simple", b"relaxed"])
async def test_a_good_signature_passes(bench: Bench, key: Key, head: bytes, form: bytes) -> None:
    publish(bench, key.record)
    raw = signed(key, canonicalize=(head, form))
    assert dkim.verify(raw, dnsfunc=lambda name, timeout: key.record)
    verdict, detail, facts = await judged(bench, raw)
    assert (verdict, detail) == (Verdict.PASS, "good")
    assert (facts["domain"], facts["selector"], facts["key_bits"], facts["algorithm"], facts["aligned"]) == (
        "stc.hoabinh.gov.vn",
        "k1",
        2048,
        "rsa-sha256",
        True,
    )
    assert facts["key"] == key.record.decode()


async def test_without_a_signature_nothing_is_asked_or_said(bench: Bench) -> None:
    before = list(bench.records.asked)
    assert (await bench.examine(letter())).of(Check.DKIM) == ()
    assert bench.records.asked == before


async def test_ed25519(bench: Bench) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    seed = private.private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    publish(bench, b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public))
    raw = raw_letter()
    field = dkim.sign(raw, b"k1", DOMAIN, base64.b64encode(seed), signature_algorithm=b"ed25519-sha256")
    assert (await judged(bench, field + raw))[:2] == (Verdict.PASS, "good")
    assert (await judged(bench, field + raw.replace(b"Subject: ", b"Subject: x")))[:2] == (
        Verdict.FAIL,
        "bad-signature",
    )


def put(raw: bytes, line: bytes) -> bytes:
    return line + b"\r\n" + raw


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda raw: raw + b"more\r\n", (Verdict.FAIL, "body-changed")),
        (lambda raw: raw + b"\r\n\r\n", (Verdict.PASS, "good")),
        (lambda raw: raw.replace(b"To: ", b"To:   "), (Verdict.PASS, "good")),
        (lambda raw: raw.replace(b"Date: Fri", b"Date: Sat"), (Verdict.FAIL, "bad-signature")),
        (lambda raw: put(raw, b"Subject: forged"), (Verdict.POLICY, "duplicate-field")),
        (lambda raw: put(raw, b"Content-Type: text/html"), (Verdict.POLICY, "duplicate-field")),
        (lambda raw: put(raw, b"From: x@evil.vn"), (Verdict.FAIL, "bad-signature")),
        (lambda raw: raw.replace(b"\r\n\r\n", b"\r\nFrom: x@evil.vn\r\n\r\n", 1), (Verdict.FAIL, "bad-signature")),
        (lambda raw: put(raw, b"X-Other: more"), (Verdict.PASS, "good")),
        (lambda raw: raw.replace(b"a=rsa-sha256", b"a=rsa-sha1"), (Verdict.POLICY, "weak-algorithm")),
        (lambda raw: raw.replace(b"v=1;", b"v=2;"), (Verdict.PERMERROR, "malformed-signature")),
        (lambda raw: raw.replace(b"v=1;", b"v=1; l=99999;"), (Verdict.PERMERROR, "malformed-signature")),
        (lambda raw: raw.replace(b"v=1;", b"v=1; x=1000;"), (Verdict.POLICY, "expired")),
        (lambda raw: raw.replace(b" s=k1", b" s=k1; s=k2"), (Verdict.PERMERROR, "malformed-signature")),
        (lambda raw: raw.replace(b" bh=", b" bh=" + b" " * 3000), (Verdict.PERMERROR, "malformed-signature")),
        (lambda raw: raw.replace(b" b=", b" b=!"), (Verdict.PERMERROR, "malformed-signature")),
    ],
)
async def test_changes(bench: Bench, key: Key, change: Callable[[bytes], bytes], expected: tuple[Verdict, str]) -> None:
    publish(bench, key.record)
    assert (await judged(bench, change(signed(key))))[:2] == expected


async def test_l_covers_only_part(bench: Bench, key: Key) -> None:
    publish(bench, key.record)
    raw = signed(key, length=True)
    assert (await judged(bench, raw))[:2] == (Verdict.PASS, "good")
    longer = raw + b"added\r\n"
    assert dkim.verify(longer, dnsfunc=lambda name, timeout: key.record)  # what dkimpy alone would say
    verdict, detail, facts = await judged(bench, longer)
    assert (verdict, detail) == (Verdict.PARTIAL, "partial-body")
    assert isinstance(facts["length"], int)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (lambda r: r.replace(b"k=rsa", b"k=rsa; t=y"), (Verdict.NEUTRAL, "test-key")),
        (lambda r: b"v=DKIM1; p=", (Verdict.PERMERROR, "key-revoked")),
        (lambda r: b"something else", (Verdict.PERMERROR, "no-key")),
        (lambda r: r.replace(b"DKIM1", b"DKIM2"), (Verdict.PERMERROR, "key-unusable")),
        (lambda r: r.replace(b"k=rsa", b"k=rsa; h=sha1"), (Verdict.PERMERROR, "key-unusable")),
        (lambda r: r.replace(b"k=rsa", b"k=rsa; s=tlsrpt"), (Verdict.PERMERROR, "key-unusable")),
        (lambda r: r.replace(b"k=rsa", b"k=ed25519"), (Verdict.PERMERROR, "key-unusable")),
        (lambda r: r[:-40], (Verdict.PERMERROR, "key-unusable")),
        (lambda r: r.replace(b"k=rsa", b"k=rsa; t=s"), (Verdict.PASS, "good")),
    ],
)
async def test_records(bench: Bench, key: Key, record: Callable[[bytes], bytes], expected: tuple[Verdict, str]) -> None:
    publish(bench, record(key.record))
    assert (await judged(bench, signed(key)))[:2] == expected


async def test_look_ups_that_fail(bench: Bench, key: Key) -> None:
    publish(bench, b"", state="temperror")
    assert (await judged(bench, signed(key)))[:2] == (Verdict.TEMPERROR, "dns-failure")
    publish(bench, b"", state="none")
    assert (await judged(bench, signed(key)))[:2] == (Verdict.PERMERROR, "no-key")


async def test_short_and_weak_keys(bench: Bench) -> None:
    weak = Key(1024)
    publish(bench, weak.record)
    assert (await judged(bench, signed(weak)))[:2] == (Verdict.PASS, "weak-key")
    # 512 bits, made by openssl: cryptography no longer makes or loads such keys
    short = base64.b64encode(
        bytes.fromhex("305c300d06092a864886f70d0101010500034b003048024100" + "c3" * 64 + "0203010001")
    )
    publish(bench, b"v=DKIM1; p=" + short)
    verdict, detail, facts = await judged(bench, signed(weak))
    assert (verdict, detail, facts["key_bits"]) == (Verdict.POLICY, "short-key", 512)


async def test_every_signature_is_a_finding_of_its_own_and_five_are_examined(bench: Bench, key: Key) -> None:
    publish(bench, key.record)
    raw = signed(key)
    field = raw[: raw.index(b"\r\nFrom:") + 2]
    other = field.replace(b"d=stc.hoabinh.gov.vn", b"d=evil.example").replace(
        b"i=@stc.hoabinh.gov.vn", b"i=@evil.example"
    )
    found = (await bench.examine(other + raw)).of(Check.DKIM)
    assert [(f.subject, f.verdict, f.facts["aligned"]) for f in found] == [
        ("d=evil.example; s=k1", Verdict.PERMERROR, False),
        ("d=stc.hoabinh.gov.vn; s=k1", Verdict.PASS, True),
    ]
    found = (await bench.examine(field * 200 + raw[len(field) :])).of(Check.DKIM)
    assert [f.detail for f in found] == ["good"] * 5 + ["too-many-signatures"]


async def test_an_unaligned_signature_says_so(bench: Bench, key: Key) -> None:
    publish(bench, key.record)
    raw = signed(key, letter(sender="A <a@congty.hoabinh.vn>").as_bytes())
    assert (await judged(bench, raw))[2]["aligned"] is False


async def test_a_worker_lost_between_the_steps_reads_again(
    bench: Bench, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bench, key.record)
    pid = bench.inspector.pids()[0]

    async def txt(name: str) -> TxtAnswer:
        os.kill(pid, signal.SIGKILL)
        return bench.records.zone[name]

    monkeypatch.setattr(bench.inspector, "_bench", replace(bench.inspector._bench, txt=txt))
    assert (await judged(bench, signed(key)))[:2] == (Verdict.PASS, "good")
    assert bench.inspector.pids()[0] != pid


async def test_a_silent_resolver_is_a_temporary_fault_within_the_limit(
    bench: Bench, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def txt(name: str) -> TxtAnswer:
        await asyncio.sleep(60)
        raise AssertionError

    quick = replace(bench.inspector._bench.settings, dns_timeout=0.2)
    monkeypatch.setattr(bench.inspector, "_bench", replace(bench.inspector._bench, txt=txt, settings=quick))
    began = time.monotonic()
    assert (await judged(bench, signed(key)))[:2] == (Verdict.TEMPERROR, "dns-failure")
    assert time.monotonic() - began < 3


LINES = st.lists(st.text("ab \t", max_size=6), max_size=8).map(
    lambda lines: "".join(f"{line}\r\n" for line in lines).encode()
)


@given(content=LINES, relaxed=st.booleans(), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_bodies_are_canonical_as_dkimpy_has_it(content: bytes, relaxed: bool, cuts: list[int]) -> None:
    edges = sorted({0, len(content), *(min(cut, len(content)) for cut in cuts)})
    blocks = [content[a:b] for a, b in pairwise(edges)]
    form = body.Canonical(relaxed=relaxed)
    digest, half = form.digest(None), form.digest(5)
    body.run([form], blocks)
    policy = CanonicalizationPolicy.from_c_value(b"simple/relaxed" if relaxed else b"simple/simple")
    expected = policy.canonicalize_body(content)
    assert (digest.digest(), digest.total) == (hashlib.sha256(expected).digest(), len(expected))
    assert half.digest() == hashlib.sha256(expected[:5]).digest()


@given(st.binary(max_size=200))
def test_key_records_never_fail(record: bytes) -> None:
    assert keys.read(record).fault


def test_the_results_field() -> None:
    findings: list[Finding] = [
        note(
            Check.DKIM,
            Verdict.PASS,
            "good",
            "d=a.vn; s=k1",
            domain="a.vn",
            selector="k1",
            algorithm="rsa-sha256",
            b="abc/d+",
        ),
        note(Check.DKIM, Verdict.PARTIAL, "partial-body", "d=b.vn; s=k1", domain="b.vn", selector="k\r\n1"),
        note(Check.NAME, Verdict.FAIL, "path", "x"),
    ]
    field = results_field("relay.hoabinh.gov.vn", findings)
    assert b"".join(line.strip() + b" " for line in field.split(b"\r\n")).strip() == (
        b"Authentication-Results: relay.hoabinh.gov.vn; dkim=pass header.d=a.vn header.s=k1 header.a=rsa-sha256 "
        b'header.b=abc/d+; dkim=policy reason=partial-body header.d=b.vn header.s="k1"'
    )
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))
    assert results_field("relay.hoabinh.gov.vn", []) == b"Authentication-Results: relay.hoabinh.gov.vn; none\r\n"


async def test_a_key_at_hand_is_sent_along_and_the_verdict_is_the_same(
    bench: Bench, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bench, key.record)
    mail = signed(key)
    apart = (await bench.examine(mail)).of(Check.DKIM)
    asked: list[str] = []

    async def txt(name: str) -> TxtAnswer:
        asked.append(name)
        return await bench.records(name)

    monkeypatch.setattr(
        bench.inspector, "_bench", replace(bench.inspector._bench, txt=txt, kept=bench.records.zone.get)
    )
    together = (await bench.examine(mail)).of(Check.DKIM)
    assert asked == []  # the worker judged with what it was given
    assert [timeless(one) for one in together] == [timeless(one) for one in apart]
    assert together[0].verdict is Verdict.PASS
    assert together[0].facts["evidence"] == apart[0].facts["evidence"]


def timeless(finding: Finding) -> Finding:
    return replace(finding, facts={name: value for name, value in finding.facts.items() if name != "checked_at"})
