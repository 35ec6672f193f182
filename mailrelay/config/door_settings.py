"""The settings of the doors: where they are open, what they bear, whom they trust, who knows the passwords."""
# ruff: noqa: RUF009 - `setting` returns a dataclasses.field

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from mailrelay.config.setting import MIB, HostPort, setting
from mailrelay.model.agency import SecretRef
from mailrelay.model.ldap_filter import Filter

PEER_RIGHTS = ("xclient", "xforward", "proxy", "login", "lmtp", "hold", "return", "spam")


@dataclass(frozen=True, slots=True)
class Peer:
    """A neighbour that we trust more than a stranger. `rights` are among PEER_RIGHTS."""

    network: IPv4Network | IPv6Network
    rights: frozenset[str]


@dataclass(frozen=True, slots=True)
class ListenSettings:
    mx: tuple[HostPort, ...] = setting(
        (), "places", "cổng nhận thư từ máy chủ khác (25)", "port 25, other mail servers"
    )
    submission: tuple[HostPort, ...] = setting(
        (), "places", "cổng gửi thư của cán bộ, STARTTLS (587)", "port 587, STARTTLS and login"
    )
    submissions: tuple[HostPort, ...] = setting(
        (), "places", "cổng gửi thư của cán bộ, TLS ngay từ đầu (465)", "port 465, implicit TLS and login"
    )
    lmtp: tuple[HostPort, ...] = setting(
        (), "places", "cổng LMTP cho máy chủ thư đứng trước", "LMTP, for a server in front"
    )
    control: Path = setting(
        Path("control.sock"), "data-path", "ổ cắm điều khiển cho lệnh mailrelay", "control socket of the commands"
    )


@dataclass(frozen=True, slots=True)
class TlsSettings:
    certificate: Path | None = setting(
        None, "file", "chứng thư TLS và chuỗi của nó (PEM)", "TLS certificate and chain (PEM)"
    )
    key: Path | None = setting(None, "key-file", "khóa riêng TLS (PEM, quyền 0600)", "TLS private key (PEM, mode 0600)")


