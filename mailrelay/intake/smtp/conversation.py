"""One connection: reads command lines, writes replies, keeps time. What the verbs mean is the business of `session.py`.

A subclass of aiosmtpd's SMTP. Of the parent we keep the protocol skeleton; its command loop is replaced, because it takes bare
LF for a line end, answers faults with 500 and their text, and cancels a mail in acceptance when the client hangs up.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import ssl
from typing import Any, NoReturn

from aiosmtpd.smtp import SMTP

from mailrelay.intake.smtp.command_line import FOREIGN, fault_of
from mailrelay.intake.smtp.crowd import make_room
from mailrelay.intake.smtp.data import BLOCK, ConnectionGone
from mailrelay.intake.smtp.desk import Desk, refusal_of
from mailrelay.intake.smtp.limits import LOCAL, client_of, is_loopback, plain_address
from mailrelay.intake.smtp.peers import read_proxy
from mailrelay.intake.smtp.replies import Complaint, render
from mailrelay.intake.smtp.stream import has_line, set_limit, take_all
from mailrelay.intake.smtp.tls import describe
from mailrelay.intake.smtp.upgrade import start_tls
from mailrelay.model.envelope import Door
from mailrelay.telemetry import count, log

_COMMAND_BUFFER = 16 * 1024
_REPLY_BUFFER = 64 * 1024
_LINGER = 5.0  # seconds that a closed connection may take to flush


class Leave(Exception):
    """The conversation is over; everything has been said."""


_GONE = (Leave, ConnectionGone, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)


class Conversation(SMTP):
    """`door` is the listener's kind; `implicit_tls` starts TLS before the greeting (RFC 8314)."""

    line_length_limit = _COMMAND_BUFFER
    _deadline = math.inf  # when the client's time is over, on the loop's clock
    _timer_at = math.inf  # when the timer looks again

    def __init__(self, desk: Desk, door: Door, *, implicit_tls: bool, sessions: set[Conversation]) -> None:
        super().__init__(
            None,
            hostname=desk.hostname,
            timeout=desk.limits.command_time.total_seconds(),
            data_size_limit=desk.limits.size,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
        )
        self._desk = desk
        self._door = door
        self._implicit_tls = implicit_tls
        self._sessions = sessions
        self._peer = ""
        self._client = ""
        self._via = ""  # the neighbour that told us who the peer is
        self._rights: frozenset[str] = frozenset()
        self._counted = False
        self._told: list[bytes] = []
        self._errors = 0
        self._idle = 0
        self._listening = False  # between two commands
        self._leaving = ""  # refusal to say before the next command
        self.progressed_at = self.loop.time()
        self._is_lost = False  # where content ends and commands begin
        self._ended = False  # the client has closed its side or said QUIT
        self._linger: asyncio.TimerHandle | None = None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that carries the conversation."""
        return self._handler_coroutine

    # ── life of the connection ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        over_tls = self._original_transport is not None
        super().connection_made(transport)
        if over_tls:
            return
        peer = transport.get_extra_info("peername")
        self._peer = plain_address(peer[0]) if isinstance(peer, tuple) else LOCAL
        self._client = client_of(self._peer)
        self._rights = self._desk.rights_of(self._peer)
        self._sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self.session is None:
            return
        super().connection_lost(error)
        self._forget()

    def _forget(self) -> None:
        """The connection is gone: its place is free."""
        self._sessions.discard(self)
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        if self._linger is not None:
            self._linger.cancel()
        if self._counted:
            self._counted = False
            self._desk.connections.leave(self._client)

    def eof_received(self) -> bool | None:
        """A client may close its side and still wait for replies; the parent would cancel the session here."""
        self._reader.feed_eof()
        self._ended = True
        return not self.is_encrypted and self._linger is None

    @property
    def is_encrypted(self) -> bool:
        return self._tls_protocol is not None

    @property
    def tls(self) -> str | None:
        return describe(self.transport.get_extra_info("ssl_object")) if self.transport and self.is_encrypted else None

    def dismiss(self) -> None:
        """Ask the client to come back later: at once between two commands, else after the one that is being done."""
        self._leaving = "shutting-down"
        if self._listening:
            self._part("shutting-down")

    def cut(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.abort()

    @property
    def reader(self) -> asyncio.StreamReader:
        reader: asyncio.StreamReader = self._reader
        return reader

    # ── time ──

    def wait_at_most(self, seconds: float) -> None:
        """Cut the connection after this time unless told otherwise before. Cheap: the timer moves only to an earlier moment."""
        now = self.loop.time()
        self._deadline = now + seconds
        if self._deadline < self._timer_at:
            self._timer_at = self._deadline
            super()._reset_timeout(seconds)

    def stop_waiting(self) -> None:
        """Our own work is not the client's fault: no time limit while it goes on."""
        self._deadline = math.inf

    def _reset_timeout(self, duration: float | None = None) -> None:
        self.wait_at_most(duration or self._timeout_duration)

    def _timeout_cb(self) -> None:
        self._timer_at = math.inf
        left = self._deadline - self.loop.time()
        if left <= 0:
            count("smtp_timeout", door=self._door)
            self._part("slow")
        elif left < math.inf:
            self.wait_at_most(left)

    def _part(self, refusal: str) -> None:
        """Say a last reply and end the task, also where it waits for a client that does not read."""
        if self.transport is not None and self._handler_coroutine is not None and not self._handler_coroutine.done():
            self._writer.write(b"".join(self._told) + self.rendered(Complaint(refusal)))
            self._told.clear()
            self._handler_coroutine.cancel()

    def _close(self) -> None:
        """Close our side and give the client time to read; a full close with octets unread would destroy the last reply."""
        transport: Any = self.transport
        if transport is None or transport.is_closing():
            return
        if self._ended or self.is_encrypted or not self._counted:
            transport.close()
        else:
            transport.write_eof()
        self._linger = self.loop.call_later(_LINGER, transport.abort)

    # ── saying ──

    def tell(self, reply: bytes) -> None:
        """Add a reply of one or several finished lines to what is said before the next wait (RFC 2920 section 3.2)."""
        self._told.append(reply)

    def say(self, line: str) -> None:
        self.tell(line.encode() + b"\r\n")

    async def flush(self) -> None:
        if self._told:
            self._writer.write(b"".join(self._told))
            self._told.clear()
            self.wait_at_most(self._desk.limits.command_time.total_seconds())  # for a client that does not read
            await self._writer.drain()

    async def push(self, status: Any) -> None:
        self.tell((status.encode() if isinstance(status, str) else status) + b"\r\n")
        await self.flush()

    async def refuse(self, refusal: str, **values: str) -> None:
        await self.complain(Complaint(refusal, values))

    async def complain(self, complaint: Complaint, *, utf8: bool = False, weight: int = 1) -> None:
        """Say a refusal, count it, and end the conversation when there were too many."""
        count("smtp_refused", refusal=complaint.refusal, door=self._door)
        self._errors += weight
        reply = self.rendered(complaint, utf8=utf8)
        if self._errors > 3 and self._desk.limits.error_delay:
            await self.flush()
            await asyncio.sleep(self._desk.limits.error_delay.total_seconds())
        self.tell(reply)
        if reply.startswith(b"421"):
            await self.leave()
        if self._errors > self._desk.limits.errors:
            self.tell(self.rendered(Complaint("too-many-errors")))
            await self.leave()

    def rendered(self, complaint: Complaint, *, utf8: bool = False) -> bytes:
        return render(complaint, self._desk.wording, smtputf8=utf8)

    async def leave(self) -> NoReturn:
        await self.flush()
        raise Leave

    # ── the loop ──

    async def _handle_client(self) -> None:
        try:
            await self._open()
            while True:
                await self._turn()
        except _GONE:
            self.end_mail()
        except Exception:
            log.exception("smtp-session-fault", peer=self._peer)
            self.end_mail()
        except asyncio.CancelledError:
            self.end_mail()
            raise
        finally:
            self._close()

    async def _open(self) -> None:
        if "proxy" in self._rights:
            self.wait_at_most(self._desk.limits.command_time.total_seconds())
            self.speak_for(await read_proxy(self._reader))
        if not await self._enter():
            await self.leave()
        if self._implicit_tls:
            await self.encrypt()
        self.greet()

    async def _enter(self) -> bool:
        """Find a place for the connection, or say why there is none (in clear text only)."""
        listed = bool(self._rights) and not self._via
        connections, patience = self._desk.connections, self._desk.limits.crowded_time.total_seconds()
        self._counted = connections.enter(self._client, listed=listed)
        if not self._counted and connections.has_room_for(self._client):
            room = make_room(self._sessions - {self}, self.loop.time(), patience)
            self._counted = room and connections.enter(self._client, listed=listed)
        refusal = "" if self._counted else "too-many-connections"
        if self._door is Door.LMTP and "lmtp" not in self._rights and not is_loopback(self._via or self._peer):
            refusal = "peer-refused"
        if refusal:
            count("smtp_refused", refusal=refusal, door=self._door)
            if not self._implicit_tls:
                self.tell(self.rendered(Complaint(refusal, {"peer": self._peer})))
        return not refusal

    def greet(self) -> None:
        self.say(f"220 {self.hostname} {'LMTP' if self._door is Door.LMTP else 'ESMTP'} mailrelay")

    def speak_for(self, peer: str) -> None:
        """From now on a listed neighbour speaks for this client ("" = still for itself)."""
        if not peer:
            return
        self._via = self._via or self._peer
        self._peer, client = peer, client_of(peer)
        if self._counted:
            self._desk.connections.leave(self._client)
            self._counted = self._desk.connections.enter(client)
        self._client = client

    async def encrypt(self) -> None:
        """Do the TLS handshake; what the client sent before it is dropped (RFC 3207 section 4.2)."""
        if self._desk.tls is None:
            raise Leave
        await self.flush()
        waiting = take_all(self._reader)
        first = waiting if self._implicit_tls else b""
        seconds = max(int(self._desk.limits.handshake_time.total_seconds()), 1)
        self.wait_at_most(seconds + _LINGER)
        try:
            await start_tls(self, self._desk.tls, seconds, first=first)
        except ConnectionError:
            self._forget()  # for a handshake that fails, asyncio never calls connection_lost
            raise

    async def _turn(self) -> None:
        """Read one command and do it."""
        line = await self.read_line()
        verb, _, argument = line.rstrip(b"\r\n").partition(b" ")
        name = verb.decode("ascii", "replace").upper()
        fault = fault_of(name, line)
        method = self._smtp_methods.get(name)
        if name in FOREIGN:
            await self.refuse("wrong-protocol")
        elif fault:
            await self.refuse("bad-command", detail=fault)
        elif method is None:
            await self.refuse("unknown-command")
        else:
            await self._do(method, argument.decode("utf-8").strip(" "))

    async def read_line(self) -> bytes:
        """Read up to a LF; the line keeps its end. A line beyond every limit ends the conversation."""
        if not has_line(self._reader):
            await self.flush()
        if self._leaving:
            self.tell(self.rendered(Complaint(self._leaving)))
            await self.leave()
        self.wait_at_most(self._desk.limits.command_time.total_seconds())
        self._listening = True
        try:
            line: bytes = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            self._errors += self._desk.limits.errors
            await self.refuse("bad-command", detail="line too long")
            await self.leave()
        finally:
            self._listening = False
        if sum(map(len, self._told)) > _REPLY_BUFFER:
            await self.flush()
        return line

    async def _do(self, method: Any, argument: str) -> None:
        """Whatever goes wrong on our side is 451 with an id in the log: never 5xx, never the text of a fault."""
        self._idle += 1
        if self._idle > self._desk.limits.idle_commands:
            await self.refuse("too-many-errors")
        try:
            await method(argument)
        except _GONE:
            raise
        except Exception as fault:
            fault_id = secrets.token_hex(4)
            log.exception("smtp-fault", fault_id=fault_id, peer=self._peer, door=self._door)
            self.end_mail()
            await self.refuse(refusal_of(fault))
            if self._is_lost:
                await self.leave()

    def end_mail(self) -> None:
        """Drop the mail that is being put together, if any."""
        raise NotImplementedError

    def progressed(self) -> None:
        """A command brought a mail forward."""
        self._idle = 0
        self.progressed_at = self.loop.time()

    def must_stay(self, now: float) -> bool:
        """Whether a crowded door keeps this client: it is known to us, or we are at work for it."""
        return not self._counted or bool(self._rights) or self._deadline == math.inf

    def give_way(self) -> None:
        """End this conversation at once: its place is for somebody else."""
        count("smtp_gave_way", door=self._door)
        self._counted = False
        self._desk.connections.leave(self._client)
        if self._listening:
            self._part("too-many-connections")
        else:
            self.cut()

    def widen(self) -> None:
        """Read content in large blocks."""
        set_limit(self._reader, BLOCK)

    def lose_place(self) -> None:
        """Reading ended within content: what follows may be a mail's words, and must not be taken for commands."""
        self._is_lost = True

    def narrow(self) -> None:
        set_limit(self._reader, _COMMAND_BUFFER)
