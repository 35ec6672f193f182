"""An office with its rooms open and its loops running, in the test's own process and on its own clock."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage

import psycopg

from mailrelay.config.office import Office
from mailrelay.config.settings import Route
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.agency import Target
from mailrelay.model.calendar import utc_now
from mailrelay.model.dispatch import DispatchState
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptState
from mailrelay.pipeline.accept import Pipeline
from mailrelay.pipeline.parts import Parts
from mailrelay.reports.trace import Life, life_of
from tests.servers.maildir import letters

FINANCE, PLANNING, HEALTH = "sotc@hoabinh.gov.vn", "sokhdt@hoabinh.gov.vn", "soyt@hoabinh.gov.vn"
LOGIN = Origin(Door.SUBMISSION, peer="127.0.0.1", helo="pc", login="sotc", tls="TLSv1.3 X")
STRANGER = Origin(Door.MX, peer="192.0.2.7", helo="mx.example")


class House:
    """An office with its rooms open and its loops running; the snapshot may be changed under way."""

    def __init__(self, office: Office) -> None:
        self.snapshot = office
        self.ahead = timedelta()  # how far the house's clock is ahead of the world's
        self.parts: Parts
        self.pipeline: Pipeline
        self.loops: list[asyncio.Task[None]] = []  # delivery, notices

    def office(self) -> Office:
        return self.snapshot

    def now(self) -> datetime:
        return utc_now() + self.ahead

    def later(self, by: timedelta) -> None:
        """Let time pass, and the loops look what is due by then."""
        self.ahead += by
        self.parts.bells.ring()

    def route(self, domain: str, target: Target) -> None:
        """Send mail for a domain to a next hop."""
        settings = self.snapshot.settings
        routes = (*settings.delivery.routes, Route(domain, target))
        delivery = replace(settings.delivery, routes=routes)
        self.snapshot = replace(self.snapshot, settings=replace(settings, delivery=delivery))

    def deliver_to(self, address: str, target: Target) -> None:
        """Let a mailbox of the province lie on another server."""
        directory = self.snapshot.directory
        boxes = tuple(replace(box, target=target) if box.address == address else box for box in directory.mailboxes)
        self.snapshot = replace(self.snapshot, directory=replace(directory, mailboxes=boxes))

    def deadline(self, limit: timedelta) -> None:
        settings = self.snapshot.settings
        self.snapshot = replace(
            self.snapshot, settings=replace(settings, accept=replace(settings.accept, deadline=limit))
        )

    async def hand_in(
        self,
        raw: bytes,
        *recipients: str | Recipient,
        sender: str = FINANCE,
        origin: Origin = LOGIN,
        ret: str | None = None,
        envid: str | None = None,
        **options: Callable[..., None],
    ) -> Acceptance:
        draft = self.pipeline.draft()
        draft.write(raw)
        wanted = tuple(one if isinstance(one, Recipient) else Recipient(one) for one in recipients)
        envelope = Envelope(sender, wanted, origin, ret=ret, envid=envid)
        return await self.pipeline.accept(envelope, draft, **options)  # type: ignore[arg-type]

    async def life(self, acceptance: Acceptance) -> Life:
        assert acceptance.mail_id is not None
        mail_id = acceptance.mail_id
        found = await self.parts.store.read(lambda tx: life_of(tx, mail_id))
        assert found is not None
        return found

    async def settled(self, acceptance: Acceptance) -> Life:
        """The life of a mail once nothing of it and of its notices moves."""
        async with asyncio.timeout(20):
            while True:
                found = await self.life(acceptance)
                moving = found.record.state in (MessageState.MOVING, MessageState.PENDING)
                if not moving and all(r.state in (ReceiptState.SENT, ReceiptState.FAILED) for r in found.receipts):
                    return found
                await asyncio.sleep(0.02)

    async def state(self, acceptance: Acceptance, *states: DispatchState) -> Life:
        """The life of a mail once each of its dispatches is in one of these states, and its notices are sent."""
        async with asyncio.timeout(20):
            while True:
                found = await self.life(acceptance)
                told = all(r.state in (ReceiptState.SENT, ReceiptState.FAILED) for r in found.receipts)
                if told and all(dispatch.state in states for dispatch in found.dispatches):
                    return found
                await asyncio.sleep(0.02)

    def notices(self, local: str, *kinds: str) -> list[EmailMessage]:
        """The notices of these kinds in a mailbox, by the standard library's own parser and policy."""
        parsed = [email.message_from_bytes(raw, policy=email.policy.default) for raw in self.mails(local)]
        return [mail for mail in parsed if mail["X-Mailrelay-Receipt"] in kinds]

    def mails(self, local: str) -> list[bytes]:
        return letters(self.snapshot.settings.maildir_root / local)

    def spooled(self) -> set[str]:
        return {path.name for path in self.snapshot.settings.spool_dir.rglob("*.eml")}


def text_of(notice: EmailMessage) -> str:
    """The plain text of a notice on one line."""
    part = next(part for part in notice.walk() if part.get_content_type() == "text/plain")
    assert isinstance(part, EmailMessage)
    return " ".join(str(part.get_content()).split())


def blocks_of(report: EmailMessage) -> list[dict[str, str]]:
    """The blocks of a report's message/delivery-status part: the message's first, then one for each recipient."""
    (part,) = [part for part in report.walk() if part.get_content_type() == "message/delivery-status"]
    return [{name: str(value) for name, value in block.items()} for block in part.get_payload()]


def paper(number: int, body: str = "Nội dung.", message_id: str = "", author: str = FINANCE) -> bytes:
    named = message_id or f"<{number}@pc.example>"
    return (
        f"From: =?utf-8?q?S=E1=BB=9F_T=C3=A0i_ch=C3=ADnh?= <{author}>\r\nTo: <{PLANNING}>\r\nMessage-ID: {named}\r\n"
        f"Date: Sun, 22 Nov 2026 10:00:00 +0700\r\nSubject: {number}/BC-STC V/v thu nghiem\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n"
    ).encode()


@contextlib.contextmanager
def locked(house: House) -> Iterator[None]:
    """Somebody else holds what a claim needs of the store."""
    url = house.snapshot.settings.store.url
    if url.startswith("postgresql:"):
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE dispatch IN ACCESS EXCLUSIVE MODE")
            yield
    else:
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
