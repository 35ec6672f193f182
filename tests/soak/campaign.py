"""Mutants through a whole inspection with real workers, and what came of it. Judges nothing but that the house stood."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mailrelay.inspection.examine import Inspector
from mailrelay.model.agency import Directory
from mailrelay.model.identity import MailId
from mailrelay.model.message import Message
from tests.inspection.conftest import envelope
from tests.soak.corpus import Seed
from tests.soak.mutations import mutant

AT_ONCE = 4
IDENTITY = MailId("01J00000000000000000000000")


@dataclass(slots=True)
class Report:
    """What a run gave. `raised` breaks the promise that nothing in a mail raises; the others are findings, as they should be.

    `lost` counts the findings of lost workers by check and cause ("died" is a crash of the process, "time" a kill), `errors`
    those of checks that raised inside the worker by check and exception, `slowest` the time of the slowest mails.
    """

    mails: int = 0
    raised: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, int, str]] = field(default_factory=list)  # seconds, number, origin
    odd: dict[str, int] = field(default_factory=dict)  # what was lost, in error or raised: the first number that did it
    seconds: float = 0.0
    size: int = 0

    def note_time(self, seconds: float, number: int, origin: str) -> None:
        self.slowest = sorted([*self.slowest, (seconds, number, origin)], reverse=True)[:10]

    def lines(self) -> list[str]:
        """The figures for people."""
        rate = self.mails / self.seconds if self.seconds else 0.0
        out = [f"{self.mails} mutants, {self.size / 1e6:.0f} MB in {self.seconds:.0f} s ({rate:.0f} a second)"]
        for title, counted in (("raised", self.raised), ("workers lost", self.lost), ("checks in error", self.errors)):
            said = ", ".join(f"{what} {count} (first: {self.odd[what]})" for what, count in counted.most_common())
            out.append(f"{title}: {said or 'none'}")
        out.append("slowest: " + ", ".join(f"{s:.2f} s #{n} {origin}" for s, n, origin in self.slowest[:5]))
        out.append("findings: " + ", ".join(f"{check} {count}" for check, count in sorted(self.checks.items())))
        return out


def made(seeds: Sequence[Seed], seed: int, number: int) -> Seed:
    """The mutant of a number: the same seed, number and corpus give the same mutation."""
    return mutant(seeds, random.Random(f"{seed}/{number}"))


class Campaign:
    """`run` sends mutants through one inspector, a few at a time."""

    def __init__(
        self, inspector: Inspector, directory: Directory, folder: Path, seeds: Sequence[Seed], seed: int
    ) -> None:
        self._inspector = inspector
        self._directory = directory
        self._folder = folder
        self._seeds = seeds
        self._seed = seed
        self.report = Report()

    async def run(self, numbers: range, *, until: float = float("inf")) -> Report:
        """Try the mutants of these numbers; begin none after `until` (monotonic seconds)."""
        began = time.monotonic()
        waiting = iter(numbers)

        async def one_after_another(place: int) -> None:
            for number in waiting:
                if time.monotonic() > until:
                    return
                await self._one(number, self._folder / f"{place}.eml")

        await asyncio.gather(*(one_after_another(place) for place in range(AT_ONCE)))
        self.report.seconds += time.monotonic() - began
        return self.report

    async def _one(self, number: int, path: Path) -> None:
        mutated = made(self._seeds, self._seed, number)
        raw = mutated.mail()
        path.write_bytes(raw)
        by = envelope(login=None if number % 2 else "vanthu.stc")
        message = Message(IDENTITY, by, hashlib.sha256(raw).hexdigest(), len(raw), datetime.now(UTC))
        report = self.report
        report.mails += 1
        report.size += len(raw)
        began = time.monotonic()
        try:
            found = await self._inspector.examine(message, path, self._directory)
        except Exception as fault:
            self._note(report.raised, f"{type(fault).__name__}: {str(fault)[:80]}", number)
            return
        finally:
            report.note_time(time.monotonic() - began, number, mutated.origin)
        for finding in found.findings:
            report.checks[finding.check.value] += 1
            if finding.detail == "worker-killed":
                self._note(report.lost, f"{finding.check}:{finding.facts.get('cause')}", number)
            elif finding.detail in ("check-error", "time-limit"):
                what = f"{finding.check}:{finding.facts.get('cause', finding.detail)}"
                self._note(report.errors, what, number)

    def _note(self, counted: Counter[str], what: str, number: int) -> None:
        counted[what] += 1
        self.report.odd.setdefault(what, number)


def died(report: Report) -> int:
    """How many workers ended of themselves: crashes of the process, not kills for time."""
    return sum(count for what, count in report.lost.items() if what.endswith(":died"))
