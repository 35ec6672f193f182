"""The mails of a crash test: made from their number alone, so that nothing has to be kept but the number."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

DOMAIN = "hoabinh.gov.vn"
OUTSIDE = "vanthu@bo.example"
LOGINS = {"sotc": "STC", "sonv": "SNV", "sotp": "STP", "soxd": "SXD"}  # clerks and the symbols of their agencies
LETTER_WRITER, LETTER_READER = "giangvv", "toanbm2"
NUMBERED = f"songv@{DOMAIN}"  # an agency that gives a số đến at arrival
WAITING = f"sokhdt@{DOMAIN}"  # one whose clerk accepts by hand
KIB = 1024


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to send: `digest` is the SHA-256 of `raw`, the bytes between 354 and the final dot."""

    number: int
    login: str
    recipients: tuple[str, ...]
    raw: bytes
    digest: str
    document: bool
    secret: bool = False

    @property
    def sender(self) -> str:
        return f"{self.login}@{DOMAIN}"


def size_of(number: int) -> int:
    """4 KiB to 10 MiB, mostly small."""
    if number % 400 == 7:
        return 10 * KIB * KIB
    if number % 50 == 3:
        return KIB * KIB
    return 100 * KIB if number % 10 == 5 else 4 * KIB


def compose(number: int) -> Mail:
    """The mail of this number: papers to one or two places, letters inside and outside, now and then a secret paper."""
    kind = number % 20
    secret = kind == 11
    document = kind % 4 != 1 and not secret
    login = LETTER_WRITER if kind % 4 == 1 else tuple(LOGINS)[number // 4 % len(LOGINS)]
    recipients = _recipients(kind)
    if secret:
        subject = f"TỐI MẬT: {number}/BC-{LOGINS[login]}"
    elif document:
        subject = f"{number}/BC-{LOGINS[login]} V/v thử nghiệm"
    else:
        subject = f"Chào anh, việc thứ {number}"
    raw = _bytes(number, f"{login}@{DOMAIN}", recipients, subject)
    return Mail(number, login, recipients, raw, hashlib.sha256(raw).hexdigest(), document, secret)


def _recipients(kind: int) -> tuple[str, ...]:
    if kind % 4 == 1:
        return (OUTSIDE,) if kind % 8 == 1 else (f"{LETTER_READER}@{DOMAIN}",)
    return {0: (NUMBERED,), 2: (WAITING,), 3: (NUMBERED, OUTSIDE)}[kind % 4]


def token(number: int) -> bytes:
    """What stands in the text of this mail and of no other."""
    return b"Token-%07d-end" % number


def _bytes(number: int, sender: str, recipients: tuple[str, ...], subject: str) -> bytes:
    head = (
        f"From: <{sender}>\r\nTo: {', '.join(f'<{address}>' for address in recipients)}\r\n"
        f"Message-ID: <crash-{number}@may-tram.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0700\r\n"
        f"Subject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\nKính gửi: Quý cơ quan.\r\n.\r\n..\r\n"
    ).encode()
    line = token(number) + b" mot dong van ban thu nghiem dai vua phai\r\n"
    return head + line * max(1, (size_of(number) - len(head)) // len(line))
