"""The one table of refusals: every negative answer that a door can give, in words for people. Data only; `intake` renders it.

Sentences are Vietnamese with full diacritics and English. The first says what became of the mail, the remedy what to do now.
Placeholders in braces are filled by `Refusal.fill`; a missing value leaves an ellipsis.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from types import MappingProxyType

_VALUE_LENGTH = 160


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row: SMTP `code` (RFC 5321), enhanced `status` (RFC 3463), sentences, and the slug of the page that explains it."""

    name: str
    code: int
    status: str
    vi: str
    remedy_vi: str
    en: str
    remedy_en: str
    page: str

    @property
    def is_temporary(self) -> bool:
        return self.code < 500

    @property
    def placeholders(self) -> frozenset[str]:
        """The names of the values that the sentences use."""
        texts = (self.vi, self.remedy_vi, self.en, self.remedy_en)
        return frozenset(name for text in texts for _, name, _, _ in Formatter().parse(text) if name)

    def fill(self, sentence: str, values: Mapping[str, str]) -> str:
        """Return one of the row's sentences with its placeholders filled by bounded, printable values."""
        return sentence.format_map({name: _safe(values.get(name, "")) for name in self.placeholders})


def _safe(value: str) -> str:
    """One line, printable, at most 160 characters: values come from strangers."""
    printable = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in value[: 4 * _VALUE_LENGTH])
    line = " ".join(printable.split())
    return (line if len(line) <= _VALUE_LENGTH else line[: _VALUE_LENGTH - 1] + "…") or "…"


def _row(key: str, vi: str, en: str, remedy_vi: str, remedy_en: str) -> Refusal:
    name, code, status = key.split()
    return Refusal(name, int(code), status, vi, remedy_vi, en, remedy_en, page=name)


def _table(*rows: Refusal) -> Mapping[str, Refusal]:
    table = {row.name: row for row in rows}
    if len(table) != len(rows):
        raise ValueError("two refusals bear one name")
    return MappingProxyType(table)


_RETRY = (
    "Máy gửi sẽ tự gửi lại; nếu thư còn nằm trong Hộp thư đi, hãy gửi lại sau ít phút.",
    "Mail servers try again by themselves; from a mail program send again in a few minutes.",
)
_PROGRAM = (
    "Người dùng không cần làm gì; báo cán bộ CNTT kiểm tra chương trình gửi thư.",
    "Ask the IT officer to check the sending program.",
)
_OFFICER = (
    "Liên hệ cán bộ CNTT của đơn vị, đọc mã trong ngoặc vuông.",
    "Ask the IT officer of your agency and tell the code in brackets.",
)

_TLS = (
    "Trong cấu hình máy chủ gửi đi, chọn Bảo mật kết nối: SSL/TLS cổng 465 hoặc STARTTLS cổng 587.",
    "In the account settings choose SSL/TLS on port 465 or STARTTLS on port 587.",
)
_ACCOUNT = ("Kiểm tra địa chỉ thư trong cấu hình tài khoản.", "Check the address in the account settings.")

