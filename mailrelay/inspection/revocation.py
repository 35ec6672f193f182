"""What is known of a certificate's revocation, from lists and answers that we hold. In the worker only; nothing is fetched.

Four states: `good` (a fresh list or answer says so), `revoked`, `stale` (what we hold is out of date) and `unknown`. Only the
first is an assurance; the other two are facts with their age. A date of signing that only the signer's own clock tells never
undoes a revocation: whoever has a stolen key has a clock too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asn1crypto import crl, ocsp, x509
from cryptography import x509 as primitives
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.ocsp import OCSPRequestBuilder
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import RevokedError

from mailrelay.inspection import vetting
from mailrelay.inspection.trust import TrustStore

# Reasons (RFC 5280 section 5.3.1) for which a certificate is given up though nobody else had its key.
_HARMLESS = frozenset(("affiliationChanged", "superseded", "cessationOfOperation"))
_CAMEL = re.compile(r"_([a-z])")


@dataclass(frozen=True, slots=True)
class Revocation:
    """`asked_for` tells that the house has a source for this CA, so that not knowing is worth a word.

    `as_of` is when the newest source was made, `until` when it ran out, `at` when the certificate was revoked.
    """

    state: str = "unknown"
    asked_for: bool = False
    source: str = ""
    as_of: datetime | None = None
    until: datetime | None = None
    at: datetime | None = None
    harmless: bool = False  # revoked for a reason that says nothing against the key

    @property
    def is_open(self) -> bool:
        """Whether a source that the house keeps could not tell."""
        return self.asked_for and self.state in ("unknown", "stale")

    def facts(self, received_at: datetime) -> dict[str, Any]:
        found: dict[str, Any] = {"revocation": self.state}
        if self.source:
            found["revocation_source"] = self.source
        if self.as_of is not None:
            found["revocation_as_of"] = _iso(self.as_of)
            found["revocation_age_hours"] = max(0, int((received_at - self.as_of).total_seconds() // 3600))
        if self.at is not None:
            found["revoked_at"] = _iso(self.at)
            found["revoked_harmlessly"] = self.harmless
        return found

    def spoils(self, moment: datetime, *, proved: bool) -> bool:
        """Whether a signature of `moment` falls with the certificate. `proved`: a trusted clock says so, not the signer's.

        What was signed before the revocation stands if that is proved, or if the certificate was given up for a reason that
        says nothing against the key (another post, another certificate).
        """
        if self.state != "revoked":
            return False
        return self.at is None or self.at <= moment or not (proved or self.harmless)


@dataclass(frozen=True, slots=True)
class _Word:
    """What one list or answer says of one certificate."""

    source: str
    as_of: datetime
    until: datetime | None
    revoked_at: datetime | None
    reason: str = ""


async def of(
    store: TrustStore,
    certificate: x509.Certificate,
    embedded: Iterable[x509.Certificate],
    moment: datetime,
    received_at: datetime,
) -> Revocation:
    """Say what is known of a trusted certificate. `store` is that of its chain, `moment` the time as of which it is judged."""
    words = list(_words(store, certificate))
    newest = max(words, key=lambda word: word.as_of, default=None)
    asked_for = bool(words) or any(one.terms.crls or one.terms.ocsps for one in store.issuers_of(certificate))
    if newest is None and not store.crls and not store.ocsps:
        return Revocation(asked_for=asked_for)
    against = [word for word in words if word.revoked_at is not None]
    revoked_at = min((word.revoked_at for word in against if word.revoked_at is not None), default=None)
    harmless = bool(against) and all(word.reason in _HARMLESS for word in against)
    if against:
        state = "revoked"
    else:
        state = await _strictly(store, certificate, list(embedded), moment)
    if state != "revoked" and newest is not None and newest.until is not None and newest.until < received_at:
        state = "stale"
    if newest is None:
        return Revocation(state, asked_for)
    return Revocation(state, asked_for, newest.source, newest.as_of, newest.until, revoked_at, harmless)


async def _strictly(
    store: TrustStore, certificate: x509.Certificate, embedded: list[x509.Certificate], moment: datetime
) -> str:
    """Only the mode `require` uses every list that it is given: the others pass over lists that no certificate points to.

    OCSP answers it uses only when the certificate points to a responder; such answers we have judged ourselves.
    """
    state = await _path(certificate, embedded, store.context(moment, strict=True))
    if state == "unknown" and _is_answered(store, certificate):
        state = await _path(certificate, embedded, store.context(moment, strict=True, answered=True))
    return state


async def _path(certificate: x509.Certificate, embedded: list[x509.Certificate], context: ValidationContext) -> str:
    try:
        await CertificateValidator(
            certificate, intermediate_certs=embedded, validation_context=context
        ).async_validate_path()
    except RevokedError:
        return "revoked"
    except MemoryError:
        raise
    except Exception:  # pyHanko raises whatever comes on foul certificates
        return "unknown"
    return "good"


def _is_answered(store: TrustStore, certificate: x509.Certificate) -> bool:
    """Whether an answer that a CA of the chain signed says that the certificate is good."""
    for answer in store.ocsps:
        word = _of_answer(answer, certificate)
        try:
            signed = word is not None and vetting.times_of_answer(answer.dump(), store) is not None
            if signed and answer.response_data["responses"][0]["cert_status"].name == "good":
                return True
        except (ValueError, TypeError):
            continue
    return False


def _words(store: TrustStore, certificate: x509.Certificate) -> Iterator[_Word]:
    for found in store.crls:
        if found.issuer.hashable == certificate.issuer.hashable:
            word = _of_list(found, certificate)
            if word is not None:
                yield word
    for answer in store.ocsps:
        word = _of_answer(answer, certificate)
        if word is not None:
            yield word


def _of_list(found: crl.CertificateList, certificate: x509.Certificate) -> _Word | None:
    try:
        parsed = primitives.load_der_x509_crl(found.dump())
        entry = parsed.get_revoked_certificate_by_serial_number(certificate.serial_number)
    except (ValueError, TypeError):
        return None
    at = entry.revocation_date_utc if entry is not None else None
    return _Word("crl", parsed.last_update_utc, parsed.next_update_utc, at, _reason(entry))


def _reason(entry: primitives.RevokedCertificate | None) -> str:
    if entry is None:
        return ""
    try:
        return entry.extensions.get_extension_for_class(primitives.CRLReason).value.reason.value
    except (primitives.ExtensionNotFound, ValueError):
        return ""


def _of_answer(answer: ocsp.OCSPResponse, certificate: x509.Certificate) -> _Word | None:
    try:
        single = answer.response_data["responses"][0]
        if single["cert_id"]["serial_number"].native != certificate.serial_number:
            return None
        status = single["cert_status"]
        revoked = status.chosen if status.name == "revoked" else None
        at = revoked["revocation_time"].native if revoked is not None else None
        reason = (
            _CAMEL.sub(lambda m: m.group(1).upper(), str(revoked["revocation_reason"].native or "")) if revoked else ""
        )
        return _Word("ocsp", single["this_update"].native, single["next_update"].native, at, reason)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def wanted(store: TrustStore, certificate: x509.Certificate) -> list[dict[str, str]]:
    """The questions that would settle a certificate's standing: {address, request (base64 DER)} for its CA's OCSP responders.

    They go to addresses of the trust folder only; whether and when is the parent's affair.
    """
    found: list[dict[str, str]] = []
    for issuer in store.issuers_of(certificate):
        for address in issuer.terms.ocsps[:2]:
            builder = OCSPRequestBuilder().add_certificate(
                primitives.load_der_x509_certificate(certificate.dump()),
                primitives.load_der_x509_certificate(issuer.certificate.dump()),
                hashes.SHA1(),  # noqa: S303 - RFC 5019 section 2.1.1: the name of an issuer, not a proof
            )
            request = builder.build().public_bytes(serialization.Encoding.DER)
            found.append({"address": address, "request": base64.b64encode(request).decode("ascii")})
    return found[:4]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
