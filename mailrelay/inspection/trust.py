"""The certificates that we trust: a folder of PEM files kept by the administrator. In the worker only; never the system's store.

What the files may say of themselves stands in `anchors`. Self-signed certificates are roots, others help to build chains; `*.crl`
files (DER or PEM) beside them, and the lists and answers of the cache (`revocation_cache`), tell what was revoked. Nothing is
ever fetched here, and a validation is given no more than belongs to its chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from asn1crypto import crl, ocsp, pem, x509
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.policy_decl import (
    AcceptAllAlgorithms,
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)

from mailrelay.inspection import anchors
from mailrelay.inspection.exhibits import Exhibits, tools

_LONGEST_CHAIN = 8
_MOST_EMBEDDED = 32  # certificates of one signature that are looked at

_WEAK = frozenset(("md2", "md5", "sha1"))
_SHORTEST_KEY = {"rsa": 2048, "dsa": 2048, "ec": 224, "rsassa_pss": 2048}

# A signing certificate must be meant for signatures; which of the two words it uses differs from CA to CA.
KEY_USAGE = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"})

_ABOVE = CertRevTrustPolicy(
    RevocationCheckingPolicy(
        ee_certificate_rule=RevocationCheckingRule.NO_CHECK,
        intermediate_ca_cert_rule=RevocationCheckingRule.CRL_OR_OCSP_REQUIRED,
    ),
    retroactive_revinfo=True,
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A certificate of the folder and what its file says of it: the days between which it counts, its CA's addresses."""

    certificate: x509.Certificate
    terms: anchors.Terms = field(default_factory=anchors.Terms)

    def counts_on(self, day: date) -> bool:
        since, until = self.terms.since, self.terms.until
        return (since is None or day >= since) and (until is None or day <= until)


@dataclass(frozen=True, slots=True)
class TrustStore:
    roots: tuple[Anchor, ...] = ()
    others: tuple[Anchor, ...] = ()
    crls: tuple[crl.CertificateList, ...] = ()
    ocsps: tuple[ocsp.OCSPResponse, ...] = ()

    def narrowed(self, certificate: x509.Certificate, embedded: Iterable[x509.Certificate] = ()) -> TrustStore:
        """Return the part of the store that belongs to the chain of one certificate; `embedded` came with the signature."""
        brought = [Anchor(one) for one in list(embedded)[:_MOST_EMBEDDED]]
        chain: list[Anchor] = [Anchor(certificate)]
        for _ in range(_LONGEST_CHAIN):
            issuers = {one.certificate.issuer.hashable for one in chain}
            known = {one.certificate.sha256 for one in chain}
            above = [
                one
                for one in (*self.roots, *self.others, *brought)
                if one.certificate.subject.hashable in issuers and one.certificate.sha256 not in known
            ]
            if not above:
                break
            chain += {one.certificate.sha256: one for one in above}.values()
        issuers = {one.certificate.issuer.hashable for one in chain}
        own = {one.certificate.sha256 for one in chain}
        serials = {one.certificate.serial_number for one in chain}
        return TrustStore(
            tuple(root for root in self.roots if root.certificate.sha256 in own),
            tuple(one for one in self.others if one.certificate.sha256 in own),
            tuple(one for one in self.crls if one.issuer.hashable in issuers),
            tuple(one for one in self.ocsps if _serial(one) in serials),
        )

    def context(self, moment: datetime, *, strict: bool, answered: bool = False) -> ValidationContext:
        """Return a context for one validation as of `moment`. `strict`: every certificate's standing must be known.

        With `answered` that of the end certificate is known already, and only those of the CAs above it are asked for.
        """
        return ValidationContext(
            trust_roots=[root.certificate for root in self.roots if root.counts_on(moment.date())],
            other_certs=[one.certificate for one in self.others],
            crls=list(self.crls),
            ocsps=list(self.ocsps),
            moment=moment,
            allow_fetching=False,
            revocation_mode="require" if strict else "soft-fail",
            revinfo_policy=_ABOVE if answered else None,
            retroactive_revinfo=True,
            algorithm_usage_policy=AcceptAllAlgorithms(),  # old algorithms are named, not called forged
        )

    def evidence(self, certificate: x509.Certificate, exhibits: Exhibits) -> list[dict[str, str]]:
        """Keep what a verdict on one certificate rests on: it, its chain, the lists and answers. Call it on a narrowed store."""
        chain = (certificate, *(one.certificate for one in (*self.others, *self.roots)))
        pieces: list[tuple[str, Any]] = [("certificate", one) for one in chain]
        pieces += [*(("crl", one) for one in self.crls), *(("ocsp", one) for one in self.ocsps)]
        return [*(exhibits.add(kind, one.dump()) for kind, one in pieces), exhibits.add("tools", tools())]

    def issuers_of(self, certificate: x509.Certificate) -> list[Anchor]:
        """The certificates of the folder that may have issued this one, by name."""
        name = certificate.issuer.hashable
        return [one for one in (*self.roots, *self.others) if one.certificate.subject.hashable == name]


