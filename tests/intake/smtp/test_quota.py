"""The outbound quota at the door: what a login has under way counts, and nobody gets round it by hanging up."""

from __future__ import annotations

import asyncio
import datetime
from dataclasses import replace
from typing import Any

from mailrelay.intake.smtp.limits import Limits
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.envelope import Door
from tests.intake.smtp.office import Client, Office

LIMITS = Limits(error_delay=datetime.timedelta(0), auth_delay=datetime.timedelta(0), quota_recipients=2)
SENDER = "MAIL FROM:<nam.stc@hoabinh.gov.vn>"
OUTSIDE = "RCPT TO:<a@example.vn>"


async def _at_work(office: Office) -> Client:
    """A client that has logged in and begun a mail."""
    client = await office.connect(Door.SUBMISSIONS)
    await client.login()
    await client.ask(SENDER)
    return client


async def _send(client: Client) -> str:
    await client.ask("DATA")
    return await client.ask(".")


async def test_sessions_at_the_same_time_share_one_quota(open_office: Any) -> None:
    async with open_office(limits=LIMITS) as office:
        clients = [await _at_work(office) for _ in range(4)]
        replies = [await client.ask(OUTSIDE) for client in clients]
        assert ["[quota-exceeded]" in reply for reply in replies] == [False, False, True, True]
        assert [(await _send(client))[:3] for client in clients[:2]] == ["250", "250"]
        assert "[quota-exceeded]" in await clients[2].ask(OUTSIDE)


async def test_a_mail_that_is_given_up_gives_its_share_back(open_office: Any) -> None:
    async with open_office(limits=LIMITS) as office:
        resetting, greeting, leaving, last = [await _at_work(office) for _ in range(4)]
        for client, ending in ((resetting, "RSET"), (greeting, "EHLO again")):
            assert [(await client.ask(OUTSIDE))[:3] for _ in range(2)] == ["250", "250"]
            assert (await client.ask(ending)).startswith("250")
        assert [(await leaving.ask(OUTSIDE))[:3] for _ in range(2)] == ["250", "250"]
        await leaving.close()
        await asyncio.sleep(0.1)
        assert (await last.ask(OUTSIDE)).startswith("250")


async def test_a_refused_mail_costs_nothing(open_office: Any) -> None:
    async with open_office(limits=LIMITS) as office:
        office.recorder.refusal = "policy"
        client = await _at_work(office)
        for _ in range(3):
            assert (await client.ask(OUTSIDE)).startswith("250")
            assert "[policy]" in await _send(client)
            await client.ask(SENDER)


async def test_whoever_hangs_up_before_the_reply_has_spent_all_the_same(open_office: Any) -> None:
    """Else a stolen password sends without end: the mail is accepted though its client is gone."""
    async with open_office(limits=LIMITS) as office:
        judged = asyncio.Event()
        office.recorder.before = judged.wait
        client = await _at_work(office)
        for _ in range(2):
            assert (await client.ask(OUTSIDE)).startswith("250")
        await client.ask("DATA")
        await client.send(".\r\n")
        await asyncio.sleep(0.05)
        client.writer.transport.abort()
        await asyncio.sleep(0.05)
        judged.set()
        await asyncio.sleep(0.05)
        assert len(office.recorder.mails) == 1
        assert "[quota-exceeded]" in await (await _at_work(office)).ask(OUTSIDE)


async def test_a_mail_that_was_only_sent_again_is_not_counted_again(open_office: Any) -> None:
    async with open_office(limits=LIMITS) as office:
        taken = office.recorder.accept

        async def again(envelope: Any, draft: Any) -> Acceptance:
            return replace(await taken(envelope, draft), repeated=True)

        office.door._desk.accept = again
        client = await _at_work(office)
        for _ in range(3):
            assert (await client.ask(OUTSIDE)).startswith("250")
            assert (await _send(client)).startswith("250")
            await client.ask(SENDER)


async def test_lifting_a_suspension_leaves_what_is_under_way_counted(open_office: Any) -> None:
    async with open_office(limits=LIMITS) as office:
        first, second = await _at_work(office), await _at_work(office)
        assert (await first.ask(OUTSIDE)).startswith("250")
        office.door.quota.release("nam.stc")
        assert (await second.ask(OUTSIDE)).startswith("250")
        assert "[quota-exceeded]" in await second.ask(OUTSIDE)
