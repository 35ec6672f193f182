"""A recording SMTP server in the test's own loop: takes everything, or answers as it was told to."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType


@dataclass
class Delivered:
    """One mail that was taken: the MAIL and RCPT arguments as sent, and the bytes after dot-unstuffing, CRLF kept."""

    mail: str
    rcpt: list[str]
    data: bytes
    tls: bool
    helo: str

    @property
    def sender(self) -> str:
        return self.mail[self.mail.index("<") + 1 : self.mail.index(">")]

    @property
    def recipients(self) -> list[str]:
        return [line[line.index("<") + 1 : line.index(">")] for line in self.rcpt]


@dataclass
class _Session:
    helo: str = ""
    mail: str = ""
    rcpt: list[str] = field(default_factory=list)
    tls: bool = False

    def reset(self) -> None:
        self.mail, self.rcpt = "", []


class SmtpSink:
    """`async with SmtpSink() as sink:` listens on `sink.port`.

    `replies` maps the start of a command line (upper case, "RCPT TO:<A@B.TEST>", "MAIL", "DATA") or "." for the end of data to
    the reply to give instead of the usual one; a 4xx or 5xx refuses, and the special reply "DROP" cuts the connection.
    `extensions` are the EHLO lines; `context` adds STARTTLS.
    """

    def __init__(
        self,
        *,
        replies: Mapping[str, str] | None = None,
        extensions: tuple[str, ...] = (
            "PIPELINING",
            "SIZE 104857600",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "ENHANCEDSTATUSCODES",
        ),
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.replies = dict(replies or {})
        self.mails: list[Delivered] = []
        self.commands: list[str] = []
        self.connections = 0
        self.port = 0
        self._extensions = extensions
        self._context = context
        self._arrived = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> SmtpSink:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def wait_mails(self, count: int, limit: float = 20.0) -> list[Delivered]:
        """Wait until at least `count` mails were taken."""
        async with asyncio.timeout(limit), self._arrived:
            await self._arrived.wait_for(lambda: len(self.mails) >= count)
        return self.mails

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client went away, which is its right
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session()
        writer.write(b"220 sink.test ESMTP\r\n")
        while line := await reader.readline():
            command = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            self.commands.append(command)
            if not await self._obey(command, session, reader, writer):
                return
            await writer.drain()

    async def _obey(
        self, command: str, session: _Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one command; False ends the connection."""
        verb = command[:4].upper()
        told = self._told(command)
        if told == "DROP":
            return False
        if told is not None and verb != "DATA":
            writer.write(told.encode() + b"\r\n")
            return True
        match verb:
            case "EHLO" | "LHLO" | "HELO":
                session.helo = command[5:].strip()
                writer.write(self._greeting(session))
            case "STAR" if self._context and not session.tls:
                writer.write(b"220 2.0.0 go\r\n")
                await writer.drain()
                await writer.start_tls(self._context)
                session.tls = True
            case "MAIL":
                session.reset()
                session.mail = command[10:]
                writer.write(b"250 2.1.0 ok\r\n")
            case "RCPT":
                session.rcpt.append(command[8:])
                writer.write(b"250 2.1.5 ok\r\n")
            case "DATA":
                return await self._data(told, session, reader, writer)
            case "QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return False
            case _:
                session.reset()
                writer.write(b"250 2.0.0 ok\r\n")
        return True

    async def _data(
        self, told: str | None, session: _Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if told is not None or not session.rcpt:
            writer.write((told or "554 5.5.1 no valid recipients").encode() + b"\r\n")
            return True
        writer.write(b"354 go\r\n")
        await writer.drain()
        data = bytearray()
        while (line := await reader.readuntil(b"\n")) != b".\r\n":
            data += line[1:] if line.startswith(b".") else line
        told = self._told(".")
        if told == "DROP":
            return False
        if told is None:
            self.mails.append(Delivered(session.mail, list(session.rcpt), bytes(data), session.tls, session.helo))
            async with self._arrived:
                self._arrived.notify_all()
        writer.write((told or "250 2.0.0 taken").encode() + b"\r\n")
        session.reset()
        return True

    def _told(self, command: str) -> str | None:
        line = command.upper()
        return next((reply for start, reply in self.replies.items() if line.startswith(start.upper())), None)

    def _greeting(self, session: _Session) -> bytes:
        lines = ["sink.test", *self._extensions]
        if self._context and not session.tls:
            lines.append("STARTTLS")
        return "".join(f"250{' ' if i == len(lines) - 1 else '-'}{text}\r\n" for i, text in enumerate(lines)).encode()
