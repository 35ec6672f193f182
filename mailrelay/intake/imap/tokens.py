"""Access tokens of accounts that log in by OAuth 2.0: fetched before the old one ends, kept in memory, one fetch at a time.

A refresh token that the endpoint changes (RFC 6749 section 6 lets it revoke the old one) is kept in a file that only the service
may read: else a restart would lock the account out until a person logs in again.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailrelay.intake.imap.grant import Asking, Granted, read_answer
from mailrelay.intake.imap.source import SourceRefused
from mailrelay.model.agency import OauthGrant, SecretRef
from mailrelay.store import durable
from mailrelay.telemetry import log

_MARGIN = timedelta(minutes=5)  # before its end a token is not used for a new login
_FRESH = timedelta(minutes=1)  # a token that a server refuses so soon after it was made is not the reason

Post = Callable[[str, dict[str, str]], Awaitable[tuple[int, bytes]]]


@dataclass(slots=True)
class _Held:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    granted: Granted | None = None
    made_at: datetime = datetime(1, 1, 1, tzinfo=UTC)
    changed: tuple[Path, str] | None = None  # a refresh token, and where it is kept

    def ends_at(self) -> datetime:
        """When to fetch the next: a margin before its end, half its life for short-lived ones."""
        assert self.granted is not None
        return self.made_at + max(self.granted.lifetime - _MARGIN, self.granted.lifetime / 2)


class Tokens:
    """`post` sends a form to an address; `folder` holds changed refresh tokens (made when it is needed)."""

    def __init__(
        self, read_secret: Callable[[SecretRef], str], post: Post, folder: Path, now: Callable[[], datetime]
    ) -> None:
        self._read_secret = read_secret
        self._post = post
        self._folder = folder
        self._now = now
        self._held: dict[OauthGrant, _Held] = {}

    async def current(self, grant: OauthGrant) -> str:
        """A token that is good for a login now. Raises SourceLost, SourceRefused, and what reading a secret raises."""
        held = self._held.setdefault(grant, _Held())
        async with held.lock:
            if held.granted is None or self._now() >= held.ends_at():
                await self._fetch(grant, held)
            assert held.granted is not None
            return held.granted.access_token

    async def renewed(self, grant: OauthGrant, refused: str) -> str | None:
        """Another token than the one that a server refused; None when a new one would be no better."""
        held = self._held.setdefault(grant, _Held())
        async with held.lock:
            if held.granted is not None and held.granted.access_token == refused:
                if self._now() - held.made_at < _FRESH:
                    return None
                await self._fetch(grant, held)
            return held.granted.access_token if held.granted is not None else None

    async def _fetch(self, grant: OauthGrant, held: _Held) -> None:
        asking = Asking(
            endpoint=self._read_secret(grant.token_endpoint),
            client_id=self._read_secret(grant.client_id),
            refresh_token=self._read_secret(grant.refresh_token),
            client_secret=self._read_secret(grant.client_secret) if grant.client_secret else "",
            scope=grant.scope,
        )
        # Bound to what is configured: a new refresh token from the administrator goes before all that came of the old one.
        words = "\0".join((asking.endpoint, asking.client_id, asking.refresh_token))
        kept = self._folder / hashlib.sha256(words.encode()).hexdigest()
        if held.changed is None or held.changed[0] != kept:
            held.changed = (kept, await asyncio.to_thread(_read, kept))
        granted = await self._ask(asking, held.changed[1])
        held.granted, held.made_at = granted, self._now()
        log.info("imap-token-fetched", seconds=int(granted.lifetime.total_seconds()))
        if granted.refresh_token and granted.refresh_token != (held.changed[1] or asking.refresh_token):
            held.changed = (kept, granted.refresh_token)
            try:
                await asyncio.to_thread(_keep, kept, granted.refresh_token)
            except OSError as fault:
                log.error("imap-refresh-token-not-kept", fault=fault.strerror or type(fault).__name__)

    async def _ask(self, asking: Asking, changed: str) -> Granted:
        if changed:
            try:
                return read_answer(*await self._post(asking.endpoint, replace(asking, refresh_token=changed).form()))
            except SourceRefused as refusal:
                log.warning("imap-changed-refresh-token-refused", text=str(refusal))
        return read_answer(*await self._post(asking.endpoint, asking.form()))


def _read(path: Path) -> str:
    with suppress(OSError, ValueError):
        return path.read_text("ascii")
    return ""


def _keep(path: Path, token: str) -> None:
    """Write a token so that after a power cut either the old or the new one is there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, token.encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
    durable.sync_folder(path.parent)
