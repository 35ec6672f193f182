"""What came of a try, as values: replies and faults become Outcomes in one place. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from mailrelay.delivery.replies import Reply, safe_text
from mailrelay.model.dispatch import Outcome, Result, Scope

_TOO_MANY = "4.5.3"


class Trouble(Enum):
    """Faults that are not a peer's reply: RFC 3463 status, how far it reaches, and a sentence in both languages."""

    NO_SPACE = ("4.3.1", Scope.DESTINATION, "hết chỗ trên đĩa", "no space left on disk")
    BOX_FULL = ("4.2.2", Scope.DESTINATION, "hộp thư đã đầy", "mailbox full")
    NOT_PERMITTED = (
        "4.3.5",
        Scope.DESTINATION,
        "không được phép ghi vào hộp thư",
        "not permitted to write to the mailbox",
    )
    BOX_FAULT = ("4.3.0", Scope.DESTINATION, "không ghi được vào hộp thư", "cannot write to the mailbox")
    NO_MAIL = ("4.3.0", Scope.MAIL, "không đọc được tệp thư lưu trữ", "stored mail cannot be read")
    UNREACHABLE = ("4.4.1", Scope.DESTINATION, "không kết nối được với máy nhận", "cannot connect to the next hop")
    LOST = ("4.4.2", Scope.DESTINATION, "mất kết nối với máy nhận", "connection lost")
    SLOW = ("4.4.2", Scope.DESTINATION, "máy nhận trả lời quá chậm", "next hop too slow")
    UNCERTAIN = (
        "4.4.2",
        Scope.DESTINATION,
        "mất trả lời sau khi gửi xong, chưa rõ thư đã được nhận hay chưa",
        "reply lost after the final dot: it is not known whether the mail was taken",
    )
    GARBLED = ("4.5.0", Scope.DESTINATION, "máy nhận trả lời sai giao thức", "malformed reply")
    DNS = ("4.4.3", Scope.DESTINATION, "không tra cứu được tên miền", "name look-up failed")
    NO_DOMAIN = ("5.1.2", Scope.DESTINATION, "tên miền không tồn tại", "no such domain")
    NO_MX_ADDRESS = (
        "4.4.4",
        Scope.DESTINATION,
        "máy nhận thư của tên miền không có địa chỉ",
        "the mail exchangers have no address",
    )
    NULL_MX = ("5.1.10", Scope.DESTINATION, "tên miền không nhận thư", "the domain takes no mail (null MX)")
    LOOP = ("5.4.6", Scope.DESTINATION, "thư quay vòng về chính hệ thống này", "mail loops back to this system")
    NO_ROUTE = ("5.4.4", Scope.RECIPIENT, "không có đường chuyển tới địa chỉ này", "no route to this address")
    BAD_ADDRESS = ("5.1.3", Scope.RECIPIENT, "địa chỉ sai cú pháp", "bad address syntax")
    NO_TLS = ("4.7.4", Scope.DESTINATION, "máy nhận không hỗ trợ TLS bắt buộc", "required TLS is not offered")
    BAD_TLS = (
        "4.7.5",
        Scope.DESTINATION,
        "không thiết lập được TLS tin cậy",
        "TLS could not be established or trusted",
    )
    NO_REQUIRETLS = ("5.7.30", Scope.MAIL, "máy nhận không bảo đảm REQUIRETLS", "REQUIRETLS is not supported")
    NO_UTF8 = ("5.6.7", Scope.RECIPIENT, "máy nhận không hỗ trợ địa chỉ có dấu (SMTPUTF8)", "SMTPUTF8 is not supported")
    NO_UTF8_HEADER = (
        "5.6.9",
        Scope.MAIL,
        "máy nhận không hỗ trợ tiêu đề UTF-8 (SMTPUTF8)",
        "UTF-8 header is not supported",
    )
    NO_BINARY = ("5.6.3", Scope.MAIL, "máy nhận không hỗ trợ BINARYMIME", "BINARYMIME is not supported")
    TOO_BIG = ("5.3.4", Scope.MAIL, "thư lớn hơn giới hạn của máy nhận", "message too big for the next hop")
    BARE_NEWLINE = ("5.6.0", Scope.MAIL, "thư có ký tự CR hoặc LF đứng riêng", "bare CR or LF in the message")
    STOPPED = ("4.3.2", Scope.MAIL, "dịch vụ dừng khi đang gửi", "the service stopped while sending")
    SURPRISE = ("4.3.0", Scope.MAIL, "lỗi nội bộ khi chuyển thư", "internal fault while sending")

    def __init__(self, status: str, scope: Scope, vi: str, en: str) -> None:
        self.status = status
        self.scope = scope
        self.text = f"{vi} ({en})"

    @property
    def is_permanent(self) -> bool:
        return self.status.startswith("5")


