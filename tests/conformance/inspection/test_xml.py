"""Signed XML files: families of attacks with mutants, and genuine files that `xmlsec1` accepts too."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from signxml.algorithms import CanonicalizationMethod

from mailrelay.model.finding import Check, Verdict
from tests.conformance.inspection.conftest import AUTHOR, passes
from tests.inspection.conftest import Bench, with_file
from tests.inspection.invoices import DS, INVOICE, enveloping, sign
from tests.inspection.papers import NOW, Ca, Identity

Change = Callable[[bytes], bytes]
FORGED = b'<DLHDon Id="data"><So>60</So><NMua>Ke gian</NMua><TgTTTBSo>9000000</TgTTTBSo></DLHDon>'


def replaced(old: bytes, new: bytes) -> Change:
    def change(data: bytes) -> bytes:
        assert old in data, old
        return data.replace(old, new, 1)

    return change


def swapped(pattern: bytes, new: bytes) -> Change:
    def change(data: bytes) -> bytes:
        changed, count = re.subn(pattern, new, data, count=1, flags=re.DOTALL)
        assert count, pattern
        return changed

    return change


def before_end(text: bytes, end: bytes = b"</HDon>") -> Change:
    return replaced(end, text + end)


def signed_part(data: bytes) -> bytes:
    match = re.search(rb'<DLHDon Id="data">.*?</DLHDon>', data, re.DOTALL)
    assert match is not None
    return match.group()


def wrapped(holder: bytes, forged: bytes) -> Change:
    """The signed element moved into `holder`, a forged one in its place (signature wrapping)."""

    def change(data: bytes) -> bytes:
        part = signed_part(data)
        moved = data.replace(part, forged, 1)
        return moved.replace(b"</HDon>", holder % part + b"</HDon>", 1)

    return change


def in_object(data: bytes) -> bytes:
    part = signed_part(data)
    forged = FORGED.replace(b' Id="data"', b"")
    return data.replace(part, forged, 1).replace(
        b"</ds:Signature>", b"<ds:Object>" + part + b"</ds:Object></ds:Signature>", 1
    )


def doctype(text: bytes) -> Change:
    return replaced(b"<HDon>", text + b"<HDon>")


def reference(uri: bytes) -> Change:
    return replaced(b'URI="#data"', b'URI="' + uri + b'"')


def transform(name: bytes) -> Change:
    return replaced(DS.encode() + b"enveloped-signature", name)


BOMB = b'<!DOCTYPE HDon [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(8)
)
FAMILIES: dict[str, list[Change]] = {
    "signed text changed": [
        replaced(b"1000000", b"9000000"),
        replaced(b"<So>59</So>", b"<So>60</So>"),
        replaced(b"<So>59</So>", b""),
        replaced(b"<So>59</So>", b"<So>59</So><So>60</So>"),
        replaced(b"<So>", b'<So x="1">'),
        replaced(b"<TgTTTBSo>", b"<TgTTTBSo> "),
    ],
    "the signed element wrapped": [
        wrapped(b"<Khac>%s</Khac>", FORGED.replace(b' Id="data"', b"")),
        wrapped(b"<Khac>%s</Khac>", FORGED.replace(b'"data"', b'"data2"')),
        wrapped(b"<Khac><Sau>%s</Sau></Khac>", FORGED),
        wrapped(b"%s", FORGED.replace(b' Id="data"', b"")),
        in_object,
    ],
    "one name for several elements": [
        before_end(FORGED),
        before_end(b'<X ID="data">gia</X>'),
        before_end(b'<X id="data">gia</X>'),
        before_end(b'<X xml:id="data">gia</X>'),
    ],
    "text beside the signed element": [
        before_end(b"<GhiChu>Da tra tien vao tai khoan khac</GhiChu>"),
        before_end(b'<X tien="9000000"/>'),
        before_end(b"chuyen tien"),
        replaced(b"<HDon>", b'<HDon tien="9000000">'),
        replaced(b"</ds:Signature>", b"<ds:Object>gia</ds:Object></ds:Signature>"),
        replaced(b"<NBan>", b"<NBan>gia"),
    ],
    "instructions and comments": [
        replaced(b"<HDon>", b'<?xml-stylesheet type="text/xsl" href="http://evil.vn/a.xsl"?><HDon>'),
        before_end(b"<?php evil ?>"),
        replaced(b"1000000", b"1<!-- -->000000"),
        replaced(b"<So>", b"<!-- 60 --><So>"),
        replaced(b"59</So>", b"59<!-- --></So>"),
    ],
    "references to elsewhere": [
        reference(b"http://evil.vn/data.xml"),
        reference(b"file:///etc/passwd"),
        reference(b"data.xml"),
        reference(b"#xpointer(/)"),
        reference(b"#xpointer(id('data'))"),
        replaced(b' URI="#data"', b""),
    ],
    "transforms that compute": [
        transform(b"http://www.w3.org/TR/1999/REC-xslt-19991116"),
        transform(b"http://www.w3.org/TR/1999/REC-xpath-19991116"),
        transform(b"http://www.w3.org/2002/06/xmldsig-filter2"),
        transform(DS.encode() + b"base64"),
        transform(b"http://evil.vn/transform"),
    ],
    "definitions and entities": [
        doctype(BOMB + b"]>"),
        doctype(b'<!DOCTYPE HDon [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        doctype(b'<!DOCTYPE HDon SYSTEM "http://evil.vn/a.dtd">'),
        doctype(b"<!DOCTYPE HDon [<!ATTLIST DLHDon Id ID #IMPLIED>]>"),
        doctype(b'<!doctype HDon [<!ENTITY x "y">]>'),
    ],
    "the signature maimed": [
        swapped(rb"<ds:SignatureValue>.*?</ds:SignatureValue>", b"<ds:SignatureValue>AAAA</ds:SignatureValue>"),
        swapped(rb"<ds:SignatureValue>.*?</ds:SignatureValue>", b""),
        swapped(rb"<ds:KeyInfo>.*?</ds:KeyInfo>", b""),
        swapped(rb"<ds:X509Certificate>.*?</ds:X509Certificate>", b"<ds:X509Certificate>AAAA</ds:X509Certificate>"),
        swapped(rb"<ds:Reference.*?</ds:Reference>", b""),
        replaced(b"rsa-sha256", b"hmac-sha256"),
        replaced(b"</HDon>", b""),
    ],
}


def signed(who: Identity) -> bytes:
    return sign(INVOICE, who, reference="data", place="DSCKS/NBan")


async def judged(office: Bench, data: bytes) -> list[tuple[Verdict, str]]:
    found = await office.examine(with_file(data, "hoadon.xml", "text/xml"))
    return [(one.verdict, one.detail) for one in found.of(Check.XML)]


@pytest.mark.parametrize(("family", "number"), [(f, n) for f, mutants in FAMILIES.items() for n in range(len(mutants))])
async def test_no_attack_passes(office: Bench, author: Identity, family: str, number: int) -> None:
    attacked = FAMILIES[family][number](signed(author))
    outcome = await judged(office, attacked)
    assert outcome, "nothing was said of the signature at all"
    assert all(verdict is not Verdict.PASS for verdict, _ in outcome), outcome


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (FAMILIES["signed text changed"][0], "bad-signature"),
        (FAMILIES["one name for several elements"][0], "ambiguous-reference"),
        (FAMILIES["text beside the signed element"][0], "partial-body"),
        (FAMILIES["references to elsewhere"][0], "external-reference"),
        (FAMILIES["transforms that compute"][0], "forbidden-transform"),
        (FAMILIES["definitions and entities"][1], "dtd"),
        (FAMILIES["the signature maimed"][2], "no-certificate"),
    ],
)
async def test_an_attack_is_called_by_its_name(office: Bench, author: Identity, change: Change, detail: str) -> None:
    assert [slug for _, slug in await judged(office, change(signed(author)))] == [detail]


async def test_other_signers_do_not_pass(office: Bench, ca: Ca) -> None:
    signers = [
        Ca().issue("Sở Tài chính"),
        Ca("Nobody").issue("Sở Tài chính", email=AUTHOR),
        ca.issue("Lan", until=NOW - timedelta(days=1)),
        ca.issue("Lan", since=NOW + timedelta(days=1)),
        ca.issue("Lan", bits=1024),
    ]
    for who in signers:
        assert all(verdict is not Verdict.PASS for verdict, _ in await judged(office, signed(who)))


async def test_old_signatures_are_named_not_called_forged(office: Bench, author: Identity) -> None:
    old = sign(INVOICE, author, reference="data", place="DSCKS/NBan", old=True)
    assert await judged(office, old) == [(Verdict.NEUTRAL, "weak-algorithm")]


async def test_genuine_files_pass_here_and_with_xmlsec(office: Bench, ca: Ca, author: Identity, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(ca.certificate.public_bytes(serialization.Encoding.PEM))
    agency = ca.issue("Sở Tài chính")
    controls = [
        sign(INVOICE, author),
        signed(author),
        signed(agency),
        sign(INVOICE, author, c14n=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0),
        enveloping("<DLHDon><So>59</So></DLHDon>", author),
    ]
    for data in controls:
        assert await judged(office, data) == [(Verdict.PASS, "good")], data
        (tmp_path / "a.xml").write_bytes(data)
        command = ["xmlsec1", "--verify", "--trusted-pem", "ca.pem", "--id-attr:Id", "DLHDon", "a.xml"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0, done.stderr


async def test_two_signatures_are_two_findings(office: Bench, ca: Ca, author: Identity) -> None:
    text = INVOICE.replace("</DSCKS>", "<CQT></CQT></DSCKS>")
    first = sign(text, author, reference="data", place="DSCKS/NBan")
    head, _, rest = first.partition(b"<HDon>")
    second = sign("<HDon>" + rest.decode(), ca.issue("Sở Tài chính"), reference="data", place="DSCKS/CQT")
    found = (await office.examine(with_file(second, "hoadon.xml", "text/xml"))).of(Check.XML)
    assert [(one.detail, one.facts["role"]) for one in found] == [("good", "person"), ("good", "agency")]
    assert head


async def test_a_file_without_a_signature_gets_no_word(office: Bench) -> None:
    assert await judged(office, INVOICE.encode()) == []
    assert await judged(office, BOMB + b"]><HDon>&i;</HDon>") == []


async def test_what_a_verdict_rests_on_is_named(office: Bench, author: Identity) -> None:
    findings = await office.examine(with_file(signed(author), "hoadon.xml", "text/xml"))
    (found,) = passes(findings, Check.XML)
    kinds = [piece["kind"] for piece in found.facts["evidence"]]
    assert kinds == ["certificate", "certificate", "tools"]
    digests = {piece.digest for piece in findings.exhibits}
    assert {piece["sha256"] for piece in found.facts["evidence"]} <= digests
    assert (found.facts["element"], found.facts["coverage"]) == ("DLHDon", "document")
    assert found.facts["valid_when_signed"] is found.facts["valid_now"] is True


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 8
    assert all(len(mutants) >= 4 for mutants in FAMILIES.values())
