"""The courier: takes a parcel to its target and says for each recipient what came of it. Keeps no queue and never retries later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from mailrelay.delivery.commands import Mail
from mailrelay.delivery.content import has_ascii_header, rendered_size
from mailrelay.delivery.maildir import put
from mailrelay.delivery.mx import MailResolver, NoExchanger, exchangers
from mailrelay.delivery.outcome import Trouble, of_greeting, of_success, of_trouble
from mailrelay.delivery.pool import Pool, PoolCounts
from mailrelay.delivery.session import HopFault, Place
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.delivery.smtp_client import Connection, Stale, open_connection
from mailrelay.delivery.tls import Contexts, TlsPolicy
from mailrelay.model.agency import Target, TargetKind
from mailrelay.model.dispatch import Outcome, Parcel, Result, Scope
from mailrelay.telemetry import count, log


class Courier:
    """Delivers parcels, several at a time, within the limits of its settings. `close` ends kept connections and threads."""

    def __init__(self, settings: DeliverySettings, *, resolver: MailResolver | None = None) -> None:
        """Without a resolver only written routes work: MX targets are put off."""
        self.settings = settings
        self._resolver = resolver
        self._contexts = Contexts(settings.ca_file)
        self._pool = Pool(settings)
        self._threads = ThreadPoolExecutor(settings.maildir_threads, thread_name_prefix="maildir")

    @property
    def counts(self) -> PoolCounts:
        return self._pool.counts

    async def deliver(self, parcel: Parcel, target: Target) -> tuple[Outcome, ...]:
        """Return one outcome per recipient, in their order. Whatever the world does is an outcome; only cancelling raises.

        `target` is a Maildir, a next hop with a port, or the MX hosts of `target.host` when the port is 0.
        """
        try:
            outcomes = await self._deliver(parcel, target)
        except Exception:
            # A fault of ours must neither lose the mail nor stop the queue: it is put off, and seen in the log.
            log.exception("delivery-fault", mail_id=parcel.mail_id, destination=target.destination)
            outcomes = _all(parcel, Trouble.SURPRISE)
        for outcome in outcomes:
            count("delivery_outcomes", way=target.kind, result=outcome.result)
        return outcomes

    async def close(self) -> None:
        """Close idle connections and wait for Maildir writes that have begun."""
        self._pool.close()
        await asyncio.to_thread(self._threads.shutdown, wait=True)

    async def _deliver(self, parcel: Parcel, target: Target) -> tuple[Outcome, ...]:
        match target.kind:
            case TargetKind.MAILDIR:
                return await self._into_maildir(parcel, target)
            case TargetKind.IN_PLACE:
                return tuple(of_success(recipient.address, Result.DELIVERED) for recipient in parcel.recipients)
            case _:
                async with self._pool.slot(target.destination, target.connections):
                    return await self._to_next_hop(parcel, target)

    async def _into_maildir(self, parcel: Parcel, target: Target) -> tuple[Outcome, ...]:
        loop = asyncio.get_running_loop()
        if not target.path:  # would be the working folder
            raise ValueError("a Maildir target without a folder")
        folder = Path(target.path)
        writes = [
            loop.run_in_executor(self._threads, put, folder, parcel, recipient, self.settings.hostname)
            for recipient in parcel.recipients
        ]
        return tuple(await asyncio.gather(*writes))

    async def _to_next_hop(self, parcel: Parcel, target: Target) -> tuple[Outcome, ...]:
        try:
            size = rendered_size(parcel.path.stat().st_size, parcel.rendering)
            utf8_header = parcel.smtputf8 and not has_ascii_header(parcel.path, parcel.rendering)
        except OSError as fault:
            return _all(parcel, Trouble.NO_MAIL, fault.strerror or "")
        places = await self._places(parcel, target)
        if isinstance(places, NoExchanger):
            return _all(parcel, places.trouble, places.detail)
        pace = self._pool.pace(target.destination, target.rate)
        return await self._along(places, Mail(parcel, size, utf8_header, pace))

    async def _along(self, places: Sequence[Place], mail: Mail) -> tuple[Outcome, ...]:
        """Try place after place for the recipients that a place as a whole could not serve."""
        settled: dict[int, Outcome] = {}
        left = list(range(len(mail.parcel.recipients)))
        loop = asyncio.get_running_loop()
        end = loop.time() + self.settings.times.hosts.total_seconds()
        for place in places:
            outcomes = await self._through(place, mail if not settled else _part(mail, left))
            for index, outcome in zip(left, outcomes, strict=True):
                settled[index] = _kinder(settled.get(index), outcome)
            left = [index for index in left if _may_go_on(settled[index])]
            if not left or loop.time() > end:
                break
        return tuple(settled[index] for index in range(len(settled)))

    async def _through(self, place: Place, mail: Mail) -> tuple[Outcome, ...]:
        connection = self._pool.take(place)
        if connection is not None:
            try:
                return await self._carry(connection, mail)
            except Stale:
                self._pool.seen["stale"] += 1
        try:
            connection = await open_connection(place, self.settings, self._contexts)
        except HopFault as fault:
            return tuple(_of_hop_fault(recipient.address, fault) for recipient in mail.parcel.recipients)
        self._pool.seen["opened"] += 1
        return await self._carry(connection, mail)

    async def _carry(self, connection: Connection, mail: Mail) -> tuple[Outcome, ...]:
        try:
            return await connection.send(mail)
        finally:
            self._pool.give(connection)

    async def _places(self, parcel: Parcel, target: Target) -> tuple[Place, ...] | NoExchanger:
        lmtp = target.kind is TargetKind.LMTP
        tls = TlsPolicy.VERIFY if parcel.requiretls and not lmtp else TlsPolicy(target.tls)
        if target.port or target.path:
            address = target.host if target.port else target.path
            return (Place(target.host or target.path, address, target.port, lmtp, tls),)
        port = self.settings.mx_port
        if target.host.startswith("["):
            address = target.host.strip("[]").removeprefix("IPv6:")
            return (Place(address, address, port, lmtp, tls),)
        if self._resolver is None:
            return NoExchanger(Trouble.DNS, target.host)
        found = await exchangers(target.host, self._resolver, self.settings.names)
        if isinstance(found, NoExchanger):
            return found
        if parcel.requiretls and not found.secure:  # RFC 8689 section 4.2.1: DNS must have named the host beyond doubt
            return NoExchanger(Trouble.NO_REQUIRETLS, target.host)
        places = [
            Place(host.name, address, port, lmtp, tls, True) for host in found.hosts for address in host.addresses
        ]
        return tuple(places[: self.settings.addresses_per_delivery])


def _part(mail: Mail, indexes: Sequence[int]) -> Mail:
    recipients = tuple(mail.parcel.recipients[index] for index in indexes)
    return replace(mail, parcel=replace(mail.parcel, recipients=recipients))


def _all(parcel: Parcel, trouble: Trouble, detail: str = "") -> tuple[Outcome, ...]:
    return tuple(of_trouble(recipient.address, trouble, detail=detail) for recipient in parcel.recipients)


def _of_hop_fault(recipient: str, fault: HopFault) -> Outcome:
    if fault.reply is not None:
        return of_greeting(recipient, fault.reply, hop=fault.hop)
    return of_trouble(recipient, fault.trouble, hop=fault.hop, detail=fault.detail)


def _kinder(before: Outcome | None, now: Outcome) -> Outcome:
    """While one host may yet come back, another one's final word about itself does not fail the mail."""
    if before is not None and before.result is Result.DEFERRED and now.result is Result.FAILED:
        return before if now.scope is Scope.DESTINATION else now
    return now


def _may_go_on(outcome: Outcome) -> bool:
    """Whether another host of the same destination may be tried for a recipient without risk of a second copy."""
    undone = outcome.result in (Result.DEFERRED, Result.FAILED)
    return undone and outcome.scope is Scope.DESTINATION and not outcome.uncertain
