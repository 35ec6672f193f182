"""When to try again and when to give up: a schedule as data and pure arithmetic on moments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from types import MappingProxyType

from mailrelay.model.calendar import VIETNAM
from mailrelay.model.document import Urgency

_SATURDAY = 5


def _minutes(*counts: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(minutes=count) for count in counts)


# The pauses after the first, second, … try; the last one repeats. RFC 5321 section 4.5.4.1 wants half an hour between tries
# after the first ones; flash and urgent documents are tried more often, since a wait of an hour would void them.
_NORMAL = _minutes(1, 2, 5, 10, 30, 60)
_URGENT = _minutes(0.5, 1, 2, 5, 10, 15, 30)
_FLASH = _minutes(0.25, 0.5, 1, 2, 3, 5, 10)
PAUSES: Mapping[Urgency, tuple[timedelta, ...]] = MappingProxyType(
    {
        Urgency.NORMAL: _NORMAL,
        Urgency.URGENT: _URGENT,
        Urgency.VERY_URGENT: _URGENT,
        Urgency.FLASH: _FLASH,
        Urgency.TIMED_FLASH: _FLASH,
    }
)
# After how long the sender is told of a delay.
_WARNING = timedelta(hours=4)
_URGENT_WARNING = timedelta(minutes=15)
WORKING_DAYS = 5


def next_attempt(attempts: int, urgency: Urgency, now: datetime, schedule: Sequence[timedelta] = ()) -> datetime:
    """The moment of the next try after `attempts` tries (1 = the first one has just failed).

    `schedule` is a list of pauses like those of PAUSES; an empty one means that of the urgency.
    """
    pauses = schedule or PAUSES[urgency]
    return now + pauses[min(max(attempts, 1), len(pauses)) - 1]


def longest_pause(schedule: Sequence[timedelta] = ()) -> timedelta:
    """The longest pause between two tries, by `schedule` or, of whatever urgency, by PAUSES."""
    return max(*schedule, *(pause for pauses in PAUSES.values() for pause in pauses))


def warns_at(created_at: datetime, urgency: Urgency, after: timedelta = _WARNING) -> datetime:
    """The moment from which the sender of an undelivered mail is told of the delay; urgent ones within 15 minutes."""
    return created_at + (after if urgency is Urgency.NORMAL else min(after, _URGENT_WARNING))


def expires_at(created_at: datetime, working_days: int = WORKING_DAYS, holidays: Collection[date] = ()) -> datetime:
    """The moment to give up: when `working_days` times 24 hours of working days have passed.

    Saturdays, Sundays and `holidays` do not count (days of Vietnamese time). A mail of Wednesday 10:00 lives until Wednesday
    10:00, one of Saturday as if it had come on Monday 00:00.
    """
    moment = created_at.astimezone(VIETNAM)
    left = timedelta(days=working_days)
    while True:
        midnight = datetime.combine(moment.date() + timedelta(days=1), time(), VIETNAM)
        if is_working_day(moment.date(), holidays):
            if moment + left <= midnight:
                return (moment + left).astimezone(created_at.tzinfo)
            left -= midnight - moment
        moment = midnight


def is_working_day(day: date, holidays: Collection[date] = ()) -> bool:
    return day.weekday() < _SATURDAY and day not in holidays
