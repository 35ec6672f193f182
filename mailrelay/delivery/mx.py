"""The mail exchangers of a domain: MX, null MX and address records (RFC 5321 section 5.1, RFC 7505). Connects to nobody."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from itertools import groupby, zip_longest

import dns.asyncresolver
import dns.exception
import dns.resolver

from mailrelay.delivery.outcome import Trouble

_MOST_HOSTS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """Records in presentation form ("10 mx.example.vn."). `missing`: no such name. `fault`: could not be looked up now."""

    records: tuple[str, ...] = ()
    missing: bool = False
    fault: str = ""


RecordKind = str  # "MX", "A" or "AAAA"
Resolver = Callable[[str, RecordKind], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Exchanger:
    """One host to try, with its addresses, IPv6 and IPv4 in turn."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoExchanger:
    """Why there is no host to try."""

    trouble: Trouble
    detail: str = ""


async def exchangers(
    domain: str,
    resolve: Resolver,
    own_names: Collection[str] = (),
    *,
    shuffle: Callable[[list[str]], None] = random.shuffle,
) -> tuple[Exchanger, ...] | NoExchanger:
    """Return the hosts for `domain` in the order to be tried, or why there are none.

    Where one of `own_names` stands among them, it and every host of the same or a higher preference value is left out; when
    nothing is left the mail would loop. A domain without MX records is its own exchanger.
    """
    answer = await resolve(domain, "MX")
    if answer.fault:
        return NoExchanger(Trouble.DNS, answer.fault)
    if answer.missing:
        return NoExchanger(Trouble.NO_DOMAIN, domain)
    records = sorted(_preferences(answer.records)) or [(0, domain)]
    if records[0][1] == "" and len(records) == 1:
        return NoExchanger(Trouble.NULL_MX, domain)
    ours = min((preference for preference, name in records if name in own_names), default=None)
    names = _ordered([record for record in records if record[1] and (ours is None or record[0] < ours)], shuffle)
    if not names:
        return NoExchanger(Trouble.LOOP, domain)
    return await _addressed(names[:_MOST_HOSTS], resolve, domain)


async def _addressed(names: list[str], resolve: Resolver, domain: str) -> tuple[Exchanger, ...] | NoExchanger:
    queries = [resolve(name, kind) for name in names for kind in ("AAAA", "A")]
    answers = await asyncio.gather(*queries)
    found = [
        Exchanger(
            name, tuple(address for pair in zip_longest(six.records, four.records) for address in pair if address)
        )
        for name, six, four in zip(names, answers[::2], answers[1::2], strict=True)
    ]
    usable = tuple(exchanger for exchanger in found if exchanger.addresses)
    if usable:
        return usable
    fault = next((answer.fault for answer in answers if answer.fault), "")
    if fault:
        return NoExchanger(Trouble.DNS, fault)
    return NoExchanger(Trouble.NO_DOMAIN if names == [domain] else Trouble.NO_MX_ADDRESS, " ".join(names))


def _preferences(records: Collection[str]) -> list[tuple[int, str]]:
    found = []
    for record in records:
        preference, _, name = record.partition(" ")
        if preference.isdigit():
            found.append((int(preference), name.strip().rstrip(".").lower()))
    return found


def _ordered(records: list[tuple[int, str]], shuffle: Callable[[list[str]], None]) -> list[str]:
    names: list[str] = []
    for _, group in groupby(records, key=lambda record: record[0]):
        equal = [name for _, name in group]
        shuffle(equal)
        names += equal
    return names


def dns_resolver(nameservers: Collection[str] = (), *, port: int = 53, lifetime: float = 10.0) -> Resolver:
    """A resolver by DNS: the system's name servers, or the given addresses. Answers are cached by their time to live."""
    resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    if nameservers:
        resolver.nameservers = list(nameservers)
    resolver.port = port
    resolver.lifetime = lifetime
    resolver.cache = dns.resolver.LRUCache(2000)

    async def resolve(name: str, kind: RecordKind) -> Answer:
        try:
            found = await resolver.resolve(name, kind, search=False)
        except dns.resolver.NXDOMAIN:
            return Answer(missing=True)
        except dns.resolver.NoAnswer:
            return Answer()
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.IDNAException, UnicodeError):
            return Answer(missing=True)
        except (dns.exception.DNSException, OSError) as fault:
            return Answer(fault=f"{kind} {name}: {type(fault).__name__}")
        return Answer(tuple(record.to_text() for record in found))

    return resolve
