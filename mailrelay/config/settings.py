"""The settings of mailrelay.toml as frozen values. What they mean stands here, once; reading the file is `settings_file`'s work.

Each field carries how it is written in the file (`form`) and one line of explanation in Vietnamese and English, from which
the table of settings in the documentation is made.
"""
# ruff: noqa: RUF009 - `setting` returns a dataclasses.field

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from mailrelay.config.door_settings import (
    AuthSettings,
    LdapSettings,
    LimitSettings,
    ListenSettings,
    QuotaSettings,
    SmtpSettings,
    TlsSettings,
)
from mailrelay.config.setting import MIB, HostPort, setting
from mailrelay.model.agency import SecretRef, Target


@dataclass(frozen=True, slots=True)
class Route:
    """Where mail for outside goes: `domain` is "example.vn", ".example.vn" (its subdomains) or "*" (any other).

    A target of kind smtp without a host stands for the mail exchangers of the recipient's domain.
    """

    domain: str
    target: Target


@dataclass(frozen=True, slots=True)
class Reinjection:
    """Where mail goes back to the MTA in front; `local`: that of our own domain too."""

    target: Target
    local: bool


@dataclass(frozen=True, slots=True)
class AcceptSettings:
    deadline: timedelta = setting(
        timedelta(seconds=20), "period", "hạn trả lời sau khi nhận đủ thư", "time to answer after the last octet"
    )


@dataclass(frozen=True, slots=True)
class StoreSettings:
    url: str = setting(
        "", "store-url", "kho dữ liệu; để trống: SQLite trong data_dir", "the store; empty: SQLite below data_dir"
    )


@dataclass(frozen=True, slots=True)
class DnsSettings:
    servers: tuple[HostPort, ...] = setting(
        (), "places", "máy chủ DNS; để trống: của hệ thống", "DNS servers; empty: system"
    )
    timeout: timedelta = setting(
        timedelta(seconds=5), "period", "thời gian chờ một lần hỏi DNS", "time for one question"
    )


@dataclass(frozen=True, slots=True)
class InspectionSettings:
    workers: int = setting(2, "workers", "số tiến trình kiểm tra (1 hoặc 2)", "worker processes (1 or 2)")
    memory: int = setting(768 * MIB, "size", "bộ nhớ của một tiến trình kiểm tra", "memory of a worker")
    cpu_time: timedelta = setting(timedelta(seconds=20), "period", "thời gian CPU cho một thư", "CPU time for one mail")
    time: timedelta = setting(timedelta(seconds=30), "period", "thời gian cho một thư", "time for one mail")
    authserv_id: str = setting(
        "", "word", "tên trong Authentication-Results; để trống: hostname", "authserv-id; empty: hostname"
    )
    pgp_home: Path | None = setting(
        None,
        "path",
        "thư mục khóa OpenPGP, mỗi cơ quan một thư mục; để trống: data_dir/keyrings",
        "keyrings, one per agency; empty: data_dir/keyrings",
    )
    trust_roots: Path | None = setting(None, "path", "thư mục chứng thư gốc được tin cậy", "folder of trusted roots")
    revocation_every: timedelta = setting(
        timedelta(hours=6),
        "period",
        "khoảng cách giữa hai lần tải danh sách thu hồi của các CA tin cậy",
        "fetch the trusted CAs' revocation lists every",
    )
    clamd: Path | None = setting(
        None, "path", "ổ cắm của clamd; để trống: không quét virus", "clamd socket; empty: no scan"
    )
    rspamd: HostPort | None = setting(
        None, "place", "bộ lọc thư rác Rspamd; để trống: không hỏi", "Rspamd's normal worker; empty: not asked"
    )
    spam_header: str = setting(
        "X-Spam-Flag",
        "word",
        "dòng tiêu đề của bộ lọc ở máy lân cận có quyền spam (Yes/No)",
        "field of the spam filter at a neighbour with the right spam (Yes/No)",
    )


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    routes: tuple[Route, ...] = setting((), "routes", "đường đi của thư ra ngoài tỉnh", "routes for mail to outside")
    reinject: Target | None = setting(
        None,
        "back-target",
        "cổng của MTA đứng trước nhận lại mọi thư đã kiểm tra, ví dụ smtp://127.0.0.1:10026",
        "port of the MTA in front that takes checked mail back, as smtp://127.0.0.1:10026",
    )
    reinject_local: bool = setting(
        True, "flag", "trả về MTA cả thư của tên miền tỉnh", "mail of our own domain goes back to the MTA too"
    )
    helo: str = setting("", "word", "tên xưng khi gửi; để trống: hostname", "EHLO name; empty: hostname")
    schedule: tuple[timedelta, ...] = setting(
        (),
        "durations",
        "khoảng cách giữa các lần gửi lại, khoảng cuối lặp mãi; để trống: theo độ khẩn",
        "pauses between tries, the last one repeats; empty: by urgency",
    )
    give_up_days: int = setting(5, "count", "thôi gửi lại sau số ngày làm việc này", "working days before giving up")
    delayed_after: timedelta = setting(
        timedelta(hours=4), "duration", "báo chậm sau thời gian này", "tell of a delay after"
    )
    per_destination: int = setting(4, "count", "số kết nối tới một nơi nhận", "connections per destination")
    source: str = setting("", "ip", "địa chỉ IP dùng để gửi đi", "local IP address to send from")

    @property
    def back(self) -> Reinjection | None:
        return None if self.reinject is None else Reinjection(self.reinject, self.reinject_local)


