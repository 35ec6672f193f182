"""The private parts of asyncio.StreamReader that the door needs, in one place; pinned by test_aiosmtpd_contract."""

from __future__ import annotations

import asyncio
from typing import Any


def put_back(reader: asyncio.StreamReader, octets: bytes) -> None:
    """Give octets back that were read too far, before everything that waits in the reader."""
    _buffer(reader)[:0] = octets


def has_line(reader: asyncio.StreamReader) -> bool:
    """Whether a whole line waits already."""
    return b"\n" in _buffer(reader)


def take_all(reader: asyncio.StreamReader) -> bytes:
    """Empty the reader and return what waited in it."""
    buffer = _buffer(reader)
    octets = bytes(buffer)
    buffer.clear()
    return octets


def set_limit(reader: asyncio.StreamReader, octets: int) -> None:
    """From twice this many waiting octets on, the transport stops reading."""
    private: Any = reader
    private._limit = octets


def _buffer(reader: asyncio.StreamReader) -> bytearray:
    private: Any = reader
    buffer: bytearray = private._buffer
    return buffer
