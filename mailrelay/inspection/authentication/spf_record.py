"""SPF records read into terms (RFC 7208 section 4.6 and 12). Pure; a record with any syntax error is refused as a whole."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

_MACRO = r"%\{[slodiphcrtvSLODIPHCRTV](?:\d*)[rR]?[.\-+,/_=]*\}|%%|%_|%-"
_MACRO_STRING = re.compile(rf"(?:{_MACRO}|[\x21-\x24\x26-\x7e])*\Z")
_ZERO_DIGITS = re.compile(r"%\{[a-z]0+[rR]?[.\-+,/_=]*\}", re.IGNORECASE)
_EXP_ONLY = re.compile(r"%\{[crt]", re.IGNORECASE)
_DOMAIN_END = re.compile(
    rf"(?:.*(?:{_MACRO})|.*\.(?=[A-Za-z0-9-]*[A-Za-z-])[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?)\Z", re.DOTALL
)
_TERM = re.compile(r"([+\-?~]?)([A-Za-z][A-Za-z0-9_.\-]*)(?:([:/=])(.*))?\Z", re.DOTALL)
_CIDR = re.compile(r"(?:/(0|[1-9]\d?))?(?://(0|[1-9]\d{0,2}))?\Z")
_LONGEST_KEPT = 1000  # characters; honest records have half of it (RFC 7208 section 3.4)
_RESULTS = {"+": "pass", "": "pass", "-": "fail", "~": "softfail", "?": "neutral"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SyntaxFault(Exception):
    """The record breaks the grammar: permerror."""


@dataclass(frozen=True, slots=True)
class Directive:
    """A mechanism with what a match means. `domain` is unexpanded, "" for the current one; `network` for ip4 and ip6."""

    result: str
    name: str
    domain: str = ""
    prefix4: int = 32
    prefix6: int = 128
    network: Network | None = None


@dataclass(frozen=True, slots=True)
class Record:
    directives: tuple[Directive, ...]
    redirect: str = ""


def select(records: tuple[bytes, ...]) -> str | None:
    """Return the one SPF record among TXT records, None when there is none. Raises SyntaxFault for several or foul ones."""
    found = [record for record in records if record[:6].lower() == b"v=spf1" and record[6:7] in (b"", b" ")]
    if len(found) > 1:
        raise SyntaxFault
    if not found:
        return None
    try:
        return found[0].decode("ascii")
    except UnicodeDecodeError:
        raise SyntaxFault from None


def parse(text: str) -> Record:
    """Read a whole record, a domain's once for many mails: it depends on the text alone. Raises SyntaxFault."""
    return _parse_kept(text) if len(text) <= _LONGEST_KEPT else _parse(text)


def _parse(text: str) -> Record:
    directives: list[Directive] = []
    modifiers: dict[str, str] = {}
    for term in text.split(" ")[1:]:
        if not term:
            continue
        match = _TERM.match(term)
        if match is None:
            raise SyntaxFault
        qualifier, name, separator, rest = match.groups()
        if separator == "=":
            _modifier(qualifier, name.lower(), rest, modifiers)
        else:
            directives.append(_directive(_RESULTS[qualifier], name.lower(), separator or "", rest or ""))
    return Record(tuple(directives), modifiers.get("redirect", ""))


_parse_kept = lru_cache(maxsize=128)(_parse)


def _modifier(qualifier: str, name: str, value: str, seen: dict[str, str]) -> None:
    known = name in ("redirect", "exp")
    if qualifier or not _MACRO_STRING.match(value) or _ZERO_DIGITS.search(value) or (known and name in seen):
        raise SyntaxFault
    if known:
        _check_domain(value)
        seen[name] = value


def _directive(result: str, name: str, separator: str, rest: str) -> Directive:
    if name in ("ip4", "ip6"):
        return _address(result, name, separator, rest)
    if name in ("a", "mx"):
        domain, four, six = _dual(separator, rest)
        return Directive(result, name, domain, four, six)
    if name == "all" and not separator:
        return Directive(result, name)
    if (name == "ptr" and (not separator or separator == ":")) or (name in ("include", "exists") and separator == ":"):
        if separator:
            _check_domain(rest)
        return Directive(result, name, rest)
    raise SyntaxFault


def _address(result: str, name: str, separator: str, rest: str) -> Directive:
    address, slash, prefix = rest.partition("/")
    most = 32 if name == "ip4" else 128
    if separator != ":" or (slash and not re.fullmatch(r"0|[1-9]\d{0,2}", prefix)) or (slash and int(prefix) > most):
        raise SyntaxFault
    try:
        family: type[ipaddress.IPv4Address | ipaddress.IPv6Address]
        family = ipaddress.IPv4Address if name == "ip4" else ipaddress.IPv6Address
        base = family(address)
    except ValueError:
        raise SyntaxFault from None
    return Directive(result, name, network=ipaddress.ip_network(f"{base}/{prefix or most}", strict=False))


def _dual(separator: str, rest: str) -> tuple[str, int, int]:
    """Read [":" domain-spec] [dual-cidr-length]."""
    text = separator + rest
    match = _CIDR.search(text)
    cut = match.start() if match else len(text)
    four, six = (match.group(1), match.group(2)) if match else (None, None)
    domain = text[:cut]
    if domain:
        if not domain.startswith(":"):
            raise SyntaxFault
        domain = domain[1:]
        _check_domain(domain)
    prefix4, prefix6 = int(four or 32), int(six or 128)
    if prefix4 > 32 or prefix6 > 128:
        raise SyntaxFault
    return domain, (0 if four == "0" else prefix4), (0 if six == "0" else prefix6)


def _check_domain(spec: str) -> None:
    """domain-spec = macro-string domain-end; %{c}, %{r} and %{t} are for explanations only."""
    if (
        not _MACRO_STRING.match(spec)
        or not _DOMAIN_END.match(spec)
        or _ZERO_DIGITS.search(spec)
        or _EXP_ONLY.search(spec)
    ):
        raise SyntaxFault
