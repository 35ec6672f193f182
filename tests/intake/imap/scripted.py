"""A double for mail servers that misbehave: each test writes the server's side of the dialog."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from mailrelay.intake.imap.connection import Connection
from mailrelay.intake.imap.login import Fixed
from mailrelay.model.agency import ImapAccount, Purpose, SecretRef


class Dialog:
    """The server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.heard: list[bytes] = []

    async def say(self, *lines: bytes) -> None:
        self.writer.write(b"".join(line + b"\r\n" for line in lines))
        await self.writer.drain()

    async def hear(self) -> bytes:
        """One line of the client without CRLF; b"" after the end."""
        line = (await self.reader.readline()).rstrip(b"\r\n")
        self.heard.append(line)
        return line

    async def answer(self, *lines: bytes, done: bytes = b"OK done") -> bytes:
        """Hear a command, say the untagged lines and the tagged result; return the command without its tag."""
        tag, _, command = (await self.hear()).partition(b" ")
        await self.say(*lines, tag + b" " + done)
        return command

    async def log_in(self, capabilities: bytes = b"IMAP4rev1 IDLE MOVE UIDPLUS") -> None:
        await self.say(b"* OK [CAPABILITY " + capabilities + b"] ready")
        await self.answer(done=b"OK [CAPABILITY " + capabilities + b"] in")

    async def select(self, *, uidvalidity: int = 7, uid_next: int = 1, exists: int = 0) -> None:
        await self.answer(
            b"* %d EXISTS" % exists,
            b"* OK [UIDVALIDITY %d] ok" % uidvalidity,
            b"* OK [UIDNEXT %d] ok" % uid_next,
            b"* OK [PERMANENTFLAGS (\\Seen \\*)] ok",
        )

    async def silence(self) -> None:
        """Keep the connection open and say nothing until the client hangs up."""
        while await self.reader.read(4096):
            pass


@asynccontextmanager
async def scripted(script: Callable[[Dialog], Awaitable[None]]) -> AsyncIterator[int]:
    """A server on a loopback port whose connections follow the script; a failing script fails the test."""
    faults: list[BaseException] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(Dialog(reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass
        except BaseException as fault:
            faults.append(fault)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks), timeout=5)
    if faults:
        raise faults[0]


Script = Callable[[Dialog], Awaitable[None]]
ACCOUNT = ImapAccount(
    "stc", "127.0.0.1", 0, "stc", SecretRef("file", "x"), Purpose.INCOMING, "stc@hoabinh.gov.vn", tls="none"
)


def connect(
    port: int, secret: str = "secret", *, patience: float = 5.0, idle: bool = True, **changes: Any
) -> Connection:
    context = changes.pop("context", None) or ssl.create_default_context()
    credential = changes.pop("credential", None) or Fixed(lambda _: secret, SecretRef("file", "x"))
    return Connection(replace(ACCOUNT, port=port, **changes), credential, context, patience=patience, idle=idle)


class Selecting:
    """A source that is logged in and has selected; `script` says what the server does then."""

    def __init__(self, script: Script, capabilities: bytes = b"IMAP4rev1 IDLE MOVE UIDPLUS", **options: Any) -> None:
        self._script = script
        self._capabilities = capabilities
        self._options = options

    async def __aenter__(self) -> Connection:
        async def whole(server: Dialog) -> None:
            await server.log_in(self._capabilities)
            await server.select()
            await self._script(server)
            await server.silence()

        self._server = scripted(whole)
        self._source = connect(await self._server.__aenter__(), **self._options)
        await self._source.open()
        await self._source.select("INBOX")
        return self._source

    async def __aexit__(self, *fault: Any) -> None:
        self._source._throw_away("test over")
        await self._server.__aexit__(*fault)
