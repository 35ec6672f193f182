"""TLS of the doors: the server context, and the line that tells which protection a connection has."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any


def server_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer with forward secrecy (RFC 8996, RFC 9325). Raises OSError or ssl.SSLError for unreadable files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificate, key)
    return context


def describe(connection: Any) -> str | None:
    """ "TLSv1.3 TLS_AES_256_GCM_SHA384" for an SSLObject, None for clear text."""
    if connection is None:
        return None
    cipher = connection.cipher()
    return f"{connection.version()} {cipher[0]}" if cipher else None
