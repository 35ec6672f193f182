"""S/MIME: detached and opaque signatures, and what must not pass. `openssl cms` is the second opinion."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from asn1crypto import cms
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check, Finding, Verdict
from tests.inspection.conftest import Bench, Records, slugs
from tests.inspection.papers import NOW, Ca, Identity
from tests.inspection.test_names import PROGRAM

AUTHOR = "vanthu.stc@hoabinh.gov.vn"


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


@pytest.fixture(scope="module")
def author(ca: Ca) -> Identity:
    return ca.issue("Nguyễn Thị Lan", "Sở Tài chính", email=AUTHOR)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory, ca: Ca) -> Path:
    folder = tmp_path_factory.mktemp("roots")
    ca.trusted_in(folder)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    tmp_path_factory: pytest.TempPathFactory, settings: InspectionSettings, directory: Directory, roots: Path
) -> AsyncIterator[Bench]:
    inspector = Inspector(replace(settings, trust_roots=roots), txt=Records())
    await inspector.start()
    yield Bench(inspector, Records(), tmp_path_factory.mktemp("mails"), directory)
    await inspector.close()


BODY = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nKính gửi.\r\n".encode()


def block(who: Identity, body: bytes, *, detached: bool = True) -> bytes:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(body).add_signer(who.certificate, who.key, hashes.SHA256())
    for certificate in who.chain:
        builder = builder.add_certificate(certificate)
    options = [pkcs7.PKCS7Options.Binary] + ([pkcs7.PKCS7Options.DetachedSignature] if detached else [])
    return builder.sign(serialization.Encoding.DER, options)


def lines(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def head(sender: str = AUTHOR) -> bytes:
    return f"From: {sender}\r\nMessage-ID: <a@b>\r\nMIME-Version: 1.0\r\n".encode()


def detached(body: bytes, signature: bytes, sender: str = AUTHOR) -> bytes:
    return (
        head(sender)
        + b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=bb\r\n\r\n'
        b"--bb\r\n" + body + b"\r\n--bb\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + lines(signature) + b"\r\n--bb--\r\n"
    )


def opaque(signature: bytes, kind: str = "signed-data", sender: str = AUTHOR) -> bytes:
    return (
        head(sender)
        + f"Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\n".encode()
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + lines(signature)
    )


async def judged(office: Bench, raw: bytes) -> Finding:
    (finding,) = (await office.examine(raw)).of(Check.SMIME)
    return finding


def outcome(finding: Finding) -> tuple[Verdict, str]:
    return finding.verdict, finding.detail


async def test_a_detached_signature_of_the_author(office: Bench, author: Identity) -> None:
    raw = detached(BODY, block(author, BODY))
    found = await judged(office, raw)
    assert outcome(found) == (Verdict.PASS, "good")
    assert (found.subject, found.facts["ca"], found.facts["clock"], found.facts["clock_wrong"]) == (
        AUTHOR,
        "Ban Cơ yếu Chính phủ",
        "signer",
        False,
    )
    assert (await office.examine(raw)).content.text == "Kính gửi.\n"


async def test_an_opaque_signature_is_opened_and_judged(office: Bench, author: Identity) -> None:
    found = await office.examine(opaque(block(author, BODY, detached=False)))
    assert [outcome(f) for f in found.of(Check.SMIME)] == [(Verdict.PASS, "good")]
    assert found.content.text == "Kính gửi.\n"


async def test_what_an_opaque_signature_wraps_is_looked_into(office: Bench, author: Identity) -> None:
    inner = (
        b"Content-Type: multipart/mixed; boundary=ii\r\n\r\n--ii\r\n" + BODY + b"\r\n--ii\r\n"
        b"Content-Type: application/pdf; name=a.pdf.exe\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + lines(PROGRAM)
        + b"\r\n--ii--\r\n"
    )
    found = await office.examine(opaque(block(author, inner, detached=False)))
    assert slugs(found, Check.NAME) == ["double-extension", "executable-extension"]
    assert "executable" in slugs(found, Check.TYPE)
    assert [(a.part, a.name) for a in found.content.attachments] == [("1", "smime.p7m"), ("1.2", "a.pdf.exe")]
    assert found.content.attachments[1].size == len(PROGRAM)
    assert slugs(found, Check.SMIME) == ["good"]


@pytest.mark.parametrize("change", [b"\r\n", b" ", b"x"])
async def test_changed_bytes(office: Bench, author: Identity, change: bytes) -> None:
    assert outcome(await judged(office, detached(BODY + change, block(author, BODY)))) == (
        Verdict.FAIL,
        "bad-signature",
    )


async def test_a_changed_opaque_block(office: Bench, author: Identity) -> None:
    data = block(author, BODY, detached=False).replace("gửi".encode(), "gởi".encode())
    assert outcome(await judged(office, opaque(data))) == (Verdict.FAIL, "bad-signature")


async def test_signers_that_are_not_the_author(office: Bench, ca: Ca) -> None:
    other = ca.issue("Trần Văn Ba", "Sở Y tế", email="ba@hoabinh.gov.vn")
    assert outcome(await judged(office, detached(BODY, block(other, BODY)))) == (Verdict.POLICY, "other-signer")
    agency = ca.issue("Sở Tài chính")  # the author's own agency
    assert outcome(await judged(office, detached(BODY, block(agency, BODY)))) == (Verdict.PASS, "good")
    foreign = ca.issue("Sở Giáo dục và Đào tạo")
    assert outcome(await judged(office, detached(BODY, block(foreign, BODY)))) == (Verdict.POLICY, "other-signer")


@pytest.mark.parametrize("sender", ["x@evil.vn", f"{AUTHOR}, x@evil.vn", f"x@evil.vn\r\nFrom: {AUTHOR}", ""])
async def test_other_authors(office: Bench, author: Identity, sender: str) -> None:
    found = await judged(office, detached(BODY, block(author, BODY), sender))
    assert outcome(found) == (Verdict.POLICY, "other-signer")


async def test_trust(office: Bench, ca: Ca, roots: Path, author: Identity) -> None:
    stranger = Ca("Nobody").issue("Nguyễn Thị Lan", email=AUTHOR)
    assert outcome(await judged(office, detached(BODY, block(stranger, BODY)))) == (Verdict.NEUTRAL, "untrusted")
    old = ca.issue("Lan", email=AUTHOR, since=NOW - timedelta(days=900), until=NOW - timedelta(days=1))
    assert outcome(await judged(office, detached(BODY, block(old, BODY)))) == (Verdict.NEUTRAL, "expired")
    short = ca.issue("Lan", email=AUTHOR, bits=1024)
    assert outcome(await judged(office, detached(BODY, block(short, BODY)))) == (Verdict.NEUTRAL, "weak-algorithm")
    (roots / "list.crl").write_bytes(ca.crl((author, NOW - timedelta(days=1))))
    assert outcome(await judged(office, detached(BODY, block(author, BODY)))) == (Verdict.POLICY, "revoked")
    (roots / "list.crl").unlink()


async def test_two_signers_in_one_block(office: Bench, ca: Ca, author: Identity) -> None:
    other = ca.issue("Ba", email="ba@x.vn")
    builder = pkcs7.PKCS7SignatureBuilder().set_data(BODY)
    for who in (other, author):
        builder = builder.add_signer(who.certificate, who.key, hashes.SHA256())
    both = builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])
    found = (await office.examine(detached(BODY, both))).of(Check.SMIME)
    assert sorted(outcome(one) for one in found) == [
        (Verdict.POLICY, "other-signer"),
        (Verdict.POLICY, "several-signatures"),  # good and the author's, but not alone
    ]
    assert {one.facts["signers"] for one in found} == {2}


async def test_no_signer_at_all(office: Bench, author: Identity) -> None:
    info = cms.ContentInfo.load(block(author, BODY))
    info["content"]["signer_infos"] = cms.SignerInfos([])
    assert outcome(await judged(office, detached(BODY, info.dump(force=True)))) == (
        Verdict.POLICY,
        "several-signatures",
    )


async def test_a_detached_block_that_brings_its_own_content(office: Bench, author: Identity) -> None:
    found = await judged(
        office, detached(b"Content-Type: text/plain\r\n\r\nforged", block(author, BODY, detached=False))
    )
    assert outcome(found) == (Verdict.PERMERROR, "malformed-signature")


async def test_a_signed_part_inside_other_parts_is_partial(office: Bench, author: Identity) -> None:
    inner = detached(BODY, block(author, BODY)).split(b"MIME-Version: 1.0\r\n", 1)[1]
    raw = (
        head()
        + b"Content-Type: multipart/mixed; boundary=oo\r\n\r\n--oo\r\n\r\nforged\r\n--oo\r\n"
        + inner
        + b"\r\n--oo--\r\n"
    )
    assert outcome(await judged(office, raw)) == (Verdict.PARTIAL, "partial-body")


async def test_foul_blocks(office: Bench, author: Identity) -> None:
    good = block(author, BODY)
    for data in (b"", b"nonsense", good[:-40], good[:200], b"\x30\x80" * 2000):
        assert (await judged(office, detached(BODY, data))).verdict is not Verdict.PASS
        assert (await judged(office, opaque(data))).verdict is not Verdict.PASS


async def test_encrypted(office: Bench, author: Identity) -> None:
    data = (
        pkcs7.PKCS7EnvelopeBuilder()
        .set_data(b"secret")
        .add_recipient(author.certificate)
        .encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    )
    found = await judged(office, opaque(data, "enveloped-data"))
    assert outcome(found) == (Verdict.NEUTRAL, "encrypted")


def test_openssl_agrees(tmp_path: Path, ca: Ca, author: Identity) -> None:
    (tmp_path / "ca.pem").write_bytes(ca.pem())
    for body, expected in ((BODY, 0), (BODY + b"x", 4)):
        (tmp_path / "mail.eml").write_bytes(detached(body, block(author, BODY)))
        done = subprocess.run(
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
            check=False,
        )
        assert (done.returncode == 0) is (expected == 0), done.stderr


async def test_a_block_in_pieces_as_openssl_streams_it(office: Bench, author: Identity, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_bytes(author.certificate.public_bytes(serialization.Encoding.PEM))
    key = author.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(key)
    body = BODY + b"x" * 20_000 + b"\r\n"
    (tmp_path / "body").write_bytes(body)
    subprocess.run(
        [
            *(
                "openssl",
                "cms",
                "-sign",
                "-in",
                "body",
                "-binary",
                "-nodetach",
                "-stream",
                "-outform",
                "DER",
                "-out",
                "block",
            ),
            *("-signer", "cert.pem", "-inkey", "key.pem"),
        ],
        cwd=tmp_path,
        check=True,
    )
    data = (tmp_path / "block").read_bytes()
    found = await office.examine(opaque(data))
    assert [outcome(f) for f in found.of(Check.SMIME)] == [(Verdict.PASS, "good")]
    assert found.content.text == "Kính gửi.\n" + "x" * 20_000 + "\n"
    (finding,) = (await office.examine(opaque(data.replace(b"x" * 50, b"x" * 49 + b"y", 1)))).of(Check.SMIME)
    assert outcome(finding) == (Verdict.FAIL, "bad-signature")
