"""A Dovecot, a store and a spool, and the door between them."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailrelay.intake.imap.door import ImapDoor
from mailrelay.intake.imap.marked import Marked
from mailrelay.intake.imap.taking import Alongside, Unreadable
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.agency import (
    Agency,
    Directory,
    ImapAccount,
    Level,
    Mailbox,
    Purpose,
    Role,
    SecretRef,
    Target,
    TargetKind,
)
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.identity import AgencyId, MailId
from mailrelay.model.message import Message, MessageState, Rendering
from mailrelay.model.record import MailRecord
from mailrelay.pipeline import homecoming
from mailrelay.spool import Draft, Spool
from mailrelay.store import Store, Transaction, dispatches, messages, open_store
from tests.servers.certificates import Authority
from tests.servers.dovecot import Dovecot

DOMAIN = "hoabinh.gov.vn"


@pytest.fixture(scope="session")
def dovecot(authority: Authority) -> Iterator[Dovecot]:
    """One server for all tests that do not stop it; each test uses boxes of its own."""
    with Dovecot(authority.issue("localhost", "127.0.0.1")) as server:
        yield server


@dataclass
class Clerk:
    """Takes mails as the pipeline does: bytes and row durable, the door's rows in the same transaction."""

    store: Store
    taken: list[tuple[Envelope, bytes]] = field(default_factory=list)
    refusals: dict[bytes, str] = field(default_factory=dict)  # a word in the mail -> the refusal it gets
    fault: Callable[[bytes], Exception | None] = lambda data: None
    before_commit: Callable[[], Awaitable[None]] | None = None
    after_commit: Callable[[], Awaitable[None]] | None = None

    async def accept(self, envelope: Envelope, draft: Draft, *, alongside: Alongside | None = None) -> Acceptance:
        digest = draft.finish()
        data = draft.path.read_bytes()
        if (fault := self.fault(data)) is not None:
            draft.discard()
            raise fault
        if self.before_commit is not None:
            await self.before_commit()
        refusal = next((name for word, name in self.refusals.items() if word in data), "")
        message = Message(draft.mail_id, envelope, digest, draft.size, datetime.now(UTC))
        state = MessageState.REJECTED if refusal else MessageState.DONE
        acceptance = Acceptance(draft.mail_id, refusal)
        if refusal:
            draft.discard()

        def enter(tx: Transaction) -> None:
            messages.insert(tx, MailRecord(message, state))
            if alongside is not None:
                alongside(tx, acceptance)

        await self.store.write(enter, durable=[] if refusal else [draft.path])
        if not refusal:
            self.taken.append((envelope, data))
        if self.after_commit is not None:
            await self.after_commit()
        return acceptance

    def letters(self) -> dict[bytes, Envelope]:
        """What was taken: mails in hand at the same time end in any order, so none is told."""
        assert len({data for _, data in self.taken}) == len(self.taken), "a mail was taken twice"
        return {data: envelope for envelope, data in self.taken}


