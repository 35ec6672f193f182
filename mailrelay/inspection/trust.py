"""The certificates that we trust: a folder of PEM files kept by the administrator. In the worker only; never the system's store.

A file may say in lines before its first certificate from and to when it counts: `# from: 2013-01-01`, `# to: 2020-12-31`. Such a
root vouches only for what was signed in that time. Self-signed certificates are roots, others help to build chains; `*.crl`
files (DER or PEM) tell what was revoked. Nothing is ever fetched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

from asn1crypto import crl, pem, x509
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.policy_decl import AcceptAllAlgorithms

_DATED = re.compile(rb"^#?\s*(from|to):\s*(\d{4}-\d\d-\d\d)\s*$", re.MULTILINE)
_MOST_FILES = 500

_WEAK = frozenset(("md2", "md5", "sha1"))
_SHORTEST_KEY = {"rsa": 2048, "dsa": 2048, "ec": 224, "rsassa_pss": 2048}

# A signing certificate must be meant for signatures; which of the two words it uses differs from CA to CA.
KEY_USAGE = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"})


@dataclass(frozen=True, slots=True)
class Root:
    """A trusted certificate and the days between which it counts."""

    certificate: x509.Certificate
    since: date | None
    until: date | None

    def counts_on(self, day: date) -> bool:
        return (self.since is None or day >= self.since) and (self.until is None or day <= self.until)


@dataclass(frozen=True, slots=True)
class TrustStore:
    roots: tuple[Root, ...] = ()
    others: tuple[x509.Certificate, ...] = ()
    crls: tuple[crl.CertificateList, ...] = ()

    def context(self, moment: datetime, *, strict: bool) -> ValidationContext:
        """Return a context for one validation as of `moment`. `strict`: every certificate's standing must be known."""
        return ValidationContext(
            trust_roots=[root.certificate for root in self.roots if root.counts_on(moment.date())],
            other_certs=list(self.others),
            crls=list(self.crls),
            moment=moment,
            allow_fetching=False,
            revocation_mode="require" if strict else "soft-fail",
            retroactive_revinfo=True,
            algorithm_usage_policy=AcceptAllAlgorithms(),  # old algorithms are named, not called forged
        )


def load(folder: str) -> TrustStore:
    """Return the store of a folder ("": an empty one); read again when a file in it changed."""
    if not folder:
        return TrustStore()
    files = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in (".pem", ".crt", ".cer", ".crl"))
    return _read(tuple((str(path), path.stat().st_mtime_ns) for path in files[:_MOST_FILES]))


@lru_cache(maxsize=2)
def _read(files: tuple[tuple[str, int], ...]) -> TrustStore:
    roots: list[Root] = []
    others: list[x509.Certificate] = []
    crls: list[crl.CertificateList] = []
    for name, _ in files:
        data = Path(name).read_bytes()
        days = {
            word.decode(): date.fromisoformat(day.decode())
            for word, day in _DATED.findall(data.partition(b"-----BEGIN")[0])
        }
        for kind, der in _objects(data, name):
            if kind == "X509 CRL":
                crls.append(crl.CertificateList.load(der))
            elif kind == "CERTIFICATE":
                certificate = x509.Certificate.load(der)
                if certificate.self_issued:
                    roots.append(Root(certificate, days.get("from"), days.get("to")))
                else:
                    others.append(certificate)
    return TrustStore(tuple(roots), tuple(others), tuple(crls))


def _objects(data: bytes, name: str) -> list[tuple[str, bytes]]:
    if pem.detect(data):
        return [(kind, der) for kind, _, der in pem.unarmor(data, multiple=True)]
    return [("X509 CRL" if name.lower().endswith(".crl") else "CERTIFICATE", data)]


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
