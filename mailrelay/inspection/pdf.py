"""Digital signatures in PDF files by pyHanko (ISO 32000-2, PAdES). In the worker only; nothing is fetched.

Each signature is a finding with separate facts. What a file as a whole amounts to (person, agency, both) is read in `seals`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation import EmbeddedPdfSignature, async_validate_pdf_signature
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel

from mailrelay.inspection import trust
from mailrelay.inspection.filing import decode_to_file
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict

_CLOCK_SLOP = timedelta(days=1)
_VERDICTS = {
    "good": Verdict.PASS,
    "broken": Verdict.FAIL,
    "modified-after-signing": Verdict.FAIL,
    "revoked": Verdict.POLICY,
    "expired": Verdict.NEUTRAL,
    "untrusted": Verdict.NEUTRAL,
    "weak-algorithm": Verdict.NEUTRAL,
    "unsigned": Verdict.NONE,
    "encrypted": Verdict.NEUTRAL,
    "too-big": Verdict.NEUTRAL,
    "too-many": Verdict.POLICY,
    "damaged": Verdict.PERMERROR,
}


def verify(job: Job, source: Source, limits: Limits, roots: str, at: float) -> list[Finding]:
    """Judge every signature of one PDF file. `roots` is the trust folder, `at` the time of receipt (Unix seconds)."""
    file = decode_to_file(job, source, limits.pdf)
    if file is None:
        return [_note(job, "too-big", size=job.size)]
    with file:
        if b"%PDF-" not in file.read(1024):
            return []  # no PDF at all, whatever its name says: that is a finding of `filetypes`
        try:
            return _File(job, file, trust.load(roots), datetime.fromtimestamp(at, UTC), limits).findings()
        except MemoryError:
            raise
        except Exception as fault:  # pyHanko raises whatever comes on foul files, RecursionError among it
            return [_note(job, "damaged", fault=type(fault).__name__)]


def _note(job: Job, detail: str, **facts: Any) -> Finding:
    return note(Check.PDF, _VERDICTS[detail], detail, job.name, part=job.part, **facts)


class _File:
    def __init__(
        self, job: Job, file: IO[bytes], store: trust.TrustStore, received_at: datetime, limits: Limits
    ) -> None:
        self._job = job
        self._file = file
        self._store = store
        self._received_at = received_at
        self._limits = limits

    def findings(self) -> list[Finding]:
        reader = PdfFileReader(self._file, strict=False)
        if reader.encrypted:
            return [_note(self._job, "encrypted")]
        everything = reader.embedded_signatures
        signatures = [signature for signature in everything if signature.sig_object_type == "/Sig"]
        if not signatures:
            return [self._unsigned()]
        found = [
            self._signature(signature, last=signature is everything[-1])
            for signature in signatures[: self._limits.pdf_signatures]
        ]
        if len(signatures) > self._limits.pdf_signatures:
            found.append(_note(self._job, "too-many", count=len(signatures)))
        return found

    def _unsigned(self) -> Finding:
        """No signature field; a byte range without one means that the field was taken away."""
        self._file.seek(0)
        for block in iter(lambda: self._file.read(1024 * 1024), b""):
            if b"/ByteRange" in block:
                return _note(self._job, "broken", reason="signature-without-field")
        return _note(self._job, "unsigned")

    def _signature(self, signature: EmbeddedPdfSignature, *, last: bool) -> Finding:
        facts: dict[str, Any] = {"field": str(signature.field_name)[:255]}
        try:
            facts |= trust.described(signature.signer_cert)
            return asyncio.run(self._judge(signature, facts, last=last))
        except MemoryError:
            raise
        except Exception as fault:
            return _note(self._job, "damaged", **facts, fault=type(fault).__name__)

    async def _judge(self, signature: EmbeddedPdfSignature, facts: dict[str, Any], *, last: bool) -> Finding:
        moment, clock = self._moment(signature)
        status = await self._validate(signature, moment, strict=False)
        stamp = status.timestamp_validity
        if stamp is not None and stamp.trusted:
            moment, clock = stamp.timestamp, "timestamp"
            status = await self._validate(signature, moment, strict=False)
        facts |= _facts(status, signature)
        facts |= {
            "signed_at": moment.astimezone(UTC).isoformat(timespec="seconds") if clock != "none" else "",
            "clock": clock,
        }
        facts["revocation"] = await self._revocation(signature, status, moment)
        facts["expired_now"] = signature.signer_cert.not_valid_after < self._received_at
        return _note(self._job, _detail(status, signature, moment, facts, last=last), **facts)

    def _moment(self, signature: EmbeddedPdfSignature) -> tuple[datetime, str]:
        """When it was signed, by the signer's own clock; a time in the future is no time."""
        claimed = signature.self_reported_timestamp
        if claimed is None:
            return self._received_at, "none"
        if claimed.tzinfo is None:
            claimed = claimed.replace(tzinfo=UTC)
        if claimed > self._received_at + _CLOCK_SLOP:
            return self._received_at, "none"
        return claimed, "signer"

    async def _validate(self, signature: EmbeddedPdfSignature, moment: datetime, *, strict: bool) -> PdfSignatureStatus:
        return await async_validate_pdf_signature(
            signature,
            signer_validation_context=self._store.context(moment, strict=strict),
            key_usage_settings=trust.KEY_USAGE,
        )

    async def _revocation(self, signature: EmbeddedPdfSignature, status: PdfSignatureStatus, moment: datetime) -> str:
        """Return good, revoked or unknown: only the strict run uses every list that we hold."""
        if status.revoked:
            return "revoked"
        if not status.trusted or not self._store.crls:
            return "unknown"
        strict = await self._validate(signature, moment, strict=True)
        if strict.revoked:
            return "revoked"
        return "good" if strict.trusted else "unknown"


