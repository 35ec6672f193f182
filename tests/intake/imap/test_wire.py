"""The wire by itself."""

from __future__ import annotations

import asyncio
import logging

import pytest

from mailrelay.intake.imap.source import SourceLost
from mailrelay.intake.imap.wire import Wire
from tests.intake.imap.scripted import Dialog, scripted
from tests.intake.imap.test_connection import connect


async def test_nothing_of_a_login_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def script(server: Dialog) -> None:
        await server.log_in()
        await server.answer()

    with caplog.at_level(logging.DEBUG):
        async with scripted(script) as port:
            source = connect(port, "geheim")
            await source.open()
            await source.close()
    assert "geheim" not in caplog.text


async def test_thrown_away_before_it_was_connected() -> None:
    wire = Wire(asyncio.get_running_loop())
    wire.throw_away("first")
    wire.throw_away("second")
    with pytest.raises(SourceLost, match="first"):
        await wire.greeting
    with pytest.raises(SourceLost, match="first"):
        await wire.ask("NOOP")


async def test_data_after_the_end_is_ignored() -> None:
    wire = Wire(asyncio.get_running_loop())
    wire.data_received(b"* OK hello\r\n* BYE\r\n* OK more\r\n")
    assert wire.greeting.result() == (b"* OK hello",)
    assert wire.lost == "the server said goodbye"


async def test_untagged_lines_between_commands_are_not_kept() -> None:
    wire = Wire(asyncio.get_running_loop())
    wire.data_received(b"* OK hello\r\n" + b"* 1 FETCH (FLAGS ())\r\n" * 30_000 + b"* 2 EXISTS\r\n")
    assert wire.lost == ""
    assert wire._replies == []
    assert wire.bell.is_set()
