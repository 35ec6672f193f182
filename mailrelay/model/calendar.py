"""Vietnamese time: the clock of the books and of every date that a person sees (UTC+07:00, no summer time)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7), "+07:00")


def utc_now() -> datetime:
    """The present moment in UTC: the default clock, replaced in tests."""
    return datetime.now(UTC)


def vietnamese_date(moment: datetime) -> date:
    """The calendar day in Vietnam of an aware moment. The year of a book is the year of this day."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone has no Vietnamese date")
    return moment.astimezone(VIETNAM).date()


def format_date(day: date) -> str:
    """dd/MM/yyyy, as clerks write it."""
    return day.strftime("%d/%m/%Y")


def format_moment(moment: datetime) -> str:
    """ "14:05 ngày 22/11/2026": hour first, Vietnamese time."""
    local = moment.astimezone(VIETNAM)
    return f"{local:%H:%M} ngày {local:%d/%m/%Y}"
