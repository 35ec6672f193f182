"""Whether a revocation list or OCSP answer that was fetched may be believed: signed by a CA that we trust. In the worker only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailrelay.inspection.trust import Anchor, TrustStore


def vet(path: Path, kind: str, store: TrustStore) -> dict[str, Any]:
    """Judge the file of one fetched list ("crl") or answer ("ocsp").

    Return {sha256, this_update, next_update} with times in Unix seconds (0: none), or {fault: why}.
    """
    data = path.read_bytes()
    try:
        times = _of_list(data, store) if kind == "crl" else times_of_answer(data, store)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return {"fault": "unreadable"}
    if times is None:
        return {"fault": "unsigned"}
    made, ends = times
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "this_update": int(made.timestamp()),
        "next_update": int(ends.timestamp()) if ends is not None else 0,
    }


Times = tuple[datetime, datetime | None]


def _of_list(data: bytes, store: TrustStore) -> Times | None:
    found = x509.load_der_x509_crl(data)
    for issuer in _issuers(store, found.issuer):
        key = issuer.public_key()
        if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) and found.is_signature_valid(key):
            return found.last_update_utc, found.next_update_utc
    return None


def times_of_answer(data: bytes, store: TrustStore) -> Times | None:
    """When an OCSP answer was made and when it ends, if a CA of the store or its delegate signed it; None else.

    Raises ValueError for what is no answer.
    """
    answer = ocsp.load_der_ocsp_response(data)
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return None
    issuers = [_loaded(one) for one in (*store.roots, *store.others)]
    own = [one for one in issuers if _is_issuer(answer, one)]
    for issuer in own:
        signers = [issuer, *(one for one in answer.certificates if _is_delegate(one, issuer))]
        if any(_has_signed(answer, signer) for signer in signers):
            return answer.this_update_utc, answer.next_update_utc
    return None


def _loaded(anchor: Anchor) -> x509.Certificate:
    return x509.load_der_x509_certificate(anchor.certificate.dump())


def _issuers(store: TrustStore, name: x509.Name) -> Iterable[x509.Certificate]:
    found = [_loaded(one) for one in (*store.roots, *store.others)]
    return [one for one in found if one.subject == name]


def _is_issuer(answer: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """Whether an answer speaks of a certificate of this issuer: by the hash of its key (RFC 6960 section 4.1.1)."""
    digest = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest  # SHA-1 of the key's bits
    if answer.hash_algorithm.name == "sha1":
        return answer.issuer_key_hash == digest
    return False


def _is_delegate(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the CA itself lets this certificate answer for it (section 4.2.2.2)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _has_signed(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, digest = signer.public_key(), answer.signature_hash_algorithm
    if digest is None:
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(digest))
        else:
            return False
    except InvalidSignature:
        return False
    return True
