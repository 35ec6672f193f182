"""Listed neighbours and what they tell; strangers that try the same."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.intake.smtp.door import Listener
from mailrelay.intake.smtp.peers import XCLIENT, XFORWARD, RealClient, read_client, read_proxy
from mailrelay.intake.smtp.replies import Complaint
from mailrelay.model.decision import Action
from mailrelay.model.envelope import Door
from tests.intake.smtp.office import Client

ALL = frozenset({"xclient", "xforward", "login"})


def _rights(*names: str) -> Callable[[str], frozenset[str]]:
    return lambda peer: frozenset(names) if peer == "127.0.0.1" else frozenset()


async def _origin(office: Any, client: Any, *, sender: str = "a@example.vn") -> Any:
    assert (await client.ask(f"MAIL FROM:<{sender}>")).startswith("250")
    assert (await client.ask("RCPT TO:<vanthu.stc@hoabinh.gov.vn>")).startswith("250")
    assert (await client.ask("DATA")).startswith("354")
    assert (await client.ask("x\r\n.")).startswith("250")
    return office.recorder.mails[-1][0].origin


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("ADDR=192.0.2.7 NAME=spike.example HELO=spike PROTO=ESMTP", RealClient("192.0.2.7", "spike", None, True)),
        ("addr=IPV6:2001:db8::7 proto=SMTP", RealClient("2001:db8::7", None, None, False)),
        ("ADDR=2001:DB8::7", RealClient("2001:db8::7")),
        ("ADDR=[UNAVAILABLE] HELO=[TEMPUNAVAIL]", RealClient("", "")),
        ("LOGIN=nam+2Estc", RealClient(login="nam.stc")),
        ("LOGIN=v+C4+83n", RealClient(login="văn")),
        ("HELO=a+20b", RealClient(None, "")),
        ("ADDR=host.example", Complaint("bad-parameter", {"parameter": "ADDR"})),
        ("COLOR=red", Complaint("bad-parameter", {"parameter": "COLOR"})),
        ("HELO=", Complaint("bad-parameter", {"parameter": "HELO"})),
        ("HELO=a+zz", Complaint("bad-parameter", {"parameter": "HELO"})),
        ("", Complaint("syntax", {"expected": "attribute=value"})),
    ],
)
def test_attributes(argument: str, told: RealClient | Complaint) -> None:
    assert read_client(argument, XCLIENT) == told


@given(st.text(max_size=60))
def test_no_text_brings_the_reader_down(text: str) -> None:
    for argument in (text, f"ADDR={text}", f"HELO={text}"):
        assert isinstance(read_client(argument, XFORWARD), RealClient | Complaint)


async def test_strangers_are_offered_nothing_and_get_nothing(office: Any) -> None:
    client = await office.connect()
    offered = await client.ask("EHLO x")
    assert "XCLIENT" not in offered and "XFORWARD" not in offered
    for command in ("XCLIENT ADDR=10.0.0.1 LOGIN=nam.stc", "XFORWARD ADDR=10.0.0.1"):
        assert "[not-implemented]" in await client.ask(command)
    assert "[local-sender-without-login]" in await client.ask("MAIL FROM:<nam.stc@hoabinh.gov.vn>")


async def test_xclient_begins_the_session_anew_for_the_real_client(open_office: Any) -> None:
    async with open_office(rights_of=_rights(*ALL)) as office:
        client = await office.connect()
        assert "XCLIENT NAME ADDR PORT PROTO HELO LOGIN" in await client.ask("EHLO proxy")
        assert (await client.ask("XCLIENT ADDR=192.0.2.7 LOGIN=nam.stc")).startswith("220 ")
        assert "[bad-sequence]" in await client.ask("MAIL FROM:<a@example.vn>")
        await client.ask("EHLO real.example")
        origin = await _origin(office, client, sender="nam.stc@hoabinh.gov.vn")
        assert (origin.peer, origin.helo, origin.login, origin.via) == (
            "192.0.2.7",
            "real.example",
            "nam.stc",
            "127.0.0.1",
        )
        assert office.door._desk.connections._open == {"192.0.2.7": 1}


async def test_xclient_without_the_right_to_assert_logins(open_office: Any) -> None:
    async with open_office(rights_of=_rights("xclient")) as office:
        client = await office.connect()
        assert "[bad-parameter]" in await client.ask("XCLIENT ADDR=192.0.2.7 LOGIN=nam.stc")
        assert "LOGIN" not in await client.ask("EHLO x")


async def test_a_login_told_by_xclient_stays_until_another_word_of_it(open_office: Any) -> None:
    async with open_office(rights_of=_rights("xclient", "login")) as office:
        client = await office.connect()
        session = next(iter(office.door._sessions))
        await client.ask("XCLIENT LOGIN=nam.stc")
        await client.ask("XCLIENT HELO=x")
        assert session._login == "nam.stc"
        await client.ask("XCLIENT LOGIN=[UNAVAILABLE]")
        assert session._login is None


@pytest.mark.parametrize(
    ("told", "login"),
    [
        ("ADDR=192.0.2.7", "nam.stc"),
        ("ADDR=192.0.2.8", None),
        ("ADDR=[UNAVAILABLE]", None),
        ("ADDR=192.0.2.8 LOGIN=vanthu.syt", "vanthu.syt"),
    ],
)
async def test_the_login_of_one_client_is_not_that_of_the_next(open_office: Any, told: str, login: str | None) -> None:
    """A neighbour may use one connection for many clients, and say nothing of a login where there is none."""
    async with open_office(rights_of=_rights("xclient", "login")) as office:
        client = await office.connect()
        session = next(iter(office.door._sessions))
        assert (await client.ask("XCLIENT ADDR=192.0.2.7 LOGIN=nam.stc")).startswith("220")
        assert (await client.ask(f"XCLIENT {told}")).startswith("220")
        assert session._login == login


async def test_xclient_with_an_unknown_login_is_no_login(open_office: Any) -> None:
    async with open_office(rights_of=_rights("xclient", "login")) as office:
        client = await office.connect()
        await client.ask("XCLIENT LOGIN=cu.syt")
        await client.ask("EHLO x")
        await client.ask("MAIL FROM:<a@example.vn>")
        assert "[relay-denied]" in await client.ask("RCPT TO:<ai@example.com>")


async def test_xforward_holds_for_one_mail(open_office: Any) -> None:
    async with open_office(rights_of=_rights("xforward")) as office:
        client = await office.connect()
        assert await client.ask("XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.7") == "250 2.0.0 OK"
        assert await client.ask("XFORWARD HELO=real.example PROTO=SMTP SOURCE=LOCAL") == "250 2.0.0 OK"
        origin = await _origin(office, client)
        assert (origin.peer, origin.helo, origin.esmtp, origin.via) == ("192.0.2.7", "real.example", False, "127.0.0.1")
        origin = await _origin(office, client)
        assert (origin.peer, origin.helo, origin.esmtp, origin.via) == ("127.0.0.1", "may.example", True, "")
        await client.ask("MAIL FROM:<a@example.vn>")
        assert "[bad-sequence]" in await client.ask("XFORWARD ADDR=192.0.2.7")


async def test_the_word_of_a_neighbour_is_a_login_for_own_senders_only(open_office: Any) -> None:
    async with open_office(rights_of=_rights("login")) as office:
        client = await office.connect()
        origin = await _origin(office, client, sender="van-thu.stc@hoabinh.gov.vn")
        assert (origin.login, origin.door) == ("vanthu.stc", Door.MX)
        assert (await _origin(office, client)).login is None
        await client.ask("MAIL FROM:<nam.stc@hoabinh.gov.vn>")
        assert (await client.ask("RCPT TO:<ai@example.com>")).startswith("250")
        await client.ask("RSET")
        assert "[local-sender-without-login]" in await client.ask("MAIL FROM:<cu.syt@hoabinh.gov.vn>")
        assert (await client.ask("MAIL FROM:<ai@example.vn>")).startswith("250")
        assert "[relay-denied]" in await client.ask("RCPT TO:<ai@example.com>")


def _version_2(source: str, command: int = 1) -> bytes:
    address = ipaddress.ip_address(source)
    addresses = address.packed * 2 + struct.pack("!HH", 1234, 25)
    family = 0x11 if address.version == 4 else 0x21
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command, family]) + struct.pack("!H", len(addresses)) + addresses


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (_version_2("192.0.2.7"), "192.0.2.7"),
        (_version_2("2001:db8::7"), "2001:db8::7"),
        (_version_2("192.0.2.7", command=0), ""),
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 25\r\n", "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n", ""),
    ],
)
@pytest.mark.parametrize("door", [Door.MX, Door.SUBMISSIONS])
async def test_a_proxy_header_names_the_client_before_anything_else(
    open_office: Any, header: bytes, peer: str, door: Door
) -> None:
    async with open_office(rights_of=_rights("proxy")) as office:
        client = await office.connect_through(door, header)
        if door is Door.SUBMISSIONS:
            await client.login()
        sender = "a@example.vn" if door is Door.MX else "nam.stc@hoabinh.gov.vn"
        origin = await _origin(office, client, sender=sender)
        expected = (peer, "127.0.0.1") if peer else ("127.0.0.1", "")
        assert (origin.peer, origin.via) == expected
        assert (origin.tls is not None) == (door is Door.SUBMISSIONS)


async def test_a_proxy_header_and_the_begin_of_tls_may_come_in_one_packet(open_office: Any) -> None:
    async with open_office(rights_of=_rights("proxy")) as office:
        reader, writer = await asyncio.open_connection("127.0.0.1", office.ports[Door.SUBMISSIONS])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)
        said = _version_2("192.0.2.7")
        greeting = b""
        while not greeting:
            try:
                greeting = tls.read(100)
            except ssl.SSLWantReadError:
                writer.write(said + outgoing.read())
                said = b""
                incoming.write(await asyncio.wait_for(reader.read(65536), 5))
        assert greeting.startswith(b"220 ")
        writer.transport.abort()


@pytest.mark.parametrize(
    "header", [b"EHLO x\r\n", b"PROXY TCP4 x y 1 2\r\n", b"PROXY \r\n", b"\r\n\r\n\0\r\nQUIT\n\xff\xff\xff\xff"]
)
async def test_without_a_good_header_there_is_no_session(open_office: Any, header: bytes) -> None:
    async with open_office(rights_of=_rights("proxy")) as office:
        client = await office.connect(greet=False)
        await client.send(header)
        client.writer.write_eof()
        assert await client.reply() == ""
        await client.close()
        assert office.door._desk.connections.total == 0


@given(st.binary(max_size=40))
async def test_no_octets_bring_the_proxy_reader_down(octets: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(octets)
    reader.feed_eof()
    with pytest.raises(ConnectionError):
        await read_proxy(reader)


async def test_lmtp_is_for_this_machine_and_listed_neighbours(open_office: Any) -> None:
    async with open_office(rights_of=_rights("proxy")) as office:
        client = await office.connect(Door.LMTP, greet=False)
        await client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 24\r\n")
        # the proxy is on this machine, and it is the proxy that is trusted
        assert (await client.reply()).startswith("220")

    async with open_office() as office:
        session = await office.session(Door.LMTP)
        session._peer, session._counted = "192.0.2.7", False
        assert await session._enter() is False
        session._rights = frozenset({"lmtp"})
        assert await session._enter() is True


@pytest.mark.parametrize(("right", "promise"), [("hold", Action.HOLD), ("return", Action.RETURN)])
async def test_a_neighbour_that_has_promised_delivery_is_refused_nothing(
    open_office: Any, right: str, promise: Action
) -> None:
    """Unknown and switched-off boxes, other domains, our own domain without a login: the rules will speak, not the door."""
    async with open_office(rights_of=_rights("xforward", right)) as office:
        client = await office.connect()
        await client.ask("XFORWARD ADDR=192.0.2.7 SOURCE=REMOTE")
        assert (await client.ask("MAIL FROM:<nam.stc@hoabinh.gov.vn>")).startswith("250")
        recipients = ["khong-co@hoabinh.gov.vn", "cu.syt@hoabinh.gov.vn", "ai@example.com"]
        for recipient in recipients:
            assert (await client.ask(f"RCPT TO:<{recipient}>")).startswith("250")
        assert (await client.ask("DATA")).startswith("354")
        assert (await client.ask("x\r\n.")).startswith("250")
        envelope = office.recorder.mails[-1][0]
        assert [r.address for r in envelope.recipients] == recipients
        assert (envelope.origin.promise, envelope.origin.login, envelope.origin.peer) == (promise, None, "192.0.2.7")
        # what is no mail at all is refused to everybody
        await client.ask("MAIL FROM:<a@example.vn>")
        assert "[bad-recipient-address]" in await client.ask("RCPT TO:<a%b@example.com>")


async def test_a_promise_gives_nobody_the_rights_of_a_login(open_office: Any) -> None:
    async with open_office(rights_of=_rights("hold")) as office:
        client = await office.connect(Door.SUBMISSIONS)
        assert "[auth-required]" in await client.ask("MAIL FROM:<a@example.vn>")


@pytest.mark.parametrize(
    ("told", "login"),
    [
        ([], "nam.stc"),  # the neighbour's own mail
        (["XFORWARD ADDR=192.0.2.7 SOURCE=REMOTE"], None),
        (["XFORWARD ADDR=192.0.2.7"], None),  # a neighbour that does not say where its client is
        (["XFORWARD ADDR=192.0.2.7 SOURCE=LOCAL"], "nam.stc"),
        (["XFORWARD SOURCE=LOCAL", "XFORWARD SOURCE=REMOTE"], None),
        (["XCLIENT ADDR=192.0.2.7", "EHLO x"], None),
        (["XCLIENT ADDR=192.0.2.7 LOGIN=nam.stc", "EHLO x"], "nam.stc"),
    ],
)
async def test_a_login_is_asserted_for_a_neighbours_own_clients_only(
    open_office: Any, told: list[str], login: str | None
) -> None:
    """A stranger who writes our domain in MAIL FROM to the server in front is no clerk."""
    async with open_office(rights_of=_rights("login", "xclient", "xforward", "hold")) as office:
        client = await office.connect()
        for line in told:
            assert (await client.ask(line))[:3] in ("220", "250")
        assert (await _origin(office, client, sender="nam.stc@hoabinh.gov.vn")).login == login


async def test_an_ipv4_neighbour_is_known_on_a_socket_of_both_families(open_office: Any) -> None:
    """systemd opens its ports for both: an IPv4 client is ::ffff:127.0.0.1 there."""
    sock = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    async with open_office(doors=(), rights_of=_rights("xclient")) as office:
        office.door._listeners = (Listener(Door.LMTP, sockets=(sock,)),)
        await office.door.start()
        client = Client(*await asyncio.open_connection("127.0.0.1", sock.getsockname()[1]))
        assert (await client.reply()).startswith("220")
        assert "XCLIENT" in await client.ask("LHLO x")
        assert (await _origin(office, client)).peer == "127.0.0.1"


@pytest.mark.parametrize("told", ["::ffff:192.0.2.7", "IPV6:::ffff:192.0.2.7"])
async def test_an_ipv4_client_is_told_in_any_form(open_office: Any, told: str) -> None:
    async with open_office(rights_of=_rights("xclient", "xforward")) as office:
        client = await office.connect()
        await client.ask(f"XFORWARD ADDR={told}")
        assert (await _origin(office, client)).peer == "192.0.2.7"
        await client.ask(f"XCLIENT ADDR={told}")
        await client.ask("EHLO x")
        assert (await _origin(office, client)).peer == "192.0.2.7"
