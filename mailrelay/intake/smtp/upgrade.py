"""From clear text to TLS on an open connection: STARTTLS and implicit TLS go the same way, so both are counted and timed alike."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import sslproto
from typing import Any


async def start_tls(session: Any, context: ssl.SSLContext, handshake_time: int, *, first: bytes = b"") -> None:
    """Put TLS between the transport and an aiosmtpd `SMTP` session, and wait for the handshake.

    `handshake_time` is in seconds; `first` are octets of the handshake that were already read. Raises ConnectionError when
    the handshake fails. The parent's own STARTTLS does the same steps, but not for a connection that begins with TLS, and
    without a time limit.
    """
    loop = session.loop
    waiter = loop.create_future()
    protocol = sslproto.SSLProtocol(
        loop, session, context, waiter, server_side=True, ssl_handshake_timeout=handshake_time
    )
    session._tls_protocol = protocol
    session._original_transport = session.transport
    session._original_transport.set_protocol(protocol)
    session.transport = protocol._app_transport
    protocol.connection_made(session._original_transport)
    if first:
        view = protocol.get_buffer(len(first))
        view[: len(first)] = first
        protocol.buffer_updated(len(first))
    try:
        await waiter
    except asyncio.CancelledError:
        raise
    except Exception as error:
        raise ConnectionError("TLS handshake failed") from error
    if session.transport.get_extra_info("ssl_object") is None:
        raise ConnectionError("connection lost during the TLS handshake")
