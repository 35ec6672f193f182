"""SASL for submission (RFC 4954): PLAIN and LOGIN exchanges, and the local check of argon2id hashes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mailrelay.intake.admission import account_of
from mailrelay.model.agency import Directory, SecretRef
from mailrelay.telemetry import log

if TYPE_CHECKING:
    from mailrelay.intake.smtp.conversation import Conversation
    from mailrelay.intake.smtp.desk import Desk

LOGIN_USER = b"334 VXNlcm5hbWU6"  # "Username:"
LOGIN_PASSWORD = b"334 UGFzc3dvcmQ6"  # "Password:"
_LOGIN_LENGTH = 255  # octets, RFC 4616 section 2
_RESPONSE_LENGTH = 12288  # octets, RFC 4954 section 4


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login and its password as sent; never printed."""

    login: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(login={self.login!r})"


def decode_response(response: bytes) -> str | None:
    """The text of one base64 response, None when it is none. "=" stands for an empty initial response."""
    if response == b"=":
        return ""
    if len(response) > _RESPONSE_LENGTH:
        return None
    try:
        return base64.b64decode(response, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def read_plain(message: str) -> Credentials | None:
    """RFC 4616: authorization identity, login, password, parted by NUL. Nobody acts for another login."""
    parts = message.split("\0")
    if len(parts) != 3 or parts[0] not in ("", parts[1]):
        return None
    return read_login(parts[1], parts[2])


def read_login(login: str, password: str) -> Credentials | None:
    if not login or not password or "\0" in login or "\0" in password or len(login.encode()) > _LOGIN_LENGTH:
        return None
    return Credentials(login, password)


class LocalPasswords:
    """Checks against the argon2id hashes that the directory refers to, a few at a time, in threads.

    An unknown login costs the same work as a known one. `read_secret` gives the hash behind a reference. A right password is
    right again without that work for `remember`, as long as its hash stays the same: mail programs log in for every mail.
    """

    _CAPACITY = 10_000

    def __init__(
        self,
        directory: Callable[[], Directory],
        read_secret: Callable[[SecretRef], str],
        *,
        at_once: int = 2,
        remember: timedelta = timedelta(minutes=10),
    ) -> None:
        self._directory = directory
        self._read_secret = read_secret
        self._places = asyncio.Semaphore(at_once)
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash("")
        self._remember = remember.total_seconds()
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, float] = {}  # keyed digest of hash and password -> when it is forgotten

    async def __call__(self, login: str, password: str) -> bool:
        box = account_of(self._directory(), login)
        reference = box.password if box else None
        async with self._places:
            return await asyncio.to_thread(self._verify, reference, password)

    def _verify(self, reference: SecretRef | None, password: str) -> bool:
        stored = self._read_secret(reference).strip() if reference else self._nobody
        mark = hmac.digest(self._key, f"{stored}\0{password}".encode(), "sha256")
        now = time.monotonic()
        if reference is not None and self._right.get(mark, 0.0) > now:
            return True
        try:
            right = self._hasher.verify(stored, password) and reference is not None
        except InvalidHashError:
            log.error("password-hash-unreadable", secret=reference.name if reference else "")
            return False
        except VerificationError:
            return False
        if right and self._remember:
            self._note(mark, now)
        return right

    def _note(self, mark: bytes, now: float) -> None:
        """Called in several threads: the table is replaced, never changed."""
        kept = {old: until for old, until in self._right.items() if until > now}
        while len(kept) >= self._CAPACITY:
            del kept[next(iter(kept))]
        self._right = {**kept, mark: now + self._remember}


class Login:
    """The AUTH command of a session: challenge, response, check, and the price of a failure."""

    def __init__(self, conversation: Conversation, desk: Desk, client: str) -> None:
        self._conversation = conversation
        self._desk = desk
        self._client = client
        self._failed = 0

    async def exchange(self, argument: str) -> str | None:
        """Return the account name after a right password, None after a refusal that was said."""
        mechanism, _, initial = argument.partition(" ")
        match mechanism.upper():
            case "PLAIN":
                message = await self._response(b"334 ", initial.encode())
                credentials = read_plain(message) if message is not None else None
            case "LOGIN":
                credentials = await self._ask_login(initial.encode())
            case _:
                await self._conversation.refuse("auth-mechanism")
                return None
        if credentials is None:
            await self._conversation.refuse("auth-syntax")
            return None
        return await self._check(credentials)

    async def _ask_login(self, initial: bytes) -> Credentials | None:
        login = await self._response(LOGIN_USER, initial)
        password = await self._response(LOGIN_PASSWORD, b"") if login else None
        return read_login(login, password) if login and password else None

    async def _response(self, challenge: bytes, initial: bytes) -> str | None:
        if initial:
            return decode_response(initial)
        await self._conversation.push(challenge)
        return decode_response((await self._conversation.read_line()).rstrip(b"\r\n"))

    async def _check(self, credentials: Credentials) -> str | None:
        failures, now = self._desk.failures, self._conversation.loop.time
        box = account_of(self._desk.directory(), credentials.login)
        login = box.login if box else credentials.login
        if await self._is_locked(login):
            return None
        self._conversation.stop_waiting()
        try:
            right = await self._desk.check_password(login, credentials.password)
        except Exception:
            log.exception("password-check-fault")
            await self._conversation.refuse("auth-unavailable")
            return None
        # Others may have failed meanwhile: whoever guesses in many sessions at once learns no more than in one.
        if await self._is_locked(login):
            return None
        if right and box is not None:
            failures.succeed(self._client, login)
            log.info("login", login=login, peer=self._client)
            return login
        failures.fail(self._client, login, now())
        # a name that is no login may be a password that slipped into the wrong field
        log.warning("login-failed", login=login if box else "", peer=self._client)
        self._failed += 1
        await asyncio.sleep(self._desk.limits.auth_delay.total_seconds() * self._failed)
        await self._conversation.refuse("auth-failed")
        if self._failed >= self._desk.limits.auth_failures_per_session:
            await self._conversation.refuse("too-many-errors")
        return None

    async def _is_locked(self, login: str) -> bool:
        """Refuse while the login or the client is locked."""
        minutes = self._desk.failures.minutes_locked(self._client, login, self._conversation.loop.time())
        if minutes:
            await self._conversation.refuse("auth-locked", minutes=str(minutes))
        return bool(minutes)
