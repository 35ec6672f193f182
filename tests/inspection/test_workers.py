"""Worker processes as the parent sees them: replaced after so many mails, killed with their group, never trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check
from tests.inspection.conftest import Bench, Records, letter, slugs


async def test_a_worker_is_replaced_after_so_many_requests(
    settings: InspectionSettings, directory: Directory, tmp_path: Path
) -> None:
    inspector = Inspector(replace(settings, recycle_after=3), txt=Records())
    await inspector.start()
    bench = Bench(inspector, Records(), tmp_path, directory)
    seen: list[list[int]] = []
    try:
        for _ in range(5):
            assert "worker-killed" not in slugs(await bench.examine(letter()), Check.STRUCTURE)
            seen.append(inspector.pids())
    finally:
        await inspector.close()
    running = [pids[0] for pids in seen if pids]
    assert [bool(pids) for pids in seen] == [True, False, True, False, True]  # its start is the first of three answers
    assert len(set(running)) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in running)


async def test_vetting_by_a_worker_that_dies_is_a_fault_not_an_exception(
    settings: InspectionSettings, tmp_path: Path
) -> None:
    inspector = Inspector(replace(settings, trust_roots=tmp_path, revocation=tmp_path / "cache"), txt=Records())
    await inspector.start()
    try:
        (tmp_path / "huge").write_bytes(b"\x30\x84\xff\xff\xff\xff" + bytes(1_000_000))
        told = await inspector._vet(tmp_path / "huge", "crl")
        assert told == {"fault": "unreadable"}
        told = await inspector._vet(tmp_path / "none", "ocsp")
        assert "fault" in told
    finally:
        await inspector.close()
