"""What we rely on pyHanko doing, pinned: when one of these fails after an upgrade, read `revocation` and ADR 20 again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asn1crypto import crl, ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import InsufficientRevinfoError, RevokedError

from tests.inspection.papers import NOW, Ca, Identity


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


def asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))


def issued(ca: Ca, *extensions: x509.ExtensionType) -> Identity:
    plain = ca.issue("Lan")
    builder = (
        x509.CertificateBuilder(extensions=list(plain.certificate.extensions))
        .subject_name(plain.certificate.subject)
        .issuer_name(ca.name)
        .public_key(plain.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=9))
        .not_valid_after(NOW + timedelta(days=9))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return Identity(builder.sign(ca.key, hashes.SHA256()), plain.key, plain.chain)


def pointing_to_a_list() -> x509.ExtensionType:
    place = [x509.UniformResourceIdentifier("http://127.0.0.1:9/a.crl")]
    return x509.CRLDistributionPoints([x509.DistributionPoint(place, None, None, None)])


def pointing_to_a_responder() -> x509.ExtensionType:
    place = x509.UniformResourceIdentifier("http://127.0.0.1:9/")
    return x509.AuthorityInformationAccess([x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, place)])


async def outcome(ca: Ca, who: Identity, mode: str, *, lists: list[bytes], answers: list[bytes]) -> str:
    context = ValidationContext(
        trust_roots=[asn1(ca.certificate)],
        crls=[crl.CertificateList.load(data) for data in lists],
        ocsps=[ocsp.OCSPResponse.load(data) for data in answers],
        moment=NOW,
        revocation_mode=mode,
        retroactive_revinfo=True,
    )
    try:
        await CertificateValidator(asn1(who.certificate), validation_context=context).async_validate_path()
    except RevokedError:
        return "revoked"
    except InsufficientRevinfoError:
        return "unknown"
    return "good"


@pytest.mark.parametrize(
    ("mode", "pointer", "expected"),
    [
        ("soft-fail", False, "good"),  # the trap: a list that says "revoked" lies there, and is passed over
        ("hard-fail", False, "good"),
        ("require", False, "revoked"),
        ("soft-fail", True, "revoked"),
        ("hard-fail", True, "revoked"),
        ("require", True, "revoked"),
    ],
)
async def test_which_modes_use_a_list(ca: Ca, mode: str, pointer: bool, expected: str) -> None:
    who = issued(ca, *([pointing_to_a_list()] if pointer else []))
    lists = [ca.crl((who, NOW - timedelta(hours=2)), made=NOW - timedelta(hours=1), der=True)]
    assert await outcome(ca, who, mode, lists=lists, answers=[]) == expected


@pytest.mark.parametrize(("pointer", "expected"), [(False, "unknown"), (True, "good")])
async def test_answers_are_used_only_for_certificates_that_point_to_a_responder(
    ca: Ca, pointer: bool, expected: str
) -> None:
    who = issued(ca, *([pointing_to_a_responder()] if pointer else []))
    assert await outcome(ca, who, "require", lists=[], answers=[ca.ocsp(who)]) == expected


async def test_nothing_known_is_good_in_soft_fail_and_unknown_under_require(ca: Ca) -> None:
    who = issued(ca)
    assert await outcome(ca, who, "soft-fail", lists=[], answers=[]) == "good"
    assert await outcome(ca, who, "require", lists=[], answers=[]) == "unknown"
