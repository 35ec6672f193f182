"""Room at a door that is full: strangers that bring nothing forward give way to newcomers, so that nobody starves the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Guest(Protocol):
    """A session as the crowd sees it. `progressed_at` is when it last brought a mail forward, in seconds of the loop's clock."""

    @property
    def progressed_at(self) -> float: ...

    def must_stay(self, now: float) -> bool: ...

    def give_way(self) -> None: ...


def make_room(guests: Iterable[Guest], now: float, patience: float) -> bool:
    """Part with whoever has brought nothing forward for the longest time, and for more than `patience` seconds.

    False when everybody here is at work, is known, or has just come.
    """
    idle = [guest for guest in guests if now - guest.progressed_at > patience and not guest.must_stay(now)]
    if not idle:
        return False
    min(idle, key=lambda guest: guest.progressed_at).give_way()
    return True
