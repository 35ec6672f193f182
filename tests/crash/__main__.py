"""The long form of the crash tests, as `make crash` runs it: thousands of mails over hundreds of crashes, then the mutants.

    python -m tests.crash [--mails N] [--minutes N] [--seed N]

Prints the figures of every driver. Exit status 1 when anything was lost, doubled or not noticed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from mailrelay.failpoint import NAMES
from tests.crash import campaign
from tests.crash.campaign import Report
from tests.crash.disk import GIB, Disk, NoDisk
from tests.crash.mutants.sitecustomize import MUTANTS
from tests.crash.office import Office
from tests.servers.postgresql import Postgresql

MAILS_BETWEEN = (20, 160)  # answers between two crashes
ROUND = 24  # crashes until an office is judged as a whole and a new one is built
DATABASE_KILLS = 12
FIRST_STARTS = 12
MOST_CUTS = 20  # in which a mutant must be noticed


@dataclass(slots=True)
class Row:
    """One line of the table."""

    name: str
    report: Report
    rounds: int = 0


def main() -> int:
    arguments = _arguments()
    dice = random.Random(arguments.seed)
    end = time.monotonic() + arguments.minutes * 60
    cuts = _can_cut()
    rows = [Row("kill -9", Report()), *([Row("power cut", Report())] if cuts else [])]
    while sum(row.report.acknowledged for row in rows) < arguments.mails and time.monotonic() < end:
        row = min(rows, key=lambda row: row.report.acknowledged)
        _add(row, _round(row.name, dice))
        print(f"{row.name}, round {row.rounds}: {_line(row)}", flush=True)
        if row.report.faults:
            break
    for together, crashes in ((False, DATABASE_KILLS), (True, DATABASE_KILLS // 2)):
        rows.append(Row("kill -9 of PostgreSQL" + " and the service" * together, Report()))
        _add(rows[-1], _database(dice, crashes, together=together))
    if cuts:
        rows.append(Row("failpoint, then power cut", Report()))
        with _office("failpoints", disk=True, polled=True) as office:
            _add(rows[-1], campaign.run_failpoints(office, sorted(NAMES), dice=dice, then=office.cut_power))
        rows.append(Row("power cut in the first start", Report()))
        for _ in range(FIRST_STARTS):
            with _office("first", disk=True, polled=False) as office:
                _add(rows[-1], campaign.run_first_start(office, dice.uniform(0.5, 4.0)))
    _print(rows)
    survivors = _survivors(dice) if cuts else []
    return int(bool(survivors) or any(row.report.faults for row in rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__.partition("\n")[0])
    parser.add_argument("--mails", type=int, default=10_000, help="acknowledged mails to reach (10000)")
    parser.add_argument("--minutes", type=float, default=90, help="begin no further round after this time (90)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    return arguments


def _can_cut() -> bool:
    try:
        with tempfile.TemporaryDirectory(prefix="mailrelay-crash-") as folder, Disk(Path(folder) / "probe", GIB // 16):
            return True
    except NoDisk as reason:
        print(f"no power cuts: {reason}", flush=True)
        return False


@contextmanager
def _office(name: str, *, disk: bool, polled: bool, mutant: str = "", store: str = "") -> Iterator[Office]:
    """An office in a folder that goes with it; the last lines of its log are shown when something goes wrong."""
    with (
        tempfile.TemporaryDirectory(prefix="mailrelay-crash-") as folder,
        Office(
            Path(folder) / name, disk=disk, disk_size=8 * GIB * disk, polled=polled, mutant=mutant, store=store
        ) as office,
    ):
        try:
            yield office
        except BaseException:
            print(office.relay.log.read_text(errors="replace")[-6000:], file=sys.stderr)
            raise


def _round(name: str, dice: random.Random) -> Report:
    cut = name == "power cut"
    with _office("office", disk=cut, polled=True) as office:
        crash: Callable[[], None] = office.cut_power if cut else office.kill
        return campaign.run(office, crash, crashes=ROUND, mails=MAILS_BETWEEN, dice=dice, polled=True, most_seconds=900)


def _database(dice: random.Random, crashes: int, *, together: bool) -> Report:
    with Postgresql() as server:
        server.sql("CREATE DATABASE office")
        with _office("office", disk=False, polled=True, store=server.url("office")) as office:
            return campaign.run_database(
                office, server, crashes=crashes, mails=MAILS_BETWEEN, dice=dice, with_service=together
            )


def _add(row: Row, report: Report) -> None:
    before = row.report
    for field in fields(Report):
        if field.name != "fewest":
            setattr(before, field.name, getattr(before, field.name) + getattr(report, field.name))
    before.fewest = min(before.fewest or report.fewest, report.fewest)
    row.rounds += 1


def _line(row: Row) -> str:
    report = row.report
    return (
        f"{report.crashes} crashes, {report.acknowledged} acknowledged, {report.polled} polled, {report.refused} refused,"
        f" {report.relayed} copies at the next hop, {report.doubled} of them second copies of tries that a crash met,"
        f" at least {report.fewest} answers between two crashes, {len(report.faults)} faults, {report.seconds:.0f} s"
    )


def _print(rows: list[Row]) -> None:
    print()
    for row in rows:
        print(f"{row.name}: {_line(row)}")
        for fault in row.report.faults:
            print(f"  {fault}")
    total = sum(row.report.acknowledged for row in rows)
    lost = sum("lost" in fault for row in rows for fault in row.report.faults)
    print(f"all: {sum(row.report.crashes for row in rows)} crashes, {total} acknowledged, {lost} lost", flush=True)


def _survivors(dice: random.Random) -> list[str]:
    """Run every mutant until a power cut shows it; return those that were not noticed."""
    survivors = []
    print()
    for mutant in MUTANTS:
        with _office("mutant", disk=True, polled=False, mutant=mutant) as office:
            if mutant == "no-folder-sync":
                report = campaign.run_quiet_cuts(office, crashes=MOST_CUTS, dice=dice)
            else:
                report = campaign.run(office, office.cut_power, crashes=MOST_CUTS, mails=(20, 40), dice=dice)
        if report.faults:
            print(f"{mutant}: noticed at power cut {report.crashes}: {report.faults[0]}", flush=True)
        else:
            survivors.append(mutant)
            print(f"{mutant}: NOT NOTICED in {report.crashes} power cuts", flush=True)
    return survivors


if __name__ == "__main__":
    sys.exit(main())
