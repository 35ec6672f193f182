"""DATA and BDAT over real sockets: bytes as sent, refusals at the right moment, memory that does not grow."""

from __future__ import annotations

import asyncio
import datetime
import errno
import resource
from dataclasses import replace
from typing import Any

import pytest

from mailrelay.intake.smtp.limits import Limits
from mailrelay.model.envelope import Door
from mailrelay.model.faults import StoreUnhealthy

QUICK = Limits(error_delay=datetime.timedelta(0), auth_delay=datetime.timedelta(0))
MAIL = b"MAIL FROM:<a@example.vn>\r\nRCPT TO:<vanthu.stc@hoabinh.gov.vn>\r\n"


async def _begin(client: Any) -> None:
    await client.send(MAIL)
    assert [(await client.reply())[:3] for _ in range(2)] == ["250", "250"]


async def test_bytes_arrive_as_they_were_sent(office: Any) -> None:
    content = (
        b"Subject: x\r\n\r\n" + bytes(set(range(1, 256)) - {10, 13}) + b"\r\n.\r\n..\r\n" + b"y" * 60_000 + b"\r\n"
    )
    client = await office.connect()
    await _begin(client)
    await client.ask("DATA")
    assert (await client.ask(content.replace(b"\r\n.", b"\r\n..") + b".")).startswith("250 2.0.0")
    assert office.recorder.mails[0][1] == content


@pytest.mark.parametrize(
    "bad", [b"a\nb", b"a\rb", b"a\0b", b"a\n.\nMAIL FROM:<evil@example.vn>", b"a\r\n.\nb", b"a\n.\r\nb"]
)
async def test_bare_line_ends_and_nul_are_refused_and_nothing_is_smuggled(office: Any, bad: bytes) -> None:
    client = await office.connect()
    await _begin(client)
    await client.ask("DATA")
    assert (await client.ask(bad + b"\r\n.")).startswith("550-5.6.11")
    await _begin(client)
    await client.send(b"BDAT %d LAST\r\n%s" % (len(bad), bad))
    assert (await client.reply()).startswith("550-5.6.11")
    assert (office.recorder.mails, office.recorder.left) == ([], [])
    assert await client.ask("NOOP") == "250 2.0.0 OK"


async def test_too_big_is_said_at_mail_and_again_while_reading(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, size=1_000_000)) as office:
        client = await office.connect()
        assert "[too-big]" in await client.ask("MAIL FROM:<a@example.vn> SIZE=1000001")
        assert "1 MB" in await client.ask("MAIL FROM:<a@example.vn> SIZE=1000001")
        await _begin(client)
        await client.ask("DATA")
        assert "[too-big]" in await client.ask((b"x" * 998 + b"\r\n") * 1001 + b".")
        await _begin(client)
        await client.ask("DATA")
        assert (await client.ask((b"x" * 998 + b"\r\n") * 1000 + b".")).startswith("250")
        assert [len(content) for _, content in office.recorder.mails] == [1_000_000]
        assert office.recorder.left == []


async def test_a_line_beyond_64_kib_is_refused(office: Any) -> None:
    client = await office.connect()
    await _begin(client)
    await client.ask("DATA")
    assert "[line-too-long]" in await client.ask(b"x" * 70_000 + b"\r\n.")


async def test_chunks_of_any_size_make_one_mail(office: Any) -> None:
    client = await office.connect()
    await _begin(client)
    await client.send(b"BDAT 3\r\nab\rBDAT 0\r\nBDAT 5\r\n\nb.\r\nBDAT 300002 LAST\r\n" + b"x" * 60_000 + b"\r\n")
    await client.send((b"x" * 60_000 + b"\r\n") * 3 + b"x" * 59_992 + b"\r\n")
    replies = [await client.reply() for _ in range(4)]
    assert replies[:3] == ["250 2.0.0 3 octets", "250 2.0.0 0 octets", "250 2.0.0 5 octets"]
    assert replies[3].startswith("250 2.0.0 0")
    content = office.recorder.mails[0][1]
    assert content == b"ab\r\nb.\r\n" + (b"x" * 60_000 + b"\r\n") * 4 + b"x" * 59_992 + b"\r\n"


async def test_bdat_last_of_nothing_ends_the_mail(office: Any) -> None:
    client = await office.connect()
    await _begin(client)
    await client.send(b"BDAT 4\r\nab\r\nBDAT 0 LAST\r\n")
    assert (await client.reply()) == "250 2.0.0 4 octets"
    assert (await client.reply()).startswith("250 2.0.0 0")
    assert [content for _, content in office.recorder.mails] == [b"ab\r\n"]


