"""The door as clients see it: one mail through every listener, and an orderly end."""

from __future__ import annotations

import asyncio
import datetime
import socket
from typing import Any

from mailrelay.intake.smtp.door import Listener, SmtpDoor
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient

BODY = b"Subject: thu\r\n\r\nxin chao\r\n"


async def _send(client: Any, sender: str, recipient: str) -> str:
    assert (await client.ask(f"MAIL FROM:<{sender}>")).startswith("250 2.1.0")
    assert (await client.ask(f"RCPT TO:<{recipient}>")).startswith("250 2.1.5")
    assert (await client.ask("DATA")).startswith("354")
    reply: str = await client.ask(BODY + b".")
    return reply


async def test_a_stranger_writes_to_a_box_on_mx(office: Any) -> None:
    client = await office.connect(Door.MX)
    reply = await _send(client, "ai@example.vn", "vanthu.stc@hoabinh.gov.vn")
    assert reply.startswith("250 2.0.0 000000000")
    assert await client.ask("QUIT") == "221 2.0.0 Bye"
    assert await client.reply() == ""
    origin = Origin(Door.MX, "127.0.0.1", "may.example", None, None, True)
    envelope = Envelope("ai@example.vn", (Recipient("vanthu.stc@hoabinh.gov.vn"),), origin)
    assert office.recorder.mails == [(envelope, BODY)]


async def test_a_clerk_sends_over_starttls(office: Any) -> None:
    client = await office.connect(Door.SUBMISSION)
    await client.starttls()
    assert "AUTH PLAIN LOGIN" in await client.ask("EHLO may.example")
    assert await client.login() == "235 2.7.0 Authentication successful"
    assert (await _send(client, "nam.stc@hoabinh.gov.vn", "bo@example.vn")).startswith("250 2.0.0 ")
    envelope, content = office.recorder.mails[0]
    assert (envelope.origin.login, envelope.origin.tls, content) == (
        "nam.stc", "TLSv1.3 TLS_AES_256_GCM_SHA384", BODY)  # fmt: skip


async def test_a_clerk_sends_over_implicit_tls(office: Any) -> None:
    client = await office.connect(Door.SUBMISSIONS)
    assert await client.login("van-thu.stc@hoabinh.gov.vn") == "235 2.7.0 Authentication successful"
    assert (await _send(client, "vanthu.stc@hoabinh.gov.vn", "cacso@hoabinh.gov.vn")).startswith("250 2.0.0 ")
    envelope, _ = office.recorder.mails[0]
    assert (envelope.origin.door, envelope.origin.login) == (Door.SUBMISSIONS, "vanthu.stc")


async def test_lmtp_answers_once_for_each_recipient(office: Any) -> None:
    client = await office.connect(Door.LMTP)
    await client.ask("MAIL FROM:<a@example.vn>")
    await client.ask("RCPT TO:<vanthu.stc@hoabinh.gov.vn>")
    await client.ask("RCPT TO:<khong-co@hoabinh.gov.vn>")
    await client.ask("RCPT TO:<vanthu.syt@hoabinh.gov.vn>")
    await client.ask("DATA")
    first = await client.ask(BODY + b".")
    assert [first[:10], (await client.reply())[:10]] == ["250 2.0.0 ", "250 2.0.0 "]
    assert (await client.ask("NOOP")).startswith("250")


async def test_sockets_that_were_made_before_are_used(office: Any) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    door = SmtpDoor(
        [Listener(Door.MX, sockets=(sock,))],
        hostname="h",
        directory=office.door._desk.directory,
        draft=office.recorder.draft,
        accept=office.recorder.accept,
        check_password=office.door._desk.check_password,
    )
    assert await door.start() == {Door.MX: (sock.getsockname(),)}
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    assert (await reader.readline()).startswith(b"220 h")
    writer.close()
    await door.close(datetime.timedelta(seconds=1))


async def test_both_address_families_and_no_nagle(open_office: Any) -> None:
    async with open_office(doors=()) as office:
        door = SmtpDoor(
            [Listener(Door.MX, host="")],
            hostname="h",
            directory=office.door._desk.directory,
            draft=office.recorder.draft,
            accept=office.recorder.accept,
            check_password=office.door._desk.check_password,
        )
        bound = (await door.start())[Door.MX]
        try:
            assert [":" in host for host, _ in bound].count(False) == 1
            for host, port in bound:
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                reader, writer = await asyncio.open_connection(
                    "::1" if family == socket.AF_INET6 else "127.0.0.1", port, family=family
                )
                assert (await reader.readline()).startswith(b"220 ")
                writer.close()
            for server in door._servers:
                assert server.sockets[0].proto == socket.IPPROTO_TCP
        finally:
            await door.close(datetime.timedelta(0))


async def test_closing_dismisses_idle_clients_and_waits_for_a_mail_in_acceptance(open_office: Any) -> None:
    async with open_office() as office:
        entered, release = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            entered.set()
            await release.wait()

        office.recorder.before = wait
        idle, busy = await office.connect(), await office.connect()
        sending = asyncio.create_task(_send(busy, "a@example.vn", "vanthu.stc@hoabinh.gov.vn"))
        await entered.wait()
        closing = asyncio.create_task(office.door.close(datetime.timedelta(seconds=5)))
        assert (await idle.reply()).startswith("421-4.3.2")
        release.set()
        assert (await sending).startswith("250 2.0.0")
        assert (await busy.reply()).startswith("421-4.3.2")
        await closing
        assert len(office.recorder.mails) == 1


async def test_a_mail_on_the_wire_is_cut_at_the_end_of_the_drain_and_leaves_no_draft(open_office: Any) -> None:
    async with open_office() as office:
        client = await office.connect()
        await client.ask("MAIL FROM:<a@example.vn>")
        await client.ask("RCPT TO:<vanthu.stc@hoabinh.gov.vn>")
        await client.ask("DATA")
        await client.send(b"half\r\n")
        await asyncio.sleep(0.02)
        assert office.recorder.left != []
        await office.door.close(datetime.timedelta(milliseconds=100))
        assert (office.recorder.left, office.recorder.mails) == ([], [])


async def test_an_acceptance_that_does_not_end_is_cut_like_a_crash(open_office: Any) -> None:
    async with open_office() as office:
        office.recorder.before = asyncio.Event().wait
        client = await office.connect()
        sending = asyncio.create_task(_send(client, "a@example.vn", "vanthu.stc@hoabinh.gov.vn"))
        while not office.door._desk.acceptances:
            await asyncio.sleep(0.01)
        await office.door.close(datetime.timedelta(milliseconds=100))
        assert (office.door._desk.acceptances, office.recorder.mails) == (set(), [])
        assert await sending == ""
