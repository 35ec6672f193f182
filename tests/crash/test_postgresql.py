"""PostgreSQL is killed under load: it recovers, the service goes on by itself, and nothing is lost or doubled."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import campaign
from tests.crash.office import Office
from tests.servers.postgresql import Postgresql

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


@pytest.fixture
def server() -> Iterator[Postgresql]:
    with Postgresql() as started:
        started.sql("CREATE DATABASE office")
        yield started


def test_a_database_that_is_killed_loses_and_doubles_nothing(tmp_path: Path, server: Postgresql) -> None:
    """kill -9 of the whole server and of one of its processes, in turns, while the service runs on."""
    with Office(tmp_path / "office", polled=True, store=server.url("office")) as office:
        report = campaign.run_database(office, server, crashes=4, mails=(20, 40), dice=random.Random(3))
    assert report.faults == []
    assert report.crashes == 4
    assert report.fewest >= 20
    assert min(report.polled, report.relayed) > 0


def test_service_and_database_killed_together(tmp_path: Path, server: Postgresql) -> None:
    with Office(tmp_path / "office", polled=True, store=server.url("office")) as office:
        report = campaign.run_database(
            office, server, crashes=2, mails=(20, 40), dice=random.Random(5), with_service=True
        )
    assert report.faults == []
    assert report.crashes == 2
