"""AUTH: exchanges as RFC 4954 wants them, prices of failure, and the local check of hashes."""

from __future__ import annotations

import asyncio
import base64
import datetime
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher

from mailrelay.intake.smtp.authentication import Credentials, LocalPasswords, decode_response, read_plain
from mailrelay.intake.smtp.limits import Limits
from mailrelay.model.agency import Agency, Directory, Level, Mailbox, Role, SecretRef, Target, TargetKind
from mailrelay.model.envelope import Door
from mailrelay.model.identity import AgencyId

QUICK = Limits(error_delay=datetime.timedelta(0), auth_delay=datetime.timedelta(0))
PASSWORD = "Mat-khau-1"
GOOD = "235 2.7.0 Authentication successful"


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("command", ["AUTH PLAIN", "auth plain", "Auth Plain"])
async def test_plain_with_and_without_initial_response(office: Any, command: str) -> None:
    token = _b64(f"\0nam.stc\0{PASSWORD}")
    first, second = await office.connect(Door.SUBMISSIONS), await office.connect(Door.SUBMISSIONS)
    assert await first.ask(f"{command} {token}") == GOOD
    assert await second.ask(command) == "334 "
    assert await second.ask(token) == GOOD


async def test_login_with_and_without_initial_response(office: Any) -> None:
    first, second = await office.connect(Door.SUBMISSIONS), await office.connect(Door.SUBMISSIONS)
    assert await first.ask("AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert await first.ask(_b64("nam.stc")) == "334 UGFzc3dvcmQ6"
    assert await first.ask(_b64(PASSWORD)) == GOOD
    assert await second.ask(f"AUTH LOGIN {_b64('nam.stc@hoabinh.gov.vn')}") == "334 UGFzc3dvcmQ6"
    assert await second.ask(_b64(PASSWORD)) == GOOD


async def test_no_login_in_the_clear_and_none_on_mx(office: Any) -> None:
    client = await office.connect(Door.SUBMISSION)
    assert "AUTH" not in await client.ask("EHLO x")
    assert (await client.login()).startswith("538-5.7.11")
    assert (await client.ask("MAIL FROM:<nam.stc@hoabinh.gov.vn>")).startswith("530-5.7.0")
    stranger = await office.connect(Door.MX)
    await stranger.starttls()
    assert "AUTH" not in await stranger.ask("EHLO x")
    assert "[not-implemented]" in await stranger.login()


async def test_the_order_of_commands(office: Any) -> None:
    client = await office.connect(Door.SUBMISSIONS)
    assert "[auth-required]" in await client.ask("MAIL FROM:<nam.stc@hoabinh.gov.vn>")
    assert await client.login() == GOOD
    assert "[bad-sequence]" in await client.login()
    await client.ask("RSET")
    assert (await client.ask("MAIL FROM:<nam.stc@hoabinh.gov.vn>")).startswith("250")
    await client.ask("EHLO again")
    assert (await client.ask("MAIL FROM:<nam.stc@hoabinh.gov.vn>")).startswith("250")


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("AUTH", "auth-mechanism"),
        ("AUTH CRAM-MD5", "auth-mechanism"),
        ("AUTH PLAIN ***", "auth-syntax"),
        ("AUTH PLAIN =", "auth-syntax"),
        (f"AUTH PLAIN {_b64('no nul')}", "auth-syntax"),
        ("AUTH PLAIN /w==", "auth-syntax"),
        (f"AUTH PLAIN {_b64('other' + chr(0) + 'nam.stc' + chr(0) + PASSWORD)}", "auth-syntax"),
    ],
)
async def test_exchanges_that_cannot_be_read(office: Any, line: str, refusal: str) -> None:
    client = await office.connect(Door.SUBMISSIONS)
    assert f"[{refusal}]" in await client.ask(line)
    assert await client.login() == GOOD


async def test_a_client_may_cancel(office: Any) -> None:
    client = await office.connect(Door.SUBMISSIONS)
    await client.ask("AUTH PLAIN")
    assert (await client.ask("*")).startswith("501")
    assert await client.login() == GOOD


async def test_a_login_without_end_is_no_login(office: Any) -> None:
    client = await office.connect(Door.SUBMISSIONS)
    await client.ask("AUTH LOGIN")
    await client.ask(_b64("a" * 256))
    assert "[auth-syntax]" in await client.ask(_b64(PASSWORD))


@pytest.mark.parametrize("login", ["nam.stc", "khong-co", "cu.syt"])
async def test_wrong_unknown_and_disabled_look_the_same(office: Any, login: str) -> None:
    client = await office.connect(Door.SUBMISSIONS)
    password = PASSWORD if login != "nam.stc" else "sai"
    reply = await client.login(login, password)
    assert reply.startswith("535-5.7.8") and login not in reply


async def test_three_wrong_passwords_end_the_session_and_ten_lock_the_login(open_office: Any) -> None:
    async with open_office(limits=replace(QUICK, auth_failures_per_login=4)) as office:
        client = await office.connect(Door.SUBMISSIONS)
        replies = [await client.login(password="sai") for _ in range(3)]
        assert ["[auth-failed]" in reply for reply in replies] == [True] * 3
        assert "[too-many-errors]" in await client.reply()
        client = await office.connect(Door.SUBMISSIONS)
        await client.login(password="sai")
        locked = await client.login()
        assert locked.startswith("454-4.7.0") and "Doi 15 phut" in locked
        assert await client.login("vanthu.syt") == GOOD


