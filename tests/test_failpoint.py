"""Failpoints: what arms them, what they do, and that every name in the package is registered."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mailrelay
from mailrelay.failpoint import EXIT_STATUS, NAMES, FailpointReached, arm, failpoint


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm("")


def _names_in(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint":
            (argument,) = node.args
            assert isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            yield argument.value


def test_every_failpoint_of_the_package_is_registered_and_stands_once() -> None:
    package = Path(mailrelay.__file__).parent
    names = [name for path in sorted(package.rglob("*.py")) for name in _names_in(path.read_text())]
    assert sorted(names) == sorted(NAMES)


def test_a_failpoint_that_is_not_armed_does_nothing() -> None:
    arm("writer.after-commit:raise")
    failpoint("spool.finish")
    arm("")
    failpoint("writer.after-commit")


def test_raise_at_every_hit_or_at_the_nth_only() -> None:
    arm("spool.finish:raise; writer.after-commit@2:raise")
    for _ in range(2):
        with pytest.raises(FailpointReached, match=r"spool\.finish"):
            failpoint("spool.finish")
    failpoint("writer.after-commit")
    with pytest.raises(FailpointReached):
        failpoint("writer.after-commit")
    failpoint("writer.after-commit")


def test_sleep() -> None:
    arm("spool.finish:sleep=0.05")
    start = time.monotonic()
    failpoint("spool.finish")
    assert time.monotonic() - start >= 0.05


def test_exit_is_armed_by_the_environment() -> None:
    code = "import atexit; atexit.register(print, 'not said')\n"
    code += "from mailrelay.failpoint import failpoint; failpoint('spool.finish'); print('first'); "
    code += "import sys; sys.stdout.flush(); failpoint('spool.finish'); print('never')"
    environment = {**os.environ, "MAILRELAY_FAILPOINT": "spool.finish@2:exit"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (EXIT_STATUS, "first\n")


@pytest.mark.parametrize("text", ["spool.finish", "nowhere:exit", "spool.finish:explode", "spool.finish@x:exit", ":"])
def test_what_cannot_be_armed_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        arm(text)
