"""Where the demo may build its office: never over another one, never under a service that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailrelay.cli.demo import stage
from mailrelay.model.faults import Fault
from mailrelay.store.engine import DataLock


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.mark.parametrize("name", ["mailrelay.toml", "mailboxes.yaml"])
def test_another_office_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("domain = 'hoabinh.gov.vn'\n")
    with pytest.raises(Fault):
        stage.build(tmp_path, 53)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_sample_that_is_being_served_is_left_alone(tmp_path: Path) -> None:
    stage.build(tmp_path, 53)
    before = _files(tmp_path)
    with DataLock(tmp_path / "data"), pytest.raises(Fault):
        stage.build(tmp_path, 53)
    assert _files(tmp_path) == before


def test_an_earlier_sample_is_built_anew(tmp_path: Path) -> None:
    first = stage.build(tmp_path, 53).password
    assert stage.build(tmp_path, 53).password != first
