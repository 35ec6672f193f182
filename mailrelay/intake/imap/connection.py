"""A MailSource on one IMAP connection (RFC 3501, 2177, 6851, 4315, 7162): how to say it; when and why is the poller's business."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain

from mailrelay.intake.imap import answers
from mailrelay.intake.imap.framing import Reply
from mailrelay.intake.imap.login import Credential, log_in
from mailrelay.intake.imap.names import encode_name, quote, uid_set
from mailrelay.intake.imap.source import BLOCK, REFUSED, REGISTERED, Listed, Selected, SourceLost, SourceRefused
from mailrelay.intake.imap.wire import Wire
from mailrelay.model.agency import ImapAccount

IDLE_LIMIT = 9 * 60.0  # seconds; firewalls forget quiet connections after ten minutes or so
CONNECT_TIME = 30.0
_HIGHEST_MODSEQ = 2**63 - 1  # RFC 7162 section 3.1
ANSWER_TIME = 60.0  # for one answer, a block of a mail included


class Connection:
    """A MailSource. `credential` gives the password or access token at each `open`.

    `patience` is how long one answer (a block of a mail included) may take, in seconds.
    """

    def __init__(
        self,
        account: ImapAccount,
        credential: Credential,
        context: ssl.SSLContext,
        *,
        idle: bool = True,
        patience: float = ANSWER_TIME,
    ) -> None:
        self._account = account
        self._credential = credential
        self._context = context
        self._may_idle = idle
        self._may_ask_modseq = True
        self._patience = patience
        self._wire: Wire | None = None

    @property
    def peer(self) -> str:
        """The IP address at the other end, "" before it is known."""
        transport = self._wire.transport if self._wire else None
        name = transport.get_extra_info("peername") if transport else None
        return str(name[0]) if name else ""

    async def open(self) -> None:
        """Connect, secure the line, log in."""
        secret = await self._credential.current()  # before a server waits for it
        try:
            async with asyncio.timeout(CONNECT_TIME * 2):
                await self._connect()
                await self._greet()
                if self._account.tls == "starttls":
                    await self._secure()
                await self._log_in(secret)
        except TimeoutError as fault:
            self._throw_away("no connection in time")
            raise SourceLost("no connection in time") from fault
        except OSError as fault:  # names, routes, refusals, certificates
            reason = str(fault) or type(fault).__name__
            self._throw_away(reason)
            raise SourceLost(reason) from fault

    async def select(self, folder: str) -> Selected:
        replies, text = await self._select(self._name(folder))
        codes = dict(filter(None, map(answers.code_of, replies)))
        if not answers.number(codes.get("UIDVALIDITY")):
            raise SourceRefused("SELECT: the server gives no lasting UIDs")
        read_only = "[READ-ONLY]" in text.upper()
        permanent = codes.get("PERMANENTFLAGS")
        keywords = permanent is None or b"\\*" in permanent or REGISTERED.encode() in permanent
        self._live.bell.clear()  # it rang for what the first search will find
        modseq = answers.number(codes.get("HIGHESTMODSEQ"))
        counts = [count for count in map(answers.exists, replies) if count is not None]
        return Selected(
            uidvalidity=answers.number(codes["UIDVALIDITY"]),
            uid_next=answers.number(codes.get("UIDNEXT")) or await self._uid_next(folder),
            exists=counts[-1] if counts else 0,
            keywords=keywords and not read_only,
            read_only=read_only,
            modseq=modseq if modseq <= _HIGHEST_MODSEQ else 0,
        )

    async def create(self, folder: str) -> None:
        name = self._name(folder)
        await self._live.ask("CREATE", name)
        with suppress(SourceRefused):
            await self._live.ask("SUBSCRIBE", name)  # else many clients do not show the folder

    async def since(self, first: int, last: int | None = None) -> tuple[int, ...]:
        if last is None:
            await self._live.ask("NOOP")  # Dovecot searches what it knew before the command, and learns after it
            self._live.bell.clear()  # it rang for what the search will find
        # "50:*" means 4:50 in a box that ends at 4 (RFC 3501 section 6.4.8): what lies below is not asked for.
        return await self._search(f"UID {first}:{last or '*'}", first, last)

    async def unmarked(self, first: int, last: int) -> tuple[int, ...]:
        criteria = f"UID {first}:{last} UNKEYWORD {REGISTERED} UNKEYWORD {REFUSED}"
        return await self._search(criteria, first, last)

    async def present(self, uids: Sequence[int]) -> frozenset[int]:
        await self._live.ask("NOOP")  # until then a server may hold back what others expunged
        return frozenset(await self._search(f"UID {uid_set(uids)}", min(uids), max(uids))) & frozenset(uids)

    async def list(self, uids: Sequence[int]) -> tuple[Listed, ...]:
        replies, _ = await self._live.ask("FETCH", uid_set(uids), "(UID RFC822.SIZE FLAGS)", uid=True)
        asked = set(uids)
        found: dict[int, Listed] = {}
        for attributes in filter(None, map(answers.fetched, replies)):
            uid = answers.number(attributes.get("UID"))
            if uid in asked and "RFC822.SIZE" in attributes:
                size, flags = answers.number(attributes["RFC822.SIZE"]), answers.words(attributes.get("FLAGS"))
                found[uid] = Listed(uid, size, flags)
        return tuple(found[uid] for uid in sorted(found))

    async def block(self, uid: int, offset: int) -> bytes | None:
        item = f"(UID BODY.PEEK[]<{offset}.{BLOCK}>)"
        replies, _ = await self._live.ask("FETCH", str(uid), item, uid=True)
        for attributes in filter(None, map(answers.fetched, replies)):
            content = answers.content_of(attributes, offset)
            if content is not None and answers.number(attributes.get("UID")) == uid:
                return content
        return None

    async def mark(self, uids: Sequence[int], keyword: str) -> None:
        await self._live.ask("STORE", uid_set(uids), "+FLAGS.SILENT", f"({keyword})", uid=True)

    async def move(self, uids: Sequence[int], folder: str) -> None:
        name = self._name(folder)
        try:
            await self._move(uids, name)
        except SourceRefused as refusal:
            if "TRYCREATE" not in str(refusal).upper():
                raise
            await self.create(folder)
            await self._move(uids, name)

    async def wait(self, seconds: float) -> None:
        wire = self._live
        if self._may_idle and "IDLE" in wire.capabilities:
            try:
                await wire.idle(min(seconds, IDLE_LIMIT))
            except SourceRefused:  # announced but not allowed: poll
                self._may_idle = False
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await wire.bell.wait()
            if wire.lost:
                raise SourceLost(wire.lost)

    def ring(self) -> None:
        if self._wire is not None:
            self._wire.bell.set()

    async def close(self) -> None:
        wire = self._wire
        if wire is None or wire.lost:
            return
        if wire.pending_sync_command is None:
            with suppress(SourceLost, SourceRefused):
                await wire.ask("LOGOUT", seconds=2.0)
        wire.throw_away("closed")

    @property
    def _live(self) -> Wire:
        if self._wire is None:
            raise SourceLost("not connected")
        return self._wire

    def _throw_away(self, reason: str) -> None:
        if self._wire is not None:
            self._wire.throw_away(reason)

    async def _connect(self) -> None:
        account = self._account
        loop = asyncio.get_running_loop()
        wire = self._wire = Wire(loop, self._patience)
        context = self._context if account.tls == "implicit" else None
        name = account.host if context else None
        await loop.create_connection(lambda: wire, account.host, account.port, ssl=context, server_hostname=name)
        assert wire.transport is not None
        if account.tls == "none" and not _is_loopback(self.peer):
            wire.throw_away("clear text")
            raise SourceRefused(
                "a password is never sent in clear text to another machine: set tls to implicit or starttls"
            )
        opened = wire.transport.get_extra_info("socket")
        if opened is not None and opened.family in (socket.AF_INET, socket.AF_INET6):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    async def _greet(self) -> None:
        wire = self._live
        async with asyncio.timeout(CONNECT_TIME):
            greeting = (await wire.greeting)[0]
        if not re.match(rb"\* (OK|PREAUTH)\b", greeting, re.IGNORECASE):
            wire.throw_away("the server does not want to talk")
            raise SourceRefused(f"greeting: {greeting[:200].decode('utf-8', 'replace')}")
        wire.state = "AUTH" if greeting[2:9].upper() == b"PREAUTH" else "NONAUTH"
        if wire.state == "AUTH" and self._account.tls == "starttls":
            wire.throw_away("logged in before STARTTLS")  # somebody in the middle would like us to go on in clear text
            raise SourceRefused("greeting: PREAUTH where STARTTLS was demanded")
        wire.capabilities = answers.capabilities_of(greeting)
        await self._learn()

    async def _secure(self) -> None:
        wire = self._live
        if "STARTTLS" not in wire.capabilities:
            raise SourceRefused("the server does not offer STARTTLS")
        await wire.ask("STARTTLS")
        await wire.start_tls(self._context, self._account.host, CONNECT_TIME)
        await self._learn()

    async def _log_in(self, secret: str) -> None:
        wire = self._live
        if wire.state == "AUTH":
            return
        text = await log_in(wire, self._account, self._credential, secret)
        wire.state = "AUTH"
        wire.capabilities = answers.capabilities_of(text.encode())
        await self._learn()

    async def _learn(self) -> None:
        """Ask for the capabilities unless they came without asking."""
        wire = self._live
        if not wire.capabilities:
            replies, _ = await wire.ask("CAPABILITY")
            wire.capabilities = frozenset().union(*(answers.capabilities_of(reply[0]) for reply in replies))

    async def _search(self, criteria: str, first: int, last: int | None) -> tuple[int, ...]:
        # No CHARSET: some servers refuse the one that the library sends by default.
        replies, _ = await self._live.ask("SEARCH", criteria, uid=True)
        found: set[int] = set()
        for uid in chain.from_iterable(map(answers.searched, replies)):
            if first <= uid and (last is None or uid <= last):
                found.add(uid)
        return tuple(sorted(found))

    async def _uid_next(self, folder: str) -> int:
        """Where a SELECT did not tell it: without it a large box would have to come in one answer. 0: unknown."""
        with suppress(SourceRefused):
            replies, _ = await self._live.ask("STATUS", self._name(folder), "(UIDNEXT)")
            return max(map(answers.uid_next, replies), default=0)
        return 0

    async def _select(self, name: str) -> tuple[Sequence[Reply], str]:
        if self._may_ask_modseq and "CONDSTORE" in self._live.capabilities:
            try:
                return await self._live.ask("SELECT", name, "(CONDSTORE)")
            except SourceRefused as refusal:  # announced, but not known: RFC 7162 section 3.1.8
                if not str(refusal).startswith("SELECT: BAD"):
                    raise
                self._may_ask_modseq = False
        return await self._live.ask("SELECT", name)

    async def _move(self, uids: Sequence[int], name: str) -> None:
        wire, chosen = self._live, uid_set(uids)
        if "MOVE" in wire.capabilities:
            await wire.ask("MOVE", chosen, name, uid=True)
            return
        if "UIDPLUS" not in wire.capabilities:  # a plain EXPUNGE would also take what others have marked
            raise SourceRefused("the server can neither MOVE nor UID EXPUNGE")
        await wire.ask("COPY", chosen, name, uid=True)
        await wire.ask("STORE", chosen, "+FLAGS.SILENT", "(\\Deleted)", uid=True)
        await wire.ask("EXPUNGE", chosen, uid=True)

    def _name(self, folder: str) -> str:
        try:
            return quote(encode_name(folder))
        except ValueError as fault:
            raise SourceRefused(f"folder {folder!r}: {fault}") from fault


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