def _serial(response: ocsp.OCSPResponse) -> int:
    """The serial number that an answer is about; -1 for one that says nothing."""
    try:
        return int(response.response_data["responses"][0]["cert_id"]["serial_number"].native)
    except (ValueError, TypeError, KeyError, IndexError):
        return -1


def load(folder: str, cache: str = "") -> TrustStore:
    """Return the store of a trust folder and of the cache ("": none); read again when a file in them changed."""
    paths = anchors.files(Path(folder)) if folder else []
    kept = [path for kind in ("*.crl", "*.ocsp") for path in sorted(Path(cache).glob(kind))] if cache else []
    return _read(tuple((str(path), path.stat().st_mtime_ns) for path in (*paths, *kept) if path.is_file()))


@lru_cache(maxsize=2)
def _read(files: tuple[tuple[str, int], ...]) -> TrustStore:
    roots: list[Anchor] = []
    others: list[Anchor] = []
    crls: list[crl.CertificateList] = []
    ocsps: list[ocsp.OCSPResponse] = []
    for name, _ in files:
        data = Path(name).read_bytes()
        terms = anchors.terms(data)
        for kind, value in _objects(data, Path(name).suffix.lower()):
            if kind == "X509 CRL":
                crls.append(value)
            elif kind == "OCSP":
                ocsps.append(value)
            else:
                (roots if value.self_issued else others).append(Anchor(value, terms))
    return TrustStore(tuple(roots), tuple(others), tuple(crls), tuple(ocsps))


_LOADS = {"X509 CRL": crl.CertificateList.load, "CERTIFICATE": x509.Certificate.load, "OCSP": ocsp.OCSPResponse.load}
_KINDS = {".crl": "X509 CRL", ".ocsp": "OCSP"}


def _objects(data: bytes, suffix: str) -> list[tuple[str, Any]]:
    """What one file holds; what cannot be read counts for nothing (`mailrelay check` tells of it)."""
    found: list[tuple[str, Any]] = []
    try:
        blocks: Sequence[tuple[str, bytes]] = [(_KINDS.get(suffix, "CERTIFICATE"), data)]
        if pem.detect(data):
            blocks = [(kind, der) for kind, _, der in pem.unarmor(data, multiple=True)]
        for kind, der in blocks:
            if kind in _LOADS:
                value = _LOADS[kind](der)
                _ = (
                    value.subject.hashable
                    if kind == "CERTIFICATE"
                    else value.native
                    if kind == "OCSP"
                    else value.issuer
                )
                found.append((kind, value))
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
        pass
    return found


def described(certificate: x509.Certificate) -> dict[str, str]:
    """Return what people ask of a certificate, as facts."""
    subject = certificate.subject.native
    issuer = certificate.issuer.native
    validity = certificate["tbs_certificate"]["validity"]

    def text(value: object) -> str:
        return "; ".join(map(str, value))[:255] if isinstance(value, list) else str(value or "")[:255]

    facts = {
        "signer": text(subject.get("common_name")),
        "organisation": text(subject.get("organization_name")),
        "unit": text(subject.get("organizational_unit_name")),
        "email": text(next(iter(addresses(certificate)), "")),
        "certificate": certificate.sha256.hex(),
        "serial": format(certificate.serial_number, "x"),
        "ca": text(issuer.get("common_name") or issuer.get("organization_name")),
        "valid_from": _iso(validity["not_before"].native),
        "valid_to": _iso(validity["not_after"].native),
    }
    return {name: value for name, value in facts.items() if value}


def addresses(certificate: x509.Certificate) -> list[str]:
    """Return the mail addresses that a certificate was issued for: those of its alternative names, then of its subject."""
    names = certificate.subject_alt_name_value or ()
    found = [str(name.native) for name in names if name.name == "rfc822_name"]
    value = certificate.subject.native.get("email_address", ())
    found += [value] if isinstance(value, str) else [str(address) for address in value]
    return list(dict.fromkeys(address.lower() for address in found))


def key_bits(certificate: x509.Certificate) -> int:
    return int(certificate.public_key.bit_size)


def is_old(digest: str, certificate: x509.Certificate) -> bool:
    """Whether a signature was made in a way that is no longer accepted for new ones."""
    return digest.lower() in _WEAK or key_bits(certificate) < _SHORTEST_KEY.get(certificate.public_key.algorithm, 0)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
