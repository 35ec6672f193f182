"""The words of a token endpoint (RFC 6749 section 6): what is asked, and what its answer means. Pure; nothing here is logged."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta

from mailrelay.intake.imap.source import SourceLost, SourceRefused

_USUAL = 300  # seconds that a token is believed to live when nobody says
_LONGEST = 24 * 3600
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}\Z")
_ERROR = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_LATER = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class Asking:
    """What is sent; every value but the scope is a secret. `endpoint` is an https address (http on this machine only)."""

    endpoint: str
    client_id: str
    refresh_token: str
    client_secret: str = ""
    scope: str = ""

    def form(self) -> dict[str, str]:
        """The fields of the request; client credentials in the body (section 2.3.1)."""
        fields = {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
            "scope": self.scope,
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class Granted:
    """An access token. `refresh_token` is the one to use from now on, "" when the old one stays."""

    access_token: str
    lifetime: timedelta
    refresh_token: str = ""

    def __repr__(self) -> str:
        return "Granted(…)"


def read_answer(status: int, body: bytes) -> Granted:
    """Read an endpoint's answer. SourceRefused, with its error word: asking again is useless; SourceLost: it may help."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    found = answer if isinstance(answer, dict) else {}
    if status >= 500 or status in _LATER:
        raise SourceLost(f"token endpoint: status {status}")
    if status != 200:
        raise SourceRefused(f"token endpoint: {_word(found.get('error')) or f'status {status}'}")
    access, renewed = found.get("access_token"), found.get("refresh_token")
    if not isinstance(access, str) or not _TOKEN.match(access):
        raise SourceRefused("token endpoint: an answer without an access token")
    if str(found.get("token_type", "bearer")).lower() != "bearer":
        raise SourceRefused("token endpoint: not a bearer token")
    keep = renewed if isinstance(renewed, str) and _TOKEN.match(renewed) else ""
    return Granted(access, timedelta(seconds=_seconds(found.get("expires_in"))), keep)


def _word(error: object) -> str:
    """The error word, if it is one: a description might repeat what was sent."""
    return error if isinstance(error, str) and _ERROR.match(error) else ""


def _seconds(value: object) -> float:
    try:
        seconds = float(value)  # type: ignore[arg-type]  # some write "3599"
    except (TypeError, ValueError, OverflowError):
        return _USUAL
    return min(max(seconds, 0.0), _LONGEST) if seconds == seconds else _USUAL
