"""How far inspection goes: settings of the house and hard limits against hostile mail. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is read. Sizes are bytes unless said otherwise; what lies beyond is a finding, never an error."""

    header: int = 256 * 1024  # of one header block
    fields: int = 1000  # header fields of one block
    field_value: int = 2000  # characters of a decoded value
    line: int = 998  # RFC 5322 section 2.1.1, without CRLF
    addresses: int = 200
    parts: int = 1000
    depth: int = 20  # nested multiparts and messages
    attachments: int = 500
    text: int = 64 * 1024  # characters of readable text
    html: int = 256 * 1024  # bytes of HTML looked at
    signatures: int = 5  # DKIM signatures examined
    signature_field: int = 8 * 1024  # bytes of one DKIM-Signature field
    magic: int = 16 * 1024  # bytes given to libmagic
    archive_members: int = 1000
    archive_depth: int = 3
    archive_bytes: int = 400 * 1024 * 1024  # sum of unpacked sizes
    archive_ratio: int = 100
    file: int = 100 * 1024 * 1024  # decoded bytes of one attachment that are looked into
    pdf: int = 60 * 1024 * 1024  # bytes of a PDF file whose signatures are verified
    pdf_signatures: int = 16
    xml: int = 16 * 1024 * 1024  # bytes of an XML file whose signatures are verified

    def as_json(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Limits:
        return cls(**{name: int(value) for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class InspectionSettings:
    """What the daemon fills in from mailrelay.toml.

    `authserv_id` is our name in Authentication-Results fields (RFC 8601 section 2.2). `pgp_home` holds one GnuPG home per
    agency, named by agency id. `trust_roots` is a folder of PEM files: the CAs whose signatures are trusted. `work_dir` is a
    private folder for decoded files ("": the system's temporary folder). Times are seconds.
    """

    authserv_id: str = "mailrelay"
    workers: int = 1  # 2: large mail and signed PDF files get a worker of their own
    large: int = 256 * 1024  # bytes from which a mail goes to the second worker
    time_limit: float = 15.0  # wall clock of one step of one mail
    budget: float = 30.0  # wall clock of all steps of one mail, DNS excluded
    cpu_limit: int = 12  # CPU seconds of one step
    memory_limit: int = 768 * 1024 * 1024  # address space that one step may add
    recycle_after: int = 5000  # mails until a worker is replaced
    dns_timeout: float = 8.0  # for all look-ups of one mail together
    pgp_home: Path | None = None
    gpg: str = "gpg"
    trust_roots: Path | None = None
    revocation: Path | None = None  # the cache of lists and answers (`revocation_cache`)
    revocation_every: timedelta = timedelta(hours=6)  # between two fetches of a list that is in date
    work_dir: Path | None = None
    clamd: Path | str | None = None  # its Unix socket, or "host:port"
    scan_limit: float = 60.0  # wall clock of one virus scan
    rspamd: tuple[str, int] | None = None  # host and port of its normal worker
    spam_limit: float = 10.0  # wall clock of one question to it
    spam_header: str = ""  # written by the filters of neighbours
    spam_peers: tuple[IPv4Network | IPv6Network, ...] = ()  # whose header is believed
    limits: Limits = field(default_factory=Limits)
