"""Clients that send prepared mails over SMTP, and the sink where everything must come out: both in one event loop."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.load.mails import MARK, Mail

_IDENT = re.compile(rb"(?:^|\n)" + re.escape(MARK) + rb"([^\r\n]+)")
_END = b"\r\n.\r\n"
_OFFERS = b"PIPELINING SIZE 8BITMIME SMTPUTF8 DSN ENHANCEDSTATUSCODES".split()
_GREETING = b"250-sink.test\r\n" + b"".join(b"250-%s\r\n" % offer for offer in _OFFERS) + b"250 HELP\r\n"


def _undelayed(transport: asyncio.BaseTransport) -> None:
    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@dataclass(slots=True)
class Arrivals:
    """When each marked mail came out (time.monotonic), how often, and how many mails without a mark (notices) there were."""

    at: dict[str, float] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    others: int = 0


class _SinkSession(asyncio.Protocol):
    """Takes everything and keeps the marks; looks for the end of data without keeping the data."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._waiting = b""
        self._in_data = False
        self._head = b""
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        _undelayed(transport)
        transport.write(b"220 sink.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        while data:
            data = self._data(data) if self._in_data else self._commands(data)

    def _data(self, block: bytes) -> bytes:
        if len(self._head) < 65536:
            self._head += block
        window = self._tail + block
        at = window.find(_END)
        if at < 0:
            self._tail = window[-4:]
            return b""
        found = _IDENT.search(self._head)
        if found:
            ident = found[1].decode()
            self._arrivals.at.setdefault(ident, time.monotonic())
            self._arrivals.times[ident] += 1
        else:
            self._arrivals.others += 1
        self._in_data = False
        self._transport.write(b"250 2.0.0 taken\r\n")
        return window[at + 5 :]

    def _commands(self, block: bytes) -> bytes:
        waiting = self._waiting + block
        self._waiting = b""
        replies = []
        while (end := waiting.find(b"\n")) >= 0 and not self._in_data:
            line, waiting = waiting[:end].strip(), waiting[end + 1 :]
            verb = line[:4].upper()
            if verb in (b"EHLO", b"LHLO"):
                replies.append(_GREETING)
            elif verb == b"DATA":
                replies.append(b"354 go\r\n")
                self._in_data, self._head, self._tail = True, b"", b"\r\n"
            else:
                replies.append(b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 ok\r\n")
        self._transport.write(b"".join(replies))
        if self._in_data:
            return waiting
        self._waiting = waiting
        return b""


class Sink:
    """`async with Sink() as sink:` listens on `sink.port`; `sink.arrivals` is what came since the last `clear`."""

    async def __aenter__(self) -> Sink:
        self.arrivals = Arrivals()
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        self.port = int(listening.getsockname()[1])
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _SinkSession(self.arrivals), sock=listening, backlog=512)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def clear(self) -> None:
        self.arrivals.at.clear()
        self.arrivals.times.clear()
        self.arrivals.others = 0

    async def wait(self, mails: Sequence[Mail], limit: float) -> int:
        """How many of these mails came out within `limit` seconds of silence at most."""
        end, seen = time.monotonic() + limit, -1
        while (found := sum(mail.ident in self.arrivals.at for mail in mails)) < len(mails):
            if found != seen:
                end, seen = time.monotonic() + limit, found
            if time.monotonic() > end:
                break
            await asyncio.sleep(0.05)
        return found


class _Client(asyncio.Protocol):
    """One SMTP connection: commands out, whole replies (code, last line) in."""

    def __init__(self) -> None:
        self._buffer = b""
        self._replies: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        _undelayed(transport)

    def connection_lost(self, fault: Exception | None) -> None:
        self._replies.put_nowait((0, f"connection lost: {fault}"))

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":
                self._replies.put_nowait((int(line[:3]), line.decode("utf-8", "replace")))

    async def reply(self, wanted: int) -> None:
        code, text = await self._replies.get()
        if code != wanted:
            raise ConnectionError(f"{wanted} was expected: {text}")

    async def command(self, line: bytes, wanted: int = 250) -> None:
        self.transport.write(line + b"\r\n")
        await self.reply(wanted)


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where the mails go in; with a `login` over TLS from the first octet."""

    port: int
    login: str = ""
    password: str = ""

    async def connect(self) -> _Client:
        context = None
        if self.login:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(_Client, "127.0.0.1", self.port, ssl=context)
        await client.reply(220)
        await client.command(b"EHLO mx.bo.example")
        if self.login:
            token = base64.b64encode(f"\0{self.login}\0{self.password}".encode())
            await client.command(b"AUTH PLAIN " + token, 235)
        return client


@dataclass(slots=True)
class Sending:
    """What the clients saw: when each mail was begun, and the seconds from its last octet to the reply."""

    began: float = 0.0
    ended: float = 0.0
    at: dict[str, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)


async def send(entrance: Entrance, mails: Sequence[Mail], connections: int, *, pipelining: bool) -> Sending:
    """Send every mail once over so many connections. Raises ConnectionError on any refusal."""
    seen = Sending()
    waiting = iter(mails)
    clients = [await entrance.connect() for _ in range(connections)]
    seen.began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(_session(client, waiting, seen, pipelining=pipelining))
    seen.ended = time.monotonic()
    for client in clients:
        client.transport.write(b"QUIT\r\n")
        client.transport.close()
    return seen


async def _session(client: _Client, waiting: Iterator[Mail], seen: Sending, *, pipelining: bool) -> None:
    for mail in waiting:
        began = time.monotonic()
        lines = (b"MAIL FROM:<%s>" % mail.sender.encode(), b"RCPT TO:<%s>" % mail.recipient.encode(), b"DATA")
        if pipelining:
            client.transport.write(b"".join(line + b"\r\n" for line in lines))
            for wanted in (250, 250, 354):
                await client.reply(wanted)
        else:
            for line, wanted in zip(lines, (250, 250, 354), strict=True):
                await client.command(line, wanted)
        sent = time.monotonic()
        client.transport.write(mail.wire)
        await client.reply(250)
        seen.waits.append(time.monotonic() - sent)
        seen.at[mail.ident] = began


def rank(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
