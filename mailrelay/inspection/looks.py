"""Which check looks into which job. In the worker only; each check's library is loaded with its first job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailrelay.inspection.decoding import decoded, decoder
from mailrelay.inspection.exhibits import Exhibits
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.source import Memory, Source
from mailrelay.model.finding import Finding

Context = Mapping[str, Any]


def look(
    job: Job, source: Source, context: Context, limits: Limits, setup: Context, exhibits: Exhibits
) -> list[Finding]:
    """Carry out one job. `context` is what the parent added (keyrings), `setup` the worker's settings.

    What a verdict rests on is put among the `exhibits`.
    """
    if job.wrap_end:
        from mailrelay.inspection import opaque

        block = b"".join(decoded(source.steps(job.wrap_start, job.wrap_end), decoder(job.wrap_encoding)))
        source = Memory(opaque.read(block).content or b"")
    return _LOOKS[job.kind](job, source, context, limits, setup, exhibits)


def _openpgp(
    job: Job, source: Source, context: Context, limits: Limits, setup: Context, exhibits: Exhibits
) -> list[Finding]:
    from mailrelay.inspection import openpgp

    return openpgp.verify(job, source, context, limits, str(setup["gpg"]), exhibits)


def _smime(
    job: Job, source: Source, context: Context, limits: Limits, setup: Context, exhibits: Exhibits
) -> list[Finding]:
    from mailrelay.inspection import smime, trust

    store = trust.load(str(setup["trust_roots"]), str(setup["revocation"]))
    return smime.verify(job, source, limits, store, float(context["at"]), exhibits)


def _pdf(
    job: Job, source: Source, context: Context, limits: Limits, setup: Context, exhibits: Exhibits
) -> list[Finding]:
    from mailrelay.inspection import pdf, trust

    store = trust.load(str(setup["trust_roots"]), str(setup["revocation"]))
    return pdf.verify(job, source, limits, store, float(context["at"]), exhibits)


def _xml(
    job: Job, source: Source, context: Context, limits: Limits, setup: Context, exhibits: Exhibits
) -> list[Finding]:
    from mailrelay.inspection import trust, xml_signatures

    store = trust.load(str(setup["trust_roots"]), str(setup["revocation"]))
    return xml_signatures.verify(job, source, limits, store, float(context["at"]), exhibits)


def _pdf_active(job: Job, source: Source, context: Context, limits: Limits, *_: object) -> list[Finding]:
    from mailrelay.inspection import pdf_active

    return pdf_active.check(job, source, limits)


def _archive(job: Job, source: Source, context: Context, limits: Limits, *_: object) -> list[Finding]:
    from mailrelay.inspection import archives

    return archives.check(job, source, limits)


def _office(job: Job, source: Source, context: Context, limits: Limits, *_: object) -> list[Finding]:
    from mailrelay.inspection import office

    return office.check(job, source, limits)


_LOOKS: dict[str, Callable[[Job, Source, Context, Limits, Context, Exhibits], list[Finding]]] = {
    "openpgp": _openpgp,
    "openpgp-inline": _openpgp,
    "smime": _smime,
    "smime-opaque": _smime,
    "pdf": _pdf,
    "pdf-active": _pdf_active,
    "xml": _xml,
    "archive": _archive,
    "office": _office,
}
