"""Single steps: the transaction of an accepted mail, claims from the queue, and how fast a door reads."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from mailrelay.cli.demo import stage
from mailrelay.config.office import Office, load_office
from mailrelay.model.calendar import utc_now
from mailrelay.model.document import MessageClass
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.finding import Findings
from mailrelay.model.message import Address, Attachment, Content, Message
from mailrelay.pipeline import entry
from mailrelay.pipeline.judgement import Judgement, judge_findings
from mailrelay.spool import Spool
from mailrelay.store import dispatches, writer
from mailrelay.store.engine import Store, open_store
from tests.load import inspecting
from tests.load.mails import KIB, RECEIVERS, STRANGER, Mail
from tests.load.traffic import Entrance, send
from tests.servers.postgresql import Postgresql

_CLIENTS = 64
_MAILS = 384
_DOOR = Path(__file__).with_name("door.py")


def run() -> Iterator[str]:
    """The lines of the table."""
    yield "| step | figure | wanted |\n|---|---|---|"
    with tempfile.TemporaryDirectory(prefix="mailrelay-load-") as folder:
        place = Path(folder)
        stage.build(place / "office", 9)
        office = load_office(place / "office")
        yield from asyncio.run(_intake(place, office))
        yield from asyncio.run(_claims(place, office, "SQLite"))
        yield from asyncio.run(_on_postgresql(place, office))
        yield from asyncio.run(_reading(place / "spool-of-the-door"))
        yield from asyncio.run(inspecting.run(place, office))
        yield f"| `mailrelay --help` | {help_ms():.0f} ms | 200 ms |"


async def _intake(place: Path, office: Office) -> list[str]:
    """Group commit against one transaction per mail, rows alone and with the blob."""
    rows = []
    for blob, least in ((False, 3.0), (True, 1.7)):
        together, alone = [], []
        for turn in range(3):  # in turns, so that noise falls on both
            together.append(await _rate(place / f"group-{blob}-{turn}", office, writer.BATCH, blob=blob))
            alone.append(await _rate(place / f"single-{blob}-{turn}", office, 1, blob=blob))
        most, single = max(together), max(alone)
        what = "rows and blob" if blob else "rows"
        figure = f"{most:.0f}/s against {single:.0f}/s one by one: {most / single:.1f}x"
        rows.append(f"| intake, {_CLIENTS} clients, {what} | {figure} | {least}x |")
    return rows


@asynccontextmanager
async def _store(place: Path, url: str = "") -> AsyncIterator[Store]:
    place.mkdir()
    store = await open_store(url or f"sqlite:///{place / 'mailrelay.db'}")
    try:
        yield store
    finally:
        await store.close()


async def _rate(place: Path, office: Office, batch: int, *, blob: bool) -> float:
    """Accepted mails a second with at most `batch` closures in one transaction."""
    before, writer.BATCH = writer.BATCH, batch
    try:
        async with _store(place) as store:
            judgements = iter(_judgements(Spool(place / "spool", now=utc_now), office, _MAILS))
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for _ in range(_CLIENTS):
                    group.create_task(_client(store, judgements, office, blob=blob))
            return _MAILS / (time.monotonic() - began)
    finally:
        writer.BATCH = before


def _judgements(spool: Spool, office: Office, count: int) -> list[tuple[Judgement, Path]]:
    """Judged mails, each another paper, with their files written and not yet synced."""
    found = []
    for number in range(1, count + 1):
        draft = spool.draft()
        draft.write(b"%d" % number + b"x" * 4 * KIB)
        recipient = Recipient(RECEIVERS[number % len(RECEIVERS)])
        envelope = Envelope(STRANGER, (recipient,), Origin(Door.MX, peer="192.0.2.1", helo="mx.example"))
        message = Message(draft.mail_id, envelope, draft.finish(), draft.size, utc_now())
        subject = f"{number}/BTTTT-ƯDCNTT V/v gửi, nhận văn bản điện tử"
        name, pdf = f"{number}_van-ban.pdf", "application/pdf"
        file = Attachment(name, (name,), pdf, pdf, 3 * KIB, message.digest, "2")
        content = Content(subject, (Address("", STRANGER),), message_id=f"<{number}@load>", attachments=(file,))
        judgement = judge_findings(message, Findings(content), office)
        assert judgement.record.message_class is MessageClass.DOCUMENT
        found.append((judgement, draft.path))
    return found


async def _client(store: Store, judgements: Iterator[tuple[Judgement, Path]], office: Office, *, blob: bool) -> None:
    for judgement, path in judgements:
        enter: Callable[..., entry.Entered] = lambda tx, j=judgement: entry.enter(tx, j, office, utc_now())  # noqa: E731
        await store.write(enter, durable=[path] if blob else [])


async def _on_postgresql(place: Path, office: Office) -> list[str]:
    """The intake transaction and claims on the other engine, one transaction each over 8 connections."""
    try:
        server = await asyncio.to_thread(Postgresql().__enter__)
    except (FileNotFoundError, KeyError) as fault:
        return [f"| PostgreSQL | left out: {fault} | – |"]
    try:
        await asyncio.to_thread(server.sql, "CREATE DATABASE intake")
        await asyncio.to_thread(server.sql, "CREATE DATABASE queue")
        async with _store(place / "intake-pg", server.url("intake")) as store:
            judgements = iter(_judgements(Spool(place / "intake-pg" / "spool", now=utc_now), office, _MAILS))
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for _ in range(_CLIENTS):
                    group.create_task(_client(store, judgements, office, blob=True))
            rate = _MAILS / (time.monotonic() - began)
        row = f"| intake on PostgreSQL, {_CLIENTS} clients, rows and blob | {rate:.0f}/s | – |"
        return [row, *await _claims(place, office, "PostgreSQL", server.url("queue"))]
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def _claims(place: Path, office: Office, engine: str, url: str = "") -> list[str]:
    """Claims in rounds of 64 from a queue of held-up mails to one destination."""
    folder = place / f"queue-{engine}"
    async with _store(folder, url) as store:
        judged = _judgements(Spool(folder / "spool", now=utc_now), office, _MAILS)
        await _client(store, iter(judged), office, blob=False)
        lease, claimed, began = timedelta(minutes=20), 0, time.monotonic()
        while found := await store.write(
            lambda tx: dispatches.claim(tx, utc_now(), lease, 64, per_destination=10 * _MAILS)
        ):
            claimed += len(found)
        took = time.monotonic() - began
    return [
        f"| queue claims on {engine}, rounds of 64 | {claimed / took:.0f}/s ({claimed} in {took * 1000:.0f} ms) | – |"
    ]


def help_ms() -> float:
    """The time of `mailrelay --help`, the least of five, as a person at a prompt feels it."""
    command = [Path(sys.executable).with_name("mailrelay"), "--help"]
    waits = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        waits.append((time.monotonic() - began) * 1000)
    return min(waits)


async def _reading(folder: Path) -> list[str]:
    """DATA at the door alone: 35 MB of ordinary lines, then 1.5 MB of the shortest lines against as much ordinary text."""
    command = [sys.executable, "-m", "tests.load.door", str(folder)]
    door = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_DOOR.parents[2])
    try:
        assert door.stdout is not None
        entrance = Entrance(int(await asyncio.to_thread(door.stdout.readline)))
        large = min([await _seconds(entrance, b"x" * 76 + b"\r\n", 35_000_000) for _ in range(3)])
        text = min([await _seconds(entrance, b"x" * 76 + b"\r\n", 1_500_000) for _ in range(5)])
        short = min([await _seconds(entrance, b"a\r\n", 1_500_000) for _ in range(5)])
    finally:
        door.terminate()
        door.wait(10)
    return [
        f"| DATA, 35 MB | {35 / large:.0f} MB/s | 100 MB/s |",
        f"| DATA, 1.5 MB of 3-octet lines | {short / text:.1f}x the time of ordinary lines | 3x |",
    ]


async def _seconds(entrance: Entrance, line: bytes, size: int) -> float:
    body = b"Subject: x\r\n\r\n" + line * (size // len(line)) + b".\r\n"
    seen = await send(entrance, [Mail("1", STRANGER, RECEIVERS[0], body)], 1, pipelining=True)
    return seen.waits[0]
