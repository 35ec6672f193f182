"""What processes cost: CPU time and memory of whole trees, read from /proc."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.servers.process import descendants

_TICK = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024


def _tree(roots: Sequence[int]) -> list[int]:
    return [*roots, *(pid for root in roots for pid, _ in descendants(root))]


def cpu_seconds(roots: Sequence[int]) -> float:
    """User and system time of these processes and everything below them, ended children included."""
    total = 0
    for pid in _tree(roots):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / _TICK


def cpu_nanoseconds(pids: Sequence[int]) -> int:
    """CPU time of the first threads of these processes, as exact as the scheduler's own books."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


def pss_mib(roots: Sequence[int]) -> float:
    """Proportional set size: shared pages are counted once over all the processes that share them."""
    total = 0
    for pid in _tree(roots):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 1024


def busy_seconds() -> float:
    """CPU time that the whole machine has burnt since it started."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICK


class Watch:
    """`with Watch(pids) as watch:` remembers the highest memory in `watch.peak` (MiB), looking a few times a second."""

    def __init__(self, roots: Sequence[int], every: float = 0.4) -> None:
        self._roots = roots
        self._every = every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak = 0.0

    def __enter__(self) -> Watch:
        self.peak = pss_mib(self._roots)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._every):
            self.peak = max(self.peak, pss_mib(self._roots))