@dataclass
class Office:
    """The door with everything around it; `accounts` may be changed while it is open."""

    server: Dovecot
    authority: Authority
    folder: Path
    store: Store
    spool: Spool
    clerk: Clerk
    accounts: list[ImapAccount] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    doors: list[ImapDoor] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    password: str = ""
    secret_fault: Exception | None = None
    skipped: timedelta = timedelta(0)
    before_draft: dict[int, Callable[[], None]] = field(default_factory=dict)  # what happens before the n-th mail
    drafts: int = 0

    def account(self, user: str, purpose: Purpose = Purpose.INCOMING, **changes: Any) -> ImapAccount:
        made = ImapAccount(
            name=user,
            host="127.0.0.1",
            port=self.server.port,
            user=user,
            password=SecretRef("file", "imap"),
            purpose=purpose,
            owner=f"{user}@{DOMAIN}",
            tls="none",
        )
        made = replace(made, **changes)
        self.accounts.append(made)
        return made

    def directory(self) -> Directory:
        agency = Agency(AgencyId("stc"), "Sở Tài chính", Level.PROVINCE, "STC")
        boxes = tuple(
            Mailbox(
                account.owner,
                account.name,
                agency.agency_id,
                frozenset({Role.CLERK}),
                Target(TargetKind.IN_PLACE),
                login=f"login-{account.user}",
            )
            for account in self.accounts
        )
        return Directory(DOMAIN, (agency,), boxes, imap_accounts=tuple(self.accounts))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skipped

    def skip(self, time: timedelta) -> None:
        """Put the door's clock forward."""
        self.skipped += time

    def draft(self) -> Draft:
        self.before_draft.pop(self.drafts, lambda: None)()
        self.drafts += 1
        return self.spool.draft()

    def secret(self, _: SecretRef) -> str:
        if self.secret_fault is not None:
            raise self.secret_fault
        return self.password or self.server.password

    async def delivered_by_us(self, found: Marked, address: str) -> bool:
        def look(tx: Transaction) -> bool:
            return any(
                homecoming.is_our_delivery(
                    tx,
                    mail_id,
                    address,
                    message_id=found.message_id,
                    body_digests=found.body_digests,
                    domain=DOMAIN,
                )
                for mail_id in found.mail_ids
            )

        return await self.store.read(look)

    async def delivered(self, mail_id: str, raw: bytes, address: str) -> None:
        """Let the store know that we delivered a mail (with its Message-ID) to an address."""
        head, _, body = raw.partition(b"\r\n\r\n")
        message = Message(
            MailId(mail_id), Envelope("", (), Origin(Door.MX)), hashlib.sha256(raw).hexdigest(), len(raw), self.now()
        )
        record = MailRecord(
            message,
            MessageState.DONE,
            message_id=head.partition(b"Message-ID: ")[2].partition(b"\r\n")[0].decode(),
            rendering=Rendering(body_sha256=hashlib.sha256(body).hexdigest()),
        )
        sending = Dispatch(
            mail_id=message.mail_id,
            recipient=Recipient(address),
            destination="lmtp:127.0.0.1:24",
            state=DispatchState.DELIVERED,
            next_attempt_at=self.now(),
            created_at=self.now(),
        )

        def enter(tx: Transaction) -> None:
            messages.insert(tx, record)
            dispatches.insert(tx, [sending])

        await self.store.write(enter)

    async def open(self) -> ImapDoor:
        door = ImapDoor(
            lambda: tuple(self.accounts),
            self.secret,
            self.draft,
            self.clerk.accept,
            self.store,
            self.directory,
            self.settings.pop("interval", timedelta(seconds=60)),
            self.now,
            delivered_by_us=self.delivered_by_us,
            unreadable=lambda tx, mail: self.unreadable.append(mail),
            context=self.authority.client_context(),
            **self.settings,
        )
        self.doors.append(door)
        await door.start()
        return door

    async def outcomes(self, account: str) -> dict[tuple[int, int], str]:
        """(UIDVALIDITY, UID) -> outcome of every mail of an account."""

        def look(tx: Transaction) -> dict[tuple[int, int], str]:
            sql = "SELECT uidvalidity, uid, outcome FROM poll_outcome WHERE account = :account AND uid > 0"
            return {(v, uid): outcome for v, uid, outcome in tx.rows(sql, {"account": account})}

        return await self.store.read(look)

    async def endings(self, account: str) -> dict[int, str]:
        return {uid: outcome for (_, uid), outcome in (await self.outcomes(account)).items()}

    def flags(self, user: str, folder: str = "INBOX") -> dict[int, set[str]]:
        """What stands on the mails of a folder on the server."""
        return {uid: set(flags) - {"\\Recent"} for uid, flags in self.server.flags(user, folder).items()}

    def files(self) -> list[Path]:
        return sorted(self.spool._root.rglob("*.eml"))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that is made once: every test begins with a copy."""
    path = tmp_path_factory.mktemp("store") / "mailrelay.db"

    async def make() -> None:
        await (await open_store(f"sqlite:///{path}")).close()

    asyncio.run(make())
    return path


@pytest.fixture
def store_url(new_store: Callable[[], str], empty_store: Path, tmp_path: Path) -> str:
    """The address of an empty store."""
    if url := new_store():
        return url
    shutil.copy(empty_store, tmp_path / "mailrelay.db")
    return f"sqlite:///{tmp_path}/mailrelay.db"


@pytest.fixture
async def office(dovecot: Dovecot, authority: Authority, store_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    store = await open_store(store_url)
    spool = Spool(tmp_path / "spool", now=lambda: datetime.now(UTC))
    made = Office(dovecot, authority, tmp_path, store, spool, Clerk(store))
    yield made
    for door in made.doors:
        await door.close()
    await store.close()


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """A box of this test alone."""
    return "".join(letter for letter in request.node.name.lower() if letter.isalnum())[:60]


def mail(subject: str, *fields: str, body: str = "Kính gửi") -> bytes:
    """A small mail with its subject as Message-ID."""
    head = [f"Subject: {subject}", f"From: Sở Y tế <syt@{DOMAIN}>", f"Message-ID: <{subject}@test>", *fields]
    return "\r\n".join([*head, "", body, ""]).encode()


async def ended(office: Office, user: str, count: int) -> bool:
    return len(await office.endings(user)) == count


@pytest.fixture
def own_dovecot(office: Office, authority: Authority) -> Iterator[Dovecot]:
    """A server of this test alone, which may be stopped."""
    shared = office.server
    with Dovecot() as server:
        office.server = server
        yield server
    office.server = shared
