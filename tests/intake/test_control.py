"""The control socket: nobody else may open it at any moment, and nothing that is said there brings the daemon down."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mailrelay.intake.control import ControlDoor
from mailrelay.model.faults import NotFound


async def _echo(request: Mapping[str, Any]) -> Any:
    return dict(request)


async def _missing(request: Mapping[str, Any]) -> Any:
    raise NotFound("không có")


async def _broken(request: Mapping[str, Any]) -> Any:
    raise RuntimeError("a secret of the house")


VERBS = {"echo": _echo, "missing": _missing, "broken": _broken, "need": lambda request: _echo({"x": request["x"]})}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Path]:
    door = ControlDoor(tmp_path / "control.sock", VERBS)
    await door.start()
    yield tmp_path / "control.sock"
    await door.close()


async def _ask(place: Path, line: bytes) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(place)
    writer.write(line)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return json.loads(answer) if answer else {}


async def test_a_verb_is_done_and_answered(place: Path) -> None:
    assert await _ask(place, b'{"verb": "echo", "a": "\xc4\x91"}\n') == {"ok": True, "result": {"a": "đ"}}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"", "Unknown request"),
        (b"\n", "Unknown request"),
        (b"nonsense\n", "Unknown request"),
        (b"[]\n", "Unknown request"),
        (b"{}\n", "Unknown request"),
        (b'{"verb": "nothing"}\n', "Unknown request"),
        (b'{"verb": ["echo"]}\n', "Unknown request"),
        (b"\xff\xfe\n", "Unknown request"),
        (b"[" * 100_000 + b"\n", "Unknown request"),
        (b'{"verb": "need"}\n', "Missing or wrong argument"),
        (b'{"verb": "missing"}\n', "không có"),
        (b'{"verb": "broken"}\n', "Internal fault"),
    ],
)
async def test_nonsense_is_told_and_the_door_stays_open(place: Path, line: bytes, error: str) -> None:
    answer = await _ask(place, line)
    assert answer["ok"] is False and error in answer["error"] and "secret" not in answer["error"]
    assert (await _ask(place, b'{"verb": "echo"}\n'))["ok"] is True


async def test_a_line_without_end_gets_no_answer(place: Path) -> None:
    assert await _ask(place, b"x" * 600_000) == {}
    assert (await _ask(place, b'{"verb": "echo"}\n'))["ok"] is True


async def test_only_its_owner_may_open_it_from_the_first_moment_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    bound = asyncio.get_running_loop().create_unix_server

    async def watching(*arguments: Any, **named: Any) -> Any:
        server = await bound(*arguments, **named)
        modes.append(stat.S_IMODE((tmp_path / "control.sock").stat().st_mode))
        return server

    monkeypatch.setattr(asyncio.get_running_loop(), "create_unix_server", watching)
    before = os.umask(0)
    try:
        door = ControlDoor(tmp_path / "control.sock", VERBS)
        await door.start()
    finally:
        os.umask(before)
    await door.close()
    assert modes == [0o600]


async def test_what_a_killed_daemon_left_is_no_hindrance(tmp_path: Path) -> None:
    first = ControlDoor(tmp_path / "control.sock", VERBS)
    await first.start()
    second = ControlDoor(tmp_path / "control.sock", VERBS)
    await second.start()
    assert (await _ask(tmp_path / "control.sock", b'{"verb": "echo"}\n'))["ok"] is True
    await second.close()
    await first.close()
