"""The syncing operations: what they sync, and how their failures are told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailrelay.model.faults import StoreUnhealthy
from mailrelay.store import durable


def _broken(descriptor: int) -> None:
    raise OSError(5, "Input/output error")


def test_a_failed_sync_is_a_fault_of_the_store_and_leaves_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for sync, what in ((durable.sync_file, path), (durable.sync_folder, tmp_path), (durable.remove, path)):
        with pytest.raises(StoreUnhealthy):
            sync(what, _broken)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_is_not_there_is_no_fault_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        durable.sync_file(tmp_path / "gone")
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        durable.sync_folder(tmp_path / "x")


def test_a_new_file_is_private_and_never_an_old_one(tmp_path: Path) -> None:
    os.close(durable.create(tmp_path / "x"))
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        durable.create(tmp_path / "x")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        durable.create(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not Path("/usr/bin/strace").exists(), reason="strace is not installed")
def test_the_calls_that_reach_the_kernel(tmp_path: Path) -> None:
    """Seen from outside the process: file before folder, folders from the root down, the name gone before the sync."""
    code = (
        "import sys; from pathlib import Path; from mailrelay.store import durable; root = Path(sys.argv[1])\n"
        "durable.make_folder(root, root / '2026/12'); import os\n"
        "os.close(durable.create(root / '2026/12/x')); durable.sync_file(root / '2026/12/x')\n"
        "durable.sync_folder(root / '2026/12'); durable.remove(root / '2026/12/x')"
    )
    command = ["strace", "-f", "-y", "-e", "trace=fsync,unlink", sys.executable, "-c", code, str(tmp_path / "spool")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr and "ermitted" in done.stderr:
        pytest.skip("ptrace is not permitted here")
    lines = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    calls = [
        line.split("(")[0].split()[-1] + " " + line.split(str(tmp_path))[1].strip("/").split(">")[0] for line in lines
    ]
    calls = [call.split('"')[0].strip() for call in calls]
    assert calls == [
        "fsync",
        "fsync spool",
        "fsync spool/2026",
        "fsync spool/2026/12/x",
        "fsync spool/2026/12",
        "unlink spool/2026/12/x",
        "fsync spool/2026/12",
    ]
