"""Password checks by a bind at a directory server (RFC 4513): OpenLDAP, 389 Directory Server, Active Directory.

The name that is bound comes from a template (`uid={login},ou=…` or `{login}@hoabinh.local`), or from a search as a service
account. One connection for each check, never in clear text to another machine unless the settings say so. Passwords are
never logged.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from mailrelay.intake.smtp import ldap_messages as messages
from mailrelay.intake.smtp.ldap_messages import Answer, NotLdap
from mailrelay.intake.smtp.password_servers import TIME, PasswordServerFault
from mailrelay.intake.smtp.stream import take_all
from mailrelay.model.ldap_filter import Filter
from mailrelay.telemetry import log

# What says no to this login and password: no such entry, a policy of passwords, none kept, wrong, the account is switched off
# (RFC 4511 appendix A). Every other code says that the server could not tell.
_WRONG = frozenset({19, 32, 48, 49, 53})
_STRAY = 16  # messages of no concern before the server is given up
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class LdapSearch:
    """Where and how the entry of a login is looked for; `user` "" looks as nobody in particular (anonymous bind)."""

    base: str
    filter: Filter
    user: str = ""
    password: Callable[[], str] = str


@dataclass(frozen=True)
class LdapPasswords:
    """Binds at the first of the servers that answers. `name` is a template of the name to bind, or a search for it.

    `tls` is implicit (ldaps), starttls or none; `context` verifies the server. `time` bounds the whole check.
    """

    servers: tuple[tuple[str, int], ...]
    name: str | LdapSearch
    tls: str
    context: ssl.SSLContext
    time: timedelta = TIME

    async def __call__(self, login: str, password: str) -> bool:
        if not login or not password:
            return False  # a server takes a bind without a password for an anonymous one, and says yes (RFC 4513 5.1.2)
        each = self.time.total_seconds() / len(self.servers)
        for place, server in enumerate(self.servers):
            try:
                async with asyncio.timeout(each), self._connected(*server) as connection:
                    return await self._check(_Client(*connection), login, password)
            except (OSError, NotLdap, PasswordServerFault) as fault:  # a time-out is an OSError
                if place == len(self.servers) - 1:
                    raise
                log.warning("ldap-server-passed-over", server=server[0], fault=str(fault) or type(fault).__name__)
        raise PasswordServerFault("no directory server is configured")

    async def _check(self, client: _Client, login: str, password: str) -> bool:
        name = await self._find(client, login) if isinstance(self.name, LdapSearch) else _filled(self.name, login)
        if not name:
            return False
        result = await client.bind(name, password.encode())
        client.leave()
        if result and result not in _WRONG:
            raise PasswordServerFault(f"the directory server cannot check passwords: result {result}")
        return result == 0

    async def _find(self, client: _Client, login: str) -> bytes:
        """The DN of the one entry of a login, b"" when there is none."""
        search = self.name
        assert isinstance(search, LdapSearch)
        if search.user:
            result = await client.bind(search.user.encode(), search.password().encode())
            if result:
                raise PasswordServerFault(f"the directory server refuses the service account: result {result}")
        found = await client.search(search.base, search.filter, login, max(1, int(self.time.total_seconds())))
        if len(found) > 1:
            raise PasswordServerFault("the filter finds several entries for one login")
        return found[0] if found else b""

    @asynccontextmanager
    async def _connected(self, host: str, port: int) -> AsyncIterator[_Connection]:
        at_once = self.context if self.tls == "implicit" else None
        reader, writer = await asyncio.open_connection(host, port, ssl=at_once, limit=messages.LARGEST)
        try:
            if self.tls == "starttls":
                await _Client(reader, writer).encrypt(self.context, host)
            yield reader, writer
        finally:
            writer.close()


def _filled(template: str, login: str) -> bytes:
    """The name to bind: a distinguished name with the login escaped, or a name of another form (login@domain) as it is."""
    return template.replace("{login}", messages.escape_dn(login) if "=" in template else login).encode()


class _Client:
    """One request after the other on a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last = 0

    async def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        self._writer.write(messages.starttls_request(self._next()))
        if (await self._answer(messages.EXTENDED_RESPONSE)).result:
            raise PasswordServerFault("the directory server does not take StartTLS")
        if take_all(self._reader):  # an answer to what was not asked yet: somebody on the way speaks for the server
            raise PasswordServerFault("octets in clear text after StartTLS")
        await self._writer.start_tls(context, server_hostname=host)

    async def bind(self, name: bytes, password: bytes) -> int:
        self._writer.write(messages.bind_request(self._next(), name, password))
        return (await self._answer(messages.BIND_RESPONSE)).result

    async def search(self, base: str, wanted: Filter, login: str, seconds: int) -> list[bytes]:
        """The DNs found; references to other servers are not followed."""
        self._writer.write(messages.search_request(self._next(), base, wanted, login, seconds))
        found: list[bytes] = []
        kinds = (messages.SEARCH_ENTRY, messages.SEARCH_REFERENCE, messages.SEARCH_DONE)
        while (answer := await self._answer(*kinds)).kind != messages.SEARCH_DONE:
            found += [answer.dn] if answer.kind == messages.SEARCH_ENTRY else []
            if len(found) > 2:
                raise PasswordServerFault("the directory server sends more than it was asked for")
        if answer.result not in (0, 4):  # 4: more than two entries, of which we have two
            raise PasswordServerFault(f"the directory server cannot search: result {answer.result}")
        return found

    def leave(self) -> None:
        self._writer.write(messages.unbind_request(self._next()))

    def _next(self) -> int:
        self._last += 1
        return self._last

    async def _answer(self, *kinds: int) -> Answer:
        """The answer to the last request; a notice of disconnection (RFC 4511 4.4.1) has the number 0."""
        for _ in range(_STRAY):
            answer = await self._read()
            if answer.message_id == 0:
                raise PasswordServerFault("the directory server takes its leave")
            if answer.message_id == self._last and answer.kind in kinds:
                return answer
        raise PasswordServerFault("the directory server speaks of something else")

    async def _read(self) -> Answer:
        try:
            head = await self._reader.readexactly(2)
            more, length = messages.length_of(head)
            if more:
                length = int.from_bytes(await self._reader.readexactly(more))
            if length > messages.LARGEST:
                raise PasswordServerFault("the directory server's answer is too long")
            return messages.read_answer(await self._reader.readexactly(length))
        except asyncio.IncompleteReadError as fault:
            raise PasswordServerFault("the directory server closed the connection") from fault
