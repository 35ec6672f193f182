"""One bounded HTTP exchange with a CA of the trust folder: no redirect is followed, nothing large or slow is waited for.

The addresses come from the administrator's files, never from a mail; still, whoever sits on the line may answer.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
import time
from urllib.parse import urlsplit

MOST_BYTES = 16 * 1024 * 1024
_TIME = 30.0  # seconds of one exchange, all told
_STEP = 64 * 1024
_AGENT = "mailrelay"


class Unreachable(Exception):
    """Nothing usable came: the argument says why, for the log."""


async def fetch(address: str, request: bytes | None = None, *, limit: float = _TIME) -> bytes:
    """Return what stands at an http or https address; with a `request` (OCSP, RFC 6960 appendix A) post it. Raises Unreachable."""
    return await asyncio.to_thread(_exchange, address, request, limit)


def _exchange(address: str, request: bytes | None, limit: float) -> bytes:
    deadline = time.monotonic() + limit
    place = urlsplit(address)
    try:
        port = place.port
    except ValueError:
        raise Unreachable("port") from None
    if place.scheme not in ("http", "https") or not place.hostname or place.username is not None:
        raise Unreachable("address")
    connection: http.client.HTTPConnection
    if place.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(place.hostname, port, timeout=limit, context=context)
    else:
        connection = http.client.HTTPConnection(place.hostname, port, timeout=limit)
    target = (place.path or "/") + (f"?{place.query}" if place.query else "")
    headers = {"User-Agent": _AGENT, "Connection": "close"}
    if request is not None:
        headers["Content-Type"] = "application/ocsp-request"
    try:
        connection.request("GET" if request is None else "POST", target, request, headers)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise Unreachable(f"status {answer.status}")
        return _body(connection, answer, deadline)
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise Unreachable(type(fault).__name__) from fault
    finally:
        connection.close()


def _body(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, deadline: float) -> bytes:
    """Read to the end, to the limit of size, or to the deadline: a server that sends a byte a second does not hold us."""
    found = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Unreachable("time")
        if connection.sock is not None:
            connection.sock.settimeout(left)
        block = answer.read1(_STEP)
        if not block:
            return bytes(found)
        found += block
        if len(found) > MOST_BYTES:
            raise Unreachable("size")
