"""Virus scanners: what one must be able to do, and clamd, asked over its socket (INSTREAM): the file in blocks of 64 KiB, one
line back.

What was not scanned to the end is never called clean: a size limit of the daemon, a lost connection and a silent daemon are all
"not-scanned", with the reason among the facts.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.telemetry import count, log

_BLOCK = 64 * 1024
_LONGEST_REPLY = 4096
_READY_LIMIT = 5.0  # seconds
_FOUND = re.compile(r"stream: (.{1,500}?)(?:\([0-9a-f]{32,128}:\d+\))? FOUND\Z")
_UNOPENED = ("Heuristics.Encrypted", "Heuristics.Limits.Exceeded")


class Scanner(Protocol):
    """All that the house asks of a virus scanner. One that speaks ICAP needs these two functions and a setting."""

    async def scan(self, path: Path) -> Finding:
        """Have one file scanned: `malware`, `clean` or `not-scanned`; temperror when a later try may do better. Never raises."""

    async def ready(self) -> bool:
        """Tell whether it answers at present. Never raises."""


class Clamd:
    """Clamd(address, time_limit): `address` is the path of a Unix socket or "host:port". Safe to use from many tasks."""

    def __init__(self, address: Path | str, time_limit: float = 60.0, *, at_once: int = 8) -> None:
        self._address = address
        self._time_limit = time_limit
        self._turns = asyncio.Semaphore(at_once)

    async def scan(self, path: Path) -> Finding:
        """Have one file scanned. Never raises for anything that the daemon or the file does."""
        try:
            async with self._turns, asyncio.timeout(self._time_limit):
                reply = await self._ask(path)
        except TimeoutError:
            return _not_scanned("time")
        except (OSError, EOFError, ValueError) as fault:
            log.warning("clamd-unavailable", fault=type(fault).__name__)
            return _not_scanned("unavailable")
        return _judged(reply)

    async def ready(self) -> bool:
        """Tell whether the daemon answers; asked before what waited for it is scanned again."""
        try:
            async with asyncio.timeout(min(self._time_limit, _READY_LIMIT)), self._connection() as sock:
                await asyncio.get_running_loop().sock_sendall(sock, b"zPING\0")
                return await _reply(sock) == "PONG"
        except (OSError, EOFError, ValueError):  # TimeoutError is an OSError
            return False

    async def version(self) -> str:
        """Return what the daemon says of itself and its signatures. Raises OSError or TimeoutError when it cannot be asked."""
        async with asyncio.timeout(self._time_limit), self._connection() as sock:
            await asyncio.get_running_loop().sock_sendall(sock, b"zVERSION\0")
            return await _reply(sock)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[socket.socket]:
        """A plain socket: a stream would throw away a reply that came before the daemon hung up."""
        family: int = socket.AF_UNIX
        address: Any = str(self._address)
        if not isinstance(self._address, Path):
            host, _, port = self._address.rpartition(":")
            places = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
            family, address = places[0][0], places[0][4]
        with socket.socket(family) as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, address)
            yield sock

    async def _ask(self, path: Path) -> str:
        with Source(path) as source:
            async with self._connection() as sock:
                # The daemon answers a stream beyond its limit at once and hangs up: its reply is read even so.
                with contextlib.suppress(ConnectionError):
                    await _send(source, sock)
                return await _reply(sock)


async def _send(source: Source, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, b"zINSTREAM\0")
    for start in range(0, source.size, _BLOCK):
        block = source.read(start, start + _BLOCK)
        await loop.sock_sendall(sock, struct.pack("!I", len(block)) + block)
    await loop.sock_sendall(sock, struct.pack("!I", 0))


async def _reply(sock: socket.socket) -> str:
    """Read one answer to its end mark. Raises EOFError without one, ValueError when it is too long."""
    data = b""
    while not data.endswith(b"\0"):
        block = await asyncio.get_running_loop().sock_recv(sock, _LONGEST_REPLY)
        if not block:
            raise EOFError("no end of the answer")
        data += block
        if len(data) > _LONGEST_REPLY:
            raise ValueError("the answer is too long")
    return _text(data)


def _text(reply: bytes) -> str:
    return reply.rstrip(b"\0\n").decode("utf-8", "replace")


def _judged(reply: str) -> Finding:
    found = _FOUND.match(reply)
    if found is not None and found.group(1).startswith(_UNOPENED):
        return _not_scanned("encrypted" if "Encrypted" in found.group(1) else "size")
    if found is not None:
        count("malware_found")
        return note(Check.ANTIVIRUS, Verdict.FAIL, "malware", found.group(1), scanner="clamd")
    if reply == "stream: OK":
        return note(Check.ANTIVIRUS, Verdict.PASS, "clean", scanner="clamd")
    return _not_scanned("size" if "size limit" in reply.lower() else "refused")


def _not_scanned(reason: str) -> Finding:
    """What will not change by trying again is no temporary fault."""
    verdict = Verdict.NEUTRAL if reason in ("size", "encrypted") else Verdict.TEMPERROR
    return note(Check.ANTIVIRUS, verdict, "not-scanned", scanner="clamd", reason=reason)
