"""The schedule, in moments."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mailrelay.delivery.backoff import expires_at, is_working_day, longest_pause, next_attempt, warns_at
from mailrelay.model.calendar import VIETNAM
from mailrelay.model.document import Urgency

WEDNESDAY = datetime(2026, 3, 4, 10, 0, tzinfo=VIETNAM)


def test_normal_pace() -> None:
    waits = [next_attempt(n, Urgency.NORMAL, WEDNESDAY) - WEDNESDAY for n in range(1, 9)]
    assert [timedelta(minutes=m) for m in (1, 2, 5, 10, 30, 60, 60, 60)] == waits


def test_urgent_is_never_slower() -> None:
    order = (Urgency.FLASH, Urgency.URGENT, Urgency.NORMAL)
    for n in range(1, 30):
        flash, urgent, normal = (next_attempt(n, urgency, WEDNESDAY) for urgency in order)
        assert flash <= urgent <= normal
    assert next_attempt(1, Urgency.TIMED_FLASH, WEDNESDAY) == next_attempt(1, Urgency.FLASH, WEDNESDAY)


def test_a_written_schedule_counts_for_every_urgency() -> None:
    pauses = (timedelta(seconds=3), timedelta(seconds=7))
    for urgency in Urgency:
        waits = [next_attempt(n, urgency, WEDNESDAY, pauses) - WEDNESDAY for n in range(4)]
        assert waits == [timedelta(seconds=s) for s in (3, 3, 7, 7)]


def test_warning_times() -> None:
    assert timedelta(hours=4) == warns_at(WEDNESDAY, Urgency.NORMAL) - WEDNESDAY
    assert timedelta(minutes=15) == warns_at(WEDNESDAY, Urgency.FLASH) - WEDNESDAY


def test_expiry_counts_working_days() -> None:
    assert datetime(2026, 3, 11, 10, 0, tzinfo=VIETNAM) == expires_at(WEDNESDAY)
    saturday = datetime(2026, 3, 7, 15, 0, tzinfo=VIETNAM)
    assert datetime(2026, 3, 14, 0, 0, tzinfo=VIETNAM) == expires_at(saturday)
    monday = datetime(2026, 3, 9, 0, 0, tzinfo=VIETNAM)
    assert datetime(2026, 3, 14, 0, 0, tzinfo=VIETNAM) == expires_at(monday)


def test_expiry_leaves_out_holidays() -> None:
    holidays = frozenset({date(2026, 3, 5), date(2026, 3, 6)})
    assert expires_at(WEDNESDAY, 5, holidays) == datetime(2026, 3, 13, 10, 0, tzinfo=VIETNAM)
    assert expires_at(WEDNESDAY, 1) == datetime(2026, 3, 5, 10, 0, tzinfo=VIETNAM)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_expiry_has_five_working_days(created: datetime) -> None:
    end = expires_at(created)
    assert timedelta(days=7) == end - created or created.astimezone(VIETNAM).weekday() >= 5
    assert timedelta(days=5) <= end - created <= timedelta(days=7)
    assert created.tzinfo is end.tzinfo


def test_working_days() -> None:
    assert [is_working_day(date(2026, 3, day)) for day in range(2, 9)] == [True] * 5 + [False] * 2


def test_the_longest_pause() -> None:
    assert longest_pause() == timedelta(hours=1)
    assert longest_pause((timedelta(seconds=1),)) == timedelta(hours=1)  # urgent mail keeps its own
    assert longest_pause((timedelta(hours=1), timedelta(hours=6))) == timedelta(hours=6)
