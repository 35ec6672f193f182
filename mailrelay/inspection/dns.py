"""Name look-ups: one cached asynchronous resolver with limits, for inspection and for delivery."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename

from mailrelay.telemetry import count

State = Literal["ok", "none", "temperror"]

_MOST_CACHED = 4096
_LONGEST_KEPT = 3600.0
_SHORTEST_KEPT = 5.0
_NOTHING_KEPT = 60.0
_TROUBLE_KEPT = 5.0
_MOST_RECORDS = 50
_MOST_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class TxtAnswer:
    """TXT records with their strings joined. `secure`: the resolver says that DNSSEC validated (AD). `ttl` in seconds.

    `signatures` are the RRSIG records that came along, as text: with them anybody can validate the answer again.
    """

    records: tuple[bytes, ...]
    state: State
    secure: bool = False
    ttl: int = 0
    signatures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MxAnswer:
    """(preference, host) in order of preference, hosts lower case without the last dot. A null MX (RFC 7505) is ((0, ""),)."""

    hosts: tuple[tuple[int, str], ...]
    state: State
    secure: bool = False
    ttl: int = 0


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """IPv6 and IPv4 addresses of a host as text."""

    addresses: tuple[str, ...]
    state: State
    secure: bool = False
    ttl: int = 0


@dataclass(frozen=True, slots=True)
class PtrAnswer:
    """The names that stand for an address, lower case without the last dot."""

    names: tuple[str, ...]
    state: State


@dataclass(frozen=True)
class _Raw:
    rrset: tuple[Any, ...]
    state: State
    secure: bool
    ttl: int
    signatures: tuple[str, ...] = ()

    @cached_property
    def txt(self) -> TxtAnswer:
        """Made once for as long as the answer is kept."""
        records = tuple(b"".join(record.strings) for record in self.rrset)
        return TxtAnswer(records, self.state, self.secure, self.ttl, self.signatures)


_Key = tuple[str, str]
_T = TypeVar("_T")


class Resolver:
    """Resolver(servers, timeout): `servers` are "address" or "address:port" ("[v6]:port"); none means the system's own."""

    def __init__(
        self, servers: Sequence[str] = (), timeout: float = 5.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        if servers:
            self._resolver.nameservers = [_nameserver(server) for server in servers]
        self._resolver.lifetime = timeout
        self._resolver.timeout = max(timeout / 2, 0.2)
        self._resolver.use_edns(0, dns.flags.DO, 1232)
        self._clock = clock
        self._cache: OrderedDict[_Key, tuple[float, _Raw]] = OrderedDict()
        self._flying: dict[_Key, asyncio.Task[_Raw]] = {}
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)

    async def txt(self, name: str) -> TxtAnswer:
        """Look up TXT records. Never raises for the world's faults: state is ok, none or temperror."""
        return (await self._ask(name, "TXT")).txt

    def kept(self, name: str) -> TxtAnswer | None:
        """The TXT records of a name if they are known and still good; nothing is asked."""
        kept = self._cache.get((name.rstrip(".").lower(), "TXT"))
        return kept[1].txt if kept is not None and kept[0] > self._clock() and kept[1].state == "ok" else None

    async def mx(self, domain: str) -> MxAnswer:
        raw = await self._ask(domain, "MX")
        hosts = sorted((record.preference, _host(record.exchange)) for record in raw.rrset)
        return MxAnswer(tuple(hosts), raw.state, raw.secure, raw.ttl)

    async def addresses(self, host: str) -> AddressAnswer:
        """Look up AAAA and A together; one family in trouble does not spoil the other."""
        six, four = await asyncio.gather(self._ask(host, "AAAA"), self._ask(host, "A"))
        found = tuple(record.address for raw in (six, four) for record in raw.rrset)
        if found:
            return AddressAnswer(
                found, "ok", six.secure and four.secure, min(raw.ttl for raw in (six, four) if raw.rrset)
            )
        trouble = "temperror" in (six.state, four.state)
        return AddressAnswer((), "temperror" if trouble else "none")

    async def host(self, name: str, version: int) -> AddressAnswer:
        """Look up the addresses of one family: version 4 or 6."""
        raw = await self._ask(name, "A" if version == 4 else "AAAA")
        return AddressAnswer(tuple(record.address for record in raw.rrset), raw.state, raw.secure, raw.ttl)

    async def ptr(self, address: str) -> PtrAnswer:
        """Look up the names of an IP address."""
        raw = await self._ask(dns.reversename.from_address(address).to_text(), "PTR")
        return PtrAnswer(tuple(_host(record.target) for record in raw.rrset), raw.state)

    async def _ask(self, name: str, kind: str) -> _Raw:
        key = (name.rstrip(".").lower(), kind)
        kept = self._cache.get(key)
        if kept is not None and kept[0] > self._clock():
            self._cache.move_to_end(key)
            return kept[1]
        task = self._flying.get(key)
        if task is None:  # asked once for all that wait; a cancelled asker does not cancel it for the others
            task = asyncio.create_task(self._fetch(key))
            self._flying[key] = task
            task.add_done_callback(lambda _: self._flying.pop(key, None))
        return await asyncio.shield(task)

    async def _fetch(self, key: _Key) -> _Raw:
        async with self._slots:
            raw = await _query(self._resolver.resolve, *key)
        count("dns_lookups", kind=key[1], state=raw.state)
        keep = {"ok": min(max(float(raw.ttl), _SHORTEST_KEPT), _LONGEST_KEPT), "none": _NOTHING_KEPT}.get(
            raw.state, _TROUBLE_KEPT
        )
        self._cache[key] = (self._clock() + keep, raw)
        while len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)
        return raw


async def _query(resolve: Callable[..., Awaitable[Any]], name: str, kind: str) -> _Raw:
    try:
        answer = await resolve(dns.name.from_text(name), kind, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.YXDOMAIN):
        return _Raw((), "none", False, 0)
    except (dns.exception.DNSException, UnicodeError, ValueError, OSError) as fault:
        malformed = isinstance(fault, dns.name.LabelTooLong | dns.name.NameTooLong | dns.name.EmptyLabel | UnicodeError)
        return _Raw((), "none" if malformed else "temperror", False, 0)
    secure = bool(answer.response.flags & dns.flags.AD)
    signatures = (
        record.to_text() for rrset in answer.response.answer if rrset.rdtype == dns.rdatatype.RRSIG for record in rrset
    )
    found = tuple(sorted(signatures))[:_MOST_RECORDS]
    return _Raw(tuple(answer.rrset)[:_MOST_RECORDS], "ok", secure, int(answer.rrset.ttl), found)


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _nameserver(server: str) -> dns.nameserver.Nameserver:
    address, _, port = server.rpartition(":") if server.count(":") == 1 or "]:" in server else (server, "", "53")
    return dns.nameserver.Do53Nameserver(address.strip("[]"), int(port))
