"""A mail that got 250 is registered once and delivered, wherever between its steps the service ends."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mailrelay.failpoint import EXIT_STATUS, NAMES
from tests.crash import campaign
from tests.crash.office import Office

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


def test_no_failpoint_loses_or_doubles_anything(tmp_path: Path) -> None:
    """The service ends at every failpoint in turn, always with mail on the way; each start recovers from the one before."""
    with Office(tmp_path / "office", polled=True) as office:
        report = campaign.run_failpoints(office, sorted(NAMES), dice=random.Random(1), clients=3)
        assert report.faults == []
        assert report.crashes == len(NAMES)
        assert office.relay.stop() == 0
    assert report.acknowledged > len(NAMES)


def test_a_letter_that_was_delivered_is_not_kept_because_of_a_crash(tmp_path: Path) -> None:
    """The end comes between the record of its delivery and the removal of its bytes."""
    letter = 5  # 100 KiB to a colleague; nobody gets a notice
    with Office(tmp_path / "office") as office:
        office.start("deliver.after-settle@1:exit")
        senders = office.clients(iter([letter]), 1)
        senders.start()
        assert office.relay.child.wait(60) == EXIT_STATUS
        senders.wait(10)
        assert len(office.evidence().blobs) == 1
        office.start()
        assert office.finish() == []
        assert office.evidence().blobs == {}
