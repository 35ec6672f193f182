"""A disk that fails under the running service: what clients hear, what goes on, and that the next start is clean.

Faults are put into system calls by strace; what cannot be traced or mounted here is skipped with the reason.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.clients import Lines
from tests.crash.disk import KIB, MIB, NoDisk
from tests.crash.mails import OUTSIDE, compose
from tests.crash.office import Office
from tests.crash.syscalls import NoTrace, injected
from tests.servers.process import wait_until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

PAPER, OTHER, THIRD = 20, 40, 60  # small papers to one box
LETTER_OUT = 21


class Counter:
    """A client at the counter: sends mails by number and remembers what it was told."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._lines = Lines(office.relay)

    def send(self, number: int) -> tuple[int, str]:
        """Code and enhanced status of the answer; (0, "") for none."""
        truth = self._office.truth
        truth.begun.add(number)
        code, text = self._lines.send(compose(number))
        status = text.partition(" ")[0]
        if code == 250:
            truth.acknowledged[number] = text.split()[1]
        return code, status if code else ""

    def go(self) -> None:
        """Hang up: kept connections belong to a service that is gone."""
        self._lines.close()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path / "office") as made:
        yield made


@contextlib.contextmanager
def fault(office: Office, rule: str) -> Iterator[None]:
    try:
        with injected(office.relay.child.pid, rule):
            yield
    except NoTrace as reason:
        pytest.skip(str(reason))


def auditors_can_work(office: Office) -> bool:
    """`log list` and `trace` answer from the store, whatever the daemon does."""
    commands = (("log", "list"), ("trace", "--message-id", f"<crash-{PAPER}@may-tram.example>"))
    return all(office.relay.command(*command).returncode == 0 for command in commands)


def ends_by_itself(office: Office) -> bool:
    """The service stops in good order, with an exit status that has systemd start it again."""
    status = office.relay.child.wait(40)
    return status == 1 and "Traceback" not in office.relay.child.output().rpartition('"stopping"')[2]


def test_a_sync_that_failed_stops_the_house(office: Office) -> None:
    """An fsync error is never tried again (the kernel may have dropped the pages): 451, then the end of the process."""
    papers = iter(range(40, 1000, 20))
    office.start()
    assert Counter(office).send(PAPER)[0] == 250
    for rule in ("fsync:error=EIO", "fdatasync:error=EIO", "pwrite64:error=EIO"):
        counter, first, second = Counter(office), next(papers), next(papers)
        wait_until(office.is_at_rest, "rest", 30)
        with fault(office, rule):
            assert counter.send(first) == (451, "4.3.0"), rule
            assert auditors_can_work(office)
        assert counter.send(second)[0] in (451, 421, 0)  # the fault is gone, the doubt is not
        assert ends_by_itself(office), rule
        counter.go()
        office.start()
        assert [counter.send(number)[0] for number in (first, second)] == [250, 250]
    assert office.finish() == []


def test_a_disk_that_takes_nothing_for_a_while(office: Office) -> None:
    """An answer for each mail, nothing lost, and all goes on by itself: one service, one fault after the other."""
    office.start()
    counter = Counter(office)
    papers = iter(range(40, 1000, 20))
    assert counter.send(PAPER)[0] == 250
    a_full_store(office, counter, next(papers))
    # Spool, Maildirs and the log of the service itself
    for error, answer in (("ENOSPC", (452, "4.3.1")), ("EIO", (451, "4.3.0"))):
        files_that_cannot_be_written(office, counter, next(papers), error, answer)
    a_store_that_is_locked(office, counter, next(papers))
    assert counter.send(next(papers))[0] == 250
    assert office.relay.child.returncode is None
    assert office.finish() == []
    assert [mail.recipients for mail in office.next_hop.arrivals] == [[OUTSIDE]]


