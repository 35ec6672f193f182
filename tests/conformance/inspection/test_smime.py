"""S/MIME: families of attacks with mutants, and genuine mails that `openssl cms` accepts too."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from mailrelay.model.finding import Check
from tests.conformance.inspection.conftest import AUTHOR, passes
from tests.inspection.conftest import Bench
from tests.inspection.papers import NOW, Ca, Identity
from tests.inspection.test_smime import BODY, block, detached, head, opaque

Maker = Callable[[Ca, Identity], bytes]
FORGED = b"Content-Type: text/plain\r\n\r\nforged\r\n"


def wrapped(kind: str, *, before: bool) -> Maker:
    """A genuine signed mail as one part among others."""

    def make(ca: Ca, author: Identity) -> bytes:
        inner = detached(BODY, block(author, BODY)).split(b"MIME-Version: 1.0\r\n", 1)[1]
        parts = [FORGED, inner] if before else [inner, FORGED]
        body = b"".join(b"--oo\r\n" + part + b"\r\n" for part in parts)
        return head() + b"Content-Type: " + kind.encode() + b"; boundary=oo\r\n\r\n" + body + b"--oo--\r\n"

    return make


def forwarded(ca: Ca, author: Identity) -> bytes:
    return head("x@evil.vn") + b"Content-Type: message/rfc822\r\n\r\n" + detached(BODY, block(author, BODY))


def as_attachment(ca: Ca, author: Identity) -> bytes:
    signed = opaque(block(author, BODY, detached=False)).split(b"MIME-Version: 1.0\r\n", 1)[1]
    return (
        head()
        + b"Content-Type: multipart/mixed; boundary=oo\r\n\r\n--oo\r\n"
        + FORGED
        + b"\r\n--oo\r\n"
        + signed
        + b"\r\n--oo--\r\n"
    )


def changed(change: Callable[[bytes], bytes]) -> Maker:
    return lambda ca, author: detached(change(BODY), block(author, BODY))


def opaque_changed(change: Callable[[bytes], bytes]) -> Maker:
    return lambda ca, author: opaque(change(block(author, BODY, detached=False)))


def by(maker: Callable[[Ca], Identity]) -> Maker:
    return lambda ca, author: detached(BODY, block(maker(ca), BODY))


def opaque_by(maker: Callable[[Ca], Identity]) -> Maker:
    return lambda ca, author: opaque(block(maker(ca), BODY, detached=False))


def from_(sender: str) -> Maker:
    return lambda ca, author: detached(BODY, block(author, BODY), sender)


def many(*order: int) -> Maker:
    def make(ca: Ca, author: Identity) -> bytes:
        signers = [author, ca.issue("Ba", email="ba@x.vn"), Ca("Nobody").issue("Tư", email=AUTHOR)]
        builder = pkcs7.PKCS7SignatureBuilder().set_data(BODY)
        for number in order:
            builder = builder.add_signer(signers[number].certificate, signers[number].key, hashes.SHA256())
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        return detached(BODY, builder.sign(serialization.Encoding.DER, options))

    return make


def foul(change: Callable[[bytes], bytes]) -> Maker:
    return lambda ca, author: detached(BODY, change(block(author, BODY)))


def relabelled(*pairs: tuple[bytes, bytes]) -> Maker:
    def make(ca: Ca, author: Identity) -> bytes:
        raw = detached(BODY + b"x", block(author, BODY))
        for old, new in pairs:
            assert old in raw
            raw = raw.replace(old, new)
        return raw

    return make


FAMILIES: dict[str, list[Maker]] = {
    "signed bytes changed": [
        changed(f)
        for f in (
            lambda b: b + b" ",
            lambda b: b[:-2],
            lambda b: b.replace(b"\r\n", b"\n"),
            lambda b: b.upper(),
            lambda b: b"",
        )
    ],
    "an opaque block changed": [
        opaque_changed(lambda d: d.replace(b"K", b"k", 1)),
        opaque_changed(lambda d: d.replace(b"text/plain", b"text/html_")),
        opaque_changed(lambda d: d.replace(b"8bit", b"7bit")),
        opaque_changed(lambda d: d.replace(b"utf-8", b"utf-7")),
    ],
    "one part among others": [
        wrapped(kind, before=before)
        for kind in ("multipart/mixed", "multipart/alternative", "multipart/related")
        for before in (True, False)
    ],
    "forwarded or attached": [
        forwarded,
        as_attachment,
        lambda ca, author: forwarded(ca, author).replace(b"message/rfc822", b"message/global"),
        lambda ca, author: as_attachment(ca, author).replace(b"multipart/mixed", b"multipart/digest"),
    ],
    "another author": [
        *(
            from_(s)
            for s in ("x@evil.vn", f"{AUTHOR}, x@evil.vn", f"x@evil.vn\r\nFrom: {AUTHOR}", f"{AUTHOR} <x@evil.vn>")
        ),
        from_(f'"{AUTHOR}" <x@evil.vn>'),
        from_(f"{AUTHOR}\r\nFrom: x@evil.vn"),
        from_(""),
    ],
    "a CA that nobody trusts": [
        by(lambda ca: Ca().issue("Nguyễn Thị Lan", email=AUTHOR)),
        by(lambda ca: Ca("Nobody").issue("Sở Tài chính", email=AUTHOR)),
        opaque_by(lambda ca: Ca().issue("Nguyễn Thị Lan", email=AUTHOR)),
        opaque_by(lambda ca: Ca("Sở Tài chính").issue("Sở Tài chính", email=AUTHOR)),
    ],
    "a certificate out of its time or too weak": [
        by(lambda ca: ca.issue("Lan", email=AUTHOR, until=NOW - timedelta(days=1))),
        by(lambda ca: ca.issue("Lan", email=AUTHOR, since=NOW + timedelta(days=1), until=NOW + timedelta(days=9))),
        by(lambda ca: ca.issue("Lan", email=AUTHOR, bits=1024)),
        opaque_by(lambda ca: ca.issue("Lan", email=AUTHOR, until=NOW - timedelta(days=1))),
    ],
    "a certificate of somebody else": [
        by(lambda ca: ca.issue("Lan", email="lan@x.vn")),
        by(lambda ca: ca.issue(AUTHOR)),
        by(lambda ca: ca.issue("Sở Giáo dục và Đào tạo", email="x@x.vn")),
        by(lambda ca: ca.issue("Lan", email=AUTHOR + ".evil.vn")),
        opaque_by(lambda ca: ca.issue("Lan", "Sở Tài chính", email="ba@hoabinh.gov.vn")),
    ],
    "several signers": [many(0, 1), many(1, 0), many(0, 2), many(2, 0), many(0, 1, 2)],
    "foul blocks": [
        foul(f)
        for f in (
            lambda d: b"",
            lambda d: d[:-1],
            lambda d: d[: len(d) // 2],
            lambda d: d[:-30] + bytes(30),
            lambda d: d.replace(b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"),
        )
    ],
    "content brought along": [
        lambda ca, author: detached(FORGED, block(author, BODY, detached=False)),
        lambda ca, author: detached(BODY, block(author, BODY, detached=False)),
        lambda ca, author: detached(FORGED, block(author, FORGED + b"x", detached=False)),
        lambda ca, author: opaque(block(author, BODY)),  # detached where the content should be inside
    ],
    "relabelled": [
        relabelled((b'protocol="application/pkcs7-signature"', b'protocol="application/x-pkcs7-signature"')),
        relabelled((b"multipart/signed", b"Multipart/Signed")),
        relabelled((b"application/pkcs7-signature; name", b"APPLICATION/PKCS7-SIGNATURE; name")),
        relabelled((b"micalg=sha-256", b"micalg=md5")),
    ],
}


@pytest.mark.parametrize(("family", "number"), [(f, n) for f, mutants in FAMILIES.items() for n in range(len(mutants))])
async def test_no_attack_passes(office: Bench, ca: Ca, author: Identity, family: str, number: int) -> None:
    found = await office.examine(FAMILIES[family][number](ca, author))
    assert passes(found, Check.SMIME) == []
    assert found.of(Check.SMIME), "nothing was said of the signature at all"


async def test_genuine_mails_pass_here_and_with_openssl(
    office: Bench, ca: Ca, author: Identity, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(ca.pem())
    agency = ca.issue("Sở Tài chính")
    mixed = (
        b"Content-Type: multipart/mixed; boundary=ii\r\n\r\n--ii\r\n" + BODY + b"\r\n--ii\r\n"
        b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--ii--\r\n"
    )
    for raw in (
        detached(BODY, block(author, BODY)),
        detached(mixed, block(author, mixed)),
        opaque(block(author, BODY, detached=False)),
        opaque(block(author, mixed, detached=False)),
        detached(BODY, block(agency, BODY)),
        detached(BODY, block(author, BODY), f"Văn thư <{AUTHOR.upper()}>"),
    ):
        assert passes(await office.examine(raw), Check.SMIME)
        (tmp_path / "mail.eml").write_bytes(raw)
        subprocess.run(
            [
                "openssl",
                "cms",
                "-verify",
                "-in",
                "mail.eml",
                "-CAfile",
                "ca.pem",
                "-purpose",
                "any",
                "-out",
                "/dev/null",
            ],
            cwd=tmp_path,
            capture_output=True,
            check=True,
            timeout=20,
        )


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 10
    assert all(len(mutants) >= 4 for mutants in FAMILIES.values())
