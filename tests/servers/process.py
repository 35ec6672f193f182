"""Child processes of the tests: started in a session of their own, waited for, ended by pid with everything they started."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LOOPBACK = "127.0.0.1"
_SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def program(name: str) -> str:
    """The full path of an installed program; a missing one is an error, for `make setup` installs them all."""
    found = shutil.which(name, path=_SYSTEM_PATH)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: run `make setup`")
    return found


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def open_folder(prefix: str) -> Path:
    """A new folder that other users may enter: servers give up root, and pytest's own folders are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix=f"mailrelay-{prefix}-"))
    folder.chmod(0o755)
    return folder


def wait_until(condition: object, what: str, limit: float = 20.0) -> None:
    """Wait until the callable `condition` is true; TimeoutError names what was waited for."""
    assert callable(condition)
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit:g} s for {what}")
        time.sleep(0.05)


def _birth(pid: int) -> str | None:
    """The start time of a living process, so that a pid used again is not taken for it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    return _birth(pid) is not None


def descendants(root: int) -> list[tuple[int, str]]:
    """(pid, start time) of everything below a process."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, (entry.name for entry in Path("/proc").iterdir())):
        try:
            parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(name))
    found, waiting = [], list(children.get(root, []))
    while waiting:
        pid = waiting.pop()
        found.append((pid, _birth(pid)))
        waiting += children.get(pid, [])
    return [(pid, birth) for pid, birth in found if birth is not None]


class Child:
    """One program in the foreground. Its output goes to `log`; `stop` ends its whole tree within seconds."""

    def __init__(
        self, command: Sequence[str | Path], log: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self._command = " ".join(map(str, command))
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env={**os.environ, "PATH": _SYSTEM_PATH, **(env or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_port(self, port: int, limit: float = 20.0) -> None:
        """Wait until the program listens; when it ended instead, the error shows what it printed."""

        def listens() -> bool:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self._command} ended with {self._process.returncode}:\n{self.output()[-4000:]}")
            try:
                socket.create_connection((LOOPBACK, port), 1).close()
            except OSError:
                return False
            return True

        try:
            wait_until(listens, f"port {port}", limit)
        except TimeoutError as fault:
            raise TimeoutError(f"{fault}:\n{self.output()[-4000:]}") from None

    def wait(self, limit: float = 20.0) -> int:
        return self._process.wait(limit)

    def kill(self) -> None:
        """kill -9 of the program alone, as a crash would do it."""
        self._process.kill()
        self._process.wait(10)

    def stop(self, limit: float = 10.0) -> None:
        """Ask the program to end, then end whatever is left of its tree."""
        left = descendants(self.pid)
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(limit)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid, birth in left:
                if _birth(pid) == birth:
                    os.kill(pid, number)
            end = time.monotonic() + 2
            while time.monotonic() < end and any(_birth(pid) == birth for pid, birth in left):
                time.sleep(0.02)
