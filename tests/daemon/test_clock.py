"""A clock that jumps is noticed, one that is corrected a little is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mailrelay.daemon.clock import ClockWatch


class Clocks:
    """A wall clock and a steady one."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 27, tzinfo=UTC)
        self.seconds = 1000.0

    def pass_by(self, seconds: float, jump: timedelta = timedelta()) -> None:
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds) + jump


@pytest.mark.parametrize(
    ("jump", "told"),
    [
        (timedelta(seconds=-4), False),
        (timedelta(seconds=-6), True),
        (timedelta(days=-400), True),
        (timedelta(minutes=59), False),  # a machine that slept
        (timedelta(minutes=61), True),
        (timedelta(days=4000), True),
    ],
)
def test_a_jump_is_told_once(jump: timedelta, told: bool) -> None:
    clocks = Clocks()
    watch = ClockWatch(lambda: clocks.wall, lambda: clocks.seconds)
    clocks.pass_by(1)
    assert watch.jump() is None
    clocks.pass_by(1, jump)
    assert watch.jump() == (jump if told else None)
    clocks.pass_by(1)
    assert watch.jump() is None


def test_a_loop_that_was_held_up_is_no_jump() -> None:
    clocks = Clocks()
    watch = ClockWatch(lambda: clocks.wall, lambda: clocks.seconds)
    clocks.pass_by(8000)
    assert watch.jump() is None