REFUSALS: Mapping[str, Refusal] = _table(
    # The service itself
    _row(
        "try-later 451 4.3.0",
        "Thư CHƯA được nhận: hệ thống tạm thời có sự cố.",
        "Not accepted now: a temporary fault on our side.",
        *_RETRY,
    ),
    _row(
        "busy 451 4.3.2", "Thư CHƯA được nhận: hệ thống đang quá tải.", "Not accepted now: the system is busy.", *_RETRY
    ),
    _row(
        "scanner-away 451 4.3.0",
        "Thư CHƯA được nhận: chưa quét được virus, hãy gửi lại sau.",
        "Not accepted now: the virus scanner does not answer.",
        *_RETRY,
    ),
    _row(
        "disk-full 452 4.3.1",
        "Thư CHƯA được nhận: hệ thống tạm hết chỗ lưu.",
        "Not accepted now: insufficient system storage.",
        *_RETRY,
    ),
    _row("shutting-down 421 4.3.2", "Hệ thống đang khởi động lại.", "The service is restarting.", *_RETRY),
    _row(
        "too-many-connections 421 4.7.0",
        "Quá nhiều kết nối cùng lúc từ địa chỉ này.",
        "Too many connections at once.",
        *_RETRY,
    ),
    _row(
        "too-many-errors 421 4.7.0",
        "Quá nhiều lệnh sai, kết nối bị đóng.",
        "Too many errors, closing the connection.",
        *_PROGRAM,
    ),
    _row(
        "slow 421 4.4.2",
        "Thư CHƯA được nhận: đường truyền quá chậm hoặc bị gián đoạn.",
        "Time-out: the data came too slowly or not at all.",
        "Kiểm tra mạng rồi gửi lại; tệp lớn nên nén hoặc chia nhỏ.",
        "Check the network and send again.",
    ),
    _row("wrong-protocol 421 4.7.0", "Cổng này chỉ dành cho thư điện tử.", "This port speaks SMTP only.", *_PROGRAM),
    _row(
        "peer-refused 554 5.7.1",
        "Máy {peer} không được phép dùng cổng này.",
        "Host {peer} may not use this port.",
        *_OFFICER,
    ),
    # Commands
    _row("syntax 501 5.5.4", "Lệnh viết sai; cần: {expected}.", "Syntax error; expected: {expected}.", *_PROGRAM),
    _row("bad-command 500 5.5.2", "Không đọc được lệnh: {detail}.", "The command cannot be read: {detail}.", *_PROGRAM),
    _row("unknown-command 500 5.5.1", "Lệnh không có.", "Command not recognised.", *_PROGRAM),
    _row("not-implemented 502 5.5.1", "Lệnh này không dùng được ở đây.", "Command not implemented here.", *_PROGRAM),
    _row(
        "bad-sequence 503 5.5.1",
        "Lệnh sai thứ tự; cần trước đó: {expected}.",
        "Bad sequence of commands; needed first: {expected}.",
        *_PROGRAM,
    ),
    _row("bad-parameter 501 5.5.4", "Tham số {parameter} viết sai.", "Bad parameter {parameter}.", *_PROGRAM),
    _row(
        "unknown-parameter 555 5.5.4",
        "Tham số {parameter} không được hỗ trợ.",
        "Parameter {parameter} is not recognised or not offered.",
        *_PROGRAM,
    ),
    # Encryption and login
    _row("tls-required 530 5.7.0", "Phải bật mã hóa (STARTTLS) trước.", "Must issue a STARTTLS command first.", *_TLS),
    _row(
        "tls-unavailable 454 4.7.0",
        "Mã hóa tạm thời không dùng được.",
        "TLS not available due to a temporary reason.",
        *_OFFICER,
    ),
    _row(
        "auth-required 530 5.7.0",
        "Thư CHƯA được gửi: cần đăng nhập.",
        "Authentication required.",
        "Trong cấu hình máy chủ gửi đi, bật xác thực bằng tài khoản và mật khẩu thư công vụ.",
        "Switch on authentication for the outgoing server, with your mail account and password.",
    ),
    _row(
        "auth-needs-tls 538 5.7.11",
        "Không được gửi mật khẩu khi chưa mã hóa.",
        "Encryption required for the requested authentication mechanism.",
        *_TLS,
    ),
    _row(
        "auth-mechanism 504 5.5.4",
        "Cách đăng nhập này không được hỗ trợ.",
        "Authentication mechanism not supported (use PLAIN or LOGIN).",
        "Trong cấu hình tài khoản, chọn cách xác thực: Mật khẩu thông thường.",
        "In the account settings choose the method: normal password.",
    ),
    _row(
        "auth-syntax 501 5.5.2",
        "Thông tin đăng nhập gửi lên không đọc được.",
        "The authentication exchange cannot be read or was cancelled.",
        *_PROGRAM,
    ),
    _row(
        "auth-failed 535 5.7.8",
        "Sai tên tài khoản hoặc mật khẩu.",
        "Authentication credentials invalid.",
        "Kiểm tra lại mật khẩu thư (cả chữ hoa, bộ gõ tiếng Việt); quên mật khẩu thì liên hệ cán bộ CNTT của đơn vị.",
        "Check the password; if it is lost ask your IT officer.",
    ),
    _row(
        "auth-locked 454 4.7.0",
        "Đăng nhập tạm khóa vì sai mật khẩu quá nhiều lần.",
        "Login locked for a while after too many failures.",
        "Đợi {minutes} phút rồi thử lại bằng mật khẩu đúng, hoặc liên hệ cán bộ CNTT của đơn vị.",
        "Wait {minutes} minutes and try again with the right password.",
    ),
    _row(
        "auth-unavailable 454 4.7.0",
        "Máy chủ kiểm tra mật khẩu tạm thời không trả lời.",
        "The password server does not answer now.",
        "Thử lại sau ít phút; mật khẩu của bạn không sai.",
        "Try again in a few minutes; your password is not at fault.",
    ),
    # Sender
    _row(
        "bad-sender-address 553 5.1.7",
        "Thư CHƯA được gửi: địa chỉ người gửi viết sai.",
        "The sender address is malformed.",
        *_ACCOUNT,
    ),
    _row(
        "sender-not-owned 550 5.7.1",
        "Thư CHƯA được gửi: tài khoản {login} không được dùng địa chỉ {sender}.",
        "Login {login} may not send as {sender}.",
        "Chọn lại địa chỉ của mình ở ô Từ (From), hoặc đề nghị cán bộ CNTT cấp quyền.",
        "Choose your own address in the From field.",
    ),
    _row(
        "null-sender 550 5.7.1",
        "Thư CHƯA được gửi: thiếu địa chỉ người gửi.",
        "A sender address is required here.",
        *_ACCOUNT,
    ),
    _row(
        "local-sender-without-login 550 5.7.1",
        "Thư CHƯA được gửi: địa chỉ {sender} chỉ được dùng sau khi đăng nhập.",
        "Sender {sender} belongs to this system and needs a login.",
        "Đặt máy chủ gửi đi là cổng 465 (SSL/TLS) hoặc 587 (STARTTLS), có xác thực.",
        "Use port 465 or 587 with authentication.",
    ),
    _row(
        "quota-exceeded 451 4.7.1",
        "Thư CHƯA được gửi: tài khoản {login} đã gửi quá số người nhận cho phép trong {hours} giờ.",
        "Login {login} has sent to too many recipients within {hours} hours.",
        "Đợi rồi gửi lại; nếu không phải bạn gửi, đổi mật khẩu ngay và báo cán bộ CNTT.",
        "Wait; if it was not you, change your password at once and tell your IT officer.",
    ),
    _row(
        "login-suspended 550 5.7.1",
        "Thư CHƯA được gửi: tài khoản {login} tạm dừng gửi vì gửi nhiều bất thường.",
        "Login {login} is suspended from sending after unusual amounts of mail.",
        "Đổi mật khẩu, quét mã độc máy tính, rồi đề nghị cán bộ CNTT mở lại.",
        "Change the password, check the computer, then ask the IT officer to release it.",
    ),
    _row(
        "box-not-polled 450 4.2.0",
        "Hệ thống KHÔNG đọc được hộp thư {account} từ {minutes} phút nay ({fault}); văn bản ở đó chưa vào sổ, chưa đi.",
        "The box {account} could not be read for {minutes} minutes ({fault}).",
        "Kiểm tra máy chủ, mật khẩu hoặc mã truy cập của hộp thư; hệ thống vẫn thử lại và không mất thư nào.",
        "Look at the server and the password or token of the box; it is tried again, and no mail is lost.",
    ),
    # Recipients
    _row(
        "bad-recipient-address 553 5.1.3",
        "Địa chỉ người nhận viết sai.",
        "The recipient address is malformed.",
        "Sửa lại địa chỉ người nhận rồi gửi lại.",
        "Correct the address and send again.",
    ),
    _row(
        "smtputf8-required 553 5.6.7",
        "Địa chỉ có dấu tiếng Việt mà chương trình gửi không hỗ trợ (thiếu SMTPUTF8).",
        "Non-ASCII address without SMTPUTF8.",
        "Dùng địa chỉ không dấu.",
        "Use the address without diacritics.",
    ),
    _row(
        "no-such-recipient 550 5.1.1",
        "Không có hộp thư {recipient}.",
        "No mailbox {recipient} here.",
        "Kiểm tra lại địa chỉ trong danh bạ của tỉnh rồi gửi lại cho người này.",
        "Check the address and send again.",
    ),
    _row(
        "mailbox-disabled 550 5.2.1",
        "Hộp thư {recipient} đã ngừng hoạt động.",
        "Mailbox {recipient} is disabled.",
        "Gửi tới hộp thư văn thư của đơn vị đó.",
        "Write to the registry mailbox of that agency.",
    ),
    _row(
        "relay-denied 550 5.7.1",
        "Không chuyển thư tới {recipient}: nơi nhận ở ngoài hệ thống.",
        "Relaying to {recipient} denied.",
        "Cán bộ trong tỉnh: đặt máy chủ gửi đi là cổng 465 hoặc 587, có xác thực.",
        "Users of this system: use port 465 or 587 with authentication.",
    ),
    _row(
        "too-many-recipients 452 4.5.3",
        "Quá nhiều người nhận trong một thư (tối đa {limit}).",
        "Too many recipients (at most {limit}).",
        "Dùng địa chỉ nhóm, hoặc chia thành nhiều thư.",
        "Use a group address or several mails.",
    ),
    _row(
        "no-valid-recipients 554 5.5.1",
        "Thư CHƯA được gửi: không có người nhận hợp lệ.",
        "No valid recipients.",
        "Kiểm tra lại các địa chỉ người nhận.",
        "Check the recipient addresses.",
    ),
    # Content
    _row(
        "too-big 552 5.3.4",
        "Thư CHƯA được gửi: thư lớn hơn mức cho phép ({limit}).",
        "Message size exceeds the limit of {limit}.",
        "Nén hoặc giảm cỡ tệp đính kèm (quét PDF 150-200 dpi), hoặc chia thành nhiều thư.",
        "Make the attachments smaller or send several mails.",
    ),
    _row(
        "bad-line-endings 550 5.6.11",
        "Thư CHƯA được gửi: nội dung có ký tự xuống dòng sai chuẩn.",
        "Bare CR, bare LF or NUL in the message is not allowed (RFC 5321 2.3.8).",
        *_PROGRAM,
    ),
    _row(
        "line-too-long 550 5.6.0",
        "Thư CHƯA được gửi: nội dung có dòng dài quá {limit} byte.",
        "A line of the message is longer than {limit} bytes.",
        *_PROGRAM,
    ),
    _row(
        "structure 550 5.6.0",
        "Thư CHƯA được gửi: cấu trúc thư hỏng ({detail}).",
        "The structure of the message is broken ({detail}).",
        "Soạn lại thư bằng chương trình thư thông dụng rồi gửi lại.",
        "Write the mail again with an ordinary mail program.",
    ),
    _row("loop 554 5.4.6", "Thư bị lặp vòng giữa các máy chủ nên không chuyển tiếp.", "Mail loop detected.", *_OFFICER),
    _row(
        "secret-document 550 5.7.1",
        "Thư KHÔNG được nhận: văn bản có dấu chỉ độ mật không được gửi qua hệ thống này.",
        "Documents marked secret may not travel through this system.",
        "Xóa thư khỏi máy và gửi theo quy định về bảo vệ bí mật nhà nước; hỏi cán bộ bảo mật của đơn vị.",
        "Delete the mail and follow the rules on state secrets.",
    ),
    _row(
        "malware 550 5.7.1",
        "Thư CHƯA được gửi: phát hiện mã độc ({reason}).",
        "Malware found ({reason_en}).",
        "Không mở tệp; quét mã độc máy tính và báo cán bộ CNTT.",
        "Do not open the file; scan the computer and tell the IT officer.",
    ),
    _row(
        "dangerous-attachment 550 5.7.1",
        "Thư CHƯA được gửi: tệp đính kèm không được phép ({reason}).",
        "The attachment is not allowed ({reason_en}).",
        "Gửi lại dưới dạng PDF đã ký số hoặc tệp văn phòng không có macro.",
        "Send it again as a signed PDF or an office file without macros.",
    ),
    _row(
        "policy 550 5.7.1",
        "Thư CHƯA được gửi: {reason}",
        "Refused by the rules of the province: {reason_en}",
        "Sửa theo lý do trên rồi gửi lại; cần hỗ trợ thì liên hệ cán bộ CNTT của đơn vị.",
        "Correct it and send again, or ask your IT officer.",
    ),
    _row(
        "no-recipients-left 550 5.7.1",
        "Thư CHƯA được gửi: không còn người nhận nào được phép.",
        "No permitted recipient is left.",
        "Kiểm tra lại người nhận; cần hỗ trợ thì liên hệ cán bộ CNTT của đơn vị.",
        "Check the recipients or ask your IT officer.",
    ),
)