async def test_guesses_at_the_same_time_are_no_more_than_guesses_one_by_one(open_office: Any) -> None:
    """The right one is answered last, when the login is locked: it is not told from a wrong one."""
    guesses = ["a", "b", "c", "d", "e", PASSWORD]
    order = asyncio.Condition()
    asked: list[str] = []
    answered: list[str] = []

    async def in_order(login: str, password: str) -> bool:
        asked.append(password)
        async with order:
            order.notify_all()
            await order.wait_for(lambda: len(asked) == 6 and len(answered) == guesses.index(password))
            answered.append(password)
            order.notify_all()
        return password == PASSWORD

    async with open_office(check_password=in_order, limits=replace(QUICK, auth_failures_per_login=4)) as office:
        clients = [await office.connect(Door.SUBMISSIONS) for _ in guesses]
        replies = await asyncio.gather(*(c.login(password=g) for c, g in zip(clients, guesses, strict=True)))
        assert ["[auth-locked]" in reply for reply in replies] == [False] * 4 + [True] * 2


async def test_a_password_server_that_fails_is_temporary_and_costs_nothing(open_office: Any) -> None:
    async def broken(login: str, password: str) -> bool:
        raise ConnectionRefusedError("dovecot is away")

    async with open_office(check_password=broken) as office:
        client = await office.connect(Door.SUBMISSIONS)
        for _ in range(5):
            reply = await client.login()
            assert reply.startswith("454-4.7.0") and "dovecot" not in reply


def test_credentials_never_print_the_password() -> None:
    assert "geheim" not in repr(Credentials("nam", "geheim"))


@pytest.mark.parametrize(
    ("message", "credentials"),
    [
        ("\0nam\0pw", Credentials("nam", "pw")),
        ("nam\0nam\0pw", Credentials("nam", "pw")),
        ("\0nam\0mật khẩu ", Credentials("nam", "mật khẩu ")),
        ("lan\0nam\0pw", None),
        ("\0\0pw", None),
        ("\0nam\0", None),
        ("nam\0pw", None),
        (f"\0{'a' * 255}\0pw", Credentials("a" * 255, "pw")),
        (f"\0{'a' * 256}\0pw", None),  # RFC 4616 section 2: nobody needs more, and failures are remembered by login
        (f"\0{'ă' * 200}\0pw", None),
        ("\0nam\0p\0w", None),
        ("", None),
    ],
)
def test_plain_messages(message: str, credentials: Credentials | None) -> None:
    assert read_plain(message) == credentials


@pytest.mark.parametrize(
    ("response", "text"),
    [(b"=", ""), (b"YQ==", "a"), (b"YQ", None), (b"Y Q=", None), (b"/w==", None), (b"A" * 12292, None)],
)
def test_responses(response: bytes, text: str | None) -> None:
    assert decode_response(response) == text


def _directory() -> Directory:
    target = Target(TargetKind.MAILDIR, path="x")
    agency = AgencyId("stc")
    boxes = tuple(
        Mailbox(f"{name}@hoabinh.gov.vn", name, agency, frozenset({Role.CLERK}), target, login=name,
                password=SecretRef("file", secret) if secret else None)
        for name, secret in (("nam", "nam"), ("hong", "broken"), ("khong", ""))
    )  # fmt: skip
    return Directory("hoabinh.gov.vn", (Agency(agency, "STC", Level.PROVINCE, "STC"),), boxes)


@pytest.mark.parametrize(
    ("login", "password", "right"),
    [
        ("nam", "đúng", True),
        ("NAM", "đúng", True),
        ("nam@hoabinh.gov.vn", "đúng", True),
        ("nam", "sai", False),
        ("nam", "", False),
        ("lan", "đúng", False),
        ("lan", "", False),  # the hash that stands for nobody is one of the empty password
        ("khong", "", False),
        ("hong", "đúng", False),
    ],
)
async def test_local_passwords(login: str, password: str, right: bool) -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    secrets = {"nam": hasher.hash("đúng") + "\n", "broken": "not a hash"}
    check = LocalPasswords(_directory, lambda reference: secrets[reference.name])
    assert await check(login, password) is right


async def test_a_right_password_is_remembered_only_while_its_hash_stands() -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    secrets = {"nam": hasher.hash("đúng")}
    check = LocalPasswords(_directory, lambda reference: secrets[reference.name])
    verified: list[str] = []
    verify = check._hasher.verify

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            verified.append(str(password))
            return verify(hash, password)

    check._hasher = Counting()
    assert [await check("nam", word) for word in ("đúng", "đúng", "sai", "đúng", "sai")] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert verified == ["đúng", "sai", "sai"]
    secrets["nam"] = hasher.hash("mới")
    assert [await check("nam", word) for word in ("đúng", "mới")] == [False, True]


async def test_what_is_remembered_is_forgotten_in_time_and_bounded() -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    check = LocalPasswords(_directory, lambda _: hasher.hash("đúng"), remember=datetime.timedelta(0))
    assert await check("nam", "đúng")
    assert check._right == {}
    check = LocalPasswords(_directory, lambda _: hasher.hash("đúng"))
    check._CAPACITY = 3  # type: ignore[misc]
    for _ in range(6):
        assert await check("nam", "đúng")
    assert len(check._right) == 3
