"""Mails per second, latency, CPU and memory: our service beside the yardsticks, run in turns so that noise falls on all."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.load.machine import Watch, busy_seconds, cpu_seconds, pss_mib
from tests.load.mails import KIB, Printer
from tests.load.stacks import Bare, Door, Ours, Peer, Stack
from tests.load.traffic import Sink, rank, send

_LIMIT = 30.0  # seconds without an arrival before a mail counts as lost


@dataclass(frozen=True, slots=True)
class Case:
    """So many mails of one size over so many connections, from a stranger's server or from a login over TLS."""

    size: int
    connections: int
    mails: int
    pipelining: bool = True
    login: bool = False

    @property
    def name(self) -> str:
        size = f"{self.size // KIB} KiB" if self.size < KIB * KIB else f"{self.size // KIB // KIB} MiB"
        notes = [note for note, on in (("no pipelining", not self.pipelining), ("login", self.login)) if on]
        return f"{size} x {self.connections}" + (f", {', '.join(notes)}" if notes else "")


SHORT = (
    Case(4 * KIB, 1, 40),
    Case(4 * KIB, 1, 40, pipelining=False),
    Case(4 * KIB, 8, 160),
    Case(4 * KIB, 8, 160, pipelining=False),
    Case(4 * KIB, 32, 160),
    Case(4 * KIB, 32, 160, pipelining=False),
    Case(4 * KIB, 8, 80, login=True),
    Case(100 * KIB, 8, 64),
    Case(10 * KIB * KIB, 4, 8),
)
LONG = tuple(Case(c.size, c.connections, c.mails * 4, c.pipelining, c.login) for c in SHORT)


@dataclass(frozen=True, slots=True)
class Run:
    """One case on one stack. Rates a second, times in ms, CPU in ms a mail, memory in MiB; `other` is the load of others."""

    stack: str
    case: Case
    accepted: float
    delivered: float
    p50: float
    p95: float
    p99: float
    end_to_end_p95: float
    cpu: float
    idle: float
    growth: float
    lost: int
    doubled: int
    other: float


async def measure(stack: Stack, case: Case, sink: Sink, printer: Printer) -> Run:
    """Send one case through one stack and wait until it has nothing left to do."""
    mails = printer.mails(case.size, case.mails, login=case.login and stack.logins)
    entrance = stack.entrance(login=case.login)
    await stack.rest()
    sink.clear()
    idle, began = pss_mib(stack.pids), time.monotonic()
    spent, busy, own = cpu_seconds(stack.pids), busy_seconds(), time.process_time()
    with Watch(stack.pids) as watch:
        seen = await send(entrance, mails, case.connections, pipelining=case.pipelining)
        if stack.relays:
            await sink.wait(mails, _LIMIT)
        await stack.rest()
    spent = cpu_seconds(stack.pids) - spent
    other = busy_seconds() - busy - spent - (time.process_time() - own)
    arrived = [sink.arrivals.at[m.ident] - seen.at[m.ident] for m in mails if m.ident in sink.arrivals.at]
    last = max((sink.arrivals.at[m.ident] for m in mails if m.ident in sink.arrivals.at), default=seen.ended)
    return Run(
        stack=stack.name,
        case=case,
        accepted=len(mails) / (seen.ended - seen.began),
        delivered=len(arrived) / (last - seen.began) if stack.relays else 0.0,
        p50=rank(seen.waits, 0.5) * 1000,
        p95=rank(seen.waits, 0.95) * 1000,
        p99=rank(seen.waits, 0.99) * 1000,
        end_to_end_p95=rank(arrived, 0.95) * 1000,
        cpu=spent * 1000 / len(mails),
        idle=idle,
        growth=watch.peak - idle,
        lost=len(mails) - len(arrived) if stack.relays else 0,
        doubled=sum(times > 1 for times in sink.arrivals.times.values()),
        other=other / (time.monotonic() - began),
    )


