"""A next hop that answers as a test says: a small SMTP or LMTP server in the test's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mailrelay.delivery.settings import TimeLimits
from mailrelay.model.agency import Target, TargetKind

HANG = "hang"  # say nothing
DROP = "drop"  # close the connection

Answer = str | Callable[[str], str | Awaitable[str]]


@dataclass
class Taken:
    """One mail as the server got it."""

    sender: str
    recipients: list[str]
    data: bytes


@dataclass
class _Session:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    mails: int = 0


@dataclass
class Peer:
    """What the server says; every answer is a text, HANG or DROP, or a function of the command line."""

    lmtp: bool = False
    greeting: Answer = "220 mx.test ESMTP"
    ehlo: list[str] = field(
        default_factory=lambda: ["mx.test", "PIPELINING", "8BITMIME", "SIZE 10000000", "SMTPUTF8", "DSN"]
    )
    ehlo_tls: list[str] | None = None
    mail: Answer = "250 2.1.0 ok"
    rcpt: Answer = "250 2.1.5 ok"
    data: Answer = "354 go ahead"
    final: Answer = "250 2.0.0 taken"
    rset: Answer = "250 2.0.0 reset"
    starttls: Answer = "220 2.0.0 ready"
    context: ssl.SSLContext | None = None
    after_mails: int = 1000  # mails after which the connection is closed
    asks_anyway: bool = False  # 354 although no recipient was taken
    reads_data: bool = True
    on_connect: Callable[[str], object] | None = None  # given the client's address
    # what was seen
    port: int = 0
    commands: list[str] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    secured: list[bool] = field(default_factory=list)

    def target(self, tls: str = "none") -> Target:
        return Target(TargetKind.LMTP if self.lmtp else TargetKind.SMTP, host="127.0.0.1", port=self.port, tls=tls)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        if self.on_connect is not None:
            self.on_connect(writer.get_extra_info("peername")[0])
        try:
            await self._session(reader, writer)
        except (_Dropped, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            writer.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(reader, writer)
        await self._say(writer, self.greeting, "")
        while session.mails < self.after_mails and (line := await reader.readline()):
            command = line.decode().rstrip("\r\n")
            self.commands.append(command)
            verb = command[:4].upper()
            if verb == "QUIT":
                return
            await getattr(self, f"_{verb.lower()}")(session, command)

    async def _ehlo(self, session: _Session, command: str) -> None:
        secured = session.writer.get_extra_info("ssl_object")
        offered = self.ehlo_tls if self.ehlo_tls is not None and secured else self.ehlo
        lines = [f"250-{word}" for word in offered] or ["502 5.5.1 no EHLO"]
        lines[-1] = lines[-1].replace("-", " ", 1)
        await self._say(session.writer, "\r\n".join(lines), command)

    _lhlo = _ehlo

    async def _helo(self, session: _Session, command: str) -> None:
        await self._say(session.writer, "250 mx.test", command)

    async def _star(self, session: _Session, command: str) -> None:
        await self._say(session.writer, self.starttls, command)
        if self.context is not None:
            await session.writer.start_tls(self.context)

    async def _mail(self, session: _Session, command: str) -> None:
        reply = await self._say(session.writer, self.mail, command)
        session.sender, session.recipients = (command if reply.startswith("2") else ""), []

    async def _rcpt(self, session: _Session, command: str) -> None:
        reply = await self._say(session.writer, self.rcpt if session.sender else "503 5.5.1 need MAIL", command)
        session.recipients += [command] if reply.startswith("2") else []

    async def _data(self, session: _Session, command: str) -> None:
        wanted = session.recipients or self.asks_anyway
        reply = await self._say(session.writer, self.data if wanted else "554 5.5.1 no valid recipients", command)
        if not reply.startswith("354"):
            return
        if not self.reads_data:
            await asyncio.sleep(3600)
        lines = []
        while (line := await session.reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b".") else line)
        await self._take(session, b"".join(lines))

    async def _bdat(self, session: _Session, command: str) -> None:
        await self._take(session, await session.reader.readexactly(int(command.split()[1])))

    async def _rset(self, session: _Session, command: str) -> None:
        session.sender = ""
        await self._say(session.writer, self.rset, command)

    async def _take(self, session: _Session, data: bytes) -> None:
        self.taken.append(Taken(session.sender, session.recipients, data))
        self.secured.append(session.writer.get_extra_info("ssl_object") is not None)
        session.mails += 1
        for recipient in session.recipients if self.lmtp else [session.sender]:
            await self._say(session.writer, self.final, recipient)
        session.sender = ""

    async def _say(self, writer: asyncio.StreamWriter, answer: Answer, command: str) -> str:
        said: Any = answer(command) if callable(answer) else answer
        if not isinstance(said, str):
            said = await said
        if said == HANG:
            await asyncio.sleep(3600)
        if said == DROP:
            raise _Dropped
        writer.write(said.encode() + b"\r\n")
        await writer.drain()
        return said


class _Dropped(Exception):
    pass


QUICK = TimeLimits(
    connect=timedelta(seconds=2),
    greeting=timedelta(seconds=0.5),
    command=timedelta(seconds=0.5),
    data=timedelta(seconds=0.5),
    block=timedelta(seconds=0.5),
    final=timedelta(seconds=0.5),
    dialogue=timedelta(seconds=2),
)


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """Start peers, given the fields of Peer that differ from a good server, on ports of the system's choice."""
    servers: list[asyncio.Server] = []
    sessions: set[asyncio.Task[None]] = set()

    async def start(*, host: str = "127.0.0.1", port: int = 0, **answers: Any) -> Peer:
        peer = Peer(**answers)

        async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            sessions.add(task)
            with contextlib.suppress(asyncio.CancelledError):
                await peer.serve(reader, writer)
            sessions.discard(task)

        server = await asyncio.start_server(session, host, port, limit=1 << 20)
        servers.append(server)
        peer.port = server.sockets[0].getsockname()[1]
        return peer

    yield start
    for server in servers:
        server.close()
    for task in list(sessions):
        task.cancel()
    await asyncio.sleep(0)
