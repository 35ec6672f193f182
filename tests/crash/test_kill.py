"""kill -9 under load: SMTP clients, a polled box, delivery into Maildirs and to a next hop all run meanwhile."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash import campaign
from tests.crash.office import Office

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


def test_kill_9_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with Office(tmp_path / "office", polled=True) as office:
        report = campaign.run(office, office.kill, crashes=3, mails=(30, 60), dice=random.Random(9), polled=True)
    assert report.faults == []
    assert report.crashes == 3
    assert report.fewest >= 30
    assert report.polled > 0
    assert report.relayed > 0
