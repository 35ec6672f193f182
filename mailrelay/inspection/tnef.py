"""Files inside winmail.dat (MS-OXTNEF): their names and bytes. Pure; foul input gives what was readable before the fault."""

from __future__ import annotations

import struct
from collections.abc import Iterator

SIGNATURE = b"\x78\x9f\x3e\x22"
_TITLE = 0x00018010
_DATA = 0x0006800F
_RENDER = 0x00069002
_TRANSPORT_NAME = 0x00069001
_MOST = 2000


def files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of each attached file; a name may be "" and the bytes empty."""
    name = ""
    content = b""
    begun = False
    for identity, value in _attributes(data):
        if identity == _RENDER:
            if begun:
                yield name, content
            name, content, begun = "", b"", True
        elif identity in (_TITLE, _TRANSPORT_NAME) and not name:
            name = value.split(b"\0")[0].decode("cp1258", "replace")
        elif identity == _DATA:
            content = value
    if begun or content:
        yield name, content


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 6  # behind the signature and the key
    for _ in range(_MOST):
        if position + 9 > len(data):
            return
        _, identity, length = struct.unpack_from("<BII", data, position)
        position += 9
        if position + length + 2 > len(data):
            yield identity, data[position:]
            return
        yield identity, data[position : position + length]
        position += length + 2
