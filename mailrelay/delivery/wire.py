"""One connection as lines in and bytes out, with bounds and time limits. Knows TCP, Unix sockets and TLS; no SMTP."""

from __future__ import annotations

import asyncio
import ssl

_LONGEST_LINE = 4096
_MOST_WAITING = 256 * 1024  # unread bytes after which reading is paused


class WireLost(Exception):
    """The connection ended, or the peer did not keep within the bounds."""


class WireSlow(Exception):
    """The peer took longer than the limit."""


class Wire(asyncio.Protocol):
    """Made by `connect`. One task reads and one writes at a time; every wait has a limit; `abort` may be called any time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._lost = False
        self._reading_paused = False
        self._writing_paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _MOST_WAITING and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        _wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        _wake(self._writer)

    # What the room calls

    @property
    def stands(self) -> bool:
        """Whether bytes can still be written, as far as is known."""
        return not self._lost and self._transport is not None and not self._transport.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether the connection stands and the peer has said nothing unasked: only then it may be used again."""
        return self.stands and not self._received

    @property
    def peer(self) -> str:
        """The peer's IP address, "" on a Unix socket."""
        name = self._transport.get_extra_info("peername") if self._transport else None
        return str(name[0]) if isinstance(name, tuple) else ""

    @property
    def tls(self) -> str:
        """ "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" in clear text."""
        secured = self._transport.get_extra_info("ssl_object") if self._transport else None
        if secured is None:
            return ""
        cipher = secured.cipher()
        return f"{secured.version()} {cipher[0] if cipher else ''}".strip()

    async def read_line(self, seconds: float) -> bytes:
        """The next line without its line end. Lines that came before the connection was lost are still given."""
        end = self._received.find(b"\n")
        if end < 0:
            end = await self._line_end(seconds)
        line = bytes(self._received[:end]).removesuffix(b"\r")
        del self._received[: end + 1]
        if self._reading_paused and len(self._received) <= _MOST_WAITING and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
        return line

    async def _line_end(self, seconds: float) -> int:
        try:
            async with asyncio.timeout(seconds):
                while (end := self._received.find(b"\n")) < 0:
                    if self._lost or len(self._received) > _LONGEST_LINE:
                        raise WireLost
                    self._reader = self._loop.create_future()
                    await self._reader
        except TimeoutError:
            raise WireSlow from None
        return end

    async def write(self, data: bytes, seconds: float) -> None:
        """Hand over bytes and wait until the peer keeps up. Raises WireLost when the connection is known to be gone."""
        if self._transport is None or not self.stands:
            raise WireLost
        self._transport.write(data)
        if not self._writing_paused:
            return
        try:
            async with asyncio.timeout(seconds):
                while self._writing_paused:
                    if self._lost:
                        raise WireLost
                    self._writer = self._loop.create_future()
                    await self._writer
        except TimeoutError:
            raise WireSlow from None

    async def start_tls(self, context: ssl.SSLContext, server_name: str, seconds: float) -> None:
        """Begin TLS. Bytes that came in clear text after the go-ahead are an attack (CVE-2011-0411): WireLost."""
        if self._received or self._lost or self._transport is None:
            raise WireLost("bytes between the reply to STARTTLS and TLS")
        self._transport = await self._loop.start_tls(
            self._transport,
            self,
            context,
            server_hostname=server_name,
            ssl_handshake_timeout=seconds,
        )
        if self._transport is None:
            raise WireLost

    def close_after(self, data: bytes) -> None:
        """Say a last word without waiting for an answer, and close."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def connect(address: str, port: int, seconds: float, source: str = "") -> Wire:
    """Connect to an IP address or host name, or to a Unix socket when `address` is a path. Raises OSError or WireSlow."""
    loop = asyncio.get_running_loop()
    own = (source, 0) if source else None
    try:
        async with asyncio.timeout(seconds):
            if "/" in address:
                _, wire = await loop.create_unix_connection(Wire, address)
            else:
                _, wire = await loop.create_connection(Wire, address, port, happy_eyeballs_delay=0.25, local_addr=own)
    except TimeoutError:
        raise WireSlow from None
    return wire
