"""S/MIME signatures (RFC 8551), detached and opaque, by pyHanko's CMS validation. In the worker only; nothing is fetched.

Whether the certificate is the author's is judged by the parent, which knows the directory (`seals`).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import cms, x509
from pyhanko.sign.validation import async_validate_detached_cms
from pyhanko.sign.validation.generic_cms import (
    async_validate_cms_signature,
    extract_certs_for_validation,
    extract_self_reported_ts,
)
from pyhanko.sign.validation.status import SignatureStatus

from mailrelay.inspection import opaque, revocation, trust
from mailrelay.inspection.exhibits import Exhibits
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict

_MOST_SIGNATURE = 1024 * 1024
_MOST_SIGNERS = 5
_CLOCK_SLOP = timedelta(days=1)
_VERDICTS = {
    "good": Verdict.PASS,
    "bad-signature": Verdict.FAIL,
    "several-signatures": Verdict.POLICY,
    "revoked": Verdict.POLICY,
    "revocation-unknown": Verdict.NEUTRAL,
    "expired": Verdict.NEUTRAL,
    "untrusted": Verdict.NEUTRAL,
    "weak-algorithm": Verdict.NEUTRAL,
    "partial-body": Verdict.PARTIAL,
    "encrypted": Verdict.NEUTRAL,
    "too-big": Verdict.NEUTRAL,
    "malformed-signature": Verdict.PERMERROR,
}


def verify(
    job: Job, source: Source, limits: Limits, store: trust.TrustStore, at: float, exhibits: Exhibits
) -> list[Finding]:
    """Judge every signer of one signed part or opaque block: a finding each. `at` is the time of receipt (Unix seconds).

    Whether several signers together speak for the mail is judged by the parent (`seals.of_author`).
    """
    if job.end - job.start > limits.file:
        return [_note(job, "too-big")]
    block, signed = _block(job, source)
    wrapper = opaque.read(block) if block is not None else opaque.Wrapper("foul")
    if wrapper.kind == "encrypted":
        return [_note(job, "encrypted")]
    content = wrapper.content if job.kind == "smime-opaque" else signed
    if wrapper.signed_data is None or content is None:
        return [_note(job, "malformed-signature")]
    count = len(wrapper.signed_data["signer_infos"])
    if not 0 < count <= _MOST_SIGNERS:
        return [_note(job, "several-signatures", count=count)]
    if job.kind == "smime" and wrapper.content is not None:
        return [_note(job, "malformed-signature", reason="content-inside")]  # which of the two would be shown?
    return [
        _judged(job, _of_one_signer(wrapper.signed_data, number), content, store, at, exhibits, count)
        for number in range(count)
    ]


def _of_one_signer(signed_data: cms.SignedData, number: int) -> cms.SignedData:
    """The same block with one of its signers alone: pyHanko judges one, and each signs for itself (RFC 5652 section 5.1)."""
    if len(signed_data["signer_infos"]) == 1:
        return signed_data
    alone = signed_data.copy()
    alone["signer_infos"] = cms.SignerInfos([signed_data["signer_infos"][number]])
    return alone


def _judged(
    job: Job,
    signed_data: cms.SignedData,
    content: bytes,
    store: trust.TrustStore,
    at: float,
    exhibits: Exhibits,
    count: int,
) -> Finding:
    try:
        found = asyncio.run(_Signature(job, signed_data, content, store, at, exhibits).judge())
    except MemoryError:
        raise
    except Exception as fault:  # pyHanko raises whatever comes on foul blocks
        return _note(job, "malformed-signature", fault=type(fault).__name__)
    return (
        found
        if count == 1
        else note(found.check, found.verdict, found.detail, found.subject, **found.facts, signers=count)
    )


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
    def __init__(
        self,
        job: Job,
        signed_data: cms.SignedData,
        content: bytes,
        store: trust.TrustStore,
        at: float,
        exhibits: Exhibits,
    ) -> None:
        self._job = job
        self._signed_data = signed_data
        self._content = content
        self._received_at = datetime.fromtimestamp(at, UTC)
        self._exhibits = exhibits
        extracted = extract_certs_for_validation(signed_data)
        self._certificate: x509.Certificate = extracted.signer_cert
        self._embedded = list(extracted.other_certs)
        self._store = store.narrowed(self._certificate, self._embedded)

    async def judge(self) -> Finding:
        """A mail is judged as of its receipt: a signer's clock that says otherwise is noted, and believed in nothing."""
        status = await self._validate(self._received_at)
        claimed = extract_self_reported_ts(self._signed_data["signer_infos"][0])
        certificate = self._certificate
        known = revocation.Revocation("revoked" if status.revoked else "unknown")
        if status.trusted or status.revoked:
            arguments = (self._store, certificate, self._embedded, self._received_at, self._received_at)
            known = await revocation.of(*arguments)
        in_time = certificate.not_valid_before <= self._received_at <= certificate.not_valid_after
        facts = trust.described(certificate) | {
            "addresses": trust.addresses(certificate),
            "intact": status.intact and status.valid,
            "trusted": status.trusted,
            **known.facts(self._received_at),
            "algorithm": f"{status.md_algorithm}/{certificate.public_key.algorithm}",
            "key_bits": trust.key_bits(certificate),
            "old": trust.is_old(status.md_algorithm, certificate),
            "signed_at": claimed.astimezone(UTC).isoformat(timespec="seconds") if claimed else "",
            "clock": "signer" if claimed else "none",
            "clock_wrong": bool(claimed and abs(claimed - self._received_at) > _CLOCK_SLOP),
            "valid_now": status.trusted and in_time and known.state != "revoked",
            "evidence": self._store.evidence(certificate, self._exhibits),
        }
        if claimed is not None:
            facts["valid_when_signed"] = await self._was_valid(claimed, known)
        if status.trusted and known.state in ("unknown", "stale"):
            facts["wanted"] = revocation.wanted(self._store, certificate)
        detail = self._detail(status, known, facts, in_time=in_time)
        if detail == "partial-body":
            facts["reason"] = self._job.reason
        return _note(self._job, detail, str(facts.get("email", "")), **facts)

    async def _was_valid(self, claimed: datetime, known: revocation.Revocation) -> bool:
        """Whether it was valid at the time that the signer's clock told: a claim, told apart from `valid_now`."""
        status = await self._validate(claimed)
        in_order = status.intact and status.valid and status.trusted
        return bool(in_order and (known.at is None or known.at > claimed))

    async def _validate(self, moment: datetime) -> SignatureStatus:
        if self._job.kind == "smime-opaque":
            return await async_validate_cms_signature(
                self._signed_data,
                validation_context=self._store.context(moment, strict=False),
                key_usage_settings=trust.KEY_USAGE,
            )
        return await async_validate_detached_cms(
            self._content,
            self._signed_data,
            signer_validation_context=self._store.context(moment, strict=False),
            key_usage_settings=trust.KEY_USAGE,
        )

    def _detail(
        self, status: SignatureStatus, known: revocation.Revocation, facts: dict[str, Any], *, in_time: bool
    ) -> str:
        reasons = (
            (not facts["intact"], "bad-signature"),
            (known.state == "revoked" or status.revoked, "revoked"),
            (not in_time, "expired"),
            (not status.trusted, "untrusted"),
            (facts["old"], "weak-algorithm"),
            (known.is_open, "revocation-unknown"),
            (not self._job.whole, "partial-body"),
        )
        return next((slug for holds, slug in reasons if holds), "good")
