"""Crash after crash under load, with the evidence looked at after each one."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mailrelay.failpoint import EXIT_STATUS
from tests.crash.clients import Clients, Lines
from tests.crash.mails import DOMAIN, compose
from tests.crash.office import Office
from tests.servers.postgresql import Postgresql
from tests.servers.process import wait_until

Crash = Callable[[], None]


@dataclass(slots=True)
class Report:
    """The figures of a campaign. `faults` are sentences; each says after which crash it was found."""

    crashes: int = 0
    acknowledged: int = 0
    refused: int = 0
    polled: int = 0
    relayed: int = 0
    doubled: int = 0
    seconds: float = 0.0
    fewest: int = 0  # answers between two crashes
    faults: list[str] = field(default_factory=list)


def run(
    office: Office,
    crash: Crash,
    *,
    crashes: int,
    mails: tuple[int, int],
    dice: random.Random,
    clients: int = 4,
    polled: bool = False,
    most_seconds: float = 600.0,
) -> Report:
    """Crash the service `crashes` times, each time when so many mails more were answered (a number between the two of
    `mails`), at a random moment after that.

    Stops at the first fault. Otherwise the service is started once more, comes to rest, and is judged as a whole.
    """
    report = Report()
    started = time.monotonic()
    stop = threading.Event()
    office.start()
    if polled:
        office.place_steadily(stop)
    senders = office.clients(itertools.count(1), clients)
    senders.start()
    try:
        gaps = []
        for number in range(1, crashes + 1):
            before = office.truth.answered
            _wait_for_answers(office, senders, before + dice.randint(*mails))
            time.sleep(dice.uniform(0.0, 0.5))
            crash()
            gaps.append(office.truth.answered - before)
            report.faults += [f"after crash {number}: {fault}" for fault in office.after_crash()]
            if report.faults or time.monotonic() - started > most_seconds:
                break
            office.start()
        report.fewest = min(gaps, default=0)
        report.crashes = len(gaps)
        if not report.faults:
            if office.relay.child.returncode is not None:
                office.start()
            stop.set()
            senders.finish()
            report.faults += office.finish()
    finally:
        stop.set()
        senders.stop()
    _count(office, report)
    report.seconds = time.monotonic() - started
    return report


def run_failpoints(
    office: Office,
    names: Sequence[str],
    *,
    dice: random.Random,
    clients: int = 4,
    then: Crash | None = None,
) -> Report:
    """Let the service end at each of these places in turn, under load, and start again; `then` is done to its disk first.

    Raises AssertionError when a failpoint is not reached.
    """
    report = Report()
    started = time.monotonic()
    stop = threading.Event()
    senders = office.clients(itertools.count(1), clients)
    senders.start()
    office.place_steadily(stop)
    try:
        for name in names:
            _end_at(office, name, dice)
            if then is not None:
                then()
            report.crashes += 1
            report.faults += [f"after {name}: {fault}" for fault in office.after_crash()]
            if report.faults:
                break
        else:
            office.start()
            stop.set()
            senders.finish()
            report.faults += office.finish()
    finally:
        stop.set()
        senders.stop()
    _count(office, report)
    report.seconds = time.monotonic() - started
    return report


def run_database(
    office: Office,
    server: Postgresql,
    *,
    crashes: int,
    mails: tuple[int, int],
    dice: random.Random,
    with_service: bool = False,
    clients: int = 4,
) -> Report:
    """Kill PostgreSQL under the service: in turns every process of it, which is then started again, and one that serves us.

    The service itself goes on, and no mail may arrive twice; or it is killed at the same moment (`with_service`). While the
    database is away, doors must answer 451.
    """
    report = Report()
    started = time.monotonic()
    stop = threading.Event()
    office.start()
    office.place_steadily(stop)
    senders = office.clients(itertools.count(1), clients)
    senders.start()
    try:
        gaps = []
        for number in range(1, crashes + 1):
            before = office.truth.answered
            _wait_for_answers(office, senders, before + dice.randint(*mails))
            time.sleep(dice.uniform(0.0, 0.3))
            if with_service:
                office.kill()
            if with_service or number % 2:
                server.kill()
                report.faults += [] if with_service else _answers_meanwhile(office, -number)
                server.start()
            else:
                server.kill_backend()
            gaps.append(office.truth.answered - before)
            if with_service:
                office.start()
        report.fewest = min(gaps, default=0)
        report.crashes = len(gaps)
        stop.set()
        senders.finish()
        wait_until(office.is_at_rest, "the office to come to rest by itself", 120)
        # The bytes of a mail whose commit was never answered are kept until the next start, for its row may be there.
        office.relay.stop()
        office.start()
        report.faults += office.finish()
    finally:
        stop.set()
        senders.stop()
    _count(office, report)
    if not with_service and report.doubled:
        report.faults.append(f"{report.doubled} second copies at the next hop, though the service never stopped")
    report.seconds = time.monotonic() - started
    return report


def _answers_meanwhile(office: Office, number: int) -> list[str]:
    """What a client hears that comes while the database is away: 451, and after the first such already to MAIL."""
    found = []
    lines = Lines(office.relay)
    for _ in range(2):
        code, text = lines.send(compose(4 * number))  # a paper like any other; nobody sends its number again
        if code != 451 or not text.startswith("4.3.0"):
            found.append(f"without a database the door said {code} {text}")
    lines.close()
    with office.relay.client("sotc") as client:
        code, reply = client.mail(f"sotc@{DOMAIN}")
    if code != 451:
        found.append(f"without a database the door said {code} {reply!r} to MAIL")
    return found


def run_quiet_cuts(office: Office, *, crashes: int, dice: random.Random) -> Report:
    """Cut the power at the moment after a letter was noted as delivered into a Maildir, with nothing else going on.

    Under load the sync of some other file soon makes ext4 keep all names; here only the syncs of this one delivery count. As
    many letters go before it as make SQLite write over its log from the beginning, which changes no file's length.
    """
    report = Report()
    started = time.monotonic()
    numbers = itertools.count(13, 20)  # letters to a colleague
    while report.crashes < crashes and not report.faults:
        office.start(f"deliver.after-settle@{dice.randint(120, 180)}:exit")
        while office.relay.child.returncode is None:
            _send_alone(office, next(numbers))
        office.cut_power()
        report.crashes += 1
        report.faults += [f"after crash {report.crashes}: {fault}" for fault in office.after_crash()]
    _count(office, report)
    report.seconds = time.monotonic() - started
    return report


def _send_alone(office: Office, number: int) -> None:
    """Send one mail and wait until it has arrived, or the service has ended."""
    sender = office.clients(iter([number]), 1)
    sender.start()

    def over() -> bool:
        ended = office.relay.child.returncode is not None
        return ended or (number in office.truth.acknowledged and office.is_at_rest())

    wait_until(over, f"the arrival of mail {number}", 60)
    sender.stop()


def run_first_start(office: Office, seconds: float) -> Report:
    """Cut the power so many seconds after the very first start began, then start again and take a few mails."""
    report = Report(crashes=1)
    started = time.monotonic()
    with suppress(TimeoutError):  # it may come up before
        office.start(limit=seconds)
    office.cut_power()
    office.start()
    senders = office.clients(iter(range(1, 5)), 2)
    senders.start()
    try:
        senders.wait(60)
        report.faults += office.finish()
    finally:
        senders.stop()
    _count(office, report)
    report.seconds = time.monotonic() - started
    return report


def _end_at(office: Office, name: str, dice: random.Random) -> None:
    # The start itself writes once; later hits fall between mails, deliveries and receipts as they come. A start happens
    # once, and the polled box fills slowly.
    hit = 1 if name.startswith(("start.", "imap.")) else dice.randint(5, 9)
    office.start(f"{name}@{hit}:exit")
    assert office.relay.child.wait(60) == EXIT_STATUS, f"{name} was not reached"


def _wait_for_answers(office: Office, senders: Clients, goal: int) -> None:
    def reached() -> bool:
        if senders.faults:
            raise senders.faults[0]
        if office.relay.child.returncode is not None:
            raise RuntimeError(f"the service ended by itself: {office.relay.child.output()[-3000:]}")
        return office.truth.answered >= goal

    wait_until(reached, f"{goal} answers", 120)


def _count(office: Office, report: Report) -> None:
    truth = office.truth
    report.acknowledged = len(truth.acknowledged)
    report.refused = len(truth.refused)
    report.polled = len(truth.placed)
    copies = office.evidence().relayed
    report.relayed = len(copies)
    report.doubled = len(copies) - len({(copy.mail_id, copy.recipient) for copy in copies})
