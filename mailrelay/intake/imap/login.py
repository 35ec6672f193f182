"""How an account logs in: LOGIN (RFC 3501), XOAUTH2, or OAUTHBEARER (RFC 7628). No secret leaves in a fault."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mailrelay.intake.imap.names import is_quotable, quote
from mailrelay.intake.imap.source import SourceRefused
from mailrelay.intake.imap.tokens import Tokens
from mailrelay.intake.imap.wire import Wire
from mailrelay.model.agency import ImapAccount, OauthGrant, SecretRef

_NOT_THE_TOKEN = ("[UNAVAILABLE]", "[LIMIT]", "[INUSE]", "[SERVERBUG]", "[CONTACTADMIN]")  # RFC 5530


class Credential(Protocol):
    """The secret of an account: a password, or an access token."""

    async def current(self) -> str:
        """What to show now."""

    async def renewed(self, refused: str) -> str | None:
        """What to show instead of what was refused; None when there is nothing better."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A password, or an access token that somebody else renews. Read anew at each login."""

    read: Callable[[SecretRef], str]
    reference: SecretRef

    async def current(self) -> str:
        return self.read(self.reference)

    async def renewed(self, refused: str) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Renewable:
    """An access token that we renew ourselves."""

    tokens: Tokens
    grant: OauthGrant

    async def current(self) -> str:
        return await self.tokens.current(self.grant)

    async def renewed(self, refused: str) -> str | None:
        return await self.tokens.renewed(self.grant, refused)


async def log_in(wire: Wire, account: ImapAccount, credential: Credential, secret: str) -> str:
    """Log in by `secret`, which `credential` gave, and once more when a token is refused. Return the words of the OK."""
    if account.auth == "login":
        return await _by_password(wire, account.user, secret)
    try:
        return await _by_token(wire, account, secret)
    except SourceRefused as refusal:
        text = str(refusal)
        if ": NO" not in text or any(code in text.upper() for code in _NOT_THE_TOKEN):
            raise
        fresh = await credential.renewed(secret)
        if fresh is None or fresh == secret:
            raise
    return await _by_token(wire, account, fresh)


async def _by_password(wire: Wire, user: str, password: str) -> str:
    if "LOGINDISABLED" in wire.capabilities:
        raise SourceRefused("the server does not allow LOGIN on this line")
    if is_quotable(user) and is_quotable(password):
        return await _ask(wire, "LOGIN", quote(user), quote(password), secrets=(password, quote(password)))
    # Literals carry any octet: {n}, then the server says go on, then the octets and the rest of the line.
    name, word = user.encode(), password.encode()
    pieces = (name + b" {%d}" % len(word), word)
    return await _ask(wire, "LOGIN", f"{{{len(name)}}}", pieces=pieces, secrets=(password,))


async def _by_token(wire: Wire, account: ImapAccount, token: str) -> str:
    if account.auth == "xoauth2":
        mechanism, plain = "XOAUTH2", f"user={account.user}\x01auth=Bearer {token}\x01\x01"
        leave = b""  # a refused token is asked for once more before the NO
    else:
        user = account.user.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 section 4
        place = f"host={account.host}\x01port={account.port}"
        mechanism, plain = "OAUTHBEARER", f"n,a={user},\x01{place}\x01auth=Bearer {token}\x01\x01"
        leave = b64encode(b"\x01")  # RFC 7628 section 3.2.3
    word = b64encode(plain.encode())
    secrets = (token, word.decode())
    if "SASL-IR" in wire.capabilities:
        return await _ask(wire, "AUTHENTICATE", mechanism, word.decode(), pieces=(leave,), secrets=secrets)
    return await _ask(wire, "AUTHENTICATE", mechanism, pieces=(word, leave), secrets=secrets)


async def _ask(wire: Wire, name: str, *arguments: str, pieces: tuple[bytes, ...] = (), secrets: tuple[str, ...]) -> str:
    try:
        _, text = await wire.ask(name, *arguments, pieces=pieces)
    except SourceRefused as refusal:
        said = str(refusal)
        for secret in secrets:  # a server may repeat what it was told; the log must not
            said = said.replace(secret, "…") if secret else said
        raise SourceRefused(said) from None
    return text
