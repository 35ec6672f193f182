"""The line to a real Dovecot when it is cut, goes dead or is refused: the door comes back by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from mailrelay.intake.imap.connection import Connection
from mailrelay.intake.imap.login import Credential
from mailrelay.model.agency import ImapAccount
from tests.e2e.imap.conftest import Office, mail, until
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.e2e


class TestConnection:
    async def test_the_server_is_started_again(self, office: Office, own_dovecot: Dovecot, user: str) -> None:
        office.account(user)
        own_dovecot.append(user, "INBOX", mail("one"))
        door = await office.open()
        await door.poll(user)
        await asyncio.to_thread(own_dovecot.stop)
        await until(lambda: not door.states()[0].connected)
        own_dovecot.start()
        own_dovecot.append(user, "INBOX", mail("two"))
        await until(lambda: len(office.clerk.taken) == 2, 30)

    async def test_thrown_out_in_the_middle_of_a_fetch(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.append(user, "INBOX", *[mail(f"mail{number}", body="x" * 3_000_000) for number in range(3)])

        async def kick() -> None:
            office.clerk.before_commit = None
            await asyncio.to_thread(office.server.admin, "kick", user)

        office.clerk.before_commit = kick
        door = await office.open()
        await until(lambda: len(office.clerk.taken) == 3, 20)
        await door.poll(user)
        assert list((await office.endings(user)).values()) == ["taken"] * 3
        assert len(office.files()) == 3

    async def test_a_line_that_dies_in_silence(self, office: Office, user: str) -> None:
        """Half-open TCP: nothing comes, not even an end. parsedmarc#211."""
        async with silenceable(office.server.port) as (port, silence):
            office.account(user, port=port)
            office.settings |= {"interval": timedelta(seconds=0.5), "source": impatient(office)}
            door = await office.open()
            await door.poll(user)
            silence()
            began = time.monotonic()
            await until(lambda: not door.states()[0].connected, 10)
            assert time.monotonic() - began < 5
            office.server.append(user, "INBOX", mail("one"))
            await until(lambda: office.clerk.taken, 10)

    async def test_a_line_that_dies_in_the_middle_of_a_mail(self, office: Office, user: str) -> None:
        office.server.append(user, "INBOX", mail("one", body="x" * 3_000_000))
        async with silenceable(office.server.port, after=1_000_000) as (port, _):
            office.account(user, port=port)
            office.settings["source"] = impatient(office)
            await office.open()
            await until(lambda: office.clerk.taken, 15)
        assert len(office.files()) == len(office.clerk.taken) == 1


def impatient(office: Office) -> object:
    def source(account: ImapAccount, credential: Credential) -> Connection:
        return Connection(account, credential, office.authority.client_context(), patience=1.0)

    return source


@asynccontextmanager
async def silenceable(target: int, after: int | None = None) -> AsyncIterator[tuple[int, object]]:
    """A line to a port that can go dead without an end: the first one after so many octets, or all of now by `silence`."""
    dead: set[asyncio.Task[None]] = set()
    lines: set[asyncio.Task[None]] = set()
    count = 0

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
        sent = 0
        while data := await reader.read(65536):
            sent += len(data)
            if asyncio.current_task() in dead or (most is not None and sent > most):
                await asyncio.Event().wait()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        to, back = await asyncio.open_connection("127.0.0.1", target)
        for source, sink, most in ((reader, back, None), (to, writer, after if count == 1 else None)):
            lines.add(asyncio.create_task(carry(source, sink, most)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], lambda: dead.update(lines)
    finally:
        server.close()
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
