"""What a token endpoint may answer."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from mailrelay.intake.imap.grant import Asking, Granted, read_answer
from mailrelay.intake.imap.source import SourceLost, SourceRefused


def answer(**fields: object) -> bytes:
    return json.dumps({"access_token": "abc", "token_type": "Bearer", "expires_in": 3599} | fields).encode()


def test_a_grant() -> None:
    assert read_answer(200, answer()) == Granted("abc", timedelta(seconds=3599))
    assert read_answer(200, answer(refresh_token="next")).refresh_token == "next"
    assert "abc" not in repr(read_answer(200, answer()))


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("3599", 3599),
        (None, 300),
        (-5, 0),
        (1e12, 86400),
        ("soon", 300),
        ([], 300),
        (float("nan"), 300),
        (10**400, 300),
    ],
)
def test_lifetimes(given: object, seconds: int) -> None:
    assert read_answer(200, answer(expires_in=given)).lifetime == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        b"[" * 60_000,
        answer(access_token=""),
        answer(access_token=5),
        answer(access_token="a b"),
        answer(access_token="a\x01auth=Bearer b"),
        answer(access_token="x" * 20_000),
        answer(token_type="mac"),
    ],
)
def test_an_answer_without_a_token_that_we_can_use(body: bytes) -> None:
    with pytest.raises(SourceRefused, match="token endpoint"):
        read_answer(200, body)


@pytest.mark.parametrize("odd", [5, "a b\r\n", "y" * 20_000, None, {}])
def test_an_odd_refresh_token_does_not_replace_the_good_one(odd: object) -> None:
    assert read_answer(200, answer(refresh_token=odd)).refresh_token == ""


def test_refusals_are_told_by_their_word_alone() -> None:
    body = json.dumps({"error": "invalid_grant", "error_description": "refresh-0 is revoked"}).encode()
    with pytest.raises(SourceRefused) as refused:
        read_answer(400, body)
    assert str(refused.value) == "token endpoint: invalid_grant"
    with pytest.raises(SourceRefused, match="status 404"):
        read_answer(404, b'{"error": "refresh-0 is revoked"}')


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_pass(status: int) -> None:
    with pytest.raises(SourceLost, match=str(status)):
        read_answer(status, b'{"error": "temporarily_unavailable"}')


def test_the_form_holds_what_there_is() -> None:
    assert Asking("https://x", "c", "r").form() == {
        "grant_type": "refresh_token",
        "client_id": "c",
        "refresh_token": "r",
    }
    whole = Asking("https://x", "c", "r", "s", "scope")
    assert whole.form() | {"client_secret": "s", "scope": "scope"} == whole.form()