@dataclass(frozen=True, slots=True)
class DkimSettings:
    selector: str = setting("", "word", "bộ chọn DKIM của khóa RSA", "DKIM selector of the RSA key")
    rsa_key: SecretRef | None = setting(
        None, "secret", "khóa RSA, ví dụ file:dkim/rsa.pem", "RSA key, as file:dkim/rsa.pem"
    )
    ed25519_selector: str = setting("", "word", "bộ chọn DKIM của khóa Ed25519", "DKIM selector of the Ed25519 key")
    ed25519_key: SecretRef | None = setting(None, "secret", "khóa Ed25519", "Ed25519 key")


@dataclass(frozen=True, slots=True)
class ReceiptSettings:
    sender: str = setting("", "address", "địa chỉ gửi biên nhận; để trống: bien-nhan@domain", "From of receipts")
    name: str = setting("Hệ thống gửi, nhận văn bản điện tử", "word", "tên hiển thị của địa chỉ đó", "its display name")
    key: SecretRef | None = setting(
        None, "secret", "khóa niêm phong biên nhận (ECDSA P-256)", "key that seals receipts"
    )
    certificate: Path | None = setting(None, "file", "chứng thư của khóa niêm phong", "certificate of that key")
    base_url: str = setting("", "url", "địa chỉ trang giải thích trong biên nhận", "address of the explaining pages")


@dataclass(frozen=True, slots=True)
class ImapSettings:
    poll_interval: timedelta = setting(
        timedelta(minutes=1), "period", "khoảng cách giữa hai lần xem hộp thư", "poll every"
    )
    idle: bool = setting(True, "flag", "dùng IDLE làm chuông báo", "use IDLE as a doorbell")


@dataclass(frozen=True, slots=True)
class LetterSettings:
    keep: bool = setting(
        False,
        "flag",
        "giữ thư trao đổi sau khi đã chuyển; mặc định xóa",
        "keep letters after delivery; default: delete",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All of mailrelay.toml.

    Read from a file, paths are absolute, and what may be left empty is filled in: store.url, inspection.authserv_id,
    delivery.helo (host name) and receipts.sender.
    """

    config_dir: Path
    domain: str = setting("", "domain", "tên miền thư của tỉnh", "mail domain of the province")
    hostname: str = setting(
        "localhost", "word", "tên máy chủ trong lời chào và Received", "host name in greeting and trace"
    )
    data_dir: Path = setting(Path("data"), "path", "nơi để kho, thư và hộp thư Maildir", "store, spool and Maildirs")
    secrets_dir: Path = setting(Path("secrets"), "path", "nơi để khóa và mật khẩu", "keys and passwords")
    language: str = setting("vi", "choice", "ngôn ngữ mặc định", "default language", ("vi", "en"))
    listen: ListenSettings = field(default_factory=ListenSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    accept: AcceptSettings = field(default_factory=AcceptSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    dns: DnsSettings = field(default_factory=DnsSettings)
    inspection: InspectionSettings = field(default_factory=InspectionSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    dkim: DkimSettings = field(default_factory=DkimSettings)
    receipts: ReceiptSettings = field(default_factory=ReceiptSettings)
    smtp: SmtpSettings = field(default_factory=SmtpSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    ldap: LdapSettings = field(default_factory=LdapSettings)
    quota: QuotaSettings = field(default_factory=QuotaSettings)
    imap: ImapSettings = field(default_factory=ImapSettings)
    letters: LetterSettings = field(default_factory=LetterSettings)

    @property
    def store_url(self) -> str:
        return self.store.url

    @property
    def spool_dir(self) -> Path:
        return self.data_dir / "spool"

    @property
    def keyrings_dir(self) -> Path:
        """One GnuPG home for each agency, named by its id."""
        return self.inspection.pgp_home or self.data_dir / "keyrings"

    @property
    def evidence_dir(self) -> Path:
        """What verdicts rest on, by digest."""
        return self.data_dir / "evidence"

    @property
    def revocation_dir(self) -> Path:
        """Revocation lists and OCSP answers of the trusted CAs."""
        return self.data_dir / "revocation"

    @property
    def maildir_root(self) -> Path:
        return self.data_dir / "maildir"

    def rights_of(self, peer: str) -> frozenset[str]:
        """The rights of a peer by its IP address; none for strangers and for what is no IP address."""
        try:
            address = ip_address(peer)
        except ValueError:
            return frozenset()
        return frozenset(right for p in self.smtp.peers if address in p.network for right in p.rights)


SECTIONS: dict[str, type[Any]] = {
    "listen": ListenSettings,
    "tls": TlsSettings,
    "limits": LimitSettings,
    "accept": AcceptSettings,
    "store": StoreSettings,
    "dns": DnsSettings,
    "inspection": InspectionSettings,
    "delivery": DeliverySettings,
    "dkim": DkimSettings,
    "receipts": ReceiptSettings,
    "smtp": SmtpSettings,
    "auth": AuthSettings,
    "ldap": LdapSettings,
    "quota": QuotaSettings,
    "imap": ImapSettings,
    "letters": LetterSettings,
}


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the table of settings."""

    name: str
    form: str
    default: Any
    vi: str
    en: str


def described(kind: type[Any]) -> tuple[Field[Any], ...]:
    """The fields of a settings class that stand in the file."""
    return tuple(f for f in fields(kind) if "form" in f.metadata)


def settings_table() -> Iterator[SettingRow]:
    """Every setting with its full name ("limits.message_size"), in the order of the file."""
    for prefix, kind in (("", Settings), *((f"{name}.", section) for name, section in SECTIONS.items())):
        for f in described(kind):
            default = None if f.default is MISSING else f.default
            yield SettingRow(prefix + f.name, f.metadata["form"], default, f.metadata["vi"], f.metadata["en"])
