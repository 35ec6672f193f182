"""One mail on its way through inspection: steps in workers, look-ups in between, findings gathered. Never judges.

Nothing in a mail, and nothing that the world answers about it, makes an examination raise.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from mailrelay.inspection import seals, sender
from mailrelay.inspection.antivirus import Scanner
from mailrelay.inspection.asking import Asking, of_record
from mailrelay.inspection.authentication import dmarc, spf
from mailrelay.inspection.dns import TxtAnswer
from mailrelay.inspection.exchange import content_from_json, findings_from_json
from mailrelay.inspection.exhibits import from_json as exhibits_from_json
from mailrelay.inspection.foresight import Foresight
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.keyrings import author_of, keyrings
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.inspection.revocation_cache import RevocationCache
from mailrelay.inspection.slugs import note
from mailrelay.inspection.spam import SpamFilter, upstream
from mailrelay.inspection.workers import Worker, WorkerLost
from mailrelay.model.agency import Directory
from mailrelay.model.envelope import Door
from mailrelay.model.evidence import Exhibit
from mailrelay.model.finding import Check, Finding, Findings, Verdict
from mailrelay.model.message import Content, Message
from mailrelay.telemetry import log

_MOST_QUESTIONS = 40
_MOST_JOBS = 3000
_HEAVY = frozenset(("pdf", "smime", "smime-opaque", "xml"))  # pyHanko is loaded in one worker only


@dataclass(frozen=True, slots=True)
class Bench:
    """What every examination works with: the workers (one and the same when there is only one) and the ways to ask outside."""

    settings: InspectionSettings
    small: Worker
    large: Worker
    txt: Callable[[str], Awaitable[TxtAnswer]]
    names: spf.Names | None = None
    scanner: Scanner | None = None
    revocation: RevocationCache | None = None
    spam: SpamFilter | None = None
    kept: Callable[[str], TxtAnswer | None] = lambda name: None
    foresight: Foresight = field(default_factory=Foresight)

    @property
    def workers(self) -> list[Worker]:
        return list(dict.fromkeys((self.small, self.large)))


class _StepFailed(Exception):
    """A step ended with a fault; the worker lives. `cause` is the name of the exception."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Examination:
    """One mail on its way through the steps, with what is left of its time."""

    def __init__(self, bench: Bench, message: Message, path: Path, directory: Directory) -> None:
        settings = bench.settings
        self._bench = bench
        self._settings = settings
        self._txt = bench.txt
        self._message = message
        self._path = path
        self._directory = directory
        self._worker = bench.large if message.size >= settings.large else bench.small
        self._heavy = bench.large
        self._budget = settings.budget
        self._findings: list[Finding] = []
        self._exhibits: dict[str, Exhibit] = {}
        self._looked: dict[int, tuple[Finding, ...]] = {}  # jobs that were done while the mail was read

    async def run(self) -> Findings:
        """Read, look up and look into; what can go on meanwhile (SPF, virus scanner, spam filter) does."""
        edge = asyncio.ensure_future(self._spf()) if self._is_at_edge else None
        scanner, judge = self._bench.scanner, self._bench.spam
        scan = asyncio.ensure_future(scanner.scan(self._path)) if scanner is not None else None
        spam = asyncio.ensure_future(judge.ask(self._message, self._path)) if judge is not None else None
        meanwhile = [task for task in (edge, scan, spam) if task is not None]
        try:
            content, jobs = await self._read()
            if edge is not None:
                await self._vouch(content, await edge)
            for index, job in enumerate(jobs):
                if index in self._looked:
                    self._findings += self._read_by_office(job, self._looked[index], content)
                else:
                    await self._look(job, content)
            self._findings += sender.check(self._message.envelope, content, self._directory)
            self._findings += [await task for task in (scan, spam) if task is not None]
            told = upstream(self._message.envelope, content, self._settings.spam_header, self._settings.spam_peers)
            self._findings += [told] if told is not None else []
        finally:
            for task in meanwhile:
                task.cancel()
        return Findings(content, tuple(self._findings), tuple(self._exhibits.values()))

    @property
    def _is_at_edge(self) -> bool:
        """Only what a stranger hands in is judged by SPF and DMARC: a login outranks them."""
        origin = self._message.envelope.origin
        return self._bench.names is not None and origin.door is Door.MX and not origin.is_authenticated

    async def _spf(self) -> Finding | None:
        envelope = self._message.envelope
        names = self._bench.names
        if names is None:
            return None
        asking = Asking(names.txt, names)
        asked = spf.check(envelope.origin.peer, envelope.sender, envelope.origin.helo, asking)
        return self._proved(await self._in_time(asked, Check.SPF, envelope.sender), asking.exhibit())

    async def _vouch(self, content: Content, found: Finding | None) -> None:
        """Add what SPF found and what DMARC makes of SPF and DKIM."""
        signatures = [finding for finding in self._findings if finding.check is Check.DKIM]
        authors = [author.address for author in content.senders]
        asking = Asking(self._txt)
        asked = dmarc.check(authors, signatures, found, asking.txt)
        judged = await self._in_time(asked, Check.DMARC, authors[0] if authors else "")
        judged = self._proved(judged, asking.exhibit())
        self._findings += [finding for finding in (found, judged) if finding is not None]

    def _proved(self, finding: Finding | None, *pieces: Exhibit | None) -> Finding | None:
        """The finding with the names of the evidence that it rests on, and when it was gathered."""
        found = [piece for piece in pieces if piece is not None]
        if finding is None or not found:
            return finding
        self._exhibits |= {piece.digest: piece for piece in found}
        named = [{"kind": piece.kind, "sha256": piece.digest} for piece in found]
        facts = {**finding.facts, "evidence": named, "checked_at": _now()}
        return Finding(finding.check, finding.verdict, finding.subject, finding.detail, facts)

    async def _in_time(self, asked: Awaitable[Finding | None], check: Check, address: str) -> Finding | None:
        """What a check by name look-ups gave, or that it could not be made now."""
        try:
            async with asyncio.timeout(self._settings.dns_timeout):
                return await asked
        except TimeoutError:
            log.warning("inspection-look-up-timeout", mail_id=self._message.mail_id, check=check.value)
        except Exception:  # a resolver's surprise must not cost the mail
            log.exception("inspection-look-up-fault", mail_id=self._message.mail_id, check=check.value)
        return note(check, Verdict.TEMPERROR, "dns-failure", address.rpartition("@")[2].lower())

    async def _ask(self, worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
        """One step, charged to this mail's budget. Raises WorkerLost, or _StepFailed for a fault inside the step.

        A worker that died is tried again once: it may have died of something else.
        """
        try:
            reply = await self._charged(worker, request)
        except WorkerLost as lost:
            if lost.cause != "died":
                raise
            reply = await self._charged(worker, request)
        if "fault" in reply:
            raise _StepFailed(str(reply["fault"])[:100])
        return reply

    async def _charged(self, worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
        def charge(seconds: float) -> None:
            self._budget -= seconds

        return await worker.ask(request, min(self._settings.time_limit, self._budget), charge)

    async def _read(self) -> tuple[Content, list[Job]]:
        """Read the mail and verify its DKIM signatures; after a loss read the header alone, by a fresh worker."""
        answers = self._foreseen()
        for header_only in (False, True):
            try:
                reply = await self._ask(self._worker, self._request(header_only=header_only, answers=answers))
                content = content_from_json(reply.get("content"))
                findings = findings_from_json(reply.get("findings"))
                signed = findings_from_json(reply.get("signed"))
                questions, jobs = _questions(reply), _jobs(reply)
                looked = _looked(reply, len(jobs))
            except (WorkerLost, _StepFailed, ValueError) as fault:
                self._lost(Check.STRUCTURE, "", fault)
            else:
                self._findings += findings
                self._looked = looked
                self._vouched(signed, answers)
                if questions:
                    await self._verify(questions)
                return content, jobs
        return Content(), []

    def _foreseen(self) -> dict[str, TxtAnswer]:
        """The key records that this mail will probably ask for, as far as they are at hand."""
        names = self._bench.foresight.of(self._message.envelope.sender)
        found = {name: self._bench.kept(name) for name in names}
        return {name: answer for name, answer in found.items() if answer is not None}

    def _request(self, *, header_only: bool, answers: Mapping[str, TxtAnswer]) -> dict[str, Any]:
        return {
            "step": "read",
            "id": self._message.mail_id,
            "path": str(self._path),
            "at": self._message.received_at.timestamp(),
            "smtputf8": self._message.envelope.smtputf8,
            "header_only": header_only,
            "answers": {name: _as_json(answer) for name, answer in answers.items()},
            "looks": self._worker is self._bench.small,
        }

    async def _verify(self, questions: Sequence[str]) -> None:
        """Look up the keys and have the signatures judged. The worker may have been replaced meanwhile: read again then."""
        self._bench.foresight.learn(self._message.envelope.sender, questions)
        answers = await self._look_up(questions)
        said = {name: _as_json(answer) for name, answer in answers.items()}
        request = {"step": "verify", "id": self._message.mail_id, "answers": said}
        try:
            reply = await self._ask(self._worker, request)
            if reply.get("unknown"):
                await self._ask(self._worker, self._request(header_only=False, answers={}))
                reply = await self._ask(self._worker, request)
            found = findings_from_json(reply.get("findings"))
        except (WorkerLost, _StepFailed, ValueError) as fault:
            self._lost(Check.DKIM, "", fault)
        else:
            self._vouched(found, answers)

    def _vouched(self, found: Sequence[Finding], answers: Mapping[str, TxtAnswer]) -> None:
        """Add what was found of DKIM and ARC, with the keys as they were seen."""
        proved = (self._proved(one, *_keys_of(one, answers)) for one in found)
        self._findings += [one for one in proved if one is not None]

    async def _look_up(self, questions: Sequence[str]) -> dict[str, TxtAnswer]:
        """Ask for all names at once, within one time limit; what is not answered in time is a temporary fault."""
        tasks = {name: asyncio.ensure_future(self._txt(name)) for name in questions}
        await asyncio.wait(tasks.values(), timeout=self._settings.dns_timeout)
        return {name: _answer(task) for name, task in tasks.items()}

    async def _look(self, job: Job, content: Content) -> None:
        """Have one file or signature block looked into, as long as this mail has time left."""
        if self._budget <= 0:
            self._findings.append(note(job.check, Verdict.TEMPERROR, "time-limit", job.name, part=job.part))
            return
        worker = self._heavy if job.kind in _HEAVY else self._worker
        request = {
            "step": "look",
            "path": str(self._path),
            "job": job.as_json(),
            "context": self._context(job, content),
        }
        try:
            reply = await self._ask(worker, request)
            findings = [self._asked(one) for one in findings_from_json(reply.get("findings"))]
            exhibits = exhibits_from_json(reply.get("exhibits"))
        except (WorkerLost, _StepFailed, ValueError) as fault:
            self._lost(job.check, job.name, fault)
        else:
            self._exhibits |= {piece.digest: piece for piece in exhibits}
            self._findings += self._read_by_office(job, findings, content)

    def _asked(self, finding: Finding) -> Finding:
        """Hand over what the worker would like to know of a certificate, and note when the verdict was made."""
        if "evidence" not in finding.facts:
            return finding
        facts = {**finding.facts, "checked_at": _now()}
        wanted = facts.pop("wanted", ())
        if self._bench.revocation is not None and isinstance(wanted, list):
            self._bench.revocation.want(one for one in wanted if isinstance(one, Mapping))
        return Finding(finding.check, finding.verdict, finding.subject, finding.detail, facts)

    def _read_by_office(self, job: Job, findings: Sequence[Finding], content: Content) -> Sequence[Finding]:
        """What signatures mean in this house: the worker knows certificates, the directory knows whose they are."""
        if job.check is Check.PDF:
            return seals.read(findings, self._directory)
        if job.check is Check.SMIME:
            return seals.of_author(findings, author_of(content), self._directory)
        if job.check is Check.XML:
            return [seals.of_file(finding, self._directory) for finding in findings]
        return findings

    def _context(self, job: Job, content: Content) -> dict[str, Any]:
        """What the check needs to know of the house."""
        at = self._message.received_at.timestamp()
        if job.check is Check.OPENPGP:
            return {**keyrings(self._settings.pgp_home, self._directory, content), "at": at}
        return {"at": at}

    def _lost(self, check: Check, subject: str, fault: Exception) -> None:
        """Note that a step gave nothing: the worker was lost over it, or the step failed inside it."""
        slug = "worker-killed" if isinstance(fault, WorkerLost) else "check-error"
        cause = fault.cause if isinstance(fault, WorkerLost | _StepFailed) else "nonsense"
        log.warning(f"inspection-{slug}", mail_id=self._message.mail_id, check=check.value, cause=cause)
        self._findings.append(note(check, Verdict.TEMPERROR, slug, subject, cause=cause))


def _questions(reply: Mapping[str, Any]) -> list[str]:
    questions = reply.get("questions")
    if not isinstance(questions, list) or len(questions) > _MOST_QUESTIONS:
        raise ValueError("not a list of names")
    return [str(name)[:600] for name in questions]


def _jobs(reply: Mapping[str, Any]) -> list[Job]:
    jobs = reply.get("jobs")
    if not isinstance(jobs, list) or len(jobs) > _MOST_JOBS:
        raise ValueError("not a list of jobs")
    return [Job.from_json(job) for job in jobs]


def _looked(reply: Mapping[str, Any], count: int) -> dict[int, tuple[Finding, ...]]:
    looked = reply.get("looked")
    if not isinstance(looked, dict) or not looked.keys() <= {str(index) for index in range(count)}:
        raise ValueError("not the findings of these jobs")
    return {int(index): findings_from_json(found) for index, found in looked.items()}


def _answer(task: asyncio.Future[TxtAnswer]) -> TxtAnswer:
    if not task.done():
        task.cancel()
    elif task.exception() is None:
        return task.result()
    return TxtAnswer((), "temperror")


@lru_cache(maxsize=256)  # of a key record, which is the same for many mails
def _as_json(answer: TxtAnswer) -> Mapping[str, Any]:
    records = [base64.b64encode(record).decode("ascii") for record in answer.records]
    return {"records": records, "state": answer.state, "secure": answer.secure}


def _keys_of(finding: Finding, answers: Mapping[str, TxtAnswer]) -> list[Exhibit]:
    """The key records that a DKIM or ARC verdict rests on, as they were seen."""
    selector, domain = finding.facts.get("selector"), finding.facts.get("domain")
    names = [f"{selector}._domainkey.{domain}"] if finding.check is Check.DKIM else finding.facts.get("keys", ())
    return [of_record(str(name), answers[str(name)]) for name in names if str(name) in answers]


def _now() -> str:
    return _moment(int(time.time()))


@lru_cache(maxsize=1)  # many verdicts are made within one second
def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
