"""The clock of the house: wall time that moves steadily, though somebody sets the machine's clock.

What is due is written in wall time. Whoever lives by the machine's clock takes a jump of days for days that have passed: mail
expires, leases end. So the house goes on in its own time until it has adjusted what it wrote down, and then follows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from mailrelay.model.calendar import utc_now

_BACK = timedelta(seconds=5)  # NTP steps less than that on a machine that is well
_FORWARD = timedelta(hours=1)


class SteadyClock:
    """Ask `jump` every second or so. `wall` is the machine's clock, `steady` seconds that never jump."""

    def __init__(self, wall: Callable[[], datetime] = utc_now, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self.follow()

    def now(self) -> datetime:
        """The present moment: the wall clock's, as it went on since it was followed last."""
        return self._base + timedelta(seconds=self._steady() - self._since)

    def jump(self) -> timedelta | None:
        """How far the wall clock has jumped, forwards or (negative) back; None for what is ordinary, which is followed at once."""
        moved = self._wall() - self.now()
        if moved < -_BACK or moved > _FORWARD:
            return moved
        self.follow()
        return None

    def follow(self) -> None:
        """Take over the wall clock's time."""
        self._base, self._since = self._wall(), self._steady()
