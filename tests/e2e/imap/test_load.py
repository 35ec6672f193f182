"""The IMAP door against a real Dovecot with much mail, large mail, many accounts: memory stays flat."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from mailrelay.intake.imap.source import BLOCK
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.envelope import Envelope
from mailrelay.spool import Draft
from tests.e2e.imap.conftest import Office, mail, until

pytestmark = pytest.mark.e2e


def resident() -> int:
    """Octets of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_thousand_mails_and_a_thousand_lines_at_once(office: Office, user: str) -> None:
    office.account(user)
    office.server.place(user, *[mail(f"mail{number}") for number in range(1000)])
    door = await office.open()
    await door.poll(user)
    assert len(office.clerk.taken) == len(office.files()) == 1000
    assert set((await office.endings(user)).values()) == {"taken"}
    assert office.flags(user) == {uid: {"$Registered"} for uid in range(1, 1001)}

    # Somebody marks a thousand mails as read: aioimaplib dies of such a burst of lines, and the connection with it.
    source = door._running[user].poller._source

    def read_all() -> None:
        with office.server.session(user) as client:
            client.select("INBOX")
            client.uid("STORE", "1:*", "+FLAGS", "(\\Seen)")

    await asyncio.to_thread(read_all)
    office.server.deliver(user, mail("after"))
    await until(lambda: len(office.clerk.taken) == 1001)
    assert door._running[user].poller._source is source, "the connection lived through it"


async def test_a_hundred_megabytes_in_flat_memory(office: Office, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    office.account(user)
    line = b"0123456789" * 7 + b"abcdef\r\n"
    raw = b"Subject: large\r\n\r\n" + line * (100 * 1024 * 1024 // len(line))
    digest = hashlib.sha256(raw).hexdigest()
    office.server.place(user, raw)
    size = len(raw)
    del raw
    found: list[tuple[str, int]] = []

    async def accept(envelope: Envelope, draft: Draft, *, alongside: object = None) -> Acceptance:
        found.append((draft.finish(), draft.size))
        return Acceptance(draft.mail_id)

    monkeypatch.setattr(office.clerk, "accept", accept)
    gc.collect()
    before = resident()
    highest = 0
    door = await office.open()
    task = asyncio.create_task(door.poll(user))
    longest, last = 0.0, time.monotonic()
    while not task.done():
        await asyncio.sleep(0.005)
        highest = max(highest, resident() - before)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    await task
    assert found == [(digest, size)]
    assert highest < 8 * BLOCK, f"grew by {highest / 1024 / 1024:.1f} MiB"
    assert longest < 1.0, "the loop was held up"


@pytest.mark.parametrize("tls", ["none", "implicit"])
async def test_memory_of_an_idle_account(office: Office, user: str, tls: str) -> None:
    """The budget of docs/performance.md: at most 64 KiB, aim 25 KiB."""
    port = office.server.port if tls == "none" else office.server.tls_port
    count = 60
    office.account(f"{user}0", tls=tls, port=port)
    door = await office.open()
    await door.poll(f"{user}0")
    for number in range(1, count + 1):
        office.account(f"{user}{number}", tls=tls, port=port)
    gc.collect()
    before = resident()
    tracemalloc.start()
    await door.tick()
    await until(lambda: sum(state.last_success is not None for state in door.states()) == count + 1, 60)
    await asyncio.sleep(0.3)
    gc.collect()
    python = tracemalloc.get_traced_memory()[0] // count
    tracemalloc.stop()
    whole = (resident() - before) // count
    print(f"{tls}: {python / 1024:.1f} KiB of Python objects, {whole / 1024:.1f} KiB resident (tracing included)")
    assert python < 64 * 1024
    office.accounts.clear()
    await door.tick()
