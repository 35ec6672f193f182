"""When to try again and when to give up: a schedule as data and pure arithmetic on moments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from types import MappingProxyType

from mailrelay.model.calendar import VIETNAM
from mailrelay.model.document import Urgency

_MINUTE = timedelta(minutes=1)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """`steps` are the waits after the first, second, … try; then one try `every` so often."""

    steps: tuple[timedelta, ...]
    every: timedelta

    def wait(self, attempts: int) -> timedelta:
        return self.steps[attempts - 1] if 1 <= attempts <= len(self.steps) else self.every


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often, how long, and after how long the sender is told of a delay.

    RFC 5321 section 4.5.4.1 wants half an hour between tries after the first ones and four to five days before giving up;
    flash and urgent documents are tried more often, since a wait of an hour would void them.
    """

    paces: Mapping[Urgency, Pace]
    warnings: Mapping[Urgency, timedelta]
    working_days: int = 5
    holidays: frozenset[date] = frozenset()


def _minutes(*counts: float) -> tuple[timedelta, ...]:
    return tuple(count * _MINUTE for count in counts)


_NORMAL = Pace(_minutes(1, 2, 5, 10, 30), timedelta(hours=1))
_URGENT = Pace(_minutes(0.5, 1, 2, 5, 10, 15), timedelta(minutes=30))
_FLASH = Pace(_minutes(0.25, 0.5, 1, 2, 3, 5), timedelta(minutes=10))

SCHEDULE = Schedule(
    paces=MappingProxyType(
        {
            Urgency.NORMAL: _NORMAL,
            Urgency.URGENT: _URGENT,
            Urgency.VERY_URGENT: _URGENT,
            Urgency.FLASH: _FLASH,
            Urgency.TIMED_FLASH: _FLASH,
        }
    ),
    warnings=MappingProxyType(
        {urgency: timedelta(hours=4) if urgency is Urgency.NORMAL else timedelta(minutes=15) for urgency in Urgency}
    ),
)


def next_attempt(attempts: int, urgency: Urgency, now: datetime, schedule: Schedule = SCHEDULE) -> datetime:
    """The moment of the next try after `attempts` tries (1 = the first one has just failed)."""
    return now + schedule.paces[urgency].wait(attempts)


def warns_at(created_at: datetime, urgency: Urgency, schedule: Schedule = SCHEDULE) -> datetime:
    """The moment from which the sender of an undelivered mail is told of the delay."""
    return created_at + schedule.warnings[urgency]


def expires_at(created_at: datetime, schedule: Schedule = SCHEDULE) -> datetime:
    """The moment to give up: when as many times 24 hours of working days have passed as the schedule says.

    Saturdays, Sundays and the schedule's holidays do not count (days of Vietnamese time). A mail of Wednesday 10:00 lives
    until Wednesday 10:00, one of Saturday as if it had come on Monday 00:00.
    """
    moment = created_at.astimezone(VIETNAM)
    left = timedelta(days=schedule.working_days)
    while True:
        midnight = datetime.combine(moment.date() + timedelta(days=1), time(), VIETNAM)
        if is_working_day(moment.date(), schedule.holidays):
            if moment + left <= midnight:
                return (moment + left).astimezone(created_at.tzinfo)
            left -= midnight - moment
        moment = midnight


def is_working_day(day: date, holidays: Collection[date] = ()) -> bool:
    return day.weekday() < _SATURDAY and day not in holidays
