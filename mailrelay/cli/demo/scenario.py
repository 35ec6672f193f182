"""What happens in the sample office: eight kinds of mail as real clients send them, and what shall become of each."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailrelay.cli.demo.keys import Identity
from mailrelay.cli.demo.outside import CITIZEN, MINISTRY
from mailrelay.cli.demo.papers import File, mail, pdf, signed_pdf
from mailrelay.model.calendar import format_date, vietnamese_date

Endpoint = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """One mail of the scenario.

    `expected` is the named outcome: delivered, held, returned or rejected; `receivers` are the mailboxes in which it must be
    found byte for byte (for delivered) and must not be found (for anything else).
    """

    title: str
    login: str  # "" = comes in on port 25
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    message_id: str
    message_class: str
    expected: str
    receivers: tuple[str, ...]


@dataclass(slots=True)
class Sent:
    """What the client saw: the reply code and text, and the mail id that the service named in it."""

    piece: Piece
    code: int
    reply: str
    mail_id: str = ""
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: addresses of the sample office."""

    province: str  # văn thư of VP UBND, who also keeps UBND tỉnh's books
    everyone: str  # the group of all agencies
    members: tuple[str, ...]
    communications: str  # Sở TTTT's văn thư
    finance: str  # Sở Tài chính's văn thư
    planning: str  # Sở KHĐT's văn thư
    person: str  # an official
    colleague: str  # another


async def pieces(cast: Cast, person: Identity, agency: Identity, now: datetime) -> list[Piece]:
    """Write the scenario's mails. `person` and `agency` sign the plan in this order."""
    today = format_date(vietnamese_date(now))
    plan = await signed_pdf(_plan_lines(today), (person, agency))
    invitation_id, invitation = mail(
        f"Sở Thông tin và Truyền thông <{cast.communications}>",
        cast.finance,
        "Giấy mời họp triển khai trao đổi văn bản điện tử",
        f"Kính gửi Sở Tài chính,\n\nKính mời đại diện Quý Sở dự họp lúc 14 giờ 00 ngày {today} tại phòng họp số 2.\n",
        now,
        files=(File("Giấy mời họp.pdf", "application/pdf", pdf(["GIAY MOI HOP"])),),
    )
    plan_id, plan_raw = mail(
        f"Văn phòng UBND tỉnh <{cast.province}>",
        cast.everyone,
        f"59/KH-UBND ngày {today} V/v thực hiện việc trao đổi văn bản điện tử",
        "Kính gửi: Các sở, ban, ngành tỉnh; UBND các huyện, thành phố.\n\n"
        "Gửi kèm Kế hoạch thực hiện việc trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước tỉnh Hòa Bình.\n",
        now,
        files=(File("59_KH-UBND.pdf", "application/pdf", plan),),
    )
    reply_id, reply = mail(
        f"Sở Tài chính <{cast.finance}>",
        cast.communications,
        "Trả lời: Giấy mời họp triển khai trao đổi văn bản điện tử",
        "Sở Tài chính cử 01 đồng chí lãnh đạo phòng dự họp.\n",
        now,
        in_reply_to=invitation_id,
    )
    return [
        Piece(
            "Kế hoạch có hai chữ ký số gửi 33 cơ quan",
            cast.province,
            cast.province,
            (cast.everyone,),
            plan_raw,
            plan_id,
            "document",
            "delivered",
            cast.members,
        ),
        Piece(
            "Giấy mời họp",
            cast.communications,
            cast.communications,
            (cast.finance,),
            invitation,
            invitation_id,
            "exchange",
            "delivered",
            (cast.finance,),
        ),
        Piece(
            "Trả lời giấy mời",
            cast.finance,
            cast.finance,
            (cast.communications,),
            reply,
            reply_id,
            "exchange",
            "delivered",
            (cast.communications,),
        ),
        _draft(cast, now),
        _disguised(cast, now),
        _secret(cast, now),
        _letter(cast, now),
        _citizen(cast, now),
    ]


def _plan_lines(today: str) -> list[str]:
    return [
        "UY BAN NHAN DAN TINH HOA BINH",
        "So: 59/KH-UBND",
        f"Hoa Binh, ngay {today}",
        "KE HOACH",
        "Thuc hien viec trao doi van ban dien tu",
    ]


def _draft(cast: Cast, now: datetime) -> Piece:
    message_id, raw = mail(
        f"Sở Kế hoạch và Đầu tư <{cast.planning}>",
        cast.finance,
        "Dự thảo Quy chế sử dụng thư điện tử – lấy ý kiến",
        "Kính gửi Sở Tài chính cho ý kiến vào dự thảo gửi kèm.\n",
        now,
        files=(File("Dự thảo Quy chế.pdf", "application/pdf", pdf(["DU THAO QUY CHE"])),),
    )
    return _one("Dự thảo lấy ý kiến", cast.planning, cast.finance, raw, message_id, "exchange", "delivered")


