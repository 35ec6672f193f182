"""Listed neighbours: what they may say about the client behind them (XCLIENT, XFORWARD, PROXY). Strangers never get here.

The rights of a neighbour come from the settings, by the address of its TCP connection: `proxy` (a PROXY header comes first),
`xclient`, `xforward`, `login` (own-domain senders and XCLIENT LOGIN are taken as logged in), `lmtp` (may use LMTP), `hold` or
`return` (the neighbour has promised delivery already: what takes the place of a refusal).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from dataclasses import dataclass

from aiosmtpd.proxy_protocol import V2_CMD, get_proxy

from mailrelay.intake.smtp.limits import plain_address
from mailrelay.intake.smtp.replies import Complaint
from mailrelay.model.decision import Action

XCLIENT = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN")
XFORWARD = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
_UNKNOWN = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})+\Z")
_PROXY_TIME = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class RealClient:
    """The client as a neighbour describes it: None where it said nothing, "" where it does not know."""

    peer: str | None = None
    helo: str | None = None
    login: str | None = None
    esmtp: bool | None = None
    local: bool | None = None  # XFORWARD SOURCE: it is a client of the neighbour's own network

    def with_more(self, told: RealClient) -> RealClient:
        """What was said before and now; one description may come in several commands."""
        return RealClient(
            self.peer if told.peer is None else told.peer,
            self.helo if told.helo is None else told.helo,
            self.login if told.login is None else told.login,
            self.esmtp if told.esmtp is None else told.esmtp,
            self.local if told.local is None else told.local,
        )


def read_client(argument: str, permitted: tuple[str, ...]) -> RealClient | Complaint:
    """Read the attributes of XCLIENT or XFORWARD: `NAME=value` with values in xtext."""
    words = argument.split()
    if not words:
        return Complaint("syntax", {"expected": "attribute=value"})
    said: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name.upper() not in permitted or not _XTEXT.match(value):
            return Complaint("bad-parameter", {"parameter": name})
        said[name.upper()] = "" if value.upper() in _UNKNOWN else _decode(value)
    peer = _address(said["ADDR"]) if "ADDR" in said else None
    if peer is None and "ADDR" in said:
        return Complaint("bad-parameter", {"parameter": "ADDR"})
    esmtp = said["PROTO"].upper() == "ESMTP" if said.get("PROTO") else None
    local = said["SOURCE"].upper() == "LOCAL" if said.get("SOURCE") else None
    return RealClient(peer, _word(said.get("HELO")), _word(said.get("LOGIN")), esmtp, local)


def promise_of(rights: frozenset[str]) -> Action | None:
    """What takes the place of a refusal for a neighbour that has promised delivery already."""
    return Action.HOLD if "hold" in rights else Action.RETURN if "return" in rights else None


def _decode(xtext: str) -> str:
    octets = re.sub(r"\+([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), xtext).encode("latin-1")
    return octets.decode("utf-8", "replace")


def _address(text: str) -> str | None:
    """A plain IP address, "" for none, None for what is no address. IPv6 is written IPV6:… by XCLIENT."""
    plain = text[5:] if text[:5].upper() == "IPV6:" else text
    try:
        return plain_address(str(ipaddress.ip_address(plain))) if plain else ""
    except ValueError:
        return None


def _word(text: str | None) -> str | None:
    """A word that may stand in a header field; "" for anything else that was said."""
    return "" if text and (len(text) > 255 or not text.isprintable() or " " in text) else text


async def read_proxy(reader: asyncio.StreamReader) -> str:
    """Read a PROXY header, version 1 or 2. Return the client's address, "" when the proxy speaks for itself.

    Raises ConnectionError when no good header comes within five seconds: one that must be there is never guessed.
    """
    try:
        async with asyncio.timeout(_PROXY_TIME):
            header = await get_proxy(reader)
    except Exception as fault:  # the parser lets errors of every kind through
        raise ConnectionError("no PROXY header") from fault
    if not header.valid:
        raise ConnectionError(f"bad PROXY header: {header.error}")
    if header.command == V2_CMD.LOCAL or header.src_addr is None or isinstance(header.src_addr, str | bytes):
        return ""
    return plain_address(str(header.src_addr))
