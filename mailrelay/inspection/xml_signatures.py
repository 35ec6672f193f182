"""XML signatures (XMLDSig) in attached XML files, such as electronic invoices, by signxml. In the worker only; nothing is fetched.

signxml does the arithmetic; which signatures it is given, and what its answer is worth, is judged here. A file with a DTD is not
read at all; a reference may name this document or an element of it by a unique id, nothing else; only the transforms of the
standard that leave the text as it is are followed. `pass` means that everything in the file is signed but the signatures
themselves and the empty elements around them: whatever was moved, added or copied in (signature wrapping) lies outside.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import x509
from cryptography import x509 as primitives
from lxml import etree
from pyhanko_certvalidator import CertificateValidator
from pyhanko_certvalidator.errors import RevokedError
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidDigest, InvalidSignature
from signxml.verifier import SignatureConfiguration, XMLVerifier

from mailrelay.inspection import revocation, trust, xml_claims
from mailrelay.inspection.exhibits import Exhibits
from mailrelay.inspection.filing import decode_to_file
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict

_MOST_SIGNATURES = 8
_MOST_ELEMENTS = 200_000
_CLOCK_SLOP = timedelta(days=1)
_VERDICTS = {
    "good": Verdict.PASS,
    "bad-signature": Verdict.FAIL,
    "partial-body": Verdict.PARTIAL,
    "revoked": Verdict.POLICY,
    "revoked-later": Verdict.NEUTRAL,
    "revocation-unknown": Verdict.NEUTRAL,
    "expired": Verdict.NEUTRAL,
    "untrusted": Verdict.NEUTRAL,
    "weak-algorithm": Verdict.NEUTRAL,
    "no-certificate": Verdict.NEUTRAL,
    "external-reference": Verdict.POLICY,
    "forbidden-transform": Verdict.POLICY,
    "ambiguous-reference": Verdict.POLICY,
    "dtd": Verdict.POLICY,
    "too-many": Verdict.POLICY,
    "too-big": Verdict.NEUTRAL,
    "malformed-signature": Verdict.PERMERROR,
    "damaged": Verdict.PERMERROR,
}


def verify(
    job: Job, source: Source, limits: Limits, store: trust.TrustStore, at: float, exhibits: Exhibits
) -> list[Finding]:
    """Judge every signature of one XML file; nothing is said of a file without. `at` is the time of receipt (Unix seconds)."""
    file = decode_to_file(job, source, limits.xml)
    if file is None:
        return [_note(job, "too-big", size=job.size)]
    with file:
        data = file.read()
    if not _may_be_signed(data):
        return []
    root = _parsed(data)
    if isinstance(root, str):
        return [_note(job, root)]
    signatures = list(root.iter(xml_claims.SIGNATURE))
    received_at = datetime.fromtimestamp(at, UTC)
    found = [_Judged(job, root, one, store, received_at, exhibits).finding() for one in signatures[:_MOST_SIGNATURES]]
    if len(signatures) > _MOST_SIGNATURES:
        found.append(_note(job, "too-many", count=len(signatures)))
    return found


def _note(job: Job, detail: str, **facts: Any) -> Finding:
    return note(Check.XML, _VERDICTS[detail], detail, job.name, part=job.part, **facts)


def _may_be_signed(data: bytes) -> bool:
    return (
        xml_claims.DS.encode() in data
        or xml_claims.DS.encode("utf-16-le") in data
        or xml_claims.DS.encode("utf-16-be") in data
    )


def _parsed(data: bytes) -> etree._Element | str:
    """The root of a file, or the slug of what is wrong with it. Entities are never expanded, for there is no DTD."""
    if any("<!DOCTYPE".encode(code) in data.upper() for code in ("ascii", "utf-16-le", "utf-16-be")):
        return "dtd"
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return "damaged"
    docinfo = root.getroottree().docinfo
    if docinfo.internalDTD is not None or docinfo.externalDTD is not None:
        return "dtd"
    return root if sum(1 for _ in root.iter()) <= _MOST_ELEMENTS else "too-big"


class _Verifier(XMLVerifier):
    """signxml's verifier for one signature among several: it would take the first that it finds."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def _get_signature(self, root: etree._Element) -> etree._Element:
        found = root if self._path == "." else root.find(self._path)
        if found is None or found.tag != xml_claims.SIGNATURE:
            raise InvalidSignature("the signature is not where it was")
        return found


