"""Compound files ([MS-CFB]), VBA projects, old Excel and Word files for tests: small, whole, and harmless."""

from __future__ import annotations

import struct

SECTOR = 512
_CUTOFF = 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
DIRECTORY = b"\x01\x03\xb0\x00abcd" + b"\0" * 8  # a compressed container of [MS-OVBA] begins so


def _entry(name: str, kind: int, start: int, size: int) -> bytes:
    wide = name.encode("utf-16-le") + b"\0\0"
    head = wide.ljust(64, b"\0") + struct.pack("<HBB", len(wide), kind, 1) + struct.pack("<III", _FREE, _FREE, _FREE)
    return head + b"\0" * 36 + struct.pack("<IIQ", start, size, 0)[:12]


def built(*streams: tuple[str, bytes], small: tuple[str, bytes] | None = None) -> bytes:
    """A compound file with these streams, in the order given; "Name/" is a storage. `small` goes into the mini stream."""
    sectors: list[bytes] = []
    chains: list[int] = []

    def place(data: bytes) -> int:
        start = len(sectors)
        pieces = [data[at : at + SECTOR].ljust(SECTOR, b"\0") for at in range(0, len(data), SECTOR)]
        for number, piece in enumerate(pieces):
            sectors.append(piece)
            chains.append(start + number + 1 if number + 1 < len(pieces) else _END)
        return start

    root_start, root_size, mini_fat = _END, 0, _END
    entries: list[bytes] = []
    for name, data in streams:
        if name.endswith("/"):
            entries.append(_entry(name[:-1], 1, 0, 0))
        else:
            padded = data.ljust(_CUTOFF, b"\0")
            entries.append(_entry(name, 2, place(padded), len(padded)))
    if small is not None:
        name, data = small
        count = -(-len(data) // 64)
        root_start, root_size = place(data.ljust(count * 64, b"\0")), count * 64
        mini_fat = place(struct.pack(f"<{count}I", *range(1, count), _END).ljust(SECTOR, b"\xff"))
        entries.append(_entry(name, 2, 0, len(data)))
    directory = place(b"".join([_entry("Root Entry", 5, root_start, root_size), *entries]))
    fat_count = 1
    while fat_count * (SECTOR // 4) < len(sectors) + fat_count:
        fat_count += 1
    first = len(sectors)
    table = struct.pack(f"<{len(chains)}I", *chains) + struct.pack(f"<{fat_count}I", *[_FAT] * fat_count)
    place(table.ljust(fat_count * SECTOR, b"\xff"))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + b"\0" * 6
    head += struct.pack("<IIIIIIIII", 0, fat_count, directory, 0, _CUTOFF, mini_fat, int(mini_fat != _END), _END, 0)
    numbers = [*range(first, first + fat_count)]
    head += struct.pack("<109I", *numbers, *[_FREE] * (109 - fat_count))
    return head + b"".join(sectors)


def vba(directory: bytes = DIRECTORY) -> bytes:
    """A vbaProject.bin."""
    return built(("VBA/", b""), ("dir", directory), ("_VBA_PROJECT", b"\xcc\x61"), ("Module1", b"Attribute"))


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def sheet(name: str, kind: int, state: int = 0) -> bytes:
    """A BOUNDSHEET record: kind 0 is a worksheet, 1 an Excel 4 macro sheet, 6 a VBA module."""
    return record(0x85, struct.pack("<IBBBB", 0x200, state, kind, len(name), 0) + name.encode("ascii"))


def excel(*records: bytes) -> bytes:
    return built(("Workbook", record(0x809, b"\0\x06\5\0" + b"\0" * 12) + b"".join(records) + record(0x0A, b"")))


def word97(text: bytes = b"K\xe9 ho\xe1ch", flags: int = 0) -> bytes:
    fib = struct.pack("<HHHHHBB", 0xA5EC, 0xC1, 0, 0x42A, 0, 0, flags).ljust(512, b"\0")
    return built(("WordDocument", fib + text), ("1Table", b"x"))