async def test_a_chunk_beyond_the_size_is_refused_as_soon_as_it_is_read(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, size=100)) as office:
        client = await office.connect()
        await _begin(client)
        await client.send(b"BDAT 200\r\n" + b"x" * 200 + b"BDAT 2\r\n\r\nBDAT 0 LAST\r\n")
        assert ["[too-big]" in await client.reply() for _ in range(3)] == [True] * 3
        await _begin(client)


async def test_chunks_without_a_mail_are_read_away(office: Any) -> None:
    client = await office.connect()
    await client.send(b"BDAT 6\r\nQUIT\r\n" + MAIL.split(b"\r\n")[0] + b"\r\nBDAT 6 LAST\r\nQUIT\r\n")
    assert "[bad-sequence]" in await client.reply()
    assert (await client.reply()).startswith("250")
    assert "[no-valid-recipients]" in await client.reply()


@pytest.mark.parametrize("argument", ["", "x", "-1", "5 FIRST", "5 LAST 6", "١", "1" * 30, "+5", "5_0"])
async def test_a_bdat_that_cannot_be_read_ends_the_session(office: Any, argument: str) -> None:
    client = await office.connect()
    await _begin(client)
    assert "[syntax]" in await client.ask(f"BDAT {argument}")
    assert await client.reply() == ""


@pytest.mark.parametrize("command", ["DATA", "RCPT TO:<vanthu.syt@hoabinh.gov.vn>", "MAIL FROM:<>"])
async def test_between_chunks_only_chunks_are_taken(office: Any, command: str) -> None:
    client = await office.connect()
    await _begin(client)
    await client.send(b"BDAT 2\r\n\r\n")
    assert (await client.reply()).startswith("250")
    assert "[bad-sequence]" in await client.ask(command)


@pytest.mark.parametrize("end", ["RSET", "EHLO may.example", "QUIT"])
async def test_a_mail_given_up_between_chunks_leaves_nothing(office: Any, end: str) -> None:
    client = await office.connect()
    await _begin(client)
    await client.send(b"BDAT 2\r\n\r\n")
    await client.reply()
    await client.ask(end)
    assert office.recorder.left == []


class _FullDisk:
    mail_id = "0" * 26

    def __init__(self, *, at: str) -> None:
        self.at = at
        self.discarded = 0
        self.given_up = 0

    def write(self, block: bytes) -> None:
        if self.at == "write":
            raise OSError(errno.ENOSPC, "no space")

    def finish(self) -> str:
        if self.at == "finish":
            raise OSError(errno.EIO, "bad sector")
        return ""

    def discard(self) -> None:
        self.discarded += 1

    def give_up(self) -> None:
        self.given_up += 1


async def test_a_mail_that_its_client_gives_up_holds_up_nobody_else(open_office: Any) -> None:
    """Its file goes without the sync of a folder, which would stop every conversation of this process for as long."""
    disk = _FullDisk(at="never")
    async with open_office(draft=lambda: disk) as office:
        client = await office.connect()
        await _begin(client)
        await client.send(b"BDAT 2\r\n\r\n")
        await client.reply()
        assert (await client.ask("RSET")).startswith("250")
    assert (disk.given_up, disk.discarded) == (1, 0)


@pytest.mark.parametrize(("at", "reply"), [("open", "452-4.3.1"), ("write", "452-4.3.1"), ("finish", "451-4.3.0")])
async def test_a_full_disk_is_temporary(open_office: Any, at: str, reply: str) -> None:
    disk = _FullDisk(at=at)

    def draft() -> _FullDisk:
        if at == "open":
            raise OSError(errno.ENOSPC, "no space")
        return disk

    async with open_office(draft=draft) as office:
        client = await office.connect()
        await _begin(client)
        answer = await client.ask("DATA")
        if at != "open":
            assert answer.startswith("354")
            answer = await client.ask(b"x\r\n.")
        assert answer.startswith(reply)
        assert (disk.discarded, office.recorder.mails) == (int(at != "open"), [])
        assert (await client.ask("NOOP")).startswith("250")


@pytest.mark.parametrize(("hindrance", "reply"), [("disk-full", "452-4.3.1"), ("try-later", "451-4.3.0")])
async def test_a_hindrance_is_told_before_the_content(open_office: Any, hindrance: str, reply: str) -> None:
    present = [hindrance]
    async with open_office(hindrance=lambda: present[0]) as office:
        client = await office.connect()
        for _ in range(30):  # whoever tries again and again is not punished for it
            assert (await client.ask("MAIL FROM:<a@example.test>")).startswith(reply)
        present[0] = ""
        await _begin(client)
        assert (await client.ask("DATA")).startswith("354")
        assert (await client.ask(b"x\r\n.")).startswith("250")
    assert office.recorder.made == 1