async def run(cases: Sequence[Case], seconds: float, report: Callable[[str], None]) -> list[Run]:
    """Every case on every stack, round after round, until the time is over; at least one round."""
    end = time.monotonic() + seconds
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    printer = Printer(key)
    runs: list[Run] = []
    async with Sink() as sink:
        makers: tuple[Callable[[], Stack], ...] = (
            lambda: Ours(sink.port, key),
            lambda: Peer(sink.port),
            lambda: Door(sink.port),
            lambda: Bare(sink.port),
        )
        took = 0.0
        while time.monotonic() + took < end or not runs:
            began = time.monotonic()
            for make in makers:
                runs += await _round(make, cases, sink, printer, report)
            took = time.monotonic() - began
    return runs


async def _round(
    make: Callable[[], Stack], cases: Sequence[Case], sink: Sink, printer: Printer, report: Callable[[str], None]
) -> list[Run]:
    try:
        stack = await asyncio.to_thread(make().__enter__)
    except FileNotFoundError as fault:
        report(f"left out: {fault}")
        return []
    try:
        await measure(stack, Case(4 * KIB, 4, 40), sink, printer)  # caches and lazy imports are no part of the figures
        found = []
        for case in cases:
            found.append(await measure(stack, case, sink, printer))
            report(line(found[-1:]))
        return found
    finally:
        await asyncio.to_thread(stack.__exit__)


HEAD = (
    "| case | stack | n | accept/s | end to end/s | DATA p50 / p95 / p99 ms | e2e p95 ms | CPU ms a mail (min) |"
    " idle MiB | growth MiB | lost / doubled | others' CPU |\n" + "|---" * 12 + "|"
)


def line(runs: Sequence[Run]) -> str:
    """One row of the table: medians of the repeats, and the least CPU time."""

    def middle(of: Callable[[Run], float]) -> float:
        return statistics.median(of(run) for run in runs)

    delivered = middle(lambda r: r.delivered)
    waits = f"{middle(lambda r: r.p50):.1f} / {middle(lambda r: r.p95):.1f} / {middle(lambda r: r.p99):.1f}"
    return (
        f"| {runs[0].case.name} | {runs[0].stack} | {len(runs)} | {middle(lambda r: r.accepted):.0f}"
        f" | {f'{delivered:.0f}' if delivered else '–'} | {waits} | {middle(lambda r: r.end_to_end_p95):.0f}"
        f" | {middle(lambda r: r.cpu):.2f} ({min(r.cpu for r in runs):.2f}) | {middle(lambda r: r.idle):.0f}"
        f" | {middle(lambda r: r.growth):.0f} | {sum(r.lost for r in runs)} / {sum(r.doubled for r in runs)}"
        f" | {middle(lambda r: r.other):.1f} |"
    )


def table(runs: Sequence[Run]) -> Iterator[str]:
    """The table of all cases, then how we stand to Postfix."""
    yield HEAD
    groups: dict[tuple[Case, str], list[Run]] = {}
    for one in runs:
        groups.setdefault((one.case, one.stack), []).append(one)
    for case in dict.fromkeys(one.case for one in runs):
        yield from (line(found) for (of, _), found in groups.items() if of == case)
    yield ""
    for case in dict.fromkeys(one.case for one in runs):
        ours, theirs = groups.get((case, Ours.name)), groups.get((case, Peer.name))
        if ours and theirs:
            yield f"{case.name}: {_ratios(ours, theirs)}"


def _ratios(ours: Sequence[Run], theirs: Sequence[Run]) -> str:
    """Ours over Postfix, of the medians."""
    fields = ("accepted", "delivered", "p95", "end_to_end_p95", "cpu")
    words = ("accept/s", "end to end/s", "DATA p95", "end to end p95", "CPU")
    shares = []
    for word, name in zip(words, fields, strict=True):
        whole = statistics.median(getattr(r, name) for r in theirs)
        if whole:
            shares.append(f"{word} {statistics.median(getattr(r, name) for r in ours) / whole:.2f}x")
    return "of Postfix's: " + ", ".join(shares)