def _disguised(cast: Cast, now: datetime) -> Piece:
    program = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff" + b"\x00" * 46 + b"\x80\x00\x00\x00" + b"\x00" * 64
    program += b"PE\x00\x00L\x01\x01\x00" + b"\x00" * 240
    message_id, raw = mail(
        f"Sở Tài chính <{cast.finance}>",
        cast.planning,
        "15/BC-STC V/v báo cáo quyết toán",
        "Gửi kèm báo cáo.\n",
        now,
        files=(File("15_BC-STC.pdf.exe", "application/pdf", program),),
    )
    return _one("Tệp chạy được giả làm PDF", cast.finance, cast.planning, raw, message_id, "document", "returned")


def _secret(cast: Cast, now: datetime) -> Piece:
    message_id, raw = mail(
        f"Sở Tài chính <{cast.finance}>",
        cast.planning,
        "[MẬT] 03/BC-STC V/v một việc không gửi qua mạng",
        "Nội dung này không được rời máy của người soạn.\n",
        now,
    )
    return _one("Văn bản đóng dấu MẬT", cast.finance, cast.planning, raw, message_id, "document", "rejected")


def _letter(cast: Cast, now: datetime) -> Piece:
    message_id, raw = mail(
        cast.person, cast.colleague, "Trưa nay ăn gì?", "Anh em mình ra quán phở đầu phố nhé.\n", now
    )
    return _one("Thư riêng", cast.person, cast.colleague, raw, message_id, "letter", "delivered")


def _citizen(cast: Cast, now: datetime) -> Piece:
    sender = f"nguyenthilan@{CITIZEN}"
    message_id, raw = mail(
        f"Nguyễn Thị Lan <{sender}>",
        cast.finance,
        "Hỏi về thủ tục cấp mã số",
        "Kính gửi quý cơ quan, xin cho tôi hỏi hồ sơ gồm những giấy tờ gì?\n",
        now,
    )
    return Piece(
        "Thư của người dân", "", sender, (cast.finance,), raw, message_id, "letter", "delivered", (cast.finance,)
    )


def ministry_mail(cast: Cast, now: datetime) -> tuple[str, str, bytes]:
    """Sender, Message-ID and bytes of a letter from the ministry, not yet DKIM-signed."""
    sender = f"vanthu@{MINISTRY}"
    message_id, raw = mail(
        f"Bộ Thông tin và Truyền thông <{sender}>",
        cast.communications,
        "1777/BTTTT-ƯDCNTT V/v hướng dẫn xây dựng lộ trình trao đổi văn bản điện tử",
        "Kính gửi: Sở Thông tin và Truyền thông tỉnh Hòa Bình.\n",
        now,
        files=(File("1777_BTTTT-UDCNTT.pdf", "application/pdf", pdf(["CONG VAN 1777/BTTTT-UDCNTT"])),),
    )
    return sender, message_id, raw


def _one(
    title: str, sender: str, recipient: str, raw: bytes, message_id: str, message_class: str, expected: str
) -> Piece:
    return Piece(title, sender, sender, (recipient,), raw, message_id, message_class, expected, (recipient,))


def send(piece: Piece, mx: Endpoint, submission: Endpoint, password: str, trust: ssl.SSLContext) -> Sent:
    """Hand one mail in as a client does: STARTTLS and AUTH on the submission port, plain SMTP on port 25. Blocking."""
    host, port = submission if piece.login else mx
    with smtplib.SMTP(host, port, timeout=60, local_hostname="may-tram.example") as client:
        if piece.login:
            client.starttls(context=trust)
            client.login(piece.login, password)
        client.ehlo_or_helo_if_needed()
        client.mail(piece.sender, ["BODY=8BITMIME"])
        refused: dict[str, str] = {}
        for recipient in piece.recipients:
            code, text = client.rcpt(recipient)
            if code >= 300:
                refused[recipient] = text.decode("utf-8", "replace")
        code, text = client.data(piece.raw)
    reply = text.decode("utf-8", "replace")
    return Sent(piece, code, reply, _mail_id(reply), refused)


def _mail_id(reply: str) -> str:
    words: Sequence[str] = reply.replace("<", " ").replace(">", " ").split()
    return next((word for word in words if len(word) == 26 and word.isalnum() and word.isupper()), "")
