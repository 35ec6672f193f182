"""The table of the speed budget: what each line wants, and what this run found. Lines without a figure say what they lack."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.load.mails import KIB
from tests.load.rates import Case, Run
from tests.load.stacks import Ours, Peer

Row = Mapping[str, Any]  # one run of the side-by-side harness
OURS = "mailrelay"
RSPAMD = "postfix+rspamd"
AMAVIS = ("postfix+amavis+clamd", "postfix+amavis+clamd-proxy")

_HEAD = "| what | must | aim | found | |\n|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the budget. `found` is None when this run did not measure it."""

    what: str
    must: float | None  # None: only an aim
    aim: float
    found: float | None
    unit: str
    least: bool = False  # whether more is better

    def __str__(self) -> str:
        must = "–" if self.must is None else f"{self.must:g} {self.unit}"
        limits = f"{must} | {self.aim:g} {self.unit}"
        if self.found is None:
            return f"| {self.what} | {limits} | – | not measured in this run |"
        verdict = "aim met" if self._holds(self.aim) else "met" if self._holds(self.must) else "**not met**"
        if self.must is None and verdict != "aim met":
            verdict = "aim not met"
        shown = f"{self.found:.2f}" if self.found < 10 else f"{self.found:.0f}"
        return f"| {self.what} | {limits} | {shown} {self.unit} | {verdict} |"

    def _holds(self, limit: float | None) -> bool:
        assert self.found is not None
        if limit is None:
            return False
        return self.found >= limit if self.least else self.found <= limit


def table(runs: Sequence[Run], beside: Mapping[str, float], harness: Sequence[Row], help_ms: float) -> Iterator[str]:
    """All lines; `harness` is empty without a side-by-side run."""
    yield _HEAD
    for line in (*_against_peers(harness), *_against_postfix(runs, harness), *_alone(runs, beside, help_ms)):
        yield str(line)


def _against_peers(harness: Sequence[Row]) -> Iterator[Line]:
    for connections in (8, 32):
        case = f"4k:{connections}"
        ours = _of(harness, case, OURS, "e2e_per_s")
        name = f"4 KiB end to end, {connections} connections, against"
        yield Line(f"{name} amavis + clamd", 4, 6, _share(ours, _best(harness, case)), "x", least=True)
        yield Line(f"{name} Rspamd", 0.75, 1.1, _share(ours, _of(harness, case, RSPAMD, "e2e_per_s")), "x", least=True)
    ours = _of(harness, "10m:4", OURS, "e2e_per_s")
    what = "10 MiB x 4 end to end against"
    yield Line(f"{what} amavis + clamd", 2.5, 2.5, _share(ours, _best(harness, "10m:4")), "x", least=True)
    yield Line(f"{what} Rspamd", None, 1, _share(ours, _of(harness, "10m:4", RSPAMD, "e2e_per_s")), "x", least=True)


def _against_postfix(runs: Sequence[Run], harness: Sequence[Row]) -> Iterator[Line]:
    """By the harness where it ran, else by our own rates."""
    fields = (
        ("accept rate, 8 connections, against Postfix", 0.7, 1.0, "accepted", ("accept_per_s",), True),
        ("end to end p95, 8 connections, against Postfix", 0.5, 0.1, "end_to_end_p95", ("e2e_ms", "p95"), False),
        ("DATA p95, 8 connections, against Postfix", 1.5, 1.0, "p95", ("data_ms", "p95"), False),
    )
    for what, must, aim, name, path, least in fields:
        found = _share(_of(harness, "4k:8", OURS, *path), _of(harness, "4k:8", "postfix", *path))
        if found is None:
            case = Case(4 * KIB, 8, 0)
            found = _share(_own(runs, case, Ours.name, name), _own(runs, case, Peer.name, name))
        yield Line(what, must, aim, found, "x", least=least)


def _alone(runs: Sequence[Run], beside: Mapping[str, float], help_ms: float) -> Iterator[Line]:
    sizes = (("4 KiB x 8", 4 * KIB, 8, 6, 3.5), ("100 KiB x 8", 100 * KIB, 8, 9, 6))
    for name, size, connections, must, aim in (*sizes, ("10 MiB x 4", 10 * KIB * KIB, 4, 200, 120)):
        yield Line(f"CPU a mail, {name}", must, aim, _own(runs, Case(size, connections, 0), Ours.name, "cpu"), "ms")
    yield Line("p99 of small mails beside 50 MiB and signed PDF files", 150, 50, beside.get("p99-beside"), "ms")
    yield Line("memory a session, 50 MiB against 10 KiB", 8, 4, beside.get("growth"), "MiB")
    idle = beside["idle"] * 1.048576 if "idle" in beside else None
    yield Line("idle service", 200, 130, idle, "MB")
    yield Line("`mailrelay --help`", 200, 120, help_ms, "ms")


def _own(runs: Sequence[Run], case: Case, stack: str, name: str) -> float | None:
    """The median of our own runs of a case, however many mails it sent."""
    alike = [
        getattr(run, name)
        for run in runs
        if run.stack == stack
        and (run.case.size, run.case.connections, run.case.pipelining, run.case.login)
        == (case.size, case.connections, True, False)
    ]
    return statistics.median(alike) if alike else None


def _of(rows: Sequence[Row], case: str, label: str, *path: str) -> float | None:
    found = []
    for row in rows:
        if row.get("label") != label or not str(row.get("case", "")).startswith(f"{case}:"):
            continue
        value: Any = row
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, int | float):
            found.append(float(value))
    return statistics.median(found) if found else None


def _best(rows: Sequence[Row], case: str) -> float | None:
    """The better of the two set-ups of amavis."""
    rates = [rate for name in AMAVIS if (rate := _of(rows, case, name, "e2e_per_s")) is not None]
    return max(rates) if rates else None


def _share(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours is not None and theirs else None
