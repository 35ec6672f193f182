"""Timed ticks of one process (APScheduler, in memory only). A tick only looks; whatever has a promise is a row with its time.

Nothing is stored in jobs: a shared job store runs jobs twice, drops late ones and blocks the loop.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from mailrelay.telemetry import count, log

TIME_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
_FIELDS = ("minute", "hour", "day", "month", "day_of_week")
_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
_WEEKDAYS = re.compile(rf"\*|{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*")


@dataclass(frozen=True, slots=True)
class Tick:
    """Something to do again and again.

    `when` is an interval, or five cron fields (minute hour day month weekday) in Vietnamese time. Weekdays by name only
    (`mon-fri`): in APScheduler 0 is Monday, in cron it is Sunday, so numbers mean a wrong day to somebody.
    """

    name: str
    when: timedelta | str
    run: Callable[[], Awaitable[None]]


class Schedule:
    """Started and stopped by the daemon. One run of a tick at a time; what was missed meanwhile is done once."""

    def __init__(self, ticks: Sequence[Tick]) -> None:
        names = [tick.name for tick in ticks]
        if len(set(names)) != len(names):
            raise ValueError("two ticks bear one name")
        self._scheduler = AsyncIOScheduler(
            timezone=TIME_ZONE,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._running: set[asyncio.Task[None]] = set()
        self._ticks = tuple(ticks)
        for tick in ticks:
            self._scheduler.add_job(self._run, _trigger(tick), args=(tick,), id=tick.name, name=tick.name)

    def start(self) -> None:
        """Begin; the first run of an interval is one interval from now. Call it inside the running loop."""
        self._scheduler.start()

    def begin_anew(self) -> None:
        """The wall clock was set: reckon every next time from now, so that nothing waits until the old time comes again."""
        for tick in self._ticks:
            self._scheduler.reschedule_job(tick.name, trigger=_trigger(tick))

    async def stop(self, grace: timedelta = timedelta(seconds=10)) -> None:
        """Begin nothing more and let what runs come to its end; what has not after `grace` is cancelled."""
        if not self._scheduler.running:
            return
        self._scheduler.pause()
        running = self._running - {asyncio.current_task()}  # a tick may be what stops the service
        if running:
            await asyncio.wait(running, timeout=grace.total_seconds())
        self._scheduler.shutdown(wait=False)  # cancels the tasks of its executor
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0)  # its shutdown is a callback of the loop

    async def _run(self, tick: Tick) -> None:
        """Run a tick. Its fault is told and counted; it runs again at its next time."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await tick.run()
        except Exception as fault:
            count("tick_faults", tick=tick.name)
            log.error("tick-failed", tick=tick.name, fault=type(fault).__name__, exc_info=fault)
        finally:
            self._running.discard(task)


def build_schedule(ticks: Sequence[Tick]) -> Schedule:
    """A schedule of these ticks, not yet started. Raises ValueError for a time that cannot be read."""
    return Schedule(ticks)


def _trigger(tick: Tick) -> CronTrigger | IntervalTrigger:
    if isinstance(tick.when, timedelta):
        if tick.when <= timedelta(0):
            raise ValueError(f"{tick.name}: an interval must be longer than nothing")
        return IntervalTrigger(seconds=tick.when.total_seconds(), timezone=TIME_ZONE)
    fields = tick.when.lower().split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{tick.name}: five fields are needed: minute hour day month weekday")
    if not _WEEKDAYS.fullmatch(fields[-1]):
        raise ValueError(f"{tick.name}: weekdays are written by name, as mon-fri")
    try:
        return CronTrigger(**dict(zip(_FIELDS, fields, strict=True)), timezone=TIME_ZONE)
    except ValueError as fault:
        raise ValueError(f"{tick.name}: {fault}") from fault
