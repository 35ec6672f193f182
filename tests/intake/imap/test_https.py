"""The one POST of the door: to nobody but the address that was written down, never without end."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest

from mailrelay.intake.imap import https as module
from mailrelay.intake.imap.https import is_usable, post_form
from mailrelay.intake.imap.source import SourceLost, SourceRefused
from tests.intake.imap.scripted import Dialog, Script, scripted

ANSWER = b'{"access_token": "t"}'


async def ask(script: Script, *, seconds: float = 5.0) -> tuple[int, bytes]:
    async with scripted(script) as port:
        return await post_form(
            f"http://127.0.0.1:{port}/token", {"a": "b c"}, ssl.create_default_context(), seconds=seconds
        )


async def heard(server: Dialog) -> list[bytes]:
    while await server.hear():
        pass
    server.heard.append(await server.reader.readexactly(5))
    return server.heard


async def test_what_is_asked_and_what_comes_back() -> None:
    lines: list[bytes] = []

    async def script(server: Dialog) -> None:
        lines.extend(await heard(server))
        server.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
        await server.silence()  # it does not hang up

    assert await ask(script) == (200, ANSWER)
    assert lines[0] == b"POST /token HTTP/1.1"
    assert b"Connection: close" in lines and lines[-1] == b"a=b+c"


async def test_chunks() -> None:
    async def script(server: Dialog) -> None:
        await heard(server)
        await server.say(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", b"", b"5", b"hello", b"0", b"")
        server.writer.close()

    assert await ask(script) == (200, b"hello")


@pytest.mark.parametrize(
    "answer", [b"", b"220 smtp.test ESMTP\r\n", b"\x00" * 500, b"HTTP/1.1 20000000000000 x\r\n\r\n"]
)
async def test_what_is_no_answer(answer: bytes) -> None:
    async def script(server: Dialog) -> None:
        await heard(server)
        server.writer.write(answer)
        server.writer.close()

    with pytest.raises(SourceLost, match="token endpoint"):
        await ask(script)


async def test_a_redirect_is_not_followed() -> None:
    async def script(server: Dialog) -> None:
        await heard(server)
        await server.say(b"HTTP/1.1 307 Go there", b"Location: https://elsewhere.example/", b"Content-Length: 0", b"")

    assert (await ask(script))[0] == 307


@pytest.mark.parametrize("line", [b"x" * 4096, b"X-Filler: " + b"y" * 1000 + b"\r\n"])
async def test_an_endless_answer(line: bytes) -> None:
    async def script(server: Dialog) -> None:
        await heard(server)
        server.writer.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(2 * module.LIMIT // len(line)):
            server.writer.write(line)
            await server.writer.drain()
        await server.silence()

    with pytest.raises(SourceLost, match="endless"):
        await ask(script)


async def test_a_drop_at_a_time() -> None:
    """Each read is quick, the whole is not."""

    async def script(server: Dialog) -> None:
        await heard(server)
        while True:
            server.writer.write(b"H")
            await server.writer.drain()
            await asyncio.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(SourceLost, match="in time"):
        await ask(script, seconds=0.5)
    assert time.monotonic() - began < 4


async def test_nobody_there() -> None:
    async def script(server: Dialog) -> None:
        return

    async with scripted(script) as port:
        pass
    with pytest.raises(SourceLost, match="token endpoint"):
        await post_form(f"http://127.0.0.1:{port}/", {}, ssl.create_default_context())


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/token",
        "http://192.0.2.1/token",
        "http://localhost.example/",
        "ftp://127.0.0.1/",
        "https://user:word@idp.example/",
        "https://127.0.0.1@idp.example/",
        "https:///token",
        "https://idp.example/a b",
        "https://idp.example/a\r\nX: y",
        "https://idp.example:99999/",
        "https://[::1/",
        "",
        "token",
    ],
)
async def test_addresses_that_get_no_secrets(url: str) -> None:
    assert not is_usable(url)
    with pytest.raises(SourceRefused, match="token endpoint"):
        await post_form(url, {"refresh_token": "x"}, ssl.create_default_context())


def test_addresses_that_are_used() -> None:
    for url in (
        "https://login.example/tenant/oauth2/v2.0/token",
        "https://idp.example:8443",
        "http://127.0.0.1:1/",
        "http://[::1]/",
    ):
        assert is_usable(url)