def a_full_store(office: Office, counter: Counter, paper: int) -> None:
    office.next_hop.replies["RCPT"] = "451 4.3.2 later"  # something that the queue goes on trying
    assert counter.send(LETTER_OUT)[0] == 250
    with fault(office, "pwrite64:error=ENOSPC"):
        for _ in range(3):
            assert counter.send(paper) == (452, "4.3.1")
        assert auditors_can_work(office)
        wait_until(lambda: "delivery-store-fault" in office.relay.child.output(), "the queue to meet the fault", 20)
    office.next_hop.replies.clear()
    assert counter.send(paper)[0] == 250


def files_that_cannot_be_written(
    office: Office, counter: Counter, paper: int, error: str, answer: tuple[int, str]
) -> None:
    with fault(office, f"write:error={error}"):
        for _ in range(2):
            assert counter.send(paper) == answer
        assert auditors_can_work(office)
    assert counter.send(paper)[0] == 250


def a_store_that_is_locked(office: Office, counter: Counter, paper: int) -> None:
    """Somebody else holds the write lock: 451 after a while."""
    wait_until(office.is_at_rest, "rest", 30)
    with contextlib.closing(sqlite3.connect(office.data / "mailrelay.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert counter.send(paper) == (451, "4.3.0")
        assert auditors_can_work(office)
        other.execute("ROLLBACK")
    assert counter.send(paper)[0] == 250


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Office]:
    """An office on a disk of 32 MiB that refuses mail below 4 MiB and falls to read-only at the first error."""
    try:
        with Office(tmp_path / "office", disk=True, disk_size=32 * MIB, reserve="4 MiB") as made:
            made.start()
            yield made
    except NoDisk as reason:
        pytest.skip(str(reason))


def test_a_disk_that_fills_up(small: Office) -> None:
    assert small.disk is not None
    counter = Counter(small)
    assert counter.send(PAPER)[0] == 250
    big = 7  # 10 MiB
    ballast = small.data / "ballast"

    # Room enough to begin, too little for this mail: refused in the middle of its content.
    fill(ballast, small.disk.free() - 6 * MIB)
    assert counter.send(big) == (452, "4.3.1")
    assert counter.send(OTHER)[0] == 250
    wait_until(small.is_at_rest, "rest", 30)

    # Below the reserve: refused before the content, while the queue and the receipts still have room to work.
    fill(ballast, small.disk.free() - 2 * MIB)
    assert counter.send(THIRD) == (452, "4.3.1")

    # Nothing left at all.
    fill(ballast, small.disk.free() - 16 * KIB)
    assert counter.send(THIRD) == (452, "4.3.1")
    assert auditors_can_work(small)

    ballast.unlink()
    assert [counter.send(number)[0] for number in (THIRD, big)] == [250, 250]
    assert small.relay.child.returncode is None
    assert small.finish() == []


def fill(file: Path, size: int) -> None:
    """Make a file longer by so many bytes, or until nothing more goes in."""
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as grown:
        while size > 0:
            size -= grown.write(b"\0" * min(size, 64 * KIB))


def test_a_disk_that_became_read_only(small: Office) -> None:
    """ext4 does so itself when it meets an error."""
    assert small.disk is not None
    counter = Counter(small)
    assert counter.send(PAPER)[0] == 250
    wait_until(small.is_at_rest, "rest", 30)
    small.disk.fail()
    assert counter.send(OTHER)[0] in (451, 452)
    assert auditors_can_work(small)
    assert small.relay.child.returncode is not None or counter.send(OTHER)[0] in (451, 452, 421, 0)
    small.relay.stop()
    counter.go()

    small.disk.restore_power()
    small.start()
    assert counter.send(OTHER)[0] == 250
    assert small.finish() == []


def test_a_disk_that_is_gone(small: Office) -> None:
    """Every call fails at once: nobody is told 250, and the service ends by itself."""
    assert small.disk is not None
    counter = Counter(small)
    assert counter.send(PAPER)[0] == 250
    wait_until(small.is_at_rest, "rest", 30)
    small.disk.cut_power()
    assert counter.send(OTHER)[0] in (451, 421, 0)
    assert ends_by_itself(small)
    counter.go()

    small.disk.restore_power()
    small.start()
    assert counter.send(OTHER)[0] == 250
    assert small.finish() == []
