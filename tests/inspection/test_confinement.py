"""The walls around a worker, tried from inside processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROBE = """
import os, socket, sys
from mailrelay.inspection import confinement
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen()
address = listener.getsockname()
socket.create_connection(address, 2).close()
standing = confinement.confine(os.getppid())
print(",".join(standing))
try:
    socket.create_connection(address, 2)
    print("connected")
except OSError as fault:
    print(type(fault).__name__)
socket.socket(socket.AF_UNIX).close()
"""


def run(code: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=20
    ).stdout.split()


def test_a_confined_process_reaches_no_network() -> None:
    standing, outcome = run(PROBE)
    assert standing in ("namespace,filter", "filter", "namespace")
    assert outcome in ("PermissionError", "OSError", "ConnectionRefusedError")
    assert outcome != "connected"


def test_the_socket_filter_alone_is_enough() -> None:
    code = PROBE.replace("standing =", "confinement._leave_network = lambda libc: False\nstanding =")
    assert run(code) == ["filter", "PermissionError"]


def test_memory_beyond_the_bound_is_refused_and_the_next_piece_of_work_has_its_own_bound() -> None:
    code = """
import os
from mailrelay.inspection import confinement
confinement.Bounds(64 * 1024 * 1024, 10).arm()
try:
    bytearray(200 * 1024 * 1024)
    print("taken")
except MemoryError:
    print("refused")
confinement.Bounds(400 * 1024 * 1024, 10).arm()
print(len(bytearray(200 * 1024 * 1024)))
"""
    assert run(code) == ["refused", str(200 * 1024 * 1024)]


def test_cpu_beyond_the_bound_ends_the_process() -> None:
    code = """
from mailrelay.inspection import confinement
confinement.Bounds(1 << 30, 1).arm()
while True:
    pass
"""
    ended = subprocess.run([sys.executable, "-c", code], timeout=20, check=False)
    assert ended.returncode == -signal.SIGXCPU


def test_a_worker_does_not_outlive_its_parent(tmp_path: Path) -> None:
    code = f"""
import asyncio, os, pathlib, signal
from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
async def main():
    inspector = Inspector(InspectionSettings(work_dir=pathlib.Path({str(tmp_path)!r})), txt=None)
    await inspector.start()
    os.kill(inspector.pids()[0], signal.SIGSTOP)
    print(inspector.pids()[0], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    pid = int(ended.stdout.split()[-1])
    deadline = time.monotonic() + 5
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
