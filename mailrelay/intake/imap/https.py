"""One POST to an address that an administrator wrote down: TLS verified, no redirects, bounded in time and size."""

from __future__ import annotations

import asyncio
import http.client
import io
import ipaddress
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from mailrelay.intake.imap.source import SourceLost, SourceRefused

LIMIT = 64 * 1024  # octets of an answer, header included
TIME = 20.0  # seconds for all of it
_BLOCK = 4096


async def post_form(
    url: str, form: Mapping[str, str], context: ssl.SSLContext, *, seconds: float = TIME
) -> tuple[int, bytes]:
    """Return status and body. SourceRefused: an address that is not used for secrets; SourceLost: no whole answer in time."""
    host, port, path, secure = _parts(url)
    body = urlencode(form).encode()
    lines = (
        f"POST {path} HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        "Content-Type: application/x-www-form-urlencoded",
        "Accept: application/json",
        "User-Agent: mailrelay",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    request = "".join(f"{line}\r\n" for line in lines).encode("ascii") + b"\r\n" + body
    try:
        async with asyncio.timeout(seconds):
            answer = await _exchange(host, port, context if secure else None, request)
        return _read(answer)
    except TimeoutError as fault:
        raise SourceLost("token endpoint: no answer in time") from fault
    except OSError as fault:  # names, routes, refusals, certificates
        raise SourceLost(
            f"token endpoint: {getattr(fault, 'reason', '') or fault.strerror or type(fault).__name__}"
        ) from fault
    except (http.client.HTTPException, ValueError) as fault:
        raise SourceLost("token endpoint: not an answer of HTTP") from fault


def is_usable(url: str) -> bool:
    """Whether secrets may be sent to an address: https, or plain http to this machine itself."""
    try:
        _parts(url)
    except SourceRefused:
        return False
    return True


def _parts(url: str) -> tuple[str, int, str, bool]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or not url.isascii() or not url.isprintable() or " " in url or "@" in parts.netloc:
        raise SourceRefused("token endpoint: not an https address")
    secure = parts.scheme == "https"
    if not secure and not (parts.scheme == "http" and _is_loopback(host)):
        raise SourceRefused("token endpoint: secrets are sent by https only")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, port or (443 if secure else 80), path, secure


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _exchange(host: str, port: int, context: ssl.SSLContext | None, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(
        host, port, ssl=context, server_hostname=host if context else None, limit=_BLOCK
    )
    try:
        writer.write(request)
        await writer.drain()
        answer = b""
        while not _is_whole(answer) and (block := await reader.read(_BLOCK)):
            answer += block
            if len(answer) > LIMIT:
                raise SourceLost("token endpoint: an endless answer")
        return answer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _is_whole(answer: bytes) -> bool:
    """Whether the announced length has come: not every server hangs up when it was asked to."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1:] if blank else ():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value.strip()[:9])
    return False


def _read(answer: bytes) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(_Heard(answer), method="POST")  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read()


class _Heard:
    """Octets in the shape that the standard library's reader of answers wants: a socket that can only be read."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._octets)
