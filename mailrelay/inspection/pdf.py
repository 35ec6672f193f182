"""Digital signatures in PDF files by pyHanko (ISO 32000-2, PAdES). In the worker only; nothing is fetched.

Each signature is a finding with separate facts. What a file as a whole amounts to (person, agency, both) is read in `seals`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import IO, Any

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation import EmbeddedPdfSignature, async_validate_pdf_signature
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel

from mailrelay.inspection import revocation, trust
from mailrelay.inspection.exhibits import Exhibits
from mailrelay.inspection.filing import decode_to_file
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.folding import fold

_CLOCK_SLOP = timedelta(days=1)
_MOST_PAGES = 20  # that are looked at for a text layer
_COPY = re.compile(r"\b(?:sao y|sao luc|trich sao)\b")
_VERDICTS = {
    "good": Verdict.PASS,
    "broken": Verdict.FAIL,
    "modified-after-signing": Verdict.FAIL,
    "revoked": Verdict.POLICY,
    "revoked-later": Verdict.NEUTRAL,
    "revocation-unknown": Verdict.NEUTRAL,
    "expired": Verdict.NEUTRAL,
    "untrusted": Verdict.NEUTRAL,
    "weak-algorithm": Verdict.NEUTRAL,
    "unsigned": Verdict.NONE,
    "encrypted": Verdict.NEUTRAL,
    "too-big": Verdict.NEUTRAL,
    "too-many": Verdict.POLICY,
    "damaged": Verdict.PERMERROR,
}


def verify(
    job: Job, source: Source, limits: Limits, store: trust.TrustStore, at: float, exhibits: Exhibits
) -> list[Finding]:
    """Judge every signature of one PDF file. `at` is the time of receipt (Unix seconds)."""
    file = decode_to_file(job, source, limits.pdf)
    if file is None:
        return [_note(job, "too-big", size=job.size)]
    with file:
        if b"%PDF-" not in file.read(1024):
            return []  # no PDF at all, whatever its name says: that is a finding of `filetypes`
        try:
            return _File(job, file, store, datetime.fromtimestamp(at, UTC), limits, exhibits).findings()
        except MemoryError:
            raise
        except Exception as fault:  # pyHanko raises whatever comes on foul files, RecursionError among it
            return [_note(job, "damaged", fault=type(fault).__name__)]


def _note(job: Job, detail: str, **facts: Any) -> Finding:
    return note(Check.PDF, _VERDICTS[detail], detail, job.name, part=job.part, **facts)


class _File:
    def __init__(
        self,
        job: Job,
        file: IO[bytes],
        store: trust.TrustStore,
        received_at: datetime,
        limits: Limits,
        exhibits: Exhibits,
    ) -> None:
        self._job = job
        self._file = file
        self._store = store
        self._received_at = received_at
        self._limits = limits
        self._exhibits = exhibits
        self._form: dict[str, bool] = {}

    def findings(self) -> list[Finding]:
        reader = PdfFileReader(self._file, strict=False)
        if reader.encrypted:
            return [_note(self._job, "encrypted")]
        everything = reader.embedded_signatures
        signatures = [signature for signature in everything if signature.sig_object_type == "/Sig"]
        if not signatures:
            return [self._unsigned()]
        self._form = {"scan": _is_scan(reader)}
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
        certificate = signature.signer_cert
        embedded = list(signature.other_embedded_certs)
        store = self._store.narrowed(certificate, embedded)
        stamps = self._store  # a time stamp has a chain of its own
        moment, clock = self._moment(signature)
        status = await _validate(signature, moment, store, stamps)
        stamp = status.timestamp_validity
        if stamp is not None and stamp.trusted:
            moment, clock = stamp.timestamp, "timestamp"
            status = await _validate(signature, moment, store, stamps)
        known = revocation.Revocation("revoked" if status.revoked else "unknown")
        if status.trusted or status.revoked:
            known = await revocation.of(store, certificate, embedded, moment, self._received_at)
        in_time = certificate.not_valid_before <= moment <= certificate.not_valid_after
        facts |= _facts(status, signature)
        facts |= {
            "signed_at": moment.astimezone(UTC).isoformat(timespec="seconds") if clock != "none" else "",
            "clock": clock,
            **self._clock_facts(signature, moment, clock),
            **known.facts(self._received_at),
            **self._form,
            "copy": _says_copy(signature),
            "expired_now": certificate.not_valid_after < self._received_at,
            "evidence": store.evidence(certificate, self._exhibits),
        }
        in_order = facts["intact"] and not _is_modified(status, last=last) and status.trusted
        revoked_then = known.spoils(moment, proved=clock == "timestamp")
        facts["valid_when_signed"] = in_order and in_time and not revoked_then
        facts["valid_now"] = in_order and not facts["expired_now"] and known.state != "revoked"
        if status.trusted and known.state in ("unknown", "stale"):
            facts["wanted"] = revocation.wanted(store, certificate)
        reasons: Sequence[tuple[bool, str]] = (
            (not facts["intact"], "broken"),
            (_is_modified(status, last=last), "modified-after-signing"),
            (revoked_then, "revoked"),
            (not in_time, "expired"),
            (not status.trusted, "untrusted"),
            (known.state == "revoked", "revoked-later"),
            (facts["old"], "weak-algorithm"),
            (known.is_open, "revocation-unknown"),
        )
        return _note(self._job, next((slug for holds, slug in reasons if holds), "good"), **facts)

    def _moment(self, signature: EmbeddedPdfSignature) -> tuple[datetime, str]:
        """When it was signed, by the signer's own clock; a time in the future is no time."""
        claimed = _claimed(signature)
        if claimed is None or claimed > self._received_at + _CLOCK_SLOP:
            return self._received_at, "none"
        return claimed, "signer"

    def _clock_facts(self, signature: EmbeddedPdfSignature, moment: datetime, clock: str) -> dict[str, Any]:
        """What the signer's clock told when it cannot be right: later than the receipt, or far from a trusted time stamp."""
        claimed = _claimed(signature)
        if claimed is None:
            return {}
        wrong = claimed > self._received_at + _CLOCK_SLOP
        wrong = wrong or (clock == "timestamp" and abs(claimed - moment) > _CLOCK_SLOP)
        told = {"claimed_at": claimed.astimezone(UTC).isoformat(timespec="seconds")} if wrong else {}
        return {"clock_wrong": wrong, **told}


