"""Logins at the door against a real OpenLDAP: by search and by template, in each form of TLS; servers that are away or lie."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mailrelay.config.ldap_filter import read_filter
from mailrelay.intake.smtp.ldap import LdapPasswords, LdapSearch
from mailrelay.intake.smtp.ldap_messages import NotLdap
from mailrelay.intake.smtp.password_servers import PasswordServerFault
from mailrelay.model.envelope import Door
from tests.servers.certificates import Authority
from tests.servers.process import free_port
from tests.servers.slapd import PASSWORD, PEOPLE, SERVICE, SERVICE_PASSWORD, Slapd, entry

pytestmark = pytest.mark.e2e
SOON = timedelta(seconds=5)
TEMPLATE = f"uid={{login}},{PEOPLE}"
CLERKS = (
    entry("nam.stc", mail="nam.stc@hoabinh.gov.vn", title="clerk")
    + entry("không.dấu", title="clerk")
    + entry("a,b+c", title="clerk")
    + entry("khong.mat.khau", password="", title="clerk")
    + entry("nghi.viec", title="retired")
    + entry("doi1", mail="doi@hoabinh.gov.vn")
    + entry("doi2", mail="doi@hoabinh.gov.vn")
)


@pytest.fixture(scope="module")
def slapd(authority: Authority) -> Iterator[Slapd]:
    with Slapd(authority, authority.issue("localhost", "127.0.0.1"), CLERKS) as running:
        yield running


def search(wanted: str = "(&(objectClass=person)(uid={login}))", password: str = SERVICE_PASSWORD) -> LdapSearch:
    return LdapSearch(PEOPLE, read_filter(wanted), SERVICE, lambda: password)


@pytest.fixture
def ask(slapd: Slapd, authority: Authority) -> Any:
    """A check over ldaps, by search unless told otherwise."""

    def checker(name: Any = None, tls: str = "implicit", **other: Any) -> LdapPasswords:
        port = slapd.tls_port if tls == "implicit" else slapd.port
        arguments = {"servers": (("localhost", port),), "context": authority.client_context(), "time": SOON} | other
        return LdapPasswords(name=search() if name is None else name, tls=tls, **arguments)

    return checker


@pytest.fixture(params=["implicit", "starttls", "none"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["search", "template"])
def check(request: pytest.FixtureRequest, ask: Any, way: str) -> Any:
    return ask(search() if request.param == "search" else TEMPLATE, way)


@pytest.mark.parametrize("login", ["nam.stc", "không.dấu", "a,b+c"])
async def test_the_right_password_is_right_whatever_its_letters(check: Any, login: str) -> None:
    assert await check(login, PASSWORD) is True
    assert await check(login, PASSWORD + " ") is False


@pytest.mark.parametrize("login", ["nam.stc", "khong.co", "khong.mat.khau"])
async def test_no_password_is_never_right(check: Any, login: str) -> None:
    """RFC 4513 section 5.1.2: a server answers a bind with a name and no password with success."""
    assert await check(login, "") is False


@pytest.mark.parametrize("login", ["khong.co", "", " ", "khong.mat.khau", "#", "\\", "a\0b"])
async def test_who_is_not_there_has_no_right_password(check: Any, login: str) -> None:
    assert await check(login, "sai") is False


@pytest.mark.parametrize(
    "login",
    ["*", "nam*", "nam.stc)(uid=*", "*)(uid=*))(|(uid=*", "nam.stc\\2a", "nam.stc,ou=Cán bộ", "nam.stc+cn=nam.stc"],
)
async def test_no_login_changes_what_is_asked(check: Any, login: str) -> None:
    assert await check(login, PASSWORD) is False


@pytest.mark.parametrize(
    ("wanted", "right"),
    [
        ("(mail={login}@hoabinh.gov.vn)", True),
        ("(&(uid={login})(title=clerk))", True),
        ("(&(uid={login})(title=retired))", False),
        ("(&(uid={login})(!(title=retired)))", True),
        ("(|(uid={login})(mail={login}))", True),
        ("(&(uid={login})(title=c*e*k))", True),
        ("(&(uid={login})(title=*ler*))", True),
        ("(&(uid={login})(title=x*))", False),
        ("(&(uid={login})(title=*)(mail=*))", True),
        ("(&(uid={login})(jpegPhoto=*))", False),
        ("(&(uid={login})(title:caseExactMatch:=clerk))", True),
        ("(&(uid={login})(title:caseExactMatch:=CLERK))", False),
        ("(&(uid={login})(title~=clerk)(ou:dn:=C\\c3\\a1n bộ))", True),
    ],
)
async def test_what_a_filter_asks_is_what_the_server_understands(ask: Any, wanted: str, right: bool) -> None:
    assert await ask(search(wanted))("nam.stc", PASSWORD) is right


async def test_a_filter_that_finds_two_cannot_tell(ask: Any) -> None:
    with pytest.raises(PasswordServerFault, match="several entries"):
        await ask(search("(mail={login}@hoabinh.gov.vn)"))("doi", PASSWORD)


async def test_a_service_account_that_is_refused_cannot_tell(ask: Any) -> None:
    with pytest.raises(PasswordServerFault, match="service account: result 49"):
        await ask(search(password="cũ"))("nam.stc", PASSWORD)


async def test_a_server_that_lets_nobody_search_cannot_tell(ask: Any) -> None:
    with pytest.raises(PasswordServerFault, match="cannot search"):
        await ask(LdapSearch("dc=khac", read_filter("(uid={login})"), SERVICE, lambda: SERVICE_PASSWORD))(
            "nam.stc", "x"
        )


async def test_many_checks_at_once(check: Any) -> None:
    passwords = [PASSWORD, "sai"] * 8
    assert await asyncio.gather(*(check("nam.stc", password) for password in passwords)) == [True, False] * 8


async def test_a_clerk_logs_in_at_the_door(open_office: Any, check: Any) -> None:
    async with open_office(check_password=check) as office:
        client = await office.connect(Door.SUBMISSIONS)
        assert (await client.login(password="sai")).startswith("535")
        assert (await client.login(password=PASSWORD)).startswith("235")


async def test_a_server_that_is_away_is_no_wrong_password(open_office: Any, authority: Authority, slapd: Slapd) -> None:
    """454 and no failure counted; the login works again when the server is back."""
    with Slapd(authority, authority.issue("localhost", "127.0.0.1"), CLERKS) as own:
        check = LdapPasswords((("localhost", own.tls_port),), search(), "implicit", authority.client_context(), SOON)
        async with open_office(check_password=check) as office:
            client = await office.connect(Door.SUBMISSIONS)
            own.stop()
            for _ in range(5):  # more than the failures that a session may have
                assert (await client.login(password=PASSWORD)).startswith("454")
            own.start()
            assert (await client.login(password=PASSWORD)).startswith("235")


async def test_the_next_server_is_asked_when_one_is_away(ask: Any, slapd: Slapd) -> None:
    servers = (("localhost", free_port()), ("localhost", slapd.tls_port))
    check = ask(servers=servers)
    assert await check("nam.stc", PASSWORD) is True
    assert await check("nam.stc", "sai") is False


async def test_a_server_that_says_nothing_is_given_up_and_the_next_one_asked(ask: Any, slapd: Slapd) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    started = time.monotonic()
    waiting = asyncio.create_task(
        ask(tls="none", servers=(("127.0.0.1", port),), time=timedelta(milliseconds=200))("nam.stc", PASSWORD)
    )
    turns = 0
    while not waiting.done():  # the loop is free all the time
        turns += 1
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await waiting
    assert time.monotonic() - started < 5 and turns > 100
    servers = (("127.0.0.1", port), ("localhost", slapd.port))
    assert await ask(tls="none", servers=servers, time=timedelta(seconds=4))("nam.stc", PASSWORD) is True
    server.close()


@pytest.mark.parametrize("way", ["implicit", "starttls"])
async def test_a_server_with_a_foreign_certificate_gets_no_password(ask: Any, way: str, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "another authority").client_context()
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        await ask(tls=way, context=stranger)("nam.stc", PASSWORD)


async def test_the_certificate_must_bear_the_name_of_the_server(authority: Authority, slapd: Slapd, ask: Any) -> None:
    with (
        Slapd(authority, authority.issue("ldap.example"), CLERKS) as other,
        pytest.raises(ssl.SSLError, match="certificate verify failed"),
    ):
        await ask(servers=(("localhost", other.tls_port),))("nam.stc", PASSWORD)


async def test_a_server_that_wants_tls_gets_no_answer_out_of_us_in_clear_text(authority: Authority) -> None:
    pair = authority.issue("localhost", "127.0.0.1")
    with Slapd(authority, pair, CLERKS, extra="security simple_bind=128") as strict:
        context = authority.client_context()
        clear = LdapPasswords((("localhost", strict.port),), TEMPLATE, "none", context, SOON)
        with pytest.raises(PasswordServerFault, match="result 13"):  # confidentialityRequired
            await clear("nam.stc", PASSWORD)
        hidden = LdapPasswords((("localhost", strict.port),), TEMPLATE, "starttls", context, SOON)
        assert await hidden("nam.stc", PASSWORD) is True


async def test_nobody_on_the_way_answers_for_the_server(ask: Any, authority: Authority) -> None:
    """Octets slipped in behind the answer to StartTLS would be taken for answers under TLS: any password would be right."""
    pair = authority.issue("localhost", "127.0.0.1")
    encrypted = bytes.fromhex("30 0c 02 01 01 78 07 0a 01 00 04 00 04 00")
    bound = bytes.fromhex("30 0c 02 01 02 61 07 0a 01 00 04 00 04 00")

    async def forged(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(encrypted + bound)
        with contextlib.suppress(OSError):
            await writer.start_tls(pair.server_context())
            await reader.read()
        writer.close()

    server = await asyncio.start_server(forged, "127.0.0.1", 0)
    servers = (("localhost", server.sockets[0].getsockname()[1]),)
    with pytest.raises(PasswordServerFault, match="clear text"):
        await ask(TEMPLATE, "starttls", servers=servers)("nam.stc", "sai")
    server.close()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("", "closed"),
        ("30 0c 02 01 00 78 07 0a 01 34 04 00 04 00", "takes its leave"),  # notice of disconnection
        ("30 84 00 10 00 00", "too long"),
        ("30 0c 02 01 01 61 07 0a 01 33 04 00 04 00", "result 51"),  # busy
        ("30 0c 02 01 01 61 07 0a 01 34 04 00 04 00", "result 52"),  # unavailable
        ("30 0c 02 01 07 61 07 0a 01 00 04 00 04 00" * 20, "something else"),
        ("48 54 54 50", "no sequence"),
        ("30 02 02 01", "cut off"),
    ],
)
async def test_whatever_a_server_says_that_is_no_answer_cannot_tell(ask: Any, answer: str, fault: str) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(bytes.fromhex(answer))
        writer.close()

    server = await asyncio.start_server(odd, "127.0.0.1", 0)
    servers = (("127.0.0.1", server.sockets[0].getsockname()[1]),)
    with pytest.raises((PasswordServerFault, NotLdap), match=fault):
        await ask(TEMPLATE, "none", servers=servers)("nam.stc", PASSWORD)
    server.close()
