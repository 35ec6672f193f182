"""Password checks against servers that know the accounts already: Dovecot's auth socket, or a log-in at the present IMAP server.
A directory server is asked in `ldap.py`.

Each is an awaitable callable `(login, password) -> bool`. An exception means that the server could not tell: the door answers
454 and counts no failure. Passwords are never logged.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from mailrelay.intake.smtp.stream import take_all

_LINE = 16 * 1024
TIME = timedelta(seconds=10)


class PasswordServerFault(Exception):
    """The server did not answer, or answered what cannot be understood."""


def _plain(login: str, password: str) -> bytes:
    return base64.b64encode(f"\0{login}\0{password}".encode())


@dataclass(frozen=True)
class DovecotPasswords:
    """Asks a Dovecot auth-client socket (authentication protocol 1.1, mechanism PLAIN) over one connection for each check."""

    socket: Path
    time: timedelta = TIME

    async def __call__(self, login: str, password: str) -> bool:
        if "\t" in login or "\n" in login:
            return False
        async with asyncio.timeout(self.time.total_seconds()):
            reader, writer = await asyncio.open_unix_connection(self.socket, limit=_LINE)
            try:
                return await self._ask(reader, writer, _plain(login, password))
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, response: bytes) -> bool:
        writer.write(b"VERSION\t1\t1\nCPID\t%d\n" % os.getpid())
        while (line := await _line(reader)) != b"DONE":
            if line.startswith(b"VERSION\t") and not line.startswith(b"VERSION\t1\t"):
                raise PasswordServerFault("unknown version of the authentication protocol")
        # `secured` says that the client's connection to us is encrypted; `resp` must come last
        writer.write(b"AUTH\t1\tPLAIN\tservice=smtp\tsecured\tresp=%s\n" % response)
        while True:
            word, _, rest = (await _line(reader)).partition(b"\t")
            fields = rest.split(b"\t")
            if fields[0] != b"1" or word not in (b"OK", b"FAIL", b"CONT"):
                continue
            if word == b"FAIL" and b"temp" in fields:
                raise PasswordServerFault("temporary failure of the authentication server")
            return word == b"OK"


@dataclass(frozen=True)
class ImapPasswords:
    """Logs in at an IMAP server and out again. `tls` is implicit, starttls or none; `context` verifies the server."""

    host: str
    port: int
    tls: str = "implicit"
    context: ssl.SSLContext | None = None
    time: timedelta = TIME

    async def __call__(self, login: str, password: str) -> bool:
        async with asyncio.timeout(self.time.total_seconds()), self._connected() as (reader, writer):
            writer.write(b"a AUTHENTICATE PLAIN\r\n")
            if not (await _line(reader)).startswith(b"+"):
                raise PasswordServerFault("the IMAP server does not take AUTHENTICATE PLAIN")
            writer.write(_plain(login, password) + b"\r\n")
            answer = (await _tagged(reader)).upper()
            writer.write(b"z LOGOUT\r\n")
            if answer.startswith(b"OK"):
                return True
            if answer.startswith(b"NO") and b"[UNAVAILABLE]" not in answer:
                return False
            raise PasswordServerFault("the IMAP server cannot check passwords now")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        context = self.context or ssl.create_default_context()
        at_once = context if self.tls == "implicit" else None
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=at_once, limit=_LINE)
        try:
            if not (await _line(reader)).upper().startswith(b"* OK"):
                raise PasswordServerFault("the IMAP server does not greet")
            if self.tls == "starttls":
                writer.write(b"s STARTTLS\r\n")
                if not (await _tagged(reader)).upper().startswith(b"OK"):
                    raise PasswordServerFault("the IMAP server does not take STARTTLS")
                if take_all(reader):  # an answer to what was not asked yet: somebody on the way speaks for the server
                    raise PasswordServerFault("octets in clear text after STARTTLS")
                await writer.start_tls(context, server_hostname=self.host)
            yield reader, writer
        finally:
            writer.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise PasswordServerFault("the password server closed the connection")
    return line.rstrip(b"\r\n")


async def _tagged(reader: asyncio.StreamReader) -> bytes:
    """The first line that is not untagged, without its tag."""
    while (line := await _line(reader)).startswith(b"*"):
        pass
    return line.partition(b" ")[2]