async def test_a_draft_that_cannot_be_removed(open_office: Any) -> None:
    """Its removal is the next start's work; the client gets its answer."""

    class Sticky(_FullDisk):
        def discard(self) -> None:
            super().discard()
            raise StoreUnhealthy("fsync failed")

    disk = Sticky(at="write")
    async with open_office(draft=lambda: disk) as office:
        client = await office.connect()
        await _begin(client)
        await client.ask("DATA")
        assert (await client.ask(b"x\r\n.")).startswith("452-4.3.1")
        assert (disk.discarded, (await client.ask("NOOP"))[:3]) == (1, "250")


SMUGGLED = b"RSET\r\n" + MAIL + b"DATA\r\nsmuggled\r\n.\r\n"


async def test_a_sick_store_is_told_after_the_chunk_and_never_within_it(open_office: Any) -> None:
    """Else the words of a mail would be taken for commands."""
    drafts: list[Any] = [StoreUnhealthy("fsync failed")]

    def draft() -> Any:
        if drafts:
            raise drafts.pop()
        return office.recorder.draft()

    async with open_office(draft=draft) as office:
        client = await office.connect()
        await _begin(client)
        await client.send(b"BDAT %d LAST\r\n" % len(SMUGGLED) + SMUGGLED)
        assert (await client.reply()).startswith("451-4.3.0")
        assert (await client.ask("NOOP")).startswith("250") and office.recorder.mails == []


@pytest.mark.parametrize("verb", ["DATA", "BDAT"])
async def test_a_fault_within_the_content_ends_the_session(open_office: Any, verb: str) -> None:
    """Nobody knows any more where the mail ends and commands begin."""

    class Broken(_FullDisk):
        def write(self, block: bytes) -> None:
            raise RuntimeError("a fault of our own")

    async with open_office(draft=lambda: Broken(at="write")) as office:
        client = await office.connect()
        await _begin(client)
        if verb == "DATA":
            assert (await client.ask("DATA")).startswith("354")
            await client.send(b"x" * 300_000 + b"\r\n")
            await client.send(SMUGGLED)
        else:
            await client.send(b"BDAT %d\r\n" % (len(SMUGGLED) + 300_000) + b"x" * 300_000 + SMUGGLED)
        reply = await client.reply()
        assert reply.startswith("451-4.3.0") and "RuntimeError" not in reply
        assert await client.reply() == "" and office.recorder.mails == []


async def test_memory_stays_flat_whatever_the_line_length(open_office: Any) -> None:
    """A stock aiosmtpd keeps an endless line whole: 60 MB of it would show here."""
    async with open_office(limits=replace(QUICK, size=10_000_000), doors=(Door.MX,)) as office:
        client = await office.connect()
        await _begin(client)
        await client.ask("DATA")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        block = b"x" * 250_000
        for _ in range(240):
            await client.send(block)
        assert "[line-too-long]" in await client.ask(b"\r\n.")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024


async def test_chunks_without_octets_come_to_an_end(open_office: Any) -> None:
    async with open_office(limits=Limits(idle_commands=10, error_delay=datetime.timedelta(0))) as office:
        client = await office.connect()
        await client.ask("MAIL FROM:<a@example.vn>")
        await client.ask("RCPT TO:<vanthu.stc@hoabinh.gov.vn>")
        answers = [await client.ask("BDAT 0") for _ in range(11)]
        assert answers[-1].startswith("421") and answers[0].startswith("250")


async def test_a_mail_that_trickles_in_by_chunks_is_cut_like_any_other(open_office: Any) -> None:
    """The least rate holds for the mail, not for each chunk anew."""
    slow = Limits(minimum_rate=1_000_000, rate_grace=datetime.timedelta(milliseconds=200))
    async with open_office(limits=slow) as office:
        client = await office.connect()
        await client.ask("MAIL FROM:<a@example.vn>")
        await client.ask("RCPT TO:<vanthu.stc@hoabinh.gov.vn>")
        await client.send(b"BDAT 1\r\nx")
        assert (await client.reply()).startswith("250")
        await asyncio.sleep(0.4)
        await client.send(b"BDAT 3\r\n")
        assert (await client.reply()).startswith("421-4.4.2")
