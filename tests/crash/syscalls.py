"""strace on the running service: faults put into its system calls, and what it really asked of the kernel, in order."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import program


class NoTrace(Exception):
    """This machine lets us trace nothing; the text says why."""


@contextmanager
def injected(pid: int, rule: str, *, path: Path | None = None) -> Iterator[None]:
    """While inside, system calls of the process fail by a rule like `fsync:error=EIO`; with `path`, only those on this file.

    Raises NoTrace.
    """
    names = rule.partition(":")[0]
    only = [] if path is None else ["-P", str(path)]
    with _strace(pid, "-e", f"trace={names}", "-e", f"inject={rule}", *only):
        yield


@contextmanager
def recorded(pid: int, names: str, file: Path) -> Iterator[None]:
    """While inside, these system calls are written to the file, with the paths of their descriptors. Raises NoTrace."""
    with _strace(pid, "-y", "-s", "64", "-e", f"trace={names}", output=file):
        yield


@contextmanager
def _strace(pid: int, *options: str, output: Path = Path("/dev/null")) -> Iterator[None]:
    command = [program("strace"), "-f", "-p", str(pid), "-o", str(output), *options]
    with tempfile.TemporaryFile() as told:
        tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
        try:
            _wait_attached(tracer, told)
            yield
        finally:
            if tracer.poll() is None:
                tracer.send_signal(signal.SIGINT)  # lets the process go on untraced
            tracer.wait(20)


def _wait_attached(tracer: subprocess.Popen[bytes], told: object) -> None:
    for _ in range(200):
        text = _text(told)
        if re.search(r"Process \d+ attached", text):
            time.sleep(0.2)  # the other threads
            return
        if tracer.poll() is not None:
            raise NoTrace(f"strace cannot attach: {text.strip()}")
        time.sleep(0.05)
    raise TimeoutError("strace did not attach")


def _text(file: object) -> str:
    file.seek(0)  # type: ignore[attr-defined]
    return str(file.read().decode(errors="replace"))  # type: ignore[attr-defined]
