"""DKIM: families of attacks on signed mails with mutants, and genuine mails that Mail::DKIM accepts too."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

from mailrelay.inspection.dns import TxtAnswer
from mailrelay.model.finding import Check, Verdict
from tests.conformance.inspection.conftest import passes
from tests.delivery.test_dkim import PERL
from tests.inspection.conftest import Bench
from tests.inspection.test_dkim import NAME, Key, signed

Change = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def key() -> Key:
    return Key()


def publish(office: Bench, record: bytes, state: str = "ok") -> None:
    answer = TxtAnswer((record,) if record else (), state)  # type: ignore[arg-type]
    office.inspector._bench.txt.zone[NAME] = answer  # type: ignore[attr-defined]


def swap(old: bytes, new: bytes) -> Change:
    def change(raw: bytes) -> bytes:
        assert old in raw, old
        return raw.replace(old, new, 1)

    return change


def on_top(line: bytes) -> Change:
    return lambda raw: line + raw


FAMILIES: dict[str, list[Change]] = {
    "the body changed": [
        lambda raw: raw + b"more\r\n",
        swap(b"Hai.", b"Ba."),
        lambda raw: raw[: raw.index(b"\r\n\r\n") + 4],
        swap(b"\r\n\r\n", b"\r\n\r\n<html>"),
    ],
    "a signed field changed": [
        swap(b"\r\nFrom:", b"\r\nFrom: x@evil.vn,"),
        swap(b"\r\nSubject:", b"\r\nSubject: Re:"),
        swap(b"\r\nTo:", b"\r\nTo: x@evil.vn,"),
        swap(b"Date: Fri", b"Date: Sat"),
    ],
    "a field that stands twice": [
        on_top(b"Subject: forged\r\n"),
        on_top(b"From: x@evil.vn\r\n"),
        on_top(b"To: x@evil.vn\r\n"),
        on_top(b"Content-Type: text/html\r\n"),
        on_top(b"Date: Sat, 29 Jun 2013 08:00:00 +0700\r\n"),
    ],
    "the signature maimed": [
        swap(b"a=rsa-sha256", b"a=rsa-sha1"),
        swap(b"a=rsa-sha256", b"a=ed25519-sha256"),
        swap(b"v=1", b"v=2"),
        swap(b"h=", b"h=x:"),
        swap(b"bh=", b"bh=AAAA"),
        swap(b"d=", b"d=evil."),
        swap(b"s=k1", b"s=k2"),
        swap(b"q=dns/txt;", b"q=dns/txt; x=1;"),
    ],
}


@pytest.mark.parametrize(("family", "number"), [(f, n) for f, mutants in FAMILIES.items() for n in range(len(mutants))])
async def test_no_attack_passes(office: Bench, key: Key, family: str, number: int) -> None:
    publish(office, key.record)
    found = await office.examine(FAMILIES[family][number](signed(key)))
    assert passes(found, Check.DKIM) == []
    assert found.of(Check.DKIM)


async def test_keys_that_do_not_count(office: Bench, key: Key) -> None:
    raw = signed(key)
    letters = key.record.rpartition(b"p=")[2]
    records = [
        b"",
        b"v=DKIM1; p=",
        b"v=DKIM1; t=y; p=" + letters,
        b"v=DKIM1; h=sha1; p=" + letters,
        b"v=DKIM1; s=other; p=" + letters,
        b"v=DKIM1; k=ed25519; p=" + letters,
        b"v=DKIM2; p=" + letters,
        Key().record,
        b"v=DKIM1; p=" + letters[:-8],
    ]
    for record in records:
        publish(office, record)
        assert passes(await office.examine(raw), Check.DKIM) == [], record
    publish(office, b"", "temperror")
    (finding,) = (await office.examine(raw)).of(Check.DKIM)
    assert finding.verdict is Verdict.TEMPERROR
    short = Key(1024)
    publish(office, short.record)
    (finding,) = (await office.examine(signed(short))).of(Check.DKIM)
    assert (finding.verdict, finding.detail) == (Verdict.PASS, "weak-key")


async def test_genuine_mails_pass_here_and_with_mail_dkim(office: Bench, key: Key) -> None:
    if shutil.which("perl") is None or subprocess.run(["perl", "-MMail::DKIM", "-e1"], capture_output=True).returncode:
        pytest.skip("Mail::DKIM (libmail-dkim-perl) is not installed")
    publish(office, key.record)
    forms = [(head, body) for head in (b"simple", b"relaxed") for body in (b"simple", b"relaxed")]
    for canonicalize in forms:
        raw = signed(key, canonicalize=canonicalize)
        findings = await office.examine(raw)
        (found,) = passes(findings, Check.DKIM)
        assert [piece["kind"] for piece in found.facts["evidence"]] == ["dns"]
        assert {piece.digest for piece in findings.exhibits} == {piece["sha256"] for piece in found.facts["evidence"]}
        assert key.record.rpartition(b"p=")[2] in findings.exhibits[0].data
        done = subprocess.run(["perl", "-e", PERL, "k1", key.record], input=raw, capture_output=True, check=True)
        assert done.stdout.decode().split() == ["rsa-sha256=pass"]


async def test_at_most_five_signatures_are_looked_at(office: Bench, key: Key) -> None:
    publish(office, key.record)
    raw = signed(key)
    head = raw[: raw.index(b"From:")] if raw.startswith(b"DKIM-Signature") else b""
    found = (await office.examine(head * 8 + raw)).of(Check.DKIM)
    assert len(found) == 6
    assert found[-1].detail == "too-many-signatures"


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 4
    assert all(len(mutants) >= 4 for mutants in FAMILIES.values())
