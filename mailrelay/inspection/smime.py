"""S/MIME signatures (RFC 8551), detached and opaque, by pyHanko's CMS validation. In the worker only; nothing is fetched.

Whether the certificate is the author's is judged by the parent, which knows the directory (`seals`).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import cms, x509
from pyhanko.sign.general import CMSExtractionError
from pyhanko.sign.validation import async_validate_detached_cms
from pyhanko.sign.validation.generic_cms import (
    async_validate_cms_signature,
    extract_certs_for_validation,
    extract_self_reported_ts,
)
from pyhanko.sign.validation.status import SignatureStatus

from mailrelay.inspection import opaque, trust
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict

_MOST_SIGNATURE = 1024 * 1024
_CLOCK_SLOP = timedelta(days=1)
_VERDICTS = {
    "good": Verdict.PASS,
    "bad-signature": Verdict.FAIL,
    "several-signatures": Verdict.POLICY,
    "revoked": Verdict.POLICY,
    "expired": Verdict.NEUTRAL,
    "untrusted": Verdict.NEUTRAL,
    "weak-algorithm": Verdict.NEUTRAL,
    "partial-body": Verdict.PARTIAL,
    "encrypted": Verdict.NEUTRAL,
    "too-big": Verdict.NEUTRAL,
    "malformed-signature": Verdict.PERMERROR,
}


def verify(job: Job, source: Source, limits: Limits, roots: str, at: float) -> list[Finding]:
    """Judge one signed part or opaque block. `roots` is the trust folder, `at` the time of receipt (Unix seconds)."""
    if job.end - job.start > limits.file:
        return [_note(job, "too-big")]
    block, signed = _block(job, source)
    wrapper = opaque.read(block) if block is not None else opaque.Wrapper("foul")
    if wrapper.kind == "encrypted":
        return [_note(job, "encrypted")]
    content = wrapper.content if job.kind == "smime-opaque" else signed
    if wrapper.signed_data is None or content is None:
        return [_note(job, "malformed-signature")]
    if len(wrapper.signed_data["signer_infos"]) != 1:
        return [_note(job, "several-signatures", count=len(wrapper.signed_data["signer_infos"]))]
    if job.kind == "smime" and wrapper.content is not None:
        return [_note(job, "malformed-signature", reason="content-inside")]  # which of the two would be shown?
    try:
        return [asyncio.run(_Signature(job, wrapper.signed_data, content, roots, at).judge())]
    except MemoryError:
        raise
    except (CMSExtractionError, Exception) as fault:  # pyHanko raises whatever comes on foul blocks
        return [_note(job, "malformed-signature", fault=type(fault).__name__)]


def _block(job: Job, source: Source) -> tuple[bytes | None, bytes]:
    """The CMS block, and the signed part of a detached signature."""
    if job.kind == "smime-opaque":
        return b"".join(job.blocks(source)), b""
    if job.signature_end - job.signature_start > 2 * _MOST_SIGNATURE:
        return None, b""
    place = Job(job.kind, job.part, "", job.signature_start, job.signature_end, job.encoding)
    return b"".join(place.blocks(source)), source.read(job.start, job.end)


def _note(job: Job, detail: str, subject: str = "", **facts: Any) -> Finding:
    return note(Check.SMIME, _VERDICTS[detail], detail, subject, part=job.part, **facts)


class _Signature:
    def __init__(self, job: Job, signed_data: cms.SignedData, content: bytes, roots: str, at: float) -> None:
        self._job = job
        self._signed_data = signed_data
        self._content = content
        self._store = trust.load(roots)
        self._received_at = datetime.fromtimestamp(at, UTC)
        self._certificate: x509.Certificate = extract_certs_for_validation(signed_data).signer_cert

    async def judge(self) -> Finding:
        """A mail is judged as of its receipt: a signer's clock that says otherwise is noted, and believed in nothing."""
        status = await self._validate(self._received_at, strict=False)
        claimed = extract_self_reported_ts(self._signed_data["signer_infos"][0])
        certificate = self._certificate
        facts = trust.described(certificate) | {
            "addresses": trust.addresses(certificate),
            "intact": status.intact and status.valid,
            "trusted": status.trusted,
            "revocation": await self._revocation(status),
            "algorithm": f"{status.md_algorithm}/{certificate.public_key.algorithm}",
            "key_bits": trust.key_bits(certificate),
            "old": trust.is_old(status.md_algorithm, certificate),
            "signed_at": claimed.astimezone(UTC).isoformat(timespec="seconds") if claimed else "",
            "clock": "signer" if claimed else "none",
            "clock_wrong": bool(claimed and abs(claimed - self._received_at) > _CLOCK_SLOP),
        }
        return _note(self._job, self._detail(status, facts), str(facts.get("email", "")), **facts)

    async def _validate(self, moment: datetime, *, strict: bool) -> SignatureStatus:
        if self._job.kind == "smime-opaque":
            return await async_validate_cms_signature(
                self._signed_data,
                validation_context=self._store.context(moment, strict=strict),
                key_usage_settings=trust.KEY_USAGE,
            )
        return await async_validate_detached_cms(
            self._content,
            self._signed_data,
            signer_validation_context=self._store.context(moment, strict=strict),
            key_usage_settings=trust.KEY_USAGE,
        )

    async def _revocation(self, status: SignatureStatus) -> str:
        if status.revoked:
            return "revoked"
        if not status.trusted or not self._store.crls:
            return "unknown"
        strict = await self._validate(self._received_at, strict=True)
        if strict.revoked:
            return "revoked"
        return "good" if strict.trusted else "unknown"

    def _detail(self, status: SignatureStatus, facts: dict[str, Any]) -> str:
        certificate = self._certificate
        reasons = (
            (not facts["intact"], "bad-signature"),
            (facts["revocation"] == "revoked", "revoked"),
            (not certificate.not_valid_before <= self._received_at <= certificate.not_valid_after, "expired"),
            (not status.trusted, "untrusted"),
            (facts["old"], "weak-algorithm"),
            (not self._job.whole, "partial-body"),
        )
        return next((slug for holds, slug in reasons if holds), "good")
