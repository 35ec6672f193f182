"""The house's clock goes on through a jump of the machine's, and follows one that is corrected a little."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mailrelay.daemon.clock import SteadyClock


class Clocks:
    """A wall clock and a steady one."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 27, tzinfo=UTC)
        self.seconds = 1000.0

    def pass_by(self, seconds: float, jump: timedelta = timedelta()) -> None:
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds) + jump


@pytest.mark.parametrize("jump", [timedelta(seconds=-4), timedelta(minutes=59)])  # NTP; a machine that slept
def test_a_small_step_is_followed_at_once(jump: timedelta) -> None:
    clocks = Clocks()
    clock = SteadyClock(lambda: clocks.wall, lambda: clocks.seconds)
    clocks.pass_by(1, jump)
    assert clock.jump() is None
    assert clock.now() == clocks.wall


@pytest.mark.parametrize(
    "jump", [timedelta(seconds=-6), timedelta(days=-400), timedelta(minutes=61), timedelta(days=4000)]
)
def test_a_jump_is_told_until_it_is_followed(jump: timedelta) -> None:
    clocks = Clocks()
    clock = SteadyClock(lambda: clocks.wall, lambda: clocks.seconds)
    started = clocks.wall
    clocks.pass_by(1, jump)
    assert clock.jump() == jump
    clocks.pass_by(1)
    assert (clock.jump(), clock.now()) == (jump, started + timedelta(seconds=2))
    clock.follow()
    assert (clock.jump(), clock.now()) == (None, clocks.wall)


def test_a_loop_that_was_held_up_is_no_jump() -> None:
    clocks = Clocks()
    clock = SteadyClock(lambda: clocks.wall, lambda: clocks.seconds)
    clocks.pass_by(8000)
    assert (clock.jump(), clock.now()) == (None, clocks.wall)
