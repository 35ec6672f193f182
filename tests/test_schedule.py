"""The schedule, and the behaviour of APScheduler that it relies on."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta

import pytest

from mailrelay.schedule import TIME_ZONE, Tick, _trigger, build_schedule
from mailrelay.telemetry import counters


async def nothing() -> None:
    return None


def next_time(when: str, after: datetime) -> datetime:
    return _trigger(Tick("t", when, nothing)).get_next_fire_time(None, after)


class TestTimes:
    def test_cron_is_vietnamese_time(self) -> None:
        found = next_time("0 17 * * *", datetime(2026, 1, 1, tzinfo=TIME_ZONE))
        assert found == datetime(2026, 1, 1, 17, tzinfo=TIME_ZONE)
        assert found.utcoffset() == timedelta(hours=7)

    def test_mon_fri_is_the_working_week(self) -> None:
        moment = datetime(2026, 11, 21, tzinfo=TIME_ZONE)  # a Saturday
        days = []
        for _ in range(6):
            moment = next_time("0 17 * * mon-fri", moment + timedelta(seconds=1))
            days.append(moment.strftime("%a"))
        assert days == ["Mon", "Tue", "Wed", "Thu", "Fri", "Mon"]

    def test_lists_of_days_and_steps(self) -> None:
        after = datetime(2026, 11, 21, tzinfo=TIME_ZONE)
        assert next_time("*/15 8-17 * * tue,thu", after) == datetime(2026, 11, 24, 8, tzinfo=TIME_ZONE)

    @pytest.mark.parametrize("weekday", ["1-5", "0", "7", "*/2", "mon-5", "1,3", "thứ-hai", "5#2"])
    def test_numbers_of_weekdays_are_refused(self, weekday: str) -> None:
        with pytest.raises(ValueError, match="by name"):
            build_schedule([Tick("report", f"0 17 * * {weekday}", nothing)])

    def test_apscheduler_still_counts_weekdays_from_monday(self) -> None:
        from apscheduler.triggers.cron import CronTrigger

        sunday = datetime(2026, 11, 22, 20, tzinfo=TIME_ZONE)
        found = CronTrigger.from_crontab("0 17 * * 1-5", timezone=TIME_ZONE).get_next_fire_time(None, sunday)
        assert found.strftime("%a") == "Tue"

    @pytest.mark.parametrize("when", ["", "0 17 * *", "0 17 * * * *", "61 * * * *", "x * * * *", timedelta(0)])
    def test_unreadable_times_are_refused(self, when: str | timedelta) -> None:
        with pytest.raises(ValueError, match=r"^t: "):
            build_schedule([Tick("t", when, nothing)])

    def test_two_ticks_of_one_name_are_refused(self) -> None:
        with pytest.raises(ValueError, match="two ticks"):
            build_schedule([Tick("t", timedelta(1), nothing), Tick("t", timedelta(2), nothing)])


class TestRunning:
    async def test_runs_again_and_again(self) -> None:
        ran = asyncio.Semaphore(0)

        async def run() -> None:
            ran.release()

        schedule = build_schedule([Tick("t", timedelta(milliseconds=20), run)])
        schedule.start()
        async with asyncio.timeout(5):
            for _ in range(3):
                await ran.acquire()
        await schedule.stop()
        after = ran._value
        await asyncio.sleep(0.1)
        assert ran._value == after

    async def test_a_tick_never_overlaps_itself_and_what_was_missed_is_done_once(self) -> None:
        at_once = most = runs = 0

        async def run() -> None:
            nonlocal at_once, most, runs
            at_once += 1
            most = max(most, at_once)
            runs += 1
            await asyncio.sleep(0.1)
            at_once -= 1

        schedule = build_schedule([Tick("t", timedelta(milliseconds=10), run)])
        schedule.start()
        await asyncio.sleep(0.45)
        await schedule.stop()
        assert most == 1
        assert 2 <= runs <= 6

    async def test_a_late_tick_is_not_dropped(self) -> None:
        """APScheduler drops what is one second late by default."""
        ran = asyncio.Event()

        async def run() -> None:
            ran.set()

        schedule = build_schedule([Tick("t", timedelta(milliseconds=50), run)])
        schedule.start()
        time.sleep(1.3)  # the loop hangs: every run is late by more than a second
        async with asyncio.timeout(2):
            await ran.wait()
        await schedule.stop()

    async def test_a_clock_that_was_put_back_stops_no_tick(self) -> None:
        """Its next time lies an hour ahead then, for APScheduler keeps times of the wall clock."""
        ran = asyncio.Event()

        async def run() -> None:
            ran.set()

        schedule = build_schedule([Tick("t", timedelta(milliseconds=20), run)])
        schedule.start()
        schedule._scheduler.modify_job("t", next_run_time=datetime.now(TIME_ZONE) + timedelta(hours=1))
        ran.clear()
        await asyncio.sleep(0.1)
        assert not ran.is_set()
        schedule.begin_anew()
        async with asyncio.timeout(5):
            await ran.wait()
        await schedule.stop()

    async def test_a_fault_is_counted_and_the_tick_goes_on(self) -> None:
        runs = asyncio.Semaphore(0)
        before = counters[("tick_faults", (("tick", "broken"),))]

        async def run() -> None:
            runs.release()
            raise RuntimeError("broken")

        schedule = build_schedule([Tick("broken", timedelta(milliseconds=20), run)])
        schedule.start()
        async with asyncio.timeout(5):
            await runs.acquire()
            await runs.acquire()
        await schedule.stop()
        assert counters[("tick_faults", (("tick", "broken"),))] - before >= 2

    async def test_stop_lets_a_running_tick_finish(self) -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        async def run() -> None:
            began.set()
            await asyncio.sleep(0.2)
            ended.set()

        schedule = build_schedule([Tick("t", timedelta(milliseconds=10), run)])
        schedule.start()
        await began.wait()
        await schedule.stop()
        assert ended.is_set()

    async def test_stop_cancels_a_tick_that_does_not_end(self) -> None:
        began, cancelled = asyncio.Event(), asyncio.Event()

        async def run() -> None:
            began.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        schedule = build_schedule([Tick("t", timedelta(milliseconds=10), run)])
        schedule.start()
        await began.wait()
        async with asyncio.timeout(5):
            await schedule.stop(timedelta(milliseconds=50))
        assert cancelled.is_set()

    async def test_stop_twice_and_before_start(self) -> None:
        schedule = build_schedule([])
        await schedule.stop()
        schedule.start()
        await schedule.stop()
        await schedule.stop()