class _Judged:
    """One signature of a file."""

    def __init__(
        self,
        job: Job,
        root: etree._Element,
        signature: etree._Element,
        store: trust.TrustStore,
        received_at: datetime,
        exhibits: Exhibits,
    ) -> None:
        self._job = job
        self._root = root
        self._signature = signature
        self._store = store
        self._received_at = received_at
        self._exhibits = exhibits

    def finding(self) -> Finding:
        try:
            claim = xml_claims.claim_of(self._root, self._signature)
            certificates = xml_claims.certificates(self._signature)
        except xml_claims.Foul as foul:
            return _note(self._job, str(foul))
        if not certificates:
            return _note(self._job, "no-certificate")
        try:
            intact = self._is_intact(claim, certificates[0])
        except MemoryError:
            raise
        except Exception as fault:  # whatever signxml and what it stands on raise on foul files
            return _note(self._job, "malformed-signature", fault=type(fault).__name__)
        certificate = x509.Certificate.load(certificates[0])
        embedded = [x509.Certificate.load(der) for der in certificates[1:]]
        return asyncio.run(self._judge(claim, certificate, embedded, intact=intact))

    def _is_intact(self, claim: xml_claims.Claim, der: bytes) -> bool:
        certificate = primitives.load_der_x509_certificate(der)
        tree = self._root.getroottree()
        path = "." if self._signature is self._root else tree.getelementpath(self._signature)
        configuration = SignatureConfiguration(
            expect_references=claim.count,
            signature_methods=frozenset(method for method in SignatureMethod if "HMAC" not in method.name),
            digest_algorithms=frozenset(DigestAlgorithm),
            verification_time=certificate.not_valid_before_utc,  # when it counted is judged with its chain
        )
        try:
            _Verifier(path).verify(
                etree.tostring(tree), x509_cert=certificate, expect_config=configuration, validate_schema=False
            )
        except (InvalidSignature, InvalidDigest):
            return False
        return True

    async def _judge(
        self, claim: xml_claims.Claim, certificate: x509.Certificate, embedded: list[x509.Certificate], *, intact: bool
    ) -> Finding:
        store = self._store.narrowed(certificate, embedded)
        claimed = xml_claims.signing_time(self._signature)
        moment = claimed if claimed is not None and claimed <= self._received_at + _CLOCK_SLOP else self._received_at
        standing = await _standing(store, certificate, embedded, moment)
        known = revocation.Revocation("revoked" if standing == "revoked" else "unknown")
        if standing != "untrusted":
            known = await revocation.of(store, certificate, embedded, moment, self._received_at)
        in_time = certificate.not_valid_before <= moment <= certificate.not_valid_after
        reason = xml_claims.outside(self._root, claim)
        old = claim.old or trust.is_old("sha256", certificate)
        trusted = standing == "good"
        facts = trust.described(certificate) | {
            "intact": intact,
            "trusted": trusted,
            **known.facts(self._received_at),
            "algorithm": xml_claims.algorithms(self._signature),
            "key_bits": trust.key_bits(certificate),
            "old": old,
            "signed_at": claimed.astimezone(UTC).isoformat(timespec="seconds") if claimed else "",
            "clock": "signer" if claimed else "none",
            "clock_wrong": bool(claimed and claimed > self._received_at + _CLOCK_SLOP),
            "coverage": "document" if not reason else "element",
            "element": str(etree.QName(claim.covered[0]).localname)[:100] if claim.covered else "",
            "valid_when_signed": intact and trusted and in_time and not known.spoils(moment, proved=False),
            "valid_now": intact
            and trusted
            and certificate.not_valid_before <= self._received_at <= certificate.not_valid_after
            and known.state != "revoked",
            "evidence": store.evidence(certificate, self._exhibits),
        }
        if trusted and known.state in ("unknown", "stale"):
            facts["wanted"] = revocation.wanted(store, certificate)
        reasons = (
            (not intact, "bad-signature"),
            (known.spoils(moment, proved=False), "revoked"),
            (not in_time, "expired"),
            (not trusted, "untrusted"),
            (known.state == "revoked", "revoked-later"),
            (old, "weak-algorithm"),
            (known.is_open, "revocation-unknown"),
            (bool(reason), "partial-body"),
        )
        detail = next((slug for holds, slug in reasons if holds), "good")
        return _note(self._job, detail, **facts, **({"reason": reason} if reason else {}))


async def _standing(
    store: trust.TrustStore, certificate: x509.Certificate, embedded: list[x509.Certificate], moment: datetime
) -> str:
    """Return good, revoked or untrusted for a certificate as of a moment."""
    try:
        validator = CertificateValidator(
            certificate, intermediate_certs=embedded, validation_context=store.context(moment, strict=False)
        )
        await validator.async_validate_path()
    except RevokedError:
        return "revoked"
    except MemoryError:
        raise
    except Exception:  # pyHanko raises whatever comes on foul certificates
        return "untrusted"
    return "good"