def _facts(status: PdfSignatureStatus, signature: EmbeddedPdfSignature) -> dict[str, Any]:
    certificate = signature.signer_cert
    return {
        "intact": status.intact and status.valid,
        "trusted": status.trusted,
        "coverage": status.coverage.name.lower() if status.coverage else "unclear",
        "modification": status.modification_level.name.lower() if status.modification_level else "unknown",
        "permitted": bool(status.docmdp_ok),
        "algorithm": f"{status.md_algorithm}/{certificate.public_key.algorithm}",
        "key_bits": trust.key_bits(certificate),
        "old": trust.is_old(status.md_algorithm, certificate),
        "problem": status.trust_problem_indic.standard_name.lower() if status.trust_problem_indic else "",
    }


def _detail(
    status: PdfSignatureStatus, signature: EmbeddedPdfSignature, moment: datetime, facts: dict[str, Any], *, last: bool
) -> str:
    certificate = signature.signer_cert
    reasons: Sequence[tuple[bool, str]] = (
        (not facts["intact"], "broken"),
        (_is_modified(status, last=last), "modified-after-signing"),
        (facts["revocation"] == "revoked", "revoked"),
        (not certificate.not_valid_before <= moment <= certificate.not_valid_after, "expired"),
        (not status.trusted, "untrusted"),
        (facts["old"], "weak-algorithm"),
    )
    return next((slug for holds, slug in reasons if holds), "good")


def _is_modified(status: PdfSignatureStatus, *, last: bool) -> bool:
    """Changes after signing that are more than further signatures and their proofs.

    The last signature must cover the whole file; only proof material (LTA) may follow it.
    """
    if status.coverage is SignatureCoverageLevel.ENTIRE_FILE:
        return False
    level = status.modification_level
    if level is None or not status.docmdp_ok or status.coverage is not SignatureCoverageLevel.ENTIRE_REVISION:
        return True
    if last:  # NONE is junk behind the end, which other readers may take for a revision
        return level is not ModificationLevel.LTA_UPDATES
    return bool(level > ModificationLevel.FORM_FILLING)
