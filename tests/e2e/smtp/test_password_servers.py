"""Logins at the door against a real Dovecot: its auth socket, and a log-in by IMAP in each form of TLS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mailrelay.intake.smtp.password_servers import DovecotPasswords, ImapPasswords, PasswordServerFault
from mailrelay.model.envelope import Door
from tests.servers.certificates import Authority
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.e2e
SOON = timedelta(seconds=5)


@pytest.fixture(scope="module")
def dovecot(authority: Authority) -> Iterator[Dovecot]:
    with Dovecot(authority.issue("localhost", "127.0.0.1")) as running:
        yield running


@pytest.fixture(params=["auth socket", "implicit", "starttls", "none"])
def check(request: pytest.FixtureRequest, dovecot: Dovecot, authority: Authority) -> Any:
    if request.param == "auth socket":
        return DovecotPasswords(dovecot.folder / "run" / "auth-client", SOON)
    port = dovecot.tls_port if request.param == "implicit" else dovecot.port
    return ImapPasswords("localhost", port, request.param, authority.client_context(), SOON)


@pytest.mark.parametrize("password", ["", "sai", Dovecot.password + " "])
async def test_a_wrong_password_is_wrong(check: Any, password: str) -> None:
    assert await check("nam.stc", password) is False


@pytest.mark.parametrize("login", ["nam.stc", "nam.stc@hoabinh.gov.vn"])
async def test_the_right_password_is_right_whatever_its_letters(check: Any, login: str) -> None:
    assert await check(login, Dovecot.password) is True


async def test_many_checks_at_once(check: Any) -> None:
    passwords = [Dovecot.password, "sai"] * 8
    answers = await asyncio.gather(*(check("nam.stc", password) for password in passwords))
    assert answers == [True, False] * 8


async def test_a_clerk_logs_in_at_the_door(open_office: Any, check: Any) -> None:
    async with open_office(check_password=check) as office:
        client = await office.connect(Door.SUBMISSIONS)
        assert (await client.login(password="sai")).startswith("535")
        assert (await client.login(password=Dovecot.password)).startswith("235")


async def test_a_server_that_is_away_cannot_tell(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(OSError):
        await DovecotPasswords(tmp_path / "nothing", SOON)("nam", "x")
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(PasswordServerFault):
        await ImapPasswords("127.0.0.1", port, "none", None, SOON)("nam", "x")
    server.close()


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TimeoutError):
        await ImapPasswords("127.0.0.1", port, "none", None, timedelta(milliseconds=100))("nam", "x")
    server.close()


async def test_a_server_with_a_foreign_certificate_gets_no_password(dovecot: Dovecot, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "another authority")
    with pytest.raises(OSError, match="certificate verify failed"):
        await ImapPasswords("localhost", dovecot.tls_port, "implicit", stranger.client_context(), SOON)("nam", "x")


async def test_nobody_on_the_way_answers_for_the_server(authority: Authority) -> None:
    """Octets slipped in behind the answer to STARTTLS would be taken for answers under TLS: any password would be right."""
    pair = authority.issue("localhost", "127.0.0.1")

    async def forged(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        await reader.readline()
        writer.write(b"s OK begin\r\n+ go on\r\na OK you are in\r\n")
        with contextlib.suppress(OSError):
            await writer.start_tls(pair.server_context())
            await reader.read()
        writer.close()

    server = await asyncio.start_server(forged, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(PasswordServerFault, match="clear text"):
        await ImapPasswords("localhost", port, "starttls", authority.client_context(), SOON)("nam", "sai")
    server.close()
