"""From settings to rooms: the one place where what mailrelay.toml says becomes constructor arguments."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from mailrelay.config.office import Office
from mailrelay.config.secrets import Secrets
from mailrelay.config.settings import Settings
from mailrelay.daemon.suspensions import Suspensions
from mailrelay.delivery.courier import Courier
from mailrelay.delivery.dkim import Signer, SigningKey
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.delivery.under_way import UnderWay
from mailrelay.evidence import Evidence
from mailrelay.inspection import anchors
from mailrelay.inspection.dns import Resolver
from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.intake.imap.door import ImapDoor
from mailrelay.intake.imap.https import post_form
from mailrelay.intake.imap.marked import Marked
from mailrelay.intake.imap.poller import AccountState
from mailrelay.intake.imap.taking import Unreadable
from mailrelay.intake.imap.tokens import Tokens
from mailrelay.intake.smtp.quota import Quota
from mailrelay.model.agency import ImapAccount
from mailrelay.model.calendar import utc_now
from mailrelay.model.dispatch import DispatchState
from mailrelay.model.envelope import Door, Origin
from mailrelay.model.identity import make_mail_id
from mailrelay.pipeline import entry, homecoming
from mailrelay.pipeline.accept import Pipeline
from mailrelay.pipeline.delays import DelayWatch
from mailrelay.pipeline.held_lists import HeldLists
from mailrelay.pipeline.parts import Parts
from mailrelay.pipeline.rescan import Rescan
from mailrelay.receipts.seal import Sealer, open_sealer
from mailrelay.schedule import Tick
from mailrelay.spool import Draft, Spool
from mailrelay.store import dispatches
from mailrelay.store.engine import open_store
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import log

Snapshot = Callable[[], Office]
Silence = tuple[ImapAccount, AccountState]


async def open_parts(office: Snapshot, stack: AsyncExitStack, now: Callable[[], datetime] = utc_now) -> Parts:
    """Open everything that the corridor walks through; `stack` closes it in reverse order."""
    settings = office().settings
    resolver = build_resolver(settings)
    for fault in anchors.faults(settings.inspection.trust_roots) if settings.inspection.trust_roots else ():
        log.warning(
            "trust-file", file=fault.file, line=fault.line, fault=fault.en
        )  # `mailrelay check` tells it in full
    # Workers first: nothing may fork once the store's threads run.
    inspector = build_inspector(settings, resolver)
    await inspector.start()
    stack.push_async_callback(inspector.close)
    store = await open_store(settings.store.url)
    stack.push_async_callback(store.close)
    courier = Courier(_delivery(settings), resolver=resolver)
    stack.push_async_callback(courier.close)
    under_way = UnderWay(settings.data_dir / "under-way")
    stack.callback(under_way.close)
    return Parts(
        office=office,
        spool=Spool(settings.spool_dir, now=utc_now),
        evidence=Evidence(settings.evidence_dir),
        store=store,
        inspector=inspector,
        courier=courier,
        sealer=build_sealer(settings),
        signer=build_signer(settings),
        now=now,
        under_way=under_way,
        node=f"{socket.gethostname()}:{settings.data_dir}",
    )


def build_resolver(settings: Settings) -> Resolver:
    return Resolver([str(place) for place in settings.dns.servers], settings.dns.timeout.total_seconds())


def build_inspector(settings: Settings, resolver: Resolver | None = None) -> Inspector:
    """The inspection room by itself: for the daemon and for `explain`."""
    chosen = settings.inspection
    resolver = resolver or build_resolver(settings)
    return Inspector(
        InspectionSettings(
            authserv_id=chosen.authserv_id,
            workers=chosen.workers,
            time_limit=chosen.time.total_seconds(),
            cpu_limit=max(1, int(chosen.cpu_time.total_seconds())),
            memory_limit=chosen.memory,
            dns_timeout=settings.dns.timeout.total_seconds(),
            pgp_home=settings.keyrings_dir,
            trust_roots=chosen.trust_roots,
            revocation=settings.revocation_dir,
            revocation_every=chosen.revocation_every,
            clamd=chosen.clamd,
            rspamd=(chosen.rspamd.host, chosen.rspamd.port) if chosen.rspamd else None,
            spam_header=chosen.spam_header,
            spam_peers=tuple(peer.network for peer in settings.smtp.peers if "spam" in peer.rights),
        ),
        txt=resolver.txt,
        kept=resolver.kept,
        names=resolver,
    )


def hindrance(office: Office, parts: Parts) -> str:
    """Why no mail can be taken at present, by a name of the refusal table: the queue and the receipts need the last room."""
    if not parts.store.healthy or not parts.store.reachable:
        return "try-later"
    return "disk-full" if parts.spool.free_bytes() < office.settings.limits.disk_reserve else ""


def imap_door(
    office: Snapshot, pipeline: Pipeline, parts: Parts, silent: list[Silence], quota: Quota | None = None
) -> ImapDoor:
    """`silent` collects the accounts that could not be read for too long; a tick tells them. `quota` is that of the SMTP doors."""
    settings = office().settings

    async def delivered_by_us(found: Marked, owner: str) -> bool:
        def look(tx: Transaction) -> bool:
            return any(
                homecoming.is_our_delivery(
                    tx,
                    mail_id,
                    owner,
                    message_id=found.message_id,
                    body_digests=found.body_digests,
                    domain=settings.domain,
                )
                for mail_id in found.mail_ids
            )

        return await parts.store.read(look)

    def unreadable(tx: Transaction, found: Unreadable) -> None:
        origin = Origin(Door.IMAP, account=found.account.name)
        values = {**found.values, "hours": f"{office().settings.quota.time.total_seconds() / 3600:g}"}
        complain(tx, office(), found.account.owner, origin, entry.Complaint(found.refusal, values))

    def draft() -> Draft:
        if hindrance(office(), parts) == "disk-full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return parts.spool.draft()

    return ImapDoor(
        lambda: office().directory.imap_accounts,
        Secrets(settings.secrets_dir).read,
        draft,
        pipeline.accept,
        parts.store,
        lambda: office().directory,
        settings.imap.poll_interval,
        parts.now,
        delivered_by_us=delivered_by_us,
        unreadable=unreadable,
        idle=settings.imap.idle,
        size_limit=settings.limits.message_size,
        tokens=build_tokens(settings),
        on_alarm=lambda account, state: silent.append((account, state)),
        share=quota.share if quota else None,
    )


def build_tokens(settings: Settings) -> Tokens:
    """Access tokens by the configured endpoints, over TLS by the system's trust; changed refresh tokens lie in the data folder."""
    context: list[ssl.SSLContext] = []  # made when it is needed: it holds the system's roots

    async def post(url: str, form: dict[str, str]) -> tuple[int, bytes]:
        if not context:
            context.append(ssl.create_default_context())
        return await post_form(url, form, context[0])

    return Tokens(Secrets(settings.secrets_dir).read, post, settings.data_dir / "tokens", utc_now)


