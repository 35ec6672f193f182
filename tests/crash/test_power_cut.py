"""Power cuts on a real file system; and the proof that these tests notice a promise that is not kept.

Needs root for the loop mount, as `make test` in CI has it; otherwise skipped with the reason.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import campaign
from tests.crash.disk import MIB, Disk, NoDisk
from tests.crash.office import Office

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _mountable(tmp_path: Path) -> None:
    try:
        with Disk(tmp_path / "probe", 16 * MIB):
            pass
    except NoDisk as fault:
        pytest.skip(str(fault))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path / "disk", 32 * MIB) as made:
        yield made


def test_the_cut_takes_what_was_not_synced(disk: Disk) -> None:
    """Else the tests below would prove nothing."""
    kept, lost = disk.place / "kept", disk.place / "lost"
    for path in (kept, lost):
        path.write_bytes(b"x" * 5000)
        if path is kept:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    disk.cut_power()
    with pytest.raises(OSError):
        (disk.place / "later").write_bytes(b"x")
    disk.restore_power()
    assert kept.read_bytes() == b"x" * 5000
    assert not lost.exists() or lost.stat().st_size == 0


def test_power_cuts_lose_and_double_nothing(tmp_path: Path) -> None:
    with Office(tmp_path / "office", disk=True) as office:
        report = campaign.run(office, office.cut_power, crashes=3, mails=(20, 50), dice=random.Random(4))
    assert report.faults == []
    assert report.crashes == 3


@pytest.mark.parametrize("mutant", ["no-file-sync", "no-commit-sync"])  # the others may need some cuts: `make crash`
def test_a_broken_promise_is_noticed(tmp_path: Path, mutant: str) -> None:
    with Office(tmp_path / "office", disk=True, mutant=mutant) as office:
        report = campaign.run(
            office, office.cut_power, crashes=20, mails=(20, 40), dice=random.Random(2), most_seconds=200
        )
    assert report.faults, f"{mutant} survived {report.crashes} power cuts"
