"""SPF (RFC 7208): whether a server may send for a domain. Every look-up comes in as a callable; limits of section 4.6.4 kept."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote

from mailrelay.inspection.authentication import spf_record
from mailrelay.inspection.authentication.spf_record import Directive, SyntaxFault
from mailrelay.inspection.dns import AddressAnswer, MxAnswer, PtrAnswer, TxtAnswer
from mailrelay.inspection.slugs import note
from mailrelay.model.finding import Check, Finding, Verdict

_MOST_LOOKUPS = 10
_MOST_VOID = 2
_MOST_NAMES = 10
_MACRO = re.compile(r"%(?:\{([a-zA-Z])(\d*)([rR]?)([.\-+,/_=]*)\}|([%_-]))")
_LABEL = re.compile(r"[^.\x00-\x1f]{1,63}\Z")  # an expanded name may hold blanks

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FINDINGS = {
    "pass": (Verdict.PASS, "authorised"),
    "fail": (Verdict.FAIL, "not-authorised"),
    "softfail": (Verdict.SOFTFAIL, "softfail"),
    "neutral": (Verdict.NEUTRAL, "neutral"),
    "none": (Verdict.NONE, "no-record"),
    "temperror": (Verdict.TEMPERROR, "dns-failure"),
    "permerror": (Verdict.PERMERROR, "malformed-record"),
    "limit": (Verdict.PERMERROR, "too-many-lookups"),
}


_address = lru_cache(maxsize=256)(ipaddress.ip_address)  # the same neighbours bring many mails


class Names(Protocol):
    """The look-ups that SPF needs; `inspection.dns.Resolver` has them."""

    async def txt(self, name: str, /) -> TxtAnswer: ...

    async def mx(self, domain: str, /) -> MxAnswer: ...

    async def host(self, name: str, version: int, /) -> AddressAnswer: ...

    async def ptr(self, address: str, /) -> PtrAnswer: ...


class _Ended(Exception):
    """The evaluation ends here; the argument is its result."""


@dataclass(slots=True)
class _Count:
    lookups: int = 0
    void: int = 0

    def lookup(self) -> None:
        self.lookups += 1
        if self.lookups > _MOST_LOOKUPS:
            raise _Ended("limit")

    def answer(self, state: str, *, empty: bool) -> None:
        """A temporary fault ends all; the third answer without any record does too."""
        if state == "temperror":
            raise _Ended("temperror")
        self.void += empty
        if self.void > _MOST_VOID:
            raise _Ended("limit")


@dataclass(frozen=True, slots=True)
class _Who:
    """The client that is judged."""

    address: Address
    local: str
    origin: str
    helo: str


async def check(peer: str, sender: str, helo: str, names: Names) -> Finding | None:
    """Return the finding for one client, or None when its address is none. The null sender is judged by the HELO name."""
    try:
        address = _address(peer)
    except ValueError:
        return None
    identity = "mailfrom" if sender else "helo"
    domain = sender.rpartition("@")[2] if sender else helo
    verdict, detail = _FINDINGS[await evaluate(address, sender, helo, names)]
    return note(Check.SPF, verdict, detail, domain.lower(), identity=identity, peer=str(address), helo=helo[:255])


async def evaluate(address: Address, sender: str, helo: str, names: Names) -> str:
    """check_host() of RFC 7208 section 4. Returns one of pass fail softfail neutral none temperror permerror limit."""
    mapped = getattr(address, "ipv4_mapped", None)
    local, _, domain = (sender or f"postmaster@{helo}").rpartition("@")
    who = _Who(mapped or address, local or "postmaster", domain, helo)
    try:
        return await _Evaluation(who, names).host(domain)
    except _Ended as ended:
        return str(ended)
    except SyntaxFault:
        return "permerror"


def _is_name(domain: str) -> bool:
    labels = domain.rstrip(".").split(".")
    return len(labels) > 1 and len(domain) <= 253 and domain.isascii() and all(map(_LABEL.match, labels))


class _Evaluation:
    def __init__(self, who: _Who, names: Names) -> None:
        self._who = who
        self._names = names
        self._count = _Count()
        self._version = who.address.version

    async def host(self, domain: str) -> str:
        if not _is_name(domain) or domain.startswith("["):
            return "none"
        answer = await self._names.txt(domain)
        if answer.state == "temperror":
            raise _Ended("temperror")
        text = spf_record.select(answer.records)
        if text is None:
            return "none"
        record = spf_record.parse(text)
        for directive in record.directives:
            if await self._matches(directive, domain):
                return directive.result
        if not record.redirect:
            return "neutral"
        self._count.lookup()
        result = await self.host(await self._expand(record.redirect, domain))
        return "permerror" if result == "none" else result

    async def _matches(self, directive: Directive, domain: str) -> bool:
        if directive.name == "all":
            return True
        if directive.network is not None:
            return self._who.address in directive.network
        self._count.lookup()
        target = await self._expand(directive.domain, domain) if directive.domain else domain
        if directive.name == "include":
            return await self._includes(target)
        if directive.name == "exists":
            return bool((await self._addresses(target, 4)).addresses)
        if directive.name == "a":
            return await self._is_at(target, directive)
        if directive.name == "mx":
            return await self._is_exchange(target, directive)
        return await self._is_named(target)

    async def _includes(self, target: str) -> bool:
        result = await self.host(target)
        if result in ("none", "permerror"):
            raise _Ended("permerror")
        return result == "pass"

    async def _addresses(self, name: str, version: int, *, counted: bool = True) -> AddressAnswer:
        if not _is_name(name):
            return AddressAnswer((), "none")
        answer = await self._names.host(name, version)
        self._count.answer(answer.state, empty=counted and not answer.addresses)
        return answer

    async def _is_at(self, name: str, directive: Directive, *, counted: bool = True) -> bool:
        prefix = directive.prefix4 if self._version == 4 else directive.prefix6
        answer = await self._addresses(name, self._version, counted=counted)
        return any(
            self._who.address in ipaddress.ip_network(f"{address}/{prefix}", strict=False)
            for address in answer.addresses
        )

    async def _is_exchange(self, name: str, directive: Directive) -> bool:
        if not _is_name(name):
            return False
        answer = await self._names.mx(name)
        self._count.answer(answer.state, empty=not answer.hosts)
        if len(answer.hosts) > _MOST_NAMES:
            raise _Ended("limit")
        for _, host in answer.hosts:
            if host and await self._is_at(host, directive, counted=False):
                return True
        return False

    async def _is_named(self, target: str) -> bool:
        return any(_is_below(name, target) for name in await self._validated())

    async def _validated(self) -> list[str]:
        """The client's names that lead back to its address (section 5.5); trouble only means that there are none."""
        answer = await self._names.ptr(str(self._who.address))
        self._count.answer("ok", empty=answer.state == "none")
        found = []
        for name in answer.names[:_MOST_NAMES]:
            back = await self._names.host(name, self._version)
            if any(self._who.address == ipaddress.ip_address(address) for address in back.addresses):
                found.append(name)
        return found

    async def _expand(self, spec: str, domain: str) -> str:
        """Expand the macros of a domain-spec (section 7)."""
        needs_name = re.search(r"%\{[pP]", spec) is not None
        name = await self._own_name(domain) if needs_name else ""
        text = _MACRO.sub(lambda match: self._macro(match, domain, name), spec)
        while len(text) > 253 and "." in text:
            text = text.partition(".")[2]
        return text.rstrip(".")

    async def _own_name(self, domain: str) -> str:
        names = await self._validated()
        below = [name for name in names if _is_below(name, domain)]
        exact = [name for name in below if name.lower() == domain.lower()]
        return next(iter((*exact, *below, *names)), "unknown")

    def _macro(self, match: re.Match[str], domain: str, name: str) -> str:
        letter, digits, turned, delimiters, literal = match.groups()
        if literal:
            return {"%": "%", "_": " ", "-": "%20"}[literal]
        who = self._who
        value = {
            "s": f"{who.local}@{who.origin}",
            "l": who.local,
            "o": who.origin,
            "d": domain,
            "i": _dotted(who.address),
            "p": name,
            "v": "in-addr" if self._version == 4 else "ip6",
            "h": who.helo,
        }[letter.lower()]
        parts = re.split(f"[{re.escape(delimiters or '.')}]", value)
        parts = parts[::-1] if turned else parts
        parts = parts[-int(digits) :] if digits else parts
        joined = ".".join(parts)
        return quote(joined, safe="-._~") if letter.isupper() else joined


def _is_below(name: str, domain: str) -> bool:
    name, domain = name.lower().rstrip("."), domain.lower().rstrip(".")
    return name == domain or name.endswith(f".{domain}")


def _dotted(address: Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return ".".join(address.exploded.replace(":", ""))
