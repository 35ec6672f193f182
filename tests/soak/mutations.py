"""Mutations of mails and files: of bytes, of words that parsers act on, of lines, of parts. Seeded, so that each can be made again.

A file is mutated as a file and packed into a mail anew, else nearly every mutation would only break its base64.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from tests.soak.corpus import Seed

MOST = 256 * 1024  # bytes that a mutant may have grown to

_WORDS = (
    *(
        b"PK\x03\x04",
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"PK\x06\x06",
        b"Rar!\x1a\x07",
        b"7z\xbc\xaf\x27\x1c",
        b"\x1f\x8b\x08",
    ),
    *(b"BZh9", b"\xfd7zXZ\x00", b"MSCF", b"ustar", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"MZ", b"\x7fELF", b"%PDF-1.7"),
    *(b"<<", b">>", b"[" * 100, b"]", b"(", b")", b"/JavaScript", b"/Launch", b"/ObjStm", b"/Length 99999999", b" 0 R"),
    *(b"stream\n", b"endstream", b"endobj", b"xref\n", b"trailer", b"startxref\n", b"%%EOF", b"/ByteRange [0 1 2 3]"),
    *(
        b"{\\rtf1",
        b"\\objdata",
        b"<Relationship ",
        b"macroEnabled",
        b"<!--",
        b"-->",
        b"<div style='display:none'>",
        b"&#0;",
    ),
    *(
        b"-----BEGIN PGP SIGNATURE-----",
        b"-----END PGP SIGNATURE-----",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x06\x09",
    ),
    *(b"\r\n\r\n", b"\r\n", b"\n", b"\r", b"\0", b"\xff" * 8, b"=", b"==", b"=?utf-8?B?", b"?=", b"begin 644 a.exe\n"),
    *(b"From: x@evil.vn\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: message/rfc822\r\n"),
    *(b"Content-Transfer-Encoding: base64\r\n", b"filename*0*=utf-8''a; filename*1*=%", b"--b\r\n", b"--b--\r\n"),
)
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_FILENAMES = (
    "a.pdf",
    "a.zip",
    "a.docx",
    "a.xls",
    "a.xlsb",
    "a.rar",
    "a.7z",
    "a.gz",
    "a.rtf",
    "a.odt",
    "winmail.dat",
    "a.p7s",
    "a",
)

Mutation = Callable[[bytearray, random.Random, Sequence[Seed]], None]


def _place(data: bytearray, dice: random.Random) -> int:
    return dice.randrange(len(data) + 1)


def _flip(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    for _ in range(dice.choice((1, 1, 2, 8, 64))):
        if data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _overwrite(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    at = _place(data, dice)
    noise = dice.randbytes(dice.choice((1, 4, 16, 200)))
    data[at : at + len(noise)] = noise


def _number(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    """A length, count or offset that lies."""
    at = _place(data, dice)
    value = dice.choice(_NUMBERS)
    form = dice.choice(("<H", ">H", "<I", ">I", "B"))
    packed = struct.pack(form, value & ((1 << 8 * struct.calcsize(form)) - 1))
    data[at : at + len(packed)] = packed


def _insert_word(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    at = _place(data, dice)
    data[at:at] = dice.choice(_WORDS)


def _overwrite_word(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    at = _place(data, dice)
    word = dice.choice(_WORDS)
    data[at : at + len(word)] = word


def _truncate(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    del data[_place(data, dice) :]


def _cut(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    at = _place(data, dice)
    del data[at : at + dice.choice((1, 2, 16, 300, 3000))]


def _double(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    at = _place(data, dice)
    piece = bytes(data[at : at + dice.choice((1, 16, 300, 3000))])
    data[at:at] = piece * dice.choice((1, 1, 2, 30, 300))


def _splice(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    """The first half of one, the second half of another."""
    other = dice.choice(seeds).data
    data[_place(data, dice) :] = other[dice.randrange(len(other) + 1) :]


def _lines(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    """Lines dropped, doubled, swapped, joined: the grain of headers, MIME delimiters, armour and cross-reference tables."""
    lines = bytes(data[:MOST]).split(b"\n")
    for _ in range(dice.choice((1, 1, 2, 5))):
        at = dice.randrange(len(lines))
        act = dice.randrange(5)
        if act == 0 and len(lines) > 1:
            del lines[at]
        elif act == 1:
            lines[at:at] = [lines[at]] * dice.choice((1, 2, 50))
        elif act == 2:
            other = dice.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif act == 3:
            lines[at] = (lines[at] * dice.choice((2, 100)))[:MOST]  # again and again it would fill the memory
        else:
            lines[at : at + 2] = [b"".join(lines[at : at + 2])]
    data[:] = b"\n".join(lines)


def _tokens(data: bytearray, dice: random.Random, seeds: Sequence[Seed]) -> None:
    """Decimal numbers and quoted words changed where they stand: PDF offsets, Content-Length, part numbers."""
    start = _place(data, dice)
    at = next((i for i in range(start, min(start + 4000, len(data))) if 48 <= data[i] <= 57), -1)
    if at >= 0:
        end = at
        while end < len(data) and 48 <= data[end] <= 57:
            end += 1
        data[at:end] = dice.choice((b"0", b"1", b"-1", b"4294967296", b"99999999999999999999", b"1e9"))


MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _flip, _overwrite, _number, _insert_word, _insert_word, _overwrite_word),
    *(_truncate, _cut, _double, _splice, _lines, _lines, _tokens),
)


def mutant(seeds: Sequence[Seed], dice: random.Random) -> Seed:
    """One more mail or file out of the corpus, changed in one to five ways."""
    seed = dice.choice(seeds)
    data = bytearray(seed.data)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 5))):
        dice.choice(MUTATIONS)(data, dice, seeds)
        del data[MOST:]
    filename = seed.filename
    if filename and dice.random() < 0.15:
        filename = dice.choice(_FILENAMES)
    return Seed(seed.origin, bytes(data), filename)
