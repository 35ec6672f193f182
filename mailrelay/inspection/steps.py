"""The steps of inspection as a worker carries them out: read the mail, verify its DKIM signatures, look into one file."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mailrelay.inspection import content, enveloped, filetypes, inline, jobs, looks, mime, names, pdf_plain, structure
from mailrelay.inspection.authentication import arc, signatures
from mailrelay.inspection.authentication.domains import organisational_domain
from mailrelay.inspection.exchange import content_to_json, finding_to_json
from mailrelay.inspection.exhibits import Exhibits
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Finding

_MOST_WAITING = 256
_MOST_GLANCES = 20  # files of one mail that are looked into while it is read


class _Unverified:
    """The signatures of one mail between the two steps of DKIM."""

    def __init__(
        self, prepared: list[signatures.Signature], chain: arc.Chain | None, author: str, doubled: list[str], more: bool
    ) -> None:
        self.prepared = prepared
        self.chain = chain
        self.author = author
        self.doubled = doubled
        self.more = more

    def questions(self) -> list[str]:
        asked = {signature.question for signature in self.prepared} - {""}
        return sorted(asked | (self.chain.questions if self.chain is not None else set()))

    def verify(self, answers: Mapping[str, signatures.Answer]) -> list[Finding]:
        found = signatures.verify(self.prepared, answers, self.author, self.doubled, self.more)
        return [*found, arc.verify(self.chain, answers)] if self.chain is not None else found


def _unwrap(data: bytes) -> bytes | None:
    """The mail inside an opaque S/MIME signature."""
    from mailrelay.inspection import opaque

    return opaque.read(data).content


def _answers(said: Mapping[str, Any]) -> dict[str, signatures.Answer]:
    return {
        str(name): signatures.Answer(
            tuple(base64.b64decode(record) for record in answer["records"]),
            str(answer["state"]),
            bool(answer["secure"]),
        )
        for name, answer in said.items()
    }


class Steps:
    """Holds nothing of one mail but the digests of signatures that wait for their keys."""

    def __init__(self, limits: Limits, setup: Mapping[str, Any]) -> None:
        self._limits = limits
        self._setup = setup
        self._authserv_id = str(setup["authserv_id"])
        self._waiting: OrderedDict[str, _Unverified] = OrderedDict()
        filetypes.type_of(b"")  # load libmagic's tables before the memory bound is set
        organisational_domain("hoabinh.gov.vn")  # the same for the suffix list

    def carry_out(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request; its "step" is read, verify, look or vet."""
        steps = {"read": self._read, "verify": self._verify, "look": self._look, "vet": self._vet}
        return steps[request["step"]](request)

    def _read(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Read a whole mail. The answer's "questions" are names of TXT records that the verify step wants.

        Where the request's "answers" have them all, the signatures are verified at once ("signed"); with "looks" plain
        files are looked into at once ("looked": findings by the index of their job).
        """
        header_only = bool(request.get("header_only"))
        with Source(str(request["path"])) as source:
            tree = mime.walk(source, self._limits, _unwrap, header_only=header_only)
            reading = content.read(source, tree, self._limits, self._authserv_id, filetypes.type_of)
            unverified = None if header_only else self._prepare(source, tree, reading, float(request["at"]))
            work = jobs.of(source, tree, reading)
            looked = self._glance(source, reading.files, work) if request.get("looks") else {}
        findings: list[Finding] = structure.check(tree, reading, self._limits, smtputf8=bool(request.get("smtputf8")))
        for file in reading.files:
            findings += names.check(file.attachment.name, file.attachment.names, file.attachment.part)
            findings += filetypes.check(file)
        findings += enveloped.check(tree, reading, inline=any(job.kind == "openpgp-inline" for job in work))
        findings += inline.check(reading.content.text)
        questions: list[str] = []
        signed: list[Finding] = []
        if unverified is not None:
            answers = _answers(request.get("answers") or {})
            questions = unverified.questions()
            if answers.keys() >= set(questions):
                signed, questions = unverified.verify(answers), []
            else:
                self._keep(str(request["id"]), unverified)
        return {
            "content": content_to_json(reading.content),
            "findings": [finding_to_json(finding) for finding in findings],
            "questions": questions,
            "signed": [finding_to_json(finding) for finding in signed],
            "jobs": [job.as_json() for job in work],
            "looked": looked,
        }

    def _glance(
        self, source: Source, files: Sequence[content.File], work: Sequence[jobs.Job]
    ) -> dict[str, list[dict[str, Any]]]:
        glance = pdf_plain.Glance(source, self._limits, files)
        found = ((index, glance.look(job)) for index, job in enumerate(work[:_MOST_GLANCES]))
        return {str(index): [finding_to_json(one) for one in seen] for index, seen in found if seen is not None}

    def _prepare(self, source: Source, tree: mime.Tree, reading: content.Reading, at: float) -> _Unverified | None:
        block = tree.top.block
        count = len(block.all("dkim-signature"))
        chain = arc.prepare(source, block, self._limits)
        if not count and chain is None:
            return None
        authors = {sender.address.rpartition("@")[2] for sender in reading.content.senders}
        return _Unverified(
            signatures.prepare(source, block, self._limits, at),
            chain,
            author=authors.pop() if len(authors) == 1 else "",
            doubled=[name for name, _ in structure.doubled(block)],
            more=count > self._limits.signatures,
        )

    def _keep(self, identity: str, unverified: _Unverified) -> None:
        self._waiting[identity] = unverified
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popitem(last=False)

    def _verify(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Judge the signatures that were prepared under an id; "unknown" when this process never saw it."""
        unverified = self._waiting.pop(str(request["id"]), None)
        if unverified is None:
            return {"unknown": True}
        found = unverified.verify(_answers(request["answers"]))
        return {"findings": [finding_to_json(finding) for finding in found]}

    def _look(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Look into one file or signature block. Heavy libraries are loaded when the first of their kind comes."""
        job = jobs.Job.from_json(request["job"])
        exhibits = Exhibits()
        with Source(str(request["path"])) as source:
            findings = looks.look(job, source, request.get("context") or {}, self._limits, self._setup, exhibits)
        return {"findings": [finding_to_json(finding) for finding in findings], "exhibits": exhibits.as_json()}

    def _vet(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Judge a revocation list or OCSP answer that was fetched."""
        from mailrelay.inspection import trust, vetting

        return vetting.vet(Path(request["path"]), str(request["kind"]), trust.load(str(self._setup["trust_roots"])))