@dataclass(frozen=True, slots=True)
class LimitSettings:
    message_size: int = setting(50 * MIB, "size", "kích thước thư lớn nhất", "largest mail")
    disk_reserve: int = setting(
        1024 * MIB, "size", "đĩa còn trống ít hơn thì tạm chưa nhận thư", "free disk space below which no mail is taken"
    )
    recipients: int = setting(500, "count", "số người nhận nhiều nhất của một thư", "most recipients of one mail")
    connections: int = setting(500, "count", "số kết nối cùng lúc", "connections at a time")
    connections_per_ip: int = setting(
        50, "count", "số kết nối cùng lúc từ một địa chỉ IP", "connections at a time per IP"
    )
    auth_failures: int = setting(3, "count", "số lần sai mật khẩu trong một kết nối", "failed logins per connection")
    auth_failures_per_ip: int = setting(
        20,
        "count",
        "số lần sai mật khẩu từ một địa chỉ IP trước khi khóa",
        "failed logins of an IP before it is locked",
    )
    auth_failures_per_login: int = setting(
        10,
        "count",
        "số lần sai mật khẩu của một tài khoản trước khi khóa",
        "failed logins of an account before it is locked",
    )
    auth_lock: timedelta = setting(timedelta(minutes=15), "duration", "khóa trong bao lâu", "how long it is locked")
    auth_delay: timedelta = setting(
        timedelta(seconds=1),
        "duration",
        "trả lời chậm sau mỗi lần sai mật khẩu, tăng dần",
        "delay of the answer to a failed login, growing",
    )
    crowded_time: timedelta = setting(
        timedelta(seconds=15),
        "duration",
        "cửa đã đầy: kết nối lạ không gửi gì trong thời gian này phải nhường chỗ",
        "when the door is full: strangers that bring nothing forward for this time give way",
    )
    handshake_time: timedelta = setting(
        timedelta(seconds=30), "period", "thời gian bắt tay TLS", "time for a TLS handshake"
    )
    command_time: timedelta = setting(timedelta(minutes=5), "period", "thời gian chờ mỗi lệnh", "time for one command")
    data_time: timedelta = setting(
        timedelta(hours=2), "period", "thời gian dài nhất để gửi một thư", "time for one mail"
    )
    block_time: timedelta = setting(
        timedelta(minutes=3),
        "period",
        "thời gian im lặng dài nhất trong khi gửi thư",
        "longest silence within a mail",
    )
    minimum_rate: int = setting(
        64, "size", "tốc độ chậm nhất, tính theo giây; 0: không xét", "slowest accepted rate, per second; 0: none"
    )
    rate_grace: timedelta = setting(
        timedelta(minutes=2), "duration", "chưa xét tốc độ trong thời gian đầu này", "time before the rate matters"
    )
    errors: int = setting(20, "count", "số lệnh sai trước khi ngắt kết nối", "bad commands before hanging up")
    error_delay: timedelta = setting(
        timedelta(seconds=1),
        "duration",
        "trả lời chậm từ lệnh sai thứ tư",
        "delay of the answer from the fourth bad command on",
    )
    idle_commands: int = setting(
        100, "count", "số lệnh liên tiếp không gửi thư nào", "commands in a row that bring no mail forward"
    )
    received_count: int = setting(
        100, "count", "số dòng Received nhiều nhất (chống lặp)", "most Received fields (loops)"
    )
    line_length: int = setting(65536, "count", "độ dài một dòng, tính theo byte", "longest line in octets")


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    reply_charset: str = setting(
        "auto", "choice", "chữ trong câu trả lời SMTP", "letters in SMTP replies", ("auto", "ascii", "utf-8")
    )
    peers: tuple[Peer, ...] = setting(
        (), "peers", "máy chủ lân cận được tin và quyền của nó", "trusted neighbours, rights"
    )


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Who knows the passwords: our own argon2id hashes, or the server where the accounts are now."""

    backend: str = setting(
        "local",
        "choice",
        "nơi kiểm tra mật khẩu khi gửi thư",
        "who checks passwords",
        ("local", "dovecot", "imap", "ldap"),
    )
    dovecot: Path | None = setting(None, "path", "ổ cắm auth-client của Dovecot", "Dovecot's auth-client socket")
    imap: tuple[HostPort, ...] = setting((), "places", "máy chủ IMAP hiện có", "the present IMAP server")
    imap_tls: str = setting(
        "implicit", "choice", "TLS tới máy chủ IMAP đó", "TLS to that server", ("implicit", "starttls", "none")
    )
    ca: Path | None = setting(
        None,
        "file",
        "chứng thư gốc của máy chủ IMAP hay LDAP đó (PEM); để trống: của hệ thống",
        "roots that the IMAP or LDAP server is checked by (PEM); empty: the system's",
    )


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """The directory server of `auth.backend = "ldap"`. `bind` names the account at once; else `base` and `filter` find it."""

    servers: tuple[HostPort, ...] = setting(
        (), "places", "máy chủ LDAP, hỏi lần lượt (389 hoặc 636)", "LDAP servers, asked in order (389 or 636)"
    )
    tls: str = setting(
        "implicit", "choice", "TLS tới máy chủ LDAP", "TLS to the LDAP server", ("implicit", "starttls", "none")
    )
    bind: str = setting(
        "",
        "login-template",
        "tên để đăng nhập, ví dụ uid={login},ou=people,dc=hoabinh,dc=gov,dc=vn hoặc {login}@hoabinh.local",
        "the name to bind, as uid={login},ou=people,dc=… or {login}@hoabinh.local",
    )
    base: str = setting("", "word", "nơi tìm tài khoản khi không có bind", "where accounts are looked for without bind")
    filter: Filter | None = setting(
        None,
        "ldap-filter",
        "bộ lọc tìm tài khoản, ví dụ (uid={login})",
        "filter that finds an account, as (uid={login})",
    )
    user: str = setting("", "word", "tài khoản dịch vụ để tìm; để trống: ẩn danh", "DN that searches; empty: anonymous")
    password: SecretRef | None = setting(None, "secret", "mật khẩu của tài khoản đó", "its password")


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """How much one login may send to the outside: a stolen password shall not make a spam gun of the province."""

    recipients: int = setting(
        1000,
        "count",
        "số người nhận ngoài tỉnh của một tài khoản trong quota.time",
        "outside recipients of a login within quota.time",
    )
    time: timedelta = setting(timedelta(hours=1), "period", "khoảng thời gian tính", "the time that is looked at")
    suspend_after: int = setting(
        100,
        "count",
        "bị từ chối quá hạn mức từng này lần thì tạm ngừng tài khoản",
        "refusals for the quota that suspend a login",
    )
    suspension: timedelta = setting(
        timedelta(hours=24), "duration", "thời gian tạm ngừng", "how long a login is suspended"
    )
