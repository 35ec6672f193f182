"""The listeners of SMTP and LMTP: sockets, sessions, and an orderly end. Knows nothing of what a mail says."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from mailrelay.intake.smtp.conversation import Conversation
from mailrelay.intake.smtp.desk import Accept, CheckPassword, Desk, DraftLike
from mailrelay.intake.smtp.limits import ConnectionCount, Failures, Limits
from mailrelay.intake.smtp.quota import Quota
from mailrelay.intake.smtp.replies import Wording
from mailrelay.intake.smtp.session import Session
from mailrelay.model.agency import Directory
from mailrelay.model.envelope import Door
from mailrelay.telemetry import log

Address = tuple[str, int]
_BACKLOG = 512
_CUT = 5.0  # seconds for sessions that were cut off to drop their drafts


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a door is open. Port 0 lets the system choose; `sockets` are listening sockets made before (systemd) instead."""

    door: Door
    host: str = "127.0.0.1"
    port: int = 0
    sockets: tuple[socket.socket, ...] = ()


class SmtpDoor:
    """MX, submission, submissions and LMTP in our own event loop.

    `draft` opens a spool file, `accept` makes a mail ours and is never cancelled by a client, `check_password` tells whether
    a password is right (an exception means: cannot tell now). Without `tls` nobody can log in. `rights_of` gives the rights
    of a listed neighbour by its address; `on_suspension` is told a login that sent beyond its quota for too long. `hindrance`
    names the refusal for every mail while none can be taken.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        *,
        hostname: str,
        directory: Callable[[], Directory],
        draft: Callable[[], DraftLike],
        accept: Accept,
        check_password: CheckPassword,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        wording: Wording | None = None,
        rights_of: Callable[[str], frozenset[str]] = lambda peer: frozenset(),
        on_suspension: Callable[[str], None] = lambda login: None,
        hindrance: Callable[[], str] = lambda: "",
    ) -> None:
        bounds = limits or Limits()
        self._listeners = tuple(listeners)
        self._desk = Desk(
            hostname=hostname,
            directory=directory,
            draft=draft,
            accept=accept,
            check_password=check_password,
            tls=tls,
            limits=bounds,
            wording=wording or Wording(),
            connections=ConnectionCount(bounds),
            failures=Failures(bounds),
            rights_of=rights_of,
            quota=Quota(bounds, on_suspension),
            hindrance=hindrance,
        )
        self._sessions: set[Conversation] = set()
        self._servers: list[asyncio.Server] = []

    async def start(self) -> Mapping[Door, tuple[Address, ...]]:
        """Open every listener; return the bound addresses of each door. Raises OSError when a port cannot be had."""
        bound: dict[Door, tuple[Address, ...]] = {}
        try:
            for listener in self._listeners:
                for sock in listener.sockets or await _bind(listener.host, listener.port):
                    bound[listener.door] = (*bound.get(listener.door, ()), await self._serve(listener.door, sock))
        except BaseException:
            self._stop_listening()
            raise
        for door, addresses in bound.items():
            log.info("door-open", door=door, addresses=[f"{host}:{port}" for host, port in addresses])
        return bound

    async def _serve(self, door: Door, sock: socket.socket) -> Address:
        def session() -> Session:
            return Session(self._desk, door, implicit_tls=door is Door.SUBMISSIONS, sessions=self._sessions)

        server = await asyncio.get_running_loop().create_server(session, sock=sock, backlog=_BACKLOG)
        self._servers.append(server)
        name = sock.getsockname()
        return (name[0], name[1]) if isinstance(name, tuple) else (str(name), 0)

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    @property
    def quota(self) -> Quota:
        """What logins have sent; administrators release suspended ones here."""
        return self._desk.quota

    async def close(self, drain: timedelta) -> None:
        """Stop listening, dismiss idle clients, let mails on the wire end within `drain`, then cut. Accepted mails are awaited."""
        self._stop_listening()
        for session in tuple(self._sessions):
            session.dismiss()
        tasks = {session.task for session in self._sessions if session.task} | self._desk.acceptances
        if tasks:
            await asyncio.wait(tasks, timeout=drain.total_seconds())
        for session in tuple(self._sessions):
            session.cut()
        cut = tuple(self._desk.acceptances)
        if cut:
            # What is cut off here is what a crash would cut off: the next start picks it up or sweeps it away.
            log.warning("acceptances-cut", number=len(cut))
            for task in cut:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks | set(cut), timeout=_CUT)


async def _bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for every address of `host` ("" = all, IPv4 and IPv6).

    The protocol is named, since asyncio switches Nagle's algorithm off only on sockets that say IPPROTO_TCP.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setblocking(False)
            sock.bind(address)
            sock.listen(_BACKLOG)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets
