"""Counters and clocks of the door, without sockets."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mailrelay.intake.smtp.limits import ConnectionCount, Failures, Limits, Pace, client_of, is_loopback
from mailrelay.intake.smtp.quota import Quota

LIMITS = Limits(
    connections=4,
    connections_per_address=2,
    block_time=timedelta(seconds=30),
    data_time=timedelta(seconds=1000),
    minimum_rate=100,
    rate_grace=timedelta(seconds=60),
    auth_failures_per_login=3,
    auth_failures_per_address=5,
    auth_lock_time=timedelta(minutes=10),
    quota_recipients=5,
    quota_time=timedelta(hours=1),
    suspend_after=3,
    suspension_time=timedelta(hours=24),
)


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
    ],
)
def test_clients_are_counted_by_address_or_network(peer: str, client: str) -> None:
    assert client_of(peer) == client


@pytest.mark.parametrize(
    ("peer", "here"), [("127.0.0.1", True), ("::1", True), ("local", True), ("192.0.2.1", False), ("x", False)]
)
def test_loopback(peer: str, here: bool) -> None:
    assert is_loopback(peer) is here


def test_connections_per_address_and_in_total() -> None:
    count = ConnectionCount(LIMITS)
    assert [count.enter("a") for _ in range(3)] == [True, True, False]
    assert [count.enter("b") for _ in range(3)] == [True, True, False]
    assert count.enter("c") is False
    count.leave("a")
    assert count.enter("c") is True
    assert count.total == 4


def test_a_listed_neighbour_may_use_all_the_room() -> None:
    count = ConnectionCount(LIMITS)
    assert [count.enter("a", listed=True) for _ in range(5)] == [True] * 4 + [False]


def test_the_pace_of_data() -> None:
    pace = Pace(LIMITS, 1000.0)
    assert pace.deadline(1000.0) == 1030.0  # silence
    assert pace.deadline(1050.0) == 1060.0  # the grace of the rate is over at 60 s
    pace.progress(5000)  # 50 s worth at the slowest rate
    assert pace.deadline(1090.0) == 1110.0
    pace.progress(10**9)
    assert pace.deadline(1990.0) == 2000.0  # the ceiling


def test_without_a_slowest_rate_only_silence_and_the_whole_count() -> None:
    pace = Pace(replace(LIMITS, minimum_rate=0), 1000.0)
    pace.progress(1)
    assert pace.deadline(1050.0) == 1080.0
    assert pace.deadline(1990.0) == 2000.0


def test_a_login_is_locked_and_opens_again() -> None:
    failures = Failures(LIMITS)
    for second in range(3):
        assert failures.minutes_locked("a", "nam", second) == 0
        failures.fail("a", "nam", second)
    assert failures.minutes_locked("a", "NAM", 3) == 10
    assert failures.minutes_locked("b", "nam", 3) == 10  # everywhere
    assert failures.minutes_locked("a", "lan", 3) == 0
    assert failures.minutes_locked("a", "nam", 603) == 0


def test_strangers_cannot_lock_a_clerk_out_of_the_office() -> None:
    failures = Failures(LIMITS)
    failures.succeed("office", "nam")
    for second in range(50):
        failures.fail("evil", "nam", second)
    assert failures.minutes_locked("evil", "nam", 50) == 10
    assert failures.minutes_locked("office", "nam", 50) == 0
    for second in range(3):
        failures.fail("office", "nam", 50 + second)
    assert failures.minutes_locked("office", "nam", 53) == 10


def test_an_address_that_tries_many_logins_is_locked_for_the_unknown_ones() -> None:
    failures = Failures(LIMITS)
    failures.succeed("a", "lan")
    for number in range(5):
        failures.fail("a", f"login{number}", number)
    assert failures.minutes_locked("a", "another", 5) == 10
    assert failures.minutes_locked("a", "lan", 5) == 0
    assert failures.minutes_locked("b", "another", 5) == 0


def test_success_forgives_the_failures_of_that_pair() -> None:
    failures = Failures(LIMITS)
    failures.fail("a", "nam", 0)
    failures.fail("a", "nam", 1)
    failures.succeed("a", "nam")
    failures.fail("a", "nam", 2)
    assert failures.minutes_locked("a", "nam", 3) == 0


def test_the_memory_of_failures_is_bounded() -> None:
    failures = Failures(LIMITS)
    for number in range(20_000):
        failures.fail(f"a{number}", f"l{number}", number)
        failures.succeed(f"a{number}", "nam")
    assert max(len(failures._records), len(failures._known)) <= 10_000


def test_a_quota_counts_accepted_outside_recipients_within_its_time() -> None:
    quota = Quota(LIMITS)
    assert quota.refusal("nam", 5, 0) == ""
    quota.spend("nam", 4, 0)
    assert quota.refusal("NAM", 1, 1) == ""
    assert quota.refusal("nam", 2, 1) == "quota-exceeded"
    assert quota.refusal("lan", 5, 1) == ""
    assert quota.refusal("nam", 5, 3601) == ""


def test_a_login_that_goes_on_is_suspended_told_once_and_released() -> None:
    told: list[str] = []
    quota = Quota(LIMITS, told.append)
    quota.spend("nam", 5, 0)
    assert [quota.refusal("nam", 1, second) for second in range(5)] == ["quota-exceeded"] * 2 + ["login-suspended"] * 3
    assert (told, quota.suspended(5)) == (["nam"], ("nam",))
    assert quota.refusal("nam", 1, 23 * 3600) == "login-suspended"
    assert quota.suspended(25 * 3600) == ()
    quota.release("nam")
    assert quota.refusal("nam", 5, 6) == ""


def test_defaults_bear_the_plan() -> None:
    """A scanned plan of 35 MB over half a megabit a second is nine minutes of data: no limit may stand in its way."""
    pace = Pace(Limits(), 0.0)
    for second in range(0, 560, 10):
        assert pace.deadline(float(second)) > second
        pace.progress(62_500 * 10)
    assert Limits().size >= 50 * 1024 * 1024
