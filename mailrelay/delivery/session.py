"""The opening of a connection to a next hop: greeting, EHLO or LHLO, STARTTLS by policy. Sends no mail."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailrelay.delivery.outcome import Hop, Trouble
from mailrelay.delivery.replies import Extensions, MalformedReply, Reply, ReplyParser, extensions_of
from mailrelay.delivery.settings import DeliverySettings, TimeLimits
from mailrelay.delivery.tls import Contexts, TlsPolicy
from mailrelay.delivery.wire import Wire, WireLost, WireSlow, connect

_NO_EHLO = (500, 501, 502, 504, 550, 554)


@dataclass(frozen=True, slots=True)
class Place:
    """One address to connect to. `name` is the host name for TLS and display; `by_mx` says that DNS named it."""

    name: str
    address: str  # IP address, host name, or the path of a Unix socket
    port: int
    lmtp: bool = False
    tls: TlsPolicy = TlsPolicy.MAY
    by_mx: bool = False

    @property
    def is_own_machine(self) -> bool:
        return "/" in self.address or self.address in ("localhost", "::1") or self.address.startswith("127.")


class HopFault(Exception):
    """This hop cannot be used now: `reply` when it said so itself, else `trouble`."""

    def __init__(
        self, trouble: Trouble, detail: str = "", *, reply: Reply | None = None, hop: Hop | None = None
    ) -> None:
        super().__init__(trouble.text)
        self.trouble = trouble
        self.detail = detail
        self.reply = reply
        self.hop = hop or Hop()


class Dialogue:
    """Commands and replies over one wire. Raises WireLost, WireSlow and MalformedReply."""

    def __init__(self, wire: Wire, times: TimeLimits) -> None:
        self.wire = wire
        self.times = times
        self.extensions = Extensions()
        self._parser = ReplyParser()

    async def reply(self, seconds: float) -> Reply:
        while True:
            reply = self._parser.feed(await self.wire.read_line(seconds))
            if reply is not None:
                return reply

    async def ask(self, command: bytes, seconds: float | None = None) -> Reply:
        limit = self.times.command.total_seconds() if seconds is None else seconds
        await self.wire.write(command, limit)
        return await self.reply(limit)


async def open_dialogue(place: Place, settings: DeliverySettings, contexts: Contexts) -> Dialogue:
    """Connect and get as far as mail can be sent. Raises HopFault. Policy `may` falls back to clear text when TLS fails."""
    try:
        return await _open(place, settings, contexts)
    except HopFault as fault:
        if fault.trouble is not Trouble.BAD_TLS or place.tls is not TlsPolicy.MAY:
            raise
        return await _open(replace(place, tls=TlsPolicy.NONE), settings, contexts)


async def _open(place: Place, settings: DeliverySettings, contexts: Contexts) -> Dialogue:
    hop = Hop(f"{place.name}:{place.port}" if place.port else place.name)
    try:
        wire = await connect(place.address, place.port, settings.times.connect.total_seconds(), settings.source)
    except (OSError, WireSlow) as fault:
        raise HopFault(Trouble.UNREACHABLE, getattr(fault, "strerror", None) or "", hop=hop) from fault
    hop = hop_of(place, wire)
    try:
        return await _greeted(Dialogue(wire, settings.times), place, settings, contexts)
    except WireLost as fault:
        wire.abort()
        raise HopFault(Trouble.LOST, str(fault), hop=hop) from fault
    except WireSlow as fault:
        wire.abort()
        raise HopFault(Trouble.SLOW, hop=hop) from fault
    except MalformedReply as fault:
        wire.abort()
        raise HopFault(Trouble.GARBLED, str(fault), hop=hop) from fault
    except BaseException:
        wire.abort()
        raise


def hop_of(place: Place, wire: Wire) -> Hop:
    """How the hop is recorded: name, the address that answered, port, TLS."""
    address = f"[{wire.peer}]" if wire.peer and wire.peer != place.name else ""
    checked = " verified" if wire.tls and place.tls is TlsPolicy.VERIFY else ""
    return Hop(f"{place.name}{address}" + (f":{place.port}" if place.port else ""), wire.tls + checked)


async def _greeted(dialogue: Dialogue, place: Place, settings: DeliverySettings, contexts: Contexts) -> Dialogue:
    hop = hop_of(place, dialogue.wire)
    greeting = await dialogue.reply(settings.times.greeting.total_seconds())
    if greeting.code != 220:
        raise HopFault(Trouble.UNREACHABLE, reply=greeting, hop=hop)
    await _hello(dialogue, place, settings)
    if place.tls is not TlsPolicy.NONE and dialogue.extensions.offers("STARTTLS"):
        await _secure(dialogue, place, settings, contexts)
        await _hello(dialogue, place, settings)
    elif place.tls.is_mandatory:
        raise HopFault(Trouble.NO_TLS, hop=hop)
    if place.by_mx and dialogue.extensions.name in settings.names:
        raise HopFault(Trouble.LOOP, dialogue.extensions.name, hop=hop)
    return dialogue


async def _hello(dialogue: Dialogue, place: Place, settings: DeliverySettings) -> None:
    name = settings.hostname.encode("ascii", "replace")
    reply = await dialogue.ask((b"LHLO " if place.lmtp else b"EHLO ") + name + b"\r\n")
    if reply.code in _NO_EHLO and not place.lmtp and not dialogue.wire.tls:
        reply = await dialogue.ask(b"HELO " + name + b"\r\n")
    if not reply.is_positive:
        raise HopFault(Trouble.UNREACHABLE, reply=reply, hop=hop_of(place, dialogue.wire))
    dialogue.extensions = extensions_of(reply)


async def _secure(dialogue: Dialogue, place: Place, settings: DeliverySettings, contexts: Contexts) -> None:
    hop = hop_of(place, dialogue.wire)
    reply = await dialogue.ask(b"STARTTLS\r\n")
    if reply.code != 220:
        raise HopFault(Trouble.BAD_TLS, reply.text, hop=hop)
    name = "localhost" if "/" in place.name else place.name
    try:
        await dialogue.wire.start_tls(contexts.of(place.tls), name, settings.times.connect.total_seconds())
    except (OSError, WireLost) as fault:  # ssl.SSLError is an OSError
        raise HopFault(Trouble.BAD_TLS, getattr(fault, "verify_message", "") or str(fault), hop=hop) from fault