def build_sealer(settings: Settings) -> Sealer:
    """The receipts' seal by the configured key and certificate, else by a pair that is made once below the data folder."""
    chosen = settings.receipts
    if chosen.key is not None and chosen.certificate is not None:
        key = Secrets(settings.secrets_dir).read(chosen.key).encode()
        return Sealer.from_pem(key, chosen.certificate.read_bytes())
    own = settings.data_dir / "seal"
    return open_sealer(own / "key.pem", own / "certificate.pem", name=chosen.name, address=chosen.sender, now=utc_now())


def build_signer(settings: Settings) -> Signer | None:
    """DKIM keys of the domain, RSA and Ed25519 as configured; None when there are none."""
    chosen = settings.dkim
    secrets = Secrets(settings.secrets_dir)
    pairs = ((chosen.selector, chosen.rsa_key), (chosen.ed25519_selector, chosen.ed25519_key))
    keys = [SigningKey.from_pem(selector, secrets.read(ref).encode()) for selector, ref in pairs if selector and ref]
    return Signer(settings.domain, keys) if keys else None


def complain(tx: Transaction, office: Office, address: str, origin: Origin, complaint: entry.Complaint) -> None:
    """Log a complaint of a door and tell the owner of an address; one whom the directory does not know hears nothing."""
    owner = office.directory.mailbox(address)
    if owner is not None:
        now = utc_now()
        mail_id = make_mail_id(int(now.timestamp() * 1000), os.urandom(10))
        entry.complain(tx, mail_id, owner, origin, complaint, office.directory, now)


async def _tell_silent(office: Snapshot, parts: Parts, silence: Silence) -> None:
    """By mail to the IT officer of the box's agency, or to its owner where none is named: nobody reads a log all day."""
    account, state = silence
    directory = office().directory
    agency = directory.agency_of(account.owner)
    address = (agency.it_officer if agency else "") or account.owner
    minutes = int((utc_now() - (state.last_success or state.since)).total_seconds() // 60)
    values = {"account": account.name, "minutes": str(minutes), "fault": state.last_fault or "?"}
    origin = Origin(Door.IMAP, account=account.name)
    complaint = entry.Complaint("box-not-polled", values)
    await parts.store.write(lambda tx: complain(tx, office(), address, origin, complaint))
    parts.bells.ring()


def ticks(
    office: Snapshot, parts: Parts, imap: ImapDoor, suspensions: Suspensions, silent: list[Silence]
) -> tuple[Tick, ...]:
    """Timed looks; nothing with a promise hangs on them."""

    async def queue_age() -> None:
        counts = await parts.store.read(dispatches.counts)
        waiting = sum(counts.get(state, 0) for state in (DispatchState.QUEUED, DispatchState.DEFERRED))
        log.info("queue", waiting=waiting, held=counts.get(DispatchState.HELD, 0))

    delays = DelayWatch(parts)
    rescan = Rescan(parts)
    lists = HeldLists(parts)

    async def tell_delays() -> None:
        await delays.look()

    async def scan_again() -> None:
        await rescan.look()

    async def list_held() -> None:
        await lists.look()

    async def refresh_revocation() -> None:
        fetched = await parts.inspector.refresh_revocation(parts.now())
        if fetched:
            log.info("revocation-refreshed", fetched=fetched)

    async def look_at_boxes() -> None:
        await imap.tick()
        while silent:
            await _tell_silent(office, parts, silent.pop())

    return (
        Tick("revocation", timedelta(minutes=1), refresh_revocation),
        Tick("suspensions", timedelta(seconds=15), suspensions.look),
        Tick("queue-age", timedelta(minutes=15), queue_age),
        Tick("delays", timedelta(minutes=1), tell_delays),
        Tick("rescan", timedelta(seconds=15), scan_again),
        Tick("held-lists", timedelta(minutes=1), list_held),
        Tick("imap", timedelta(seconds=30), look_at_boxes),
    )


def _delivery(settings: Settings) -> DeliverySettings:
    return DeliverySettings(
        hostname=settings.delivery.helo,
        own_names=frozenset({settings.hostname, settings.domain}),
        connections_per_destination=settings.delivery.per_destination,
        source=settings.delivery.source,
    )
