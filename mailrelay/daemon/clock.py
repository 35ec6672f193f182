"""Watches the wall clock by a steady one: what is due is written in wall time, so a clock that was set wrong moves it all.

A jump is told, never undone: which of the two times is right only a person can say.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

_BACK = timedelta(seconds=5)  # NTP steps less than that on a machine that is well
_FORWARD = timedelta(hours=1)


class ClockWatch:
    """Ask `jump` again and again, every second or so. `now` is the wall clock, `steady` seconds that never jump."""

    def __init__(self, now: Callable[[], datetime], steady: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._steady = steady
        self._last = now(), steady()

    def jump(self) -> timedelta | None:
        """How far the wall clock has jumped since the last look, forwards or (negative) back; None for what is ordinary."""
        before, then = self._last
        self._last = now, at = self._now(), self._steady()
        moved = (now - before) - timedelta(seconds=at - then)
        return moved if moved < -_BACK or moved > _FORWARD else None
