"""A door on loopback with a directory of a few boxes, drafts in a folder, and an `accept` that records what it is given."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailrelay.intake.smtp.door import Listener, SmtpDoor
from mailrelay.intake.smtp.limits import Limits
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.agency import Agency, Directory, Group, Level, Mailbox, Role, Target, TargetKind
from mailrelay.model.envelope import Door, Envelope
from mailrelay.model.identity import AgencyId, MailId, make_mail_id

PASSWORD = "Mat-khau-1"
FINANCE = AgencyId("stc")
HEALTH = AgencyId("syt")


def _box(local_part: str, agency: AgencyId, login: str = "", **other: Any) -> Mailbox:
    address = f"{local_part}@hoabinh.gov.vn"
    target = Target(TargetKind.MAILDIR, path=local_part)
    return Mailbox(address, local_part, agency, frozenset({Role.SPECIALIST}), target, login=login, **other)


DIRECTORY = Directory(
    domain="hoabinh.gov.vn",
    agencies=(
        Agency(FINANCE, "Sở Tài chính", Level.PROVINCE, "STC"),
        Agency(HEALTH, "Sở Y tế", Level.PROVINCE, "SYT"),
    ),
    mailboxes=(
        _box("vanthu.stc", FINANCE, "vanthu.stc", shared=True, aliases=("van-thu.stc@hoabinh.gov.vn",)),
        _box("nam.stc", FINANCE, "nam.stc"),
        _box("vanthu.syt", HEALTH, "vanthu.syt", shared=True),
        _box("cu.syt", HEALTH, "cu.syt", enabled=False),
    ),
    groups=(Group("cacso@hoabinh.gov.vn", "Các sở", ("vanthu.stc@hoabinh.gov.vn", "vanthu.syt@hoabinh.gov.vn")),),
)


class FolderDraft:
    """A draft like the spool's: bytes in a file named by the mail id."""

    def __init__(self, folder: Path, number: int) -> None:
        self.mail_id: MailId = make_mail_id(number, b"\0" * 10)
        self.path = folder / f"{self.mail_id}.eml"
        self.size = 0
        self._file = self.path.open("xb")
        self._digest = hashlib.sha256()

    def write(self, block: bytes) -> None:
        self._file.write(block)
        self._digest.update(block)
        self.size += len(block)

    def finish(self) -> str:
        self._file.close()
        return self._digest.hexdigest()

    def discard(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def give_up(self) -> None:
        self.discard()


@dataclass
class Recorder:
    """What the door handed in, and what it shall be told."""

    folder: Path
    mails: list[tuple[Envelope, bytes]] = field(default_factory=list)
    refusal: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], Awaitable[None]] | None = None
    made: int = 0

    def draft(self) -> FolderDraft:
        self.made += 1
        return FolderDraft(self.folder, self.made)

    async def accept(self, envelope: Envelope, draft: FolderDraft) -> Acceptance:
        if self.before is not None:
            await self.before()
        self.mails.append((envelope, draft.path.read_bytes()))
        if self.refusal:
            draft.discard()
            return Acceptance(None, self.refusal, self.values)
        return Acceptance(draft.mail_id)

    @property
    def left(self) -> list[str]:
        """Drafts that lie in the folder without having been handed in."""
        return sorted(p.name for p in self.folder.iterdir())[len(self.mails) :]


class Client:
    """Speaks raw octets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, octets: bytes | str) -> None:
        self.writer.write(octets.encode() if isinstance(octets, str) else octets)
        await self.writer.drain()

    async def reply(self) -> str:
        """One whole reply, lines joined by newlines; "" when the door has closed."""
        lines: list[str] = []
        while True:
            line = await asyncio.wait_for(self.reader.readline(), 10)
            if not line:
                return "\n".join(lines)
            assert line.endswith(b"\r\n"), line
            lines.append(line[:-2].decode())
            if line[3:4] != b"-":
                return "\n".join(lines)

    async def ask(self, line: bytes | str) -> str:
        await self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    async def starttls(self, injected: bytes = b"") -> None:
        """The command and the handshake; `injected` goes in the same packet as the command."""
        await self.send(b"STARTTLS\r\n" + injected)
        assert (await self.reply()).startswith("220")
        await self.writer.start_tls(_trusting_context())

    async def login(self, login: str = "nam.stc", password: str = PASSWORD) -> str:
        token = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
        return await self.ask(f"AUTH PLAIN {token}")

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            await asyncio.wait_for(self.writer.wait_closed(), 5)


@dataclass
class Office:
    """An open door and what it handed in."""

    door: SmtpDoor
    recorder: Recorder
    ports: dict[Door, int]

    async def connect(self, door: Door = Door.MX, *, greet: bool = True) -> Client:
        context = _trusting_context() if door is Door.SUBMISSIONS else None
        client = Client(*await asyncio.open_connection("127.0.0.1", self.ports[door], ssl=context))
        if greet:
            assert (await client.reply()).startswith("220")
            hello = "LHLO" if door is Door.LMTP else "EHLO"
            assert (await client.ask(f"{hello} may.example")).startswith("250")
        return client

    async def connect_through(self, door: Door, header: bytes) -> Client:
        """Connect, say a PROXY header, then go on as `connect` does."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.ports[door]))
        await client.send(header)
        if door is Door.SUBMISSIONS:
            await client.writer.start_tls(_trusting_context())
        assert (await client.reply()).startswith("220")
        assert (await client.ask("EHLO may.example")).startswith("250")
        return client

    async def session(self, door: Door) -> Any:
        """Connect and return the door's own side of the connection."""
        before = set(self.door._sessions)
        await self.connect(door)
        (session,) = self.door._sessions - before
        return session


def _trusting_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def check_password(login: str, password: str) -> bool:
    await asyncio.sleep(0)
    return password == PASSWORD


@contextlib.asynccontextmanager
async def opened(folder: Path, tls: ssl.SSLContext, **settings: Any) -> AsyncIterator[Office]:
    """An open door with the given settings; by default all four kinds of listener, without delays for errors."""
    folder.mkdir(exist_ok=True)
    recorder = Recorder(folder)
    quick = Limits(error_delay=datetime.timedelta(0), auth_delay=datetime.timedelta(0))
    arguments: dict[str, Any] = {
        "hostname": "mail.hoabinh.gov.vn",
        "directory": lambda: DIRECTORY,
        "draft": recorder.draft,
        "accept": recorder.accept,
        "check_password": check_password,
        "tls": tls,
        "limits": quick,
    }
    doors = settings.pop("doors", (Door.MX, Door.SUBMISSION, Door.SUBMISSIONS, Door.LMTP))
    door = SmtpDoor([Listener(kind) for kind in doors], **(arguments | settings))
    bound = await door.start()
    try:
        yield Office(door, recorder, {kind: addresses[0][1] for kind, addresses in bound.items()})
    finally:
        await door.close(datetime.timedelta(seconds=1))
