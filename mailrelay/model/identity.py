"""Names of things: the id that follows one mail through the house, and the ids of agencies.

A mail id is a ULID: 48 bits of milliseconds since 1970 and 80 random bits, in 26 characters of Crockford's base 32,
so that ids sort by time, fit a file name, and can be read over the telephone.
"""

from __future__ import annotations

import re
from typing import NewType

MailId = NewType("MailId", str)
AgencyId = NewType("AgencyId", str)

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MAIL_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")


def make_mail_id(milliseconds: int, randomness: bytes) -> MailId:
    """Return the mail id for a moment (milliseconds since 1970) and exactly ten random bytes."""
    if len(randomness) != 10:
        raise ValueError("a mail id needs exactly ten random bytes")
    if not 0 <= milliseconds < 1 << 48:
        raise ValueError("the moment lies outside the range of a mail id")
    number = milliseconds << 80 | int.from_bytes(randomness, "big")
    return MailId("".join(_ALPHABET[number >> shift & 31] for shift in range(125, -5, -5)))


def is_mail_id(text: str) -> bool:
    """Tell whether `text` has the form of a mail id (26 characters, upper case)."""
    return _MAIL_ID.match(text) is not None


def milliseconds_of(mail_id: MailId) -> int:
    """Return the moment inside a mail id, in milliseconds since 1970."""
    number = 0
    for letter in mail_id[:10]:
        number = number << 5 | _ALPHABET.index(letter)
    return number
