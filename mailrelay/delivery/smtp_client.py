"""One connection that carries mails to a next hop by SMTP or LMTP (RFC 5321, 2033, 2920). Chooses no hop and never retries."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from mailrelay.delivery.commands import Mail, mail_command, objection, rcpt_command, recipient_objection
from mailrelay.delivery.content import BLOCK, blocks
from mailrelay.delivery.outcome import Trouble, is_too_many
from mailrelay.delivery.replies import MalformedReply, Reply
from mailrelay.delivery.session import Dialogue, Place, hop_of, open_dialogue
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.delivery.stuffing import BareNewline, Chunk, Stuffer
from mailrelay.delivery.tally import Tally
from mailrelay.delivery.tls import Contexts, TlsPolicy
from mailrelay.delivery.wire import WireLost, WireSlow
from mailrelay.model.dispatch import Outcome, Result, Scope

_GRACE = 600.0  # seconds that every transfer may take, however small the mail
_TAIL = 512  # bytes that go out together with the final dot over a slow link
_PER_ANSWER = 15.0  # seconds added for each recipient that is answered for after the dot


class Stale(Exception):
    """A kept connection had died before the mail was begun: nothing was sent, a fresh connection may be tried at once."""


class _Closing(Exception):
    """The server said 421 and will say no more."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Connection:
    """Carries one mail at a time. After `send`, `is_usable` tells whether another mail may follow."""

    def __init__(self, place: Place, dialogue: Dialogue, settings: DeliverySettings) -> None:
        self.place = place
        self.mails = 0
        self._dialogue = dialogue
        self._settings = settings
        self._wire = dialogue.wire
        self._hop = hop_of(place, dialogue.wire)
        self._deadline = 0.0
        self._answered = False
        self._after_dot = False
        self._broken = False
        self._unfinished = False  # the server stands inside a transaction that was given up

    @property
    def is_usable(self) -> bool:
        return not self._broken and self._wire.is_quiet and self.mails < self._settings.mails_per_connection

    async def send(self, mail: Mail) -> tuple[Outcome, ...]:
        """Send one mail; return one outcome per recipient. Raises Stale (only on a connection that was used before)."""
        self.mails += 1
        self._answered = False
        tally = Tally(mail.parcel.recipients, self._hop)
        refused = objection(mail, self._dialogue.extensions, secured=self._is_secured())
        if refused is not None:
            tally.trouble(tally.pending, refused)
            return tally.outcomes()
        for index in tally.pending:
            trouble = recipient_objection(mail, tally.recipient(index), self._dialogue.extensions)
            if trouble is not None:
                tally.trouble([index], trouble)
        try:
            await self._send_all(mail, tally)
        finally:
            if tally.pending:  # cancelled, or a fault that is passed on
                self._break()
        return tally.outcomes()

    def close(self) -> None:
        """Say QUIT when that makes sense, and close without waiting."""
        if self._broken or not self._wire.is_quiet:
            self._wire.abort()
        else:
            self._wire.close_after(b"QUIT\r\n")
        self._broken = True

    async def _send_all(self, mail: Mail, tally: Tally) -> None:
        """All recipients, in as many transactions as the server's limits ask for."""
        most = self._dialogue.extensions.most_recipients or self._settings.recipients_per_mail
        most = min(most, self._settings.recipients_per_mail)
        while tally.pending:
            group = tally.pending[:most]
            await self._guarded(mail, tally, group)
            put_off = [index for index in group if _is_put_off(tally, index)]
            if put_off and len(put_off) < len(group) and not self._broken:
                tally.reopen(put_off)
            if self._broken:
                tally.trouble(tally.pending, Trouble.LOST)

    async def _guarded(self, mail: Mail, tally: Tally, group: Sequence[int]) -> None:
        """One transaction; whatever stops it becomes the outcome of the recipients that have none yet."""
        self._after_dot = False
        self._deadline = asyncio.get_running_loop().time() + self._settings.times.dialogue.total_seconds()
        open_ones = [index for index in group if index in tally.pending]
        try:
            await self._transaction(mail, tally, open_ones)
            return
        except _Closing as closing:
            self._raise_stale(closing)
            tally.refuse(_still(tally, group), closing.reply, Scope.DESTINATION)
        except WireLost as fault:
            self._raise_stale(fault)
            await self._told_at_last(tally, group)
            tally.trouble(_still(tally, group), Trouble.UNCERTAIN if self._after_dot else Trouble.LOST, str(fault))
        except WireSlow:
            tally.trouble(_still(tally, group), Trouble.UNCERTAIN if self._after_dot else Trouble.SLOW)
        except MalformedReply as fault:
            tally.trouble(_still(tally, group), Trouble.UNCERTAIN if self._after_dot else Trouble.GARBLED, str(fault))
        except BareNewline:
            tally.trouble(_still(tally, group), Trouble.BARE_NEWLINE)
        except OSError as fault:
            tally.trouble(_still(tally, group), Trouble.NO_MAIL, fault.strerror or "")
        self._break()

    async def _transaction(self, mail: Mail, tally: Tally, group: Sequence[int]) -> None:
        offered = self._dialogue.extensions
        pipelined = offered.offers("PIPELINING")
        start = mail_command(mail, offered)
        names = [rcpt_command(tally.recipient(index), offered) for index in group]
        if self._unfinished:
            await self._answer(b"RSET\r\n")
            self._unfinished = False
        chunked = mail.parcel.body == "BINARYMIME"
        if pipelined:
            await self._wire.write(b"".join((start, *names, b"" if chunked else b"DATA\r\n")), self._left())
        accepted = await self._envelope(tally, group, (start, names), pipelined=pipelined)
        if chunked and accepted:
            await self._wire.write(f"BDAT {mail.size} LAST\r\n".encode(), self._left())
            await self._content(mail, tally, accepted, Chunk())
        if chunked or not (accepted or pipelined):
            return
        go_ahead = await self._answer(b"" if pipelined else b"DATA\r\n", self._settings.times.data.total_seconds())
        if go_ahead.code == 354 and accepted:
            await self._content(mail, tally, accepted, Stuffer())
        elif go_ahead.code == 354:  # RFC 2920 section 3.1: a server may ask for a mail that nobody is to get
            await self._answer(b".\r\n")
            self._unfinished = False
        elif accepted:
            self._unfinished = True
            if go_ahead.is_positive:
                raise MalformedReply(go_ahead.text)
            tally.refuse(accepted, go_ahead, Scope.MAIL)

    async def _envelope(
        self, tally: Tally, group: Sequence[int], commands: tuple[bytes, list[bytes]], *, pipelined: bool
    ) -> list[int]:
        """MAIL and RCPT; return the recipients that were accepted."""
        start, names = commands
        begun = await self._answer(b"" if pipelined else start)
        if not begun.is_positive:
            tally.refuse(group, begun, Scope.MAIL)
            if not pipelined:
                return []
        accepted = []
        for index, command in zip(group, names, strict=True):
            reply = await self._answer(b"" if pipelined else command)
            if not begun.is_positive:
                continue
            if reply.is_positive:
                accepted.append(index)
            else:
                tally.refuse([index], reply, Scope.RECIPIENT)
        self._unfinished = begun.is_positive and not accepted
        return accepted

    async def _content(self, mail: Mail, tally: Tally, accepted: Sequence[int], form: Stuffer | Chunk) -> None:
        """The mail itself, and what the server says to it."""
        self._deadline = asyncio.get_running_loop().time() + _GRACE + mail.size / self._settings.times.slowest_rate
        await self._stream(mail, form)
        final = self._settings.times.final.total_seconds()
        # LMTP answers once for each recipient: the whole row of answers is bounded, too.
        self._deadline = asyncio.get_running_loop().time() + final + _PER_ANSWER * len(accepted)
        for group in [[index] for index in accepted] if self.place.lmtp else [accepted]:
            reply = await self._answer(b"", final)
            if reply.is_positive:
                result = Result.DELIVERED if self.place.lmtp else Result.RELAYED
                tally.succeed(group, result, reply, dsn=self._dialogue.extensions.offers("DSN"))
            else:
                tally.refuse(group, reply, Scope.RECIPIENT if self.place.lmtp else Scope.MAIL)

    async def _stream(self, mail: Mail, form: Stuffer | Chunk) -> None:
        """The mail in blocks. The last block goes out together with the final dot: from then on a lost reply is uncertain."""
        pieces = blocks(mail.parcel.path, mail.parcel.rendering)
        # The first block is read here: for a small mail a thread would cost more than the read. Later ones may wait for the disk.
        piece = next(pieces, b"")
        while (following := await _next(pieces, piece)) is not None:
            await self._write_block(mail, form.stuff(piece))
            piece = following
        last = form.stuff(piece) + form.end()
        if mail.pace is not None:  # all but the end at the speed of the link
            split = max(0, len(last) - _TAIL)
            await self._write_block(mail, last[:split])
            last = last[split:]
        self._after_dot = self._wire.stands
        await self._wire.write(last, self._left(self._settings.times.block.total_seconds()))

    async def _write_block(self, mail: Mail, data: bytes) -> None:
        limit = self._settings.times.block.total_seconds()
        if mail.pace is None:
            await self._wire.write(data, self._left(limit))
            return
        async for piece in mail.pace.pieces(data):
            await self._wire.write(piece, self._left(limit))

    async def _answer(self, command: bytes, seconds: float | None = None) -> Reply:
        """Send a command (b"" when it has been sent already) and return its reply. Raises _Closing for 421."""
        limit = self._left(self._settings.times.command.total_seconds() if seconds is None else seconds)
        if command:
            await self._wire.write(command, limit)
        reply = await self._dialogue.reply(limit)
        if reply.code == 421:
            raise _Closing(reply)
        self._answered = True
        return reply

    def _left(self, seconds: float | None = None) -> float:
        """Seconds that may still be waited: the given limit, cut by the deadline of the phase."""
        left = self._deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise WireSlow
        return left if seconds is None else min(seconds, left)

    async def _told_at_last(self, tally: Tally, group: Sequence[int]) -> None:
        """A server that hangs up in the middle of a mail has often said why: take that reply."""
        try:
            reply = await self._dialogue.reply(1.0)
        except (WireLost, WireSlow, MalformedReply):
            return
        if not reply.is_positive and reply.code != 354:
            tally.refuse(_still(tally, group), reply, Scope.MAIL)

    def _raise_stale(self, cause: Exception) -> None:
        if self.mails > 1 and not self._answered:
            self._break()
            raise Stale from cause

    def _is_secured(self) -> bool:
        """RFC 8689 section 4.2: a verified certificate and the extension; inside one machine the mail is at its end."""
        if self.place.lmtp:
            return self.place.is_own_machine or self.place.tls is TlsPolicy.VERIFY
        return self.place.tls is TlsPolicy.VERIFY and self._dialogue.extensions.offers("REQUIRETLS")

    def _break(self) -> None:
        self._broken = True
        self._wire.abort()


def _still(tally: Tally, group: Sequence[int]) -> list[int]:
    return [index for index in group if tally.outcome(index) is None]


def _is_put_off(tally: Tally, index: int) -> bool:
    outcome = tally.outcome(index)
    return outcome is not None and is_too_many(outcome)


async def _next(pieces: Iterator[bytes], before: bytes) -> bytes | None:
    if len(before) < BLOCK:
        return next(pieces, None)
    return await asyncio.to_thread(next, pieces, None)


async def open_connection(place: Place, settings: DeliverySettings, contexts: Contexts) -> Connection:
    """Connect to a place. Raises HopFault."""
    return Connection(place, await open_dialogue(place, settings, contexts), settings)
