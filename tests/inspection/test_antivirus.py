"""The clamd client against a real clamd, and against one that misbehaves."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailrelay.inspection.antivirus import Clamd
from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check, Verdict
from tests.inspection.conftest import Bench, Records, letter, with_file
from tests.servers.clamd import WORD, ClamdServer


@pytest.fixture(scope="module")
def clamd() -> Iterator[ClamdServer]:
    with (
        tempfile.TemporaryDirectory(prefix="clam") as folder,
        ClamdServer(Path(folder) / "c") as server,
    ):  # short socket path
        yield server


def write(folder: Path, data: bytes) -> Path:
    path = folder / "mail.eml"
    path.write_bytes(data)
    return path


async def test_clean_and_malware(clamd: ClamdServer, tmp_path: Path) -> None:
    scanner = Clamd(clamd.socket)
    found = await scanner.scan(write(tmp_path, letter().as_bytes()))
    assert (found.verdict, found.detail) == (Verdict.PASS, "clean")
    found = await scanner.scan(write(tmp_path, with_file(b"xx" + WORD + b"yy", "a.bin").as_bytes()))
    assert (found.verdict, found.detail, found.subject) == (Verdict.FAIL, "malware", "Test.Mailrelay.UNOFFICIAL")


async def test_an_empty_file_is_clean(clamd: ClamdServer, tmp_path: Path) -> None:
    assert (await Clamd(clamd.socket).scan(write(tmp_path, b""))).detail == "clean"


async def test_beyond_the_size_limit_is_never_clean(clamd: ClamdServer, tmp_path: Path) -> None:
    for size in (1_100_000, 30_000_000):
        found = await Clamd(clamd.socket).scan(write(tmp_path, b"a" * size))
        assert (found.verdict, found.detail, found.facts["reason"]) == (Verdict.NEUTRAL, "not-scanned", "size")


async def test_a_dead_daemon_is_a_temporary_fault(tmp_path: Path) -> None:
    found = await Clamd(tmp_path / "nothing.sock").scan(write(tmp_path, b"x"))
    assert (found.verdict, found.detail, found.facts["reason"]) == (Verdict.TEMPERROR, "not-scanned", "unavailable")


Speaker = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answer(reply: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(reply)
    writer.close()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "unavailable"),
        (b"stream: OK", "unavailable"),  # no end mark: not the whole answer
        (b"nonsense\0", "refused"),
        (b"stream: OK FOUND ERROR\0", "refused"),
        (b"x" * 100_000 + b"\0", "unavailable"),
        (b"INSTREAM size limit exceeded. ERROR\0", "size"),
        (b"stream: Heuristics.Encrypted.Zip FOUND\0", "encrypted"),
        (b"stream: Heuristics.Limits.Exceeded.MaxScanTime FOUND\0", "size"),
    ],
)
async def test_odd_answers_are_never_clean(tmp_path: Path, reply: bytes, reason: str) -> None:
    async with await asyncio.start_server(lambda r, w: answer(reply, r, w), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await Clamd(f"127.0.0.1:{port}", 5.0).scan(write(tmp_path, b"x"))
    assert (found.detail, found.facts["reason"]) == ("not-scanned", reason)
    assert found.verdict is not Verdict.PASS


async def test_a_silent_daemon_costs_no_more_than_the_limit(tmp_path: Path) -> None:
    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(keep_silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        began = time.monotonic()
        found = await Clamd(f"127.0.0.1:{port}", 0.3).scan(write(tmp_path, b"x"))
        assert time.monotonic() - began < 2
    assert (found.verdict, found.facts["reason"]) == (Verdict.TEMPERROR, "time")


async def test_in_a_whole_examination(
    clamd: ClamdServer, tmp_path: Path, settings: InspectionSettings, directory: Directory
) -> None:
    inspector = Inspector(replace(settings, clamd=clamd.socket), txt=Records())
    await inspector.start()
    try:
        bench = Bench(inspector, Records(), tmp_path, directory)
        found = await bench.examine(with_file(WORD + os.urandom(50), "a.bin"))
        assert [(f.verdict, f.detail) for f in found.of(Check.ANTIVIRUS)] == [(Verdict.FAIL, "malware")]
    finally:
        await inspector.close()
