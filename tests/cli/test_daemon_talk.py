"""What a command says when the daemon at the other end of the control socket does not answer as it should."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailrelay.cli.office import actor
from tests.cli.commands import run


@pytest.fixture
def place(demo: Any, tmp_path: Path) -> Path:
    shutil.copytree(demo["config"], tmp_path / "o", ignore=shutil.ignore_patterns("data"))
    (tmp_path / "o" / "data").mkdir()
    return tmp_path / "o"


@pytest.fixture
def answering(place: Path) -> Iterator[list[bytes]]:
    """A daemon that says these octets to whoever asks, then hangs up."""
    answers: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "data" / "control.sock"))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller:
                    caller.recv(65536)
                    caller.sendall(answers[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield answers
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.parametrize("answer", [b"", b'{"ok": true, "resu', b"\xff\xfe\n", b"[]\n", b"null\n"])
def test_a_daemon_that_breaks_off_is_told_in_words(place: Path, answering: list[bytes], answer: bytes) -> None:
    answering.append(answer)
    done = run("register", "accept", "1", "--config", str(place))
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", False)
    assert "Dịch vụ dừng giữa chừng" in done.stderr


def test_who_acts_has_a_name_even_without_an_entry_among_the_systems_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run us under a number that no file knows."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 61234)
    assert actor() == "uid 61234"
