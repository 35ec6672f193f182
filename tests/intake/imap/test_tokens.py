"""Tokens by themselves: one fetch at a time, the newest refresh token first. `Endpoint` is a double for a provider."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailrelay.intake.imap.source import SourceRefused
from mailrelay.intake.imap.tokens import Tokens
from mailrelay.model.agency import OauthGrant, SecretRef

GRANT = OauthGrant(SecretRef("file", "endpoint"), SecretRef("file", "client"), SecretRef("file", "refresh"))


class Endpoint:
    """Numbers its tokens; every answer changes the refresh token when `rotates`."""

    def __init__(self, folder: Path) -> None:
        self.time = datetime(2026, 11, 27, tzinfo=UTC)
        self.asked: list[str] = []
        self.refused: set[str] = set()
        self.rotates = False
        self.secrets = {"endpoint": "https://idp.example/token", "client": "c", "refresh": "r0"}
        self.folder = folder

    def tokens(self) -> Tokens:
        return Tokens(lambda ref: self.secrets[ref.name], self.post, self.folder, lambda: self.time)

    async def post(self, url: str, form: dict[str, str]) -> tuple[int, bytes]:
        assert url == "https://idp.example/token"
        await asyncio.sleep(0)
        self.asked.append(form["refresh_token"])
        if form["refresh_token"] in self.refused:
            return 400, b'{"error": "invalid_grant"}'
        number = len(self.asked)
        answer = {"access_token": f"a{number}", "expires_in": 600}
        return 200, json.dumps(answer | ({"refresh_token": f"r{number}"} if self.rotates else {})).encode()


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    return Endpoint(tmp_path / "tokens")


async def test_many_that_ask_at_once_make_one_fetch(endpoint: Endpoint) -> None:
    tokens = endpoint.tokens()
    assert set(await asyncio.gather(*(tokens.current(GRANT) for _ in range(20)))) == {"a1"}
    endpoint.time += timedelta(minutes=2)
    assert set(await asyncio.gather(*(tokens.renewed(GRANT, "a1") for _ in range(20)))) == {"a2"}
    assert await tokens.renewed(GRANT, "a1") == "a2", "another account has renewed it already"
    assert len(endpoint.asked) == 2


async def test_when_the_next_is_due(endpoint: Endpoint) -> None:
    tokens = endpoint.tokens()
    for minutes, token in ((0, "a1"), (4, "a1"), (1, "a2"), (4, "a2"), (60, "a3")):
        endpoint.time += timedelta(minutes=minutes)
        assert await tokens.current(GRANT) == token


async def test_the_newest_refresh_token_goes_first_and_the_configured_one_after_it(endpoint: Endpoint) -> None:
    endpoint.rotates = True
    assert await endpoint.tokens().current(GRANT) == "a1"
    endpoint.refused = {"r1"}
    assert await endpoint.tokens().current(GRANT) == "a3"
    assert endpoint.asked == ["r0", "r1", "r0"]
    endpoint.refused = {"r0", "r3"}
    with pytest.raises(SourceRefused, match="invalid_grant"):
        await endpoint.tokens().current(GRANT)


async def test_a_new_refresh_token_from_the_administrator(endpoint: Endpoint) -> None:
    endpoint.rotates = True
    tokens = endpoint.tokens()
    await tokens.current(GRANT)
    endpoint.secrets["refresh"] = "given-anew"
    endpoint.time += timedelta(hours=1)
    await tokens.current(GRANT)
    assert endpoint.asked == ["r0", "given-anew"]


async def test_a_folder_that_cannot_be_written_ends_no_login(endpoint: Endpoint) -> None:
    endpoint.rotates = True
    endpoint.folder.write_text("a file where the folder should be")
    tokens = endpoint.tokens()
    assert await tokens.current(GRANT) == "a1"
    endpoint.time += timedelta(hours=1)
    assert await tokens.current(GRANT) == "a2"
    assert endpoint.asked == ["r0", "r1"], "known as long as the service runs"


async def test_damage_on_disk_is_passed_over(endpoint: Endpoint) -> None:
    endpoint.rotates = True
    await endpoint.tokens().current(GRANT)
    (kept,) = endpoint.folder.iterdir()
    kept.write_bytes(b"\xff\xfe")
    assert await endpoint.tokens().current(GRANT) == "a2"
    assert endpoint.asked == ["r0", "r0"]
