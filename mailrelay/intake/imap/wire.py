"""aioimaplib's protocol with its faults worked around: one command at a time, every wait ends, every length is limited.

Used of the library: the state of a connection, tags, commands and their completion. Replaced: cutting the stream into replies
(`framing`), logging of what is sent, the greeting, literals in commands, and what happens when the connection is lost.
tests/intake/imap/test_aioimaplib.py shows each fault and fails when one is gone or a name used here has changed.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from contextlib import suppress
from typing import Any

from aioimaplib import aioimaplib as library

from mailrelay.intake.imap import answers
from mailrelay.intake.imap.framing import Framing, Reply
from mailrelay.intake.imap.source import SourceLost, SourceRefused

REPLY_LIMIT = 20_000  # untagged replies to one command
TLS_BUFFER = 4096  # octets
TEXT_LIMIT = 4 * 1024 * 1024  # octets of them
OCTET_LIMIT = 32 * 1024 * 1024  # all that may come between two commands, wanted or not
LINE_COUNT_LIMIT = 300_000  # lines of it: empty ones cost time as well
_GREETING_LIMIT = 8192
_BYE = re.compile(rb"\* BYE\b", re.IGNORECASE)


class Wire(library.IMAP4ClientProtocol):  # type: ignore[misc]  # the library has no types
    """One IMAP connection. Not for two commands at a time. `patience` is how long an answer may take, in seconds."""

    transport: asyncio.Transport | None
    pending_sync_command: Any  # library.Command | None: every command is given as one that no other may overlap

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: float = 60.0) -> None:
        super().__init__(loop)
        self._patience = patience
        self.greeting: asyncio.Future[Reply] = loop.create_future()
        self.bell = asyncio.Event()  # new mail was announced, or the connection is lost
        self.lost = ""  # why, once it is
        self.capabilities: frozenset[str] = frozenset()
        self._framing = Framing()
        self._replies: list[Reply] = []
        self._text = 0
        self._octets = 0
        self._lines = 0
        self._pieces: deque[bytes] | None = None
        self._idling = False
        self._leaving = False
        self._sealed = False  # STARTTLS was agreed on: the next octets must be a handshake

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        _slim(transport)

    def data_received(self, data: bytes) -> None:
        self._octets += len(data)
        self._lines += data.count(b"\n")
        if self._octets > OCTET_LIMIT or self._lines > LINE_COUNT_LIMIT:
            self.throw_away("the server never stops talking")
            return
        try:
            for reply in self._framing.feed(data):
                if self._sealed:
                    raise SourceLost("clear text after STARTTLS")
                self._take(reply)
                if self.lost:
                    return
        except SourceLost as fault:
            self.throw_away(str(fault))
        except library.AioImapException:  # a tag that is not ours
            self.throw_away("the server answered a command that was not given")
        except (
            Exception
        ) as fault:  # the library's reading of a tagged line: whatever a server sends, it costs only the line
            self.throw_away(f"unreadable answer ({type(fault).__name__})")

    def connection_lost(self, exc: Exception | None) -> None:
        self.throw_away(f"connection lost: {type(exc).__name__}" if exc else "the server hung up")

    # What the connection calls

    async def ask(
        self, name: str, *arguments: str, uid: bool = False, pieces: tuple[bytes, ...] = (), seconds: float = 0.0
    ) -> tuple[list[Reply], str]:
        """Give a command; return the untagged replies and the text after the tagged OK.

        `pieces` are sent one by one when the server asks for more (literals, SASL). SourceRefused: the answer was NO or BAD.
        SourceLost: no answer in time, or no connection; the connection is then thrown away, since a late answer to an
        abandoned command would be taken for the answer to the next one.
        """
        command = self._begin(name, arguments, uid, pieces)
        await self._finish(command, seconds or self._patience)
        return self._answer(command)

    async def idle(self, seconds: float) -> None:
        """Listen until `bell` is set or the time is over. The end of it proves that the server still answers."""
        command = self._begin("IDLE", (), False, ())
        self._idling = True
        try:
            async with asyncio.timeout(self._patience):
                await (
                    self._idle_event.wait()
                )  # agreed to, refused or lost: DONE before that would be an unknown command
            if self.pending_sync_command is command:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self.bell.wait()
        except TimeoutError:
            self.throw_away(f"no answer to IDLE within {self._patience:g} s")
        except asyncio.CancelledError:
            self.throw_away("cancelled in IDLE")
            raise
        finally:
            self._idling = False
        if self.pending_sync_command is command:
            self.send("DONE")
        await self._finish(command, self._patience)
        self._answer(command)

    async def start_tls(self, context: object, host: str, seconds: float = 30.0) -> None:
        """Change to TLS after STARTTLS was agreed on. What came before the handshake in clear text is a fault, not an answer."""
        if not self._framing.is_empty:
            self.throw_away("clear text after STARTTLS")
        if self.lost or self.transport is None:
            raise SourceLost(self.lost)
        self.transport = await self.loop.start_tls(
            self.transport, self, context, server_hostname=host, ssl_handshake_timeout=seconds
        )
        _slim(self.transport)
        self.capabilities = frozenset()
        self._sealed = False

    def send(self, line: str, scrub: str | None = None) -> None:
        """Write one line. The library would format every line into a log record, passwords in base64 among them."""
        self._write(line.encode("ascii"))

    def throw_away(self, reason: str) -> None:
        """End the connection at once and wake whoever waits for an answer (the library never does)."""
        if self.lost:
            return
        self.lost = reason
        if self.transport is not None:
            self.transport.abort()
        if not self.greeting.done():
            self.greeting.set_exception(SourceLost(reason))
            self.greeting.exception()  # seen: nobody needs to wait for it
        command, self.pending_sync_command = self.pending_sync_command, None
        if command is not None:
            command.close(reason.encode(), "LOST")
        self._replies.clear()
        self._idle_event.set()
        self.bell.set()

    # Inside

    def _begin(self, name: str, arguments: tuple[str, ...], uid: bool, pieces: tuple[bytes, ...]) -> library.Command:
        if self.lost:
            raise SourceLost(self.lost)
        assert self.pending_sync_command is None, "one command at a time"
        command = library.Command(name, self.new_tag(), *arguments, prefix="UID" if uid else None, loop=self.loop)
        self._replies = []
        self._text = self._octets = self._lines = 0
        self._pieces = deque(pieces) if pieces else None
        self._idle_event.clear()
        self._leaving = name == "LOGOUT"
        self.pending_sync_command = command
        self.send(str(command))
        return command

    async def _finish(self, command: library.Command, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await command.wait()
        except TimeoutError:
            self.throw_away(f"no answer to {command.name} within {seconds:g} s")
        except asyncio.CancelledError:
            self.throw_away(f"cancelled in {command.name}")
            raise

    def _answer(self, command: library.Command) -> tuple[list[Reply], str]:
        if self.lost:
            raise SourceLost(self.lost)
        replies, self._replies = self._replies, []
        result = command.response.result.upper()
        text = bytes(command.response.lines[-1]).decode("utf-8", "replace")
        if result != "OK":
            raise SourceRefused(f"{command.name}: {result} {text[:200]}")
        return replies, text

    def _take(self, reply: Reply) -> None:
        line = reply[0]
        if not self.greeting.done():
            if sum(map(len, reply)) > _GREETING_LIMIT:
                raise SourceLost("the server greets without end")
            self.greeting.set_result(reply)
        elif line.startswith(b"* "):
            self._untagged(reply)
        elif line.startswith(b"+"):
            self._continue()
        elif line:
            self._sealed = self.pending_sync_command is not None and self.pending_sync_command.name == "STARTTLS"
            self._response_done(line)
            self._idle_event.set()

    def _untagged(self, reply: Reply) -> None:
        if answers.exists(reply) is not None:
            self.bell.set()
        if _BYE.match(reply[0]) and not self._leaving:
            self.throw_away("the server said goodbye")
            return
        if self._idling or self.pending_sync_command is None:
            return
        self._text += sum(map(len, reply))
        if len(self._replies) >= REPLY_LIMIT or self._text > TEXT_LIMIT:
            raise SourceLost("the server sent an endless answer")
        self._replies.append(reply)

    def _continue(self) -> None:
        if self._idling:
            self._idle_event.set()
        if self._idling or self._pieces is None:
            return
        if not self._pieces:
            raise SourceLost("the server asks for more than there is")
        self._write(self._pieces.popleft())

    def _write(self, line: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(line + b"\r\n")


def _slim(transport: asyncio.BaseTransport | None) -> None:
    """Give a TLS line a small buffer: asyncio's own takes 256 KiB for every connection, for hundreds that only idle."""
    protocol: Any = getattr(transport, "_ssl_protocol", None)
    if all(hasattr(protocol, name) for name in ("max_size", "_ssl_buffer", "_ssl_buffer_view")):
        protocol.max_size = TLS_BUFFER
        protocol._ssl_buffer = bytearray(TLS_BUFFER)
        protocol._ssl_buffer_view = memoryview(protocol._ssl_buffer)
