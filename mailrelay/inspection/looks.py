"""Which check looks into which job. In the worker only; each check's library is loaded with its first job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailrelay.inspection.decoding import decoded, decoder
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.source import Memory, Source
from mailrelay.model.finding import Finding

Context = Mapping[str, Any]


def look(job: Job, source: Source, context: Context, limits: Limits, setup: Context) -> list[Finding]:
    """Carry out one job. `context` is what the parent added (keyrings), `setup` the worker's settings."""
    if job.wrap_end:
        from mailrelay.inspection import opaque

        block = b"".join(decoded(source.steps(job.wrap_start, job.wrap_end), decoder(job.wrap_encoding)))
        source = Memory(opaque.read(block).content or b"")
    return _LOOKS[job.kind](job, source, context, limits, setup)


def _openpgp(job: Job, source: Source, context: Context, limits: Limits, setup: Context) -> list[Finding]:
    from mailrelay.inspection import openpgp

    return openpgp.verify(job, source, context, limits, str(setup["gpg"]))


def _smime(job: Job, source: Source, context: Context, limits: Limits, setup: Context) -> list[Finding]:
    from mailrelay.inspection import smime

    return smime.verify(job, source, limits, str(setup["trust_roots"]), float(context["at"]))


def _pdf(job: Job, source: Source, context: Context, limits: Limits, setup: Context) -> list[Finding]:
    from mailrelay.inspection import pdf

    return pdf.verify(job, source, limits, str(setup["trust_roots"]), float(context["at"]))


def _pdf_active(job: Job, source: Source, context: Context, limits: Limits, setup: Context) -> list[Finding]:
    from mailrelay.inspection import pdf_active

    return pdf_active.check(job, source, limits)


def _archive(job: Job, source: Source, context: Context, limits: Limits, setup: Context) -> list[Finding]:
    from mailrelay.inspection import archives

    return archives.check(job, source, limits)


def _office(job: Job, source: Source, context: Context, limits: Limits, setup: Context) -> list[Finding]:
    from mailrelay.inspection import office

    return office.check(job, source, limits)


_LOOKS: dict[str, Callable[[Job, Source, Context, Limits, Context], list[Finding]]] = {
    "openpgp": _openpgp,
    "smime": _smime,
    "smime-opaque": _smime,
    "pdf": _pdf,
    "pdf-active": _pdf_active,
    "archive": _archive,
    "office": _office,
}
