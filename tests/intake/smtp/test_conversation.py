"""How the door behaves towards clients of every kind: hurried, slow, broken, hostile."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import errno
import socket
import struct
from dataclasses import replace
from typing import Any

import pytest

from mailrelay.intake.smtp.limits import Limits
from mailrelay.model.envelope import Door
from mailrelay.model.faults import StoreFull, StoreUnhealthy

QUICK = Limits(error_delay=datetime.timedelta(0), auth_delay=datetime.timedelta(0))
SHORT = datetime.timedelta(milliseconds=150)
MAIL = b"MAIL FROM:<a@example.vn>\r\nRCPT TO:<vanthu.stc@hoabinh.gov.vn>\r\n"


async def _codes(client: Any, number: int) -> list[str]:
    return [(await client.reply())[:3] for _ in range(number)]


async def test_a_pipelined_group_is_answered_in_order(office: Any) -> None:
    client = await office.connect()
    await client.send(MAIL + b"RCPT TO:<khong-co@hoabinh.gov.vn>\r\nNOOP\r\nDATA\r\n")
    assert await _codes(client, 5) == ["250", "250", "550", "250", "354"]
    await client.send(b"x\r\n.\r\n" + MAIL + b"RSET\r\nQUIT\r\n")
    assert await _codes(client, 5) == ["250", "250", "250", "250", "221"]
    assert [content for _, content in office.recorder.mails] == [b"x\r\n"]


async def test_a_client_that_closes_its_side_still_gets_its_replies(office: Any) -> None:
    client = await office.connect()
    await client.send(MAIL + b"DATA\r\nx\r\n.\r\n")
    client.writer.write_eof()
    assert await _codes(client, 4) == ["250", "250", "354", "250"]
    assert await client.reply() == ""
    assert len(office.recorder.mails) == 1


@pytest.mark.parametrize(
    "octets",
    [
        b"NOOP\n",
        b"NOOP \x00\r\n",
        b"NOOP\x07\r\n",
        b"NOOP \xff\r\n",
        b"NO\rOP\r\n",
        b"NOOP " + b"x" * 2000 + b"\r\n",
        b"\r\n",
        b"WHAT\r\n",
    ],
)
async def test_lines_that_are_no_commands_are_refused_and_the_session_goes_on(office: Any, octets: bytes) -> None:
    client = await office.connect()
    await client.send(octets)
    assert (await client.reply())[:9] in {"500-5.5.2", "500-5.5.1"}
    assert await client.ask("NOOP") == "250 2.0.0 OK"


async def test_a_line_without_end_closes_the_connection(office: Any) -> None:
    client = await office.connect()
    with contextlib.suppress(ConnectionError):
        await client.send(b"x" * 600_000)
    replies = [await client.reply(), await client.reply()]
    assert [reply[:9] for reply in replies] == ["500-5.5.2", "421-4.7.0"]
    assert await client.reply() == ""


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST /x HTTP/1.0", "Host: mail", "CONNECT a:25 HTTP/1.1"])
async def test_a_web_browser_is_cut_off(office: Any, line: str) -> None:
    client = await office.connect(greet=False)
    await client.reply()
    assert "[wrong-protocol]" in await client.ask(line)
    assert await client.reply() == ""


async def test_too_many_errors_end_the_session(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, errors=3)) as office:
        client = await office.connect()
        await client.send(b"WHAT\r\n" * 10)
        replies = [await client.reply() for _ in range(5)]
        assert ["unknown-command" in reply for reply in replies] == [True] * 4 + [False]
        assert "[too-many-errors]" in replies[4]
        assert await client.reply() == ""


async def test_a_clerk_with_many_old_addresses_is_not_cut_off(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, errors=3)) as office:
        client = await office.connect(Door.SUBMISSIONS)
        await client.login()
        await client.ask("MAIL FROM:<nam.stc@hoabinh.gov.vn>")
        for number in range(10):
            assert "[no-such-recipient]" in await client.ask(f"RCPT TO:<cu{number}@hoabinh.gov.vn>")
        assert (await client.ask("RCPT TO:<vanthu.syt@hoabinh.gov.vn>")).startswith("250")


async def test_commands_that_bring_no_mail_are_counted(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, idle_commands=6)) as office:
        client = await office.connect()
        for _ in range(5):
            assert (await client.ask("RSET")).startswith("250")
        assert "[too-many-errors]" in await client.ask("NOOP")
        assert await client.reply() == ""


async def test_an_idle_client_is_sent_away(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, command_time=SHORT)) as office:
        client = await office.connect()
        assert (await client.reply()).startswith("421-4.4.2")
        assert await client.reply() == ""


async def test_silence_within_the_content_ends_it(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, block_time=SHORT)) as office:
        client = await office.connect()
        await client.send(MAIL + b"DATA\r\nhalf a line")
        assert await _codes(client, 4) == ["250", "250", "354", "421"]
        assert await client.reply() == ""
        assert office.recorder.left == []


async def test_silence_after_354_ends_it(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, block_time=SHORT)) as office:
        client = await office.connect()
        await client.send(MAIL + b"DATA\r\n")
        assert await _codes(client, 4) == ["250", "250", "354", "421"]


async def test_a_trickle_is_cut_but_a_steady_sender_is_not(open_office: Any) -> None:
    limits = replace(QUICK, block_time=datetime.timedelta(seconds=5), rate_grace=SHORT, minimum_rate=1000)
    async with open_office(limits=limits) as office:
        slow, steady = await office.connect(), await office.connect()
        for client in (slow, steady):
            await client.send(MAIL + b"DATA\r\n")
            assert await _codes(client, 3) == ["250", "250", "354"]
        for _ in range(10):
            await slow.send(b"x")
            await steady.send(b"x" * 98 + b"\r\n")
            await asyncio.sleep(0.05)
        assert (await slow.reply()).startswith("421-4.4.2")
        assert (await steady.ask(b".")).startswith("250")


async def test_our_own_slowness_is_not_the_clients_fault(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, command_time=SHORT, block_time=SHORT)) as office:

        async def think() -> None:
            await asyncio.sleep(0.5)

        office.recorder.before = think
        client = await office.connect()
        await client.send(MAIL + b"DATA\r\nx\r\n.\r\n")
        assert await _codes(client, 4) == ["250", "250", "354", "250"]


async def test_no_more_connections_than_permitted(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, connections_per_address=2)) as office:
        first, second = await office.connect(), await office.connect()
        third = await office.connect(greet=False)
        assert "[too-many-connections]" in await third.reply()
        assert await third.reply() == ""
        await first.ask("QUIT")
        await first.reply()
        fourth = await office.connect()
        assert (await fourth.ask("NOOP")).startswith("250")
        assert (await second.ask("NOOP")).startswith("250")


async def test_a_half_open_tls_handshake_ends_and_counts(open_office: Any) -> None:
    limits = replace(QUICK, handshake_time=datetime.timedelta(seconds=1), connections=2)
    async with open_office(limits=limits) as office:
        silent = [await asyncio.open_connection("127.0.0.1", office.ports[Door.SUBMISSIONS]) for _ in range(2)]
        client = await office.connect(greet=False)
        assert "[too-many-connections]" in await client.reply()
        for reader, _ in silent:
            assert await asyncio.wait_for(reader.read(), 5) == b""
        assert (await office.connect()).reader is not None


@pytest.mark.parametrize(
    ("fault", "refusal"),
    [
        (RuntimeError("db password=secret"), "451-4.3.0"),
        (OSError(errno.ENOSPC, "full"), "452-4.3.1"),
        (OSError(errno.EIO, "bad sector"), "451-4.3.0"),
        (StoreFull("full"), "452-4.3.1"),
        (StoreUnhealthy("bad sector"), "451-4.3.0"),
        (ConnectionRefusedError("scanner password"), "451-4.3.0"),
        (EOFError("secret"), "451-4.3.0"),
    ],
)
async def test_a_fault_of_ours_is_temporary_and_tells_nothing(office: Any, fault: Exception, refusal: str) -> None:
    async def fail() -> None:
        raise fault

    office.recorder.before = fail
    client = await office.connect()
    await client.send(MAIL + b"DATA\r\nx\r\n.\r\n")
    assert await _codes(client, 3) == ["250", "250", "354"]
    reply = await client.reply()
    assert reply.startswith(refusal)
    assert not {"password", "secret", "full", "sector", "Error"} & set(reply.replace("=", " ").split())
    office.recorder.before = None
    await client.send(MAIL + b"DATA\r\nx\r\n.\r\n")
    assert await _codes(client, 4) == ["250", "250", "354", "250"]


async def test_a_refusal_of_the_house_is_said_with_its_values(office: Any) -> None:
    office.recorder.refusal = "dangerous-attachment"
    office.recorder.values = {"reason": "tệp “báo cáo.exe”", "reason_en": "file bao cao.exe"}
    client = await office.connect()
    await client.send(MAIL + b"DATA\r\nx\r\n.\r\n")
    assert await _codes(client, 3) == ["250", "250", "354"]
    assert await client.reply() == (
        '550-5.7.1 Thu CHUA duoc gui: tep dinh kem khong duoc phep (tep "bao cao.exe").\n'
        "550-5.7.1 Viec can lam: Gui lai duoi dang PDF da ky so hoac tep van phong khong co macro.\n"
        "550 5.7.1 [dangerous-attachment] The attachment is not allowed (file bao cao.exe)."
        " Send it again as a signed PDF or an office file without macros."
    )


async def test_a_client_that_uses_smtputf8_reads_vietnamese(office: Any) -> None:
    office.recorder.refusal = "secret-document"
    client = await office.connect()
    await client.send(MAIL.replace(b"vn>", b"vn> SMTPUTF8", 1) + b"DATA\r\nx\r\n.\r\n")
    assert await _codes(client, 3) == ["250", "250", "354"]
    assert "văn bản có dấu chỉ độ mật không được gửi" in await client.reply()


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)], ids=["fin", "reset"])
async def test_a_client_that_hangs_up_after_the_dot_stops_nothing(office: Any, linger: bytes | None) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        entered.set()
        await release.wait()

    office.recorder.before = wait
    client = await office.connect()
    await client.send(MAIL + b"DATA\r\nx\r\n.\r\n")
    await entered.wait()
    if linger is not None:
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.writer.transport.abort()
    await asyncio.sleep(0.05)
    assert bool(office.door._sessions) == (linger is None)
    release.set()
    await asyncio.sleep(0.05)
    assert [content for _, content in office.recorder.mails] == [b"x\r\n"]


async def test_a_client_that_hangs_up_within_the_content_leaves_nothing(office: Any) -> None:
    client = await office.connect()
    await client.send(MAIL + b"DATA\r\n" + b"half\r\n" * 10_000)
    await _codes(client, 3)
    client.writer.transport.abort()
    await asyncio.sleep(0.1)
    assert (office.recorder.mails, office.recorder.left) == ([], [])


async def test_nothing_said_before_the_handshake_is_heard_after_it(office: Any) -> None:
    client = await office.connect(Door.SUBMISSION)
    await client.starttls(b"EHLO evil.example\r\nAUTH PLAIN x\r\n")
    # neither was the EHLO from before the handshake kept, nor anything that was injected
    assert "[bad-sequence]" in await client.ask("MAIL FROM:<nam.stc@hoabinh.gov.vn>")


async def test_a_client_that_does_not_read_is_cut(open_office: Any) -> None:
    limits = replace(QUICK, command_time=datetime.timedelta(milliseconds=300), idle_commands=10**9)
    async with open_office(limits=limits) as office:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", office.ports[Door.MX]))
        _, writer = await asyncio.open_connection(sock=sock)
        writer.transport.pause_reading()
        async with asyncio.timeout(20):
            while not office.door._sessions:
                await asyncio.sleep(0.01)
            (session,) = office.door._sessions
            while not session.task.done():
                writer.write(b"EHLO x\r\n" * 1000)
                await asyncio.sleep(0.02)
        writer.transport.abort()


async def test_a_client_that_does_not_read_the_reply_to_its_mail_is_cut(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, command_time=datetime.timedelta(milliseconds=300))) as office:
        client = await office.connect()
        client.writer.transport.pause_reading()
        (session,) = office.door._sessions

        async def say_much() -> None:
            session.tell(b"250-" + b"x" * 20_000_000 + b"\r\n")

        office.recorder.before = say_much
        await client.send(MAIL + b"DATA\r\nx\r\n.\r\n")
        await asyncio.wait_for(asyncio.wait([session.task]), 10)
        assert len(office.recorder.mails) == 1
        client.writer.transport.abort()


async def test_a_login_that_sends_too_much_is_stopped_and_suspended(open_office: Any) -> None:
    told: list[str] = []
    limits = replace(QUICK, quota_recipients=2, suspend_after=2)
    async with open_office(limits=limits, on_suspension=told.append) as office:
        client = await office.connect(Door.SUBMISSIONS)
        await client.login()

        async def send() -> list[str]:
            await client.ask("MAIL FROM:<nam.stc@hoabinh.gov.vn>")
            return [await client.ask(f"RCPT TO:<{to}>") for to in ("a@example.vn", "vanthu.syt@hoabinh.gov.vn")]

        for _ in range(2):
            assert [reply[:3] for reply in await send()] == ["250", "250"]
            await client.ask("DATA")
            assert (await client.ask(".")).startswith("250")
        outside, inside = await send()
        assert outside.startswith("451-4.7.1") and "1 gio" in outside and inside.startswith("250")
        await client.ask("RSET")
        assert "[login-suspended]" in (await send())[0]
        assert (told, office.door.quota.suspended(asyncio.get_running_loop().time())) == (["nam.stc"], ("nam.stc",))
        office.door.quota.release("nam.stc")
        await client.ask("RSET")
        assert (await send())[0].startswith("250")


async def test_a_reply_reaches_a_client_that_goes_on_sending(office: Any) -> None:
    client = await office.connect()
    await client.ask("HELP")
    await client.send(b"GET / HTTP/1.1\r\n")
    for _ in range(20):
        await client.send(b"Accept: */*\r\n" * 100)
        await asyncio.sleep(0.005)
    assert "[wrong-protocol]" in await client.reply()
    assert await client.reply() == ""


@pytest.mark.parametrize(
    ("name", "kept"),
    [("may.example", "may.example"), ("MÁY-TRẠM", "M?Y-TR?M"), ("(a)<b>", "?a??b?"), ("[IPv6:::1]", "[IPv6:::1]")],
)
async def test_a_greeting_of_odd_letters_is_taken_but_not_passed_on(office: Any, name: str, kept: str) -> None:
    client = await office.connect()
    assert (await client.ask(f"EHLO {name}")).startswith("250")
    await client.send(MAIL + b"DATA\r\nx\r\n.\r\n")
    await _codes(client, 4)
    assert office.recorder.mails[0][0].origin.helo == kept


async def test_slow_clients_do_not_starve_the_rest(open_office: Any) -> None:
    """A hundred clients that send an octet now and then, and one that works: its mails take their usual time."""
    async with open_office(limits=replace(QUICK, connections_per_address=200)) as office:
        slow = [await office.connect(greet=False) for _ in range(100)]
        for client in slow[:50]:
            await client.send(b"EHLO x\r\n" + MAIL + b"DATA\r\nx")

        async def trickle() -> None:
            while True:
                for client in slow:
                    client.writer.write(b"x")
                    await asyncio.sleep(0.001)

        trickling = asyncio.create_task(trickle())
        working = await office.connect()
        async with asyncio.timeout(5):
            for _ in range(50):
                await working.send(MAIL + b"DATA\r\nx\r\n.\r\n")
                assert await _codes(working, 4) == ["250", "250", "354", "250"]
        trickling.cancel()
        assert len(office.recorder.mails) == 50
