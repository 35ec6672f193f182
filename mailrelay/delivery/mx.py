"""The mail exchangers of a domain: MX, null MX and address records (RFC 5321 section 5.1, RFC 7505). Connects to nobody."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Protocol

from mailrelay.delivery.outcome import Trouble

_MOST_HOSTS = 5


class HostAnswer(Protocol):
    """`hosts`: (preference, name), lower case without the last dot, "" for a null MX. `state`: ok, none or temperror."""

    @property
    def hosts(self) -> tuple[tuple[int, str], ...]: ...
    @property
    def state(self) -> str: ...
    @property
    def secure(self) -> bool: ...


class AddressAnswer(Protocol):
    @property
    def addresses(self) -> tuple[str, ...]: ...
    @property
    def state(self) -> str: ...


class MailResolver(Protocol):
    """The look-ups that delivery needs. They never raise for the world's faults; `secure` says that DNSSEC validated."""

    async def mx(self, domain: str) -> HostAnswer: ...
    async def addresses(self, host: str) -> AddressAnswer: ...


@dataclass(frozen=True, slots=True)
class Exchanger:
    """One host to try, with its addresses, IPv6 and IPv4 in turn."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchangers:
    """The hosts in the order to be tried; `secure` says that DNS named them beyond doubt (for REQUIRETLS)."""

    hosts: tuple[Exchanger, ...]
    secure: bool


@dataclass(frozen=True, slots=True)
class NoExchanger:
    """Why there is no host to try."""

    trouble: Trouble
    detail: str = ""


async def exchangers(
    domain: str,
    resolver: MailResolver,
    own_names: Collection[str] = (),
    *,
    shuffle: Callable[[list[str]], None] = random.shuffle,
) -> Exchangers | NoExchanger:
    """Return the hosts for `domain` in the order to be tried, or why there are none.

    Where one of `own_names` stands among them, it and every host of the same or a higher preference value is left out; when
    nothing is left the mail would loop. A domain without MX records is its own exchanger.
    """
    answer = await resolver.mx(domain)
    if answer.state == "temperror":
        return NoExchanger(Trouble.DNS, f"MX {domain}")
    records = sorted(answer.hosts) or [(0, domain)]
    if len(records) == 1 and records[0][1] == "":
        return NoExchanger(Trouble.NULL_MX, domain)
    ours = min((preference for preference, name in records if name in own_names), default=None)
    names = _ordered([(p, name) for p, name in records if name and (ours is None or p < ours)], shuffle)
    if not names:
        return NoExchanger(Trouble.LOOP, domain)
    return await _addressed(names[:_MOST_HOSTS], resolver, is_named_by_mx=bool(answer.hosts), secure=answer.secure)


async def _addressed(
    names: Sequence[str], resolver: MailResolver, *, is_named_by_mx: bool, secure: bool
) -> Exchangers | NoExchanger:
    answers = await asyncio.gather(*(resolver.addresses(name) for name in names))
    found = (Exchanger(name, _by_turns(answer.addresses)) for name, answer in zip(names, answers, strict=True))
    usable = tuple(exchanger for exchanger in found if exchanger.addresses)
    if usable:
        return Exchangers(usable, secure)
    detail = " ".join(names)
    if any(answer.state == "temperror" for answer in answers):
        return NoExchanger(Trouble.DNS, detail)
    return NoExchanger(Trouble.NO_MX_ADDRESS if is_named_by_mx else Trouble.NO_DOMAIN, detail)


def _by_turns(addresses: Sequence[str]) -> tuple[str, ...]:
    """IPv6 and IPv4 in turn, so that a broken family costs one try and not all of them."""
    six = [address for address in addresses if ":" in address]
    four = [address for address in addresses if ":" not in address]
    return tuple(address for pair in zip_longest(six, four) for address in pair if address)


def _ordered(records: Sequence[tuple[int, str]], shuffle: Callable[[list[str]], None]) -> list[str]:
    names: list[str] = []
    for _, group in groupby(records, key=lambda record: record[0]):
        equal = [name for _, name in group]
        shuffle(equal)
        names += equal
    return names