@dataclass(frozen=True, slots=True)
class Hop:
    """The next hop as it is recorded: "mx.example.vn[192.0.2.7]:25" and "TLSv1.3 TLS_AES_256_GCM_SHA384" or ""."""

    remote: str = ""
    tls: str = ""


NOWHERE = Hop()


def of_trouble(recipient: str, trouble: Trouble, *, hop: Hop = NOWHERE, detail: str = "") -> Outcome:
    """The outcome of a fault of ours, of the network or of a server that does not keep to the protocol."""
    return Outcome(
        recipient=recipient,
        result=Result.FAILED if trouble.is_permanent else Result.DEFERRED,
        status=trouble.status,
        text=safe_text(f"{trouble.text}: {detail}" if detail else trouble.text),
        remote=hop.remote,
        tls=hop.tls,
        uncertain=trouble is Trouble.UNCERTAIN,
        scope=trouble.scope,
    )


def of_refusal(recipient: str, reply: Reply, *, hop: Hop, scope: Scope) -> Outcome:
    """The outcome of a 4xx or 5xx reply. 421 speaks for the whole server, a reply to RCPT for one recipient.

    552 to RCPT without an enhanced code of its own means "too many recipients" and is temporary (RFC 5321 section 4.5.3.1.10).
    """
    status = reply.status or f"{str(reply.code)[0]}.0.0"
    temporary = reply.is_temporary
    if reply.code == 552 and scope is Scope.RECIPIENT and status in ("5.0.0", "5.5.3"):
        status, temporary = _TOO_MANY, True
    return Outcome(
        recipient=recipient,
        result=Result.DEFERRED if temporary else Result.FAILED,
        status=status,
        code=reply.code,
        text=safe_text(reply.text),
        remote=hop.remote,
        tls=hop.tls,
        scope=Scope.DESTINATION if reply.code == 421 else scope,
    )


def of_greeting(recipient: str, reply: Reply, *, hop: Hop) -> Outcome:
    """The outcome of a server that takes no mail at all. Only 521 is final (RFC 7504): others come back to their senses."""
    refused = of_refusal(recipient, reply, hop=hop, scope=Scope.DESTINATION)
    if refused.result is Result.DEFERRED or reply.code == 521:
        return refused
    return replace(refused, result=Result.DEFERRED, status="4.3.2")


def of_success(
    recipient: str, result: Result, *, hop: Hop = NOWHERE, reply: Reply | None = None, dsn: bool = False
) -> Outcome:
    """Delivered or relayed; `dsn` says that the next hop offered RFC 3461."""
    return Outcome(
        recipient=recipient,
        result=result,
        status=(reply.status if reply else "") or "2.0.0",
        code=reply.code if reply else 0,
        text=safe_text(reply.text) if reply else "",
        remote=hop.remote,
        tls=hop.tls,
        dsn=dsn,
    )


def is_too_many(outcome: Outcome) -> bool:
    """Whether a recipient was only put off because the transaction was full."""
    return outcome.status == _TOO_MANY and outcome.code in (452, 552)
