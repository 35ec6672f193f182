"""The mails of the load test: a ministry's official letters, each with a number of its own, DKIM-signed where it is a stranger."""

from __future__ import annotations

import base64
import itertools
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from mailrelay.cli.demo import outside
from mailrelay.cli.demo.papers import pdf

KIB = 1024
MARK = b"X-Load-Id: "
DOMAIN = "hoabinh.gov.vn"
STRANGER = f"vanthu@{outside.MINISTRY}"
CLERK = f"sotc@{DOMAIN}"
RECEIVERS = tuple(f"{name}@{DOMAIN}" for name in ("sotttt", "sokhdt", "sonv", "sotp", "soxd", "soyt"))
_TEXT = (
    "Kính gửi: Văn phòng UBND tỉnh.\r\n\r\nCăn cứ kế hoạch đã ban hành, đơn vị xin gửi văn bản số {n} kèm theo thư này.\r\n"
    "Đề nghị xác nhận đã nhận văn bản.\r\n\r\nTrân trọng.\r\n"
)


@dataclass(frozen=True, slots=True)
class Mail:
    """`wire` is what goes over the wire after 354, the final dot included; `ident` is found again at the sink."""

    ident: str
    sender: str
    recipient: str
    wire: bytes


class Printer:
    """Prints mails, each with the next number. Large mails of one size share their body, so that printing costs little."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self._numbers = itertools.count(1)
        self._run = random.randbytes(4).hex()
        self._scans: dict[int, bytes] = {}

    def mails(self, size: int, count: int, *, login: bool = False, paper: bytes = b"") -> list[Mail]:
        """`count` mails of about `size` octets: from the ministry with a DKIM signature, or from a clerk who logs in.

        `paper` is the PDF file that all of them carry, else each has an unsigned one of its own.
        """
        return [self._mail(size, next(self._numbers), login=login, paper=paper) for _ in range(count)]

    def _mail(self, size: int, number: int, *, login: bool, paper: bytes) -> Mail:
        ident = f"{self._run}-{number}"
        sender = CLERK if login else STRANGER
        recipient = RECEIVERS[number % len(RECEIVERS)]
        notation = "BC-STC" if login else "BTTTT-ƯDCNTT"
        paper = paper or pdf([f"CONG VAN SO {number}"])
        raw = self._raw(size, number, ident, sender, recipient, notation, paper)
        if not login:
            raw = outside.dkim_signed(raw, self._key)
        return Mail(ident, sender, recipient, MARK + ident.encode() + b"\r\n" + raw + b".\r\n")

    def _raw(
        self, size: int, number: int, ident: str, sender: str, recipient: str, notation: str, file: bytes
    ) -> bytes:
        subject = Header(f"{number}/{notation} V/v gửi, nhận văn bản điện tử", "utf-8", maxlinelen=70)
        edge = f"=_load_{number:07d}"
        head = (
            f"From: <{sender}>\r\nTo: <{recipient}>\r\nMessage-ID: <{ident}@may-tram.example>\r\n"
            f"Date: {format_datetime(datetime.now(UTC))}\r\nSubject: {subject.encode(linesep=chr(13) + chr(10))}\r\n"
            f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="{edge}"\r\n\r\n'
            f"--{edge}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        ).encode()
        paper = _attachment(edge, "application/pdf", f"{number}_van-ban.pdf")
        scan = _attachment(edge, "image/jpeg", f"{number}_ban-chup.jpg")
        shown = _lines(_TEXT.format(n=number).encode()) + paper + _lines(file)
        end = f"--{edge}--\r\n".encode()
        room = max(size - len(head) - len(shown) - len(scan) - len(end) - (0 if sender == CLERK else 700), 80)
        return head + shown + scan + self._scan(room) + end

    def _scan(self, room: int) -> bytes:
        """A picture that fills so many octets, in base64."""
        if room < 64 * KIB:
            return _lines(b"\xff\xd8\xff\xe0" + random.randbytes(room // 78 * 57))
        if room not in self._scans:
            self._scans[room] = _lines(b"\xff\xd8\xff\xe0" + random.Random(room).randbytes(room // 78 * 57))
        return self._scans[room]


def _attachment(edge: str, kind: str, name: str) -> bytes:
    return (
        f'--{edge}\r\nContent-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    ).encode()


def _lines(raw: bytes) -> bytes:
    return base64.encodebytes(raw).replace(b"\n", b"\r\n")
