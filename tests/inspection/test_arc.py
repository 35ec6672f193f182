"""ARC chains made by a small sealer of our own; dkimpy's verifier is the second opinion."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import dkim
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from dkim.canonicalization import CanonicalizationPolicy

from mailrelay.inspection.dns import TxtAnswer
from mailrelay.model.finding import Check, Verdict
from tests.inspection.conftest import Bench, letter
from tests.inspection.test_dkim import NAME, Key

RELAXED = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
DOMAIN = "stc.hoabinh.gov.vn"


@pytest.fixture(scope="module")
def key() -> Key:
    return Key()


def signature(key: Key, data: bytes) -> bytes:
    return base64.b64encode(key.private.sign(data, padding.PKCS1v15(), hashes.SHA256()))


def line(name: bytes, value: bytes) -> bytes:
    ((label, canonical),) = RELAXED.canonicalize_headers([(name, value + b"\r\n")])
    return bytes(label + b":" + canonical)


def seal(key: Key, raw: bytes, number: int, sets: list[tuple[bytes, bytes, bytes]], cv: bytes) -> bytes:
    """Put one ARC set on top of a mail; `sets` gathers the values of all sets so far."""
    head, body = raw.split(b"\r\n\r\n", 1)
    bh = base64.b64encode(hashlib.sha256(RELAXED.canonicalize_body(body)).digest())
    results = b" i=%d; forwarder.example; dkim=pass header.d=%s" % (number, DOMAIN.encode())
    ams = b" i=%d; a=rsa-sha256; c=relaxed/relaxed; d=%s; s=k1; h=from:subject; bh=%s; b=" % (
        number,
        DOMAIN.encode(),
        bh,
    )
    fields = {
        name: next(item for item in head.split(b"\r\n") if item.lower().startswith(name + b":"))
        for name in (b"from", b"subject")
    }
    covered = b"".join(line(name, item.split(b":", 1)[1]) for name, item in fields.items())
    ams += signature(key, covered + line(b"ARC-Message-Signature", ams).rstrip())
    top = b" i=%d; a=rsa-sha256; cv=%s; d=%s; s=k1; b=" % (number, cv, DOMAIN.encode())
    before = b"".join(
        line(b"ARC-Authentication-Results", r) + line(b"ARC-Message-Signature", m) + line(b"ARC-Seal", s)
        for r, m, s in sets
    )
    own = line(b"ARC-Authentication-Results", results) + line(b"ARC-Message-Signature", ams)
    top += signature(key, before + own + line(b"ARC-Seal", top).rstrip())
    sets.append((results, ams, top))
    return b"ARC-Seal:%s\r\nARC-Message-Signature:%s\r\nARC-Authentication-Results:%s\r\n" % (top, ams, results) + raw


def plain() -> bytes:
    mail = letter(sender="Van thu <vanthu.stc@hoabinh.gov.vn>")
    mail.replace_header("Subject", "Ke hoach")
    return mail.as_bytes()


def chain(key: Key, count: int, cv: Callable[[int], bytes] = lambda n: b"none" if n == 1 else b"pass") -> bytes:
    raw = plain()
    sets: list[tuple[bytes, bytes, bytes]] = []
    for number in range(1, count + 1):
        raw = seal(key, raw, number, sets, cv(number))
    return raw


async def judged(bench: Bench, key: Key, raw: bytes, state: str = "ok") -> tuple[Verdict, str]:
    bench.records.zone[NAME] = TxtAnswer((key.record,) if state == "ok" else (), state)  # type: ignore[arg-type]
    (finding,) = (await bench.examine(raw)).of(Check.ARC)
    return finding.verdict, finding.detail


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_unbroken_chains(bench: Bench, key: Key, count: int) -> None:
    raw = chain(key, count)
    assert dkim.arc_verify(raw, dnsfunc=lambda name, timeout: key.record)[0] == b"pass"
    assert await judged(bench, key, raw) == (Verdict.PASS, "good")
    (finding,) = (await bench.examine(raw)).of(Check.ARC)
    assert (finding.subject, finding.facts["sealers"]) == (DOMAIN, [DOMAIN] * count)


async def test_no_chain_no_finding(bench: Bench) -> None:
    assert (await bench.examine(plain())).of(Check.ARC) == ()


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda raw: raw + b"more\r\n", "broken"),
        (lambda raw: raw.replace(b"Subject: Ke", b"Subject: Kx"), "broken"),
        (lambda raw: raw.replace(b"dkim=pass", b"dkim=fail", 1), "broken"),
        (lambda raw: raw.replace(b"i=1; a=rsa-sha256; cv=none", b"i=1; a=rsa-sha256; cv=pass"), "broken"),
        (lambda raw: raw.replace(b"cv=pass", b"cv=fail"), "broken"),
        (lambda raw: raw.replace(b"i=1; forwarder", b"i=3; forwarder"), "malformed"),
        (lambda raw: raw[raw.index(b"ARC-Message-Signature") :], "malformed"),
        (lambda raw: b"ARC-Seal: nonsense\r\n" + raw, "malformed"),
        (lambda raw: raw.replace(b"h=from:subject", b"h=subject"), "malformed"),
        (lambda raw: raw.replace(b"h=from:subject", b"h=from:arc-seal"), "malformed"),
        (lambda raw: b"From: x@evil.vn\r\n" + raw, "broken"),
    ],
)
async def test_broken_chains(bench: Bench, key: Key, change: Callable[[bytes], bytes], detail: str) -> None:
    raw = change(chain(key, 2))
    assert await judged(bench, key, raw) == (Verdict.FAIL, detail)
    assert dkim.arc_verify(raw, dnsfunc=lambda name, timeout: key.record)[0] != b"pass" or detail == "malformed"


async def test_keys_that_cannot_be_had(bench: Bench, key: Key) -> None:
    assert await judged(bench, key, chain(key, 1), "temperror") == (Verdict.TEMPERROR, "dns-failure")
    assert await judged(bench, key, chain(key, 1), "none") == (Verdict.FAIL, "broken")


async def test_long_chains_are_not_followed(bench: Bench, key: Key) -> None:
    assert await judged(bench, key, chain(key, 11)) == (Verdict.FAIL, "malformed")