def _says_copy(signature: EmbeddedPdfSignature) -> bool:
    """Whether a signature calls itself that of a copy (Decree 30, article 25): sao y, sao lục, trích sao."""
    said = f"{signature.sig_object.get('/Reason', '')} {signature.field_name}"[:500]
    return _COPY.search(fold(said)) is not None


def _is_scan(reader: PdfFileReader) -> bool:
    """Whether the pages are pictures without a text layer. At most the first pages are looked at."""
    try:
        found = [_resources(page) for page in islice(_pages(reader.root["/Pages"]), _MOST_PAGES)]
        images = any(_has_images(each) for each in found)
    except Exception:  # a foul tree of pages is no scan; the signature's verdict does not hang on it
        return False
    return images and not any(each.get("/Font") for each in found)


def _has_images(resources: Any) -> bool:
    objects = resources.get("/XObject", {})
    return any(str(objects[name].get("/Subtype")) == "/Image" for name in objects)


def _pages(top: Any) -> Iterator[Any]:
    """The pages below a node of the tree of pages, in order, as far as a sane file is deep."""
    stack = [(top, 0)]
    while stack:
        reference, depth = stack.pop()
        node = reference.get_object()
        if "/Kids" not in node:
            yield node
        elif depth < _MOST_PAGES:
            stack += [(kid, depth + 1) for kid in list(node["/Kids"])[:_MOST_PAGES][::-1]]


def _resources(page: Any) -> Any:
    """The resources of a page, which it may have from above."""
    for _ in range(_MOST_PAGES):
        if "/Resources" in page or "/Parent" not in page:
            break
        page = page["/Parent"]
    return page.get("/Resources", {})


def _claimed(signature: EmbeddedPdfSignature) -> datetime | None:
    claimed = signature.self_reported_timestamp
    if claimed is None:
        return None
    return claimed if claimed.tzinfo is not None else claimed.replace(tzinfo=UTC)


async def _validate(
    signature: EmbeddedPdfSignature, moment: datetime, store: trust.TrustStore, stamps: trust.TrustStore
) -> PdfSignatureStatus:
    return await async_validate_pdf_signature(
        signature,
        signer_validation_context=store.context(moment, strict=False),
        ts_validation_context=stamps.context(moment, strict=False),
        key_usage_settings=trust.KEY_USAGE,
    )


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
