"""The servers that the end-to-end tests lean on do what those tests believe of them."""

from __future__ import annotations

import asyncio
import smtplib
import sys
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import pytest

from tests.servers.certificates import Authority
from tests.servers.dns import DnsServer
from tests.servers.maildir import letters
from tests.servers.postfix import Postfix
from tests.servers.process import Child, descendants, free_port, is_alive, wait_until
from tests.servers.smtp_sink import SmtpSink

pytestmark = pytest.mark.e2e

MAIL = (
    b"From: a@example.test\r\nTo: b@example.test\r\nDate: Mon, 28 Oct 2013 08:00:00 +0700\r\nMessage-ID: <1@example.test>\r\n"
    b"Subject: =?utf-8?q?C=C3=B4ng_v=C4=83n?=\r\n\r\n.dong dau\r\n..hai cham\r\nhet\r\n"
)


def send(port: int, sender: str, recipient: str, data: bytes = MAIL) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.sendmail(sender, [recipient], data)


def test_postfix_delivers_to_its_maildirs() -> None:
    with Postfix(mailboxes=("b@example.test",)) as postfix:
        send(postfix.port, "a@example.test", "b@example.test")
        [stored] = postfix.wait_letters("b@example.test", 1)
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(postfix.port, "a@example.test", "nobody@example.test")
        assert postfix.queue() == []
        folder = postfix.folder
    assert stored.endswith(b"\n\n.dong dau\n..hai cham\nhet\n")
    assert refused.value.recipients["nobody@example.test"][0] == 550
    assert not folder.exists()


async def test_postfix_in_front_sends_everything_on() -> None:
    async with SmtpSink() as sink:
        with Postfix(relay_to=sink.port, hostname="front.example.test") as postfix:
            await asyncio.to_thread(send, postfix.port, "a@example.test", "b@hoabinh.gov.vn")
            [mail] = await sink.wait_mails(1)
    assert (mail.sender, mail.recipients, mail.helo) == ("a@example.test", ["b@hoabinh.gov.vn"], "front.example.test")
    assert mail.data.endswith(MAIL)


async def test_postfix_keeps_what_its_next_hop_defers() -> None:
    async with SmtpSink(replies={"RCPT": "451 4.3.0 later"}) as sink:
        with Postfix(relay_to=sink.port) as postfix:
            await asyncio.to_thread(send, postfix.port, "a@example.test", "b@hoabinh.gov.vn")
            await asyncio.to_thread(wait_until, lambda: "status=deferred" in postfix.log(), "a deferral")
            assert [entry["sender"] for entry in postfix.queue()] == ["a@example.test"]
            sink.replies.clear()
            [mail] = await sink.wait_mails(1)
    assert mail.recipients == ["b@hoabinh.gov.vn"]


async def test_sink_unstuffs_refuses_and_speaks_tls(authority: Authority) -> None:
    pair = authority.issue("localhost", "127.0.0.1")
    async with SmtpSink(replies={"RCPT TO:<full@b.test>": "452 4.2.2 full"}, context=pair.server_context()) as sink:

        def talk() -> tuple[dict[str, tuple[int, bytes]], bool]:
            with smtplib.SMTP("localhost", sink.port, timeout=20) as client:
                client.starttls(context=authority.client_context())
                return client.sendmail("a@a.test", ["ok@b.test", "full@b.test"], MAIL), client.has_extn("dsn")

        refused, dsn = await asyncio.to_thread(talk)
    assert refused == {"full@b.test": (452, b"4.2.2 full")}
    assert dsn
    assert [(mail.data, mail.recipients, mail.tls) for mail in sink.mails] == [(MAIL, ["ok@b.test"], True)]


async def test_sink_cuts_the_connection_when_told() -> None:
    async with SmtpSink(replies={".": "DROP"}) as sink:
        with pytest.raises(smtplib.SMTPServerDisconnected):
            await asyncio.to_thread(send, sink.port, "a@a.test", "b@b.test")
        assert sink.mails == []


def test_dns_answers_from_its_zone() -> None:
    key = "v=DKIM1; p=" + "A" * 700
    zone = {"long.test": {"TXT": [key, 'quote " and \\ đ']}, "a.test": {"MX": ["10 mx.a.test."], "A": ["127.0.0.1"]}}
    with DnsServer({**zone, "broken.test": {"SERVFAIL": []}, "www.a.test": {"CNAME": ["a.test."]}}) as server:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], server.port, 5
        texts = {b"".join(rdata.strings).decode() for rdata in resolver.resolve("long.test", "TXT")}
        assert texts == {key, 'quote " and \\ đ'}
        assert [rdata.to_text() for rdata in resolver.resolve("A.test", "MX")] == ["10 mx.A.test."]
        assert [rdata.to_text() for rdata in resolver.resolve("www.a.test", "A")] == ["127.0.0.1"]
        with pytest.raises(dns.resolver.NXDOMAIN):
            resolver.resolve("none.test", "TXT")
        with pytest.raises(dns.resolver.NoAnswer):
            resolver.resolve("a.test", "TXT")
        broken = dns.query.udp(dns.message.make_query("broken.test", "TXT"), "127.0.0.1", 5, server.port)
        short = dns.query.udp(dns.message.make_query("long.test", "TXT"), "127.0.0.1", 5, server.port)
        assert broken.rcode() is dns.rcode.SERVFAIL
        assert short.flags & dns.flags.TC
        assert ("none.test", "TXT") in server.questions


def test_child_ends_with_all_that_it_started(tmp_path: Path) -> None:
    sleep = "import time; time.sleep(600)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleep!r}])"
    child = Child([sys.executable, "-c", script], tmp_path / "log")
    wait_until(lambda: descendants(child.pid), "a grandchild")
    [(grandchild, _)] = descendants(child.pid)
    assert is_alive(grandchild)
    child.stop()
    assert child.returncode is not None
    assert not is_alive(grandchild)


def test_child_that_fails_shows_what_it_said(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "print('no such luck')"], tmp_path / "log")
    with pytest.raises(RuntimeError, match="no such luck"):
        child.wait_port(free_port())
    child.stop()


def test_maildir_reading_leaves_out_what_is_not_delivered(tmp_path: Path) -> None:
    for folder, name in (("tmp", "1"), ("new", "2"), ("cur", "3:2,S")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(name.encode())
    assert sorted(letters(tmp_path)) == [b"2", b"3:2,S"]
