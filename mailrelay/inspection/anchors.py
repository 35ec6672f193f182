"""The folder of certificates that an administrator trusts: what its files say, and what is wrong with them, by line.

A file may say in lines before its first certificate when and how it counts: `# from: 2013-01-01`, `# to: 2020-12-31`, and where
the CA in it publishes what it revoked: `# crl: http://…`, `# ocsp: http://…`. Nothing else names an address that we ask: never a
certificate that came in a mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cryptography import x509

SUFFIXES = (".pem", ".crt", ".cer", ".crl")
_MOST_FILES = 500
_MOST_BYTES = 32 * 1024 * 1024
_LINE = re.compile(rb"^#?[ \t]*(from|to|crl|ocsp):[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_DAY = re.compile(rb"\d{4}-\d\d-\d\d\Z")
_ADDRESS = re.compile(rb"https?://[A-Za-z0-9.\-\[\]:]{1,255}(?:/[\x21-\x7e]{0,1000})?\Z")
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?(?:-----END \1-----|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Terms:
    """The lines before the first certificate: the days between which it counts, and where its CA tells what it revoked."""

    since: date | None = None
    until: date | None = None
    crls: tuple[str, ...] = ()
    ocsps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a file, at a line that counts from 1, for people."""

    file: str
    line: int
    vi: str
    en: str


def files(folder: Path) -> list[Path]:
    """The files of a trust folder in the order of their names; beyond the limits none is read."""
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return [path for path in found[:_MOST_FILES] if path.stat().st_size <= _MOST_BYTES]


def terms(data: bytes) -> Terms:
    """Read the lines of one file; a line that cannot be read counts as none (`faults` tells of it)."""
    found: dict[bytes, list[bytes]] = {}
    for word, value in _LINE.findall(_preface(data)):
        found.setdefault(word, []).append(value)

    def day(word: bytes) -> date | None:
        return next((one for one in map(_day, found.get(word, ())) if one is not None), None)

    def places(word: bytes) -> tuple[str, ...]:
        return tuple(value.decode() for value in found.get(word, ()) if _ADDRESS.match(value))

    return Terms(day(b"from"), day(b"to"), places(b"crl"), places(b"ocsp"))


def _preface(data: bytes) -> bytes:
    return data.partition(b"-----BEGIN")[0][:65536] if b"-----BEGIN" in data else b""


def _day(value: bytes) -> date | None:
    try:
        return date.fromisoformat(value.decode()) if _DAY.match(value) else None
    except ValueError:
        return None


def addresses(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (addresses of lists, addresses of OCSP responders) that the files name, and the list addresses in CA certificates."""
    crls: dict[str, None] = {}
    ocsps: dict[str, None] = {}
    for path in files(folder):
        data = path.read_bytes()
        said = terms(data)
        crls |= dict.fromkeys(said.crls)
        ocsps |= dict.fromkeys(said.ocsps)
        for _, certificate in _certificates(path, data):
            if certificate is not None:
                crls |= dict.fromkeys(_list_places(certificate))
    return tuple(crls), tuple(ocsps)


def _list_places(certificate: x509.Certificate) -> Iterator[str]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return
    for point in points:
        for name in point.full_name or ():
            if isinstance(name, x509.UniformResourceIdentifier) and _ADDRESS.match(name.value.encode()):
                yield name.value


def _certificates(path: Path, data: bytes) -> Iterator[tuple[int, x509.Certificate | None]]:
    """Yield (line, certificate) of each in a file; None for one that cannot be read."""
    if path.suffix.lower() == ".crl":
        return
    if b"-----BEGIN" not in data:
        yield 1, _certificate(data, x509.load_der_x509_certificate)
    for match in _BLOCK.finditer(data):
        if match.group(1) == b"CERTIFICATE":
            yield _line(data, match.start()), _certificate(match.group(), x509.load_pem_x509_certificate)


def _certificate(data: bytes, load: object) -> x509.Certificate | None:
    try:
        return load(data)  # type: ignore[operator,no-any-return]
    except ValueError:
        return None


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def faults(folder: Path) -> list[Fault]:
    """Everything in a trust folder that does not count as its administrator may think it does."""
    if not folder.is_dir():
        return [Fault(str(folder), 1, "không có thư mục chứng thư tin cậy này", "there is no such folder of trust")]
    found: list[Fault] = []
    for path in sorted(folder.glob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        data = path.read_bytes()[:_MOST_BYTES]
        found += [Fault(str(path), line, vi, en) for line, vi, en in _of_file(path, data)]
    return found


def _of_file(path: Path, data: bytes) -> Iterator[tuple[int, str, str]]:
    yield from _of_terms(data)
    for match in _BLOCK.finditer(data):
        if b"PRIVATE KEY" in match.group(1):
            yield _line(data, match.start()), "khóa bí mật không được nằm ở đây", "a private key does not belong here"
    if path.suffix.lower() == ".crl":
        yield from _of_list(data)
        return
    count = 0
    for line, certificate in _certificates(path, data):
        count += 1
        if certificate is None:
            yield line, "không đọc được chứng thư này", "this certificate cannot be read"
        else:
            yield from ((line, vi, en) for vi, en in _of_certificate(certificate))
    if not count and b"-----BEGIN X509 CRL-----" not in data:
        yield 1, "tệp không có chứng thư nào", "no certificate in this file"


def _of_terms(data: bytes) -> Iterator[tuple[int, str, str]]:
    preface = _preface(data)
    for match in _LINE.finditer(preface):
        line, word, value = _line(preface, match.start(1)), match.group(1), match.group(2)
        if word in (b"from", b"to") and _day(value) is None:
            yield line, "ngày phải viết như 2020-12-31", "a day is written as 2020-12-31"
        if word in (b"crl", b"ocsp") and not _ADDRESS.match(value):
            yield line, "địa chỉ phải bắt đầu bằng http:// hoặc https://", "an address begins with http:// or https://"
    said = terms(data)
    if said.since is not None and said.until is not None and said.since > said.until:
        yield 1, "ngày bắt đầu sau ngày kết thúc: không bao giờ có hiệu lực", "from is after to: it never counts"


def _of_list(data: bytes) -> Iterator[tuple[int, str, str]]:
    load = x509.load_pem_x509_crl if b"-----BEGIN" in data else x509.load_der_x509_crl
    try:
        load(data)
    except ValueError:
        yield 1, "không đọc được danh sách thu hồi này", "this revocation list cannot be read"


def _of_certificate(certificate: x509.Certificate) -> Iterator[tuple[str, str]]:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        is_authority = constraints.ca
    except x509.ExtensionNotFound:
        is_authority = certificate.version is x509.Version.v1 and certificate.issuer == certificate.subject
    except ValueError:
        is_authority = False
    if not is_authority:
        yield "chứng thư này không phải của tổ chức chứng thực (CA)", "this certificate is not a CA's"
    if certificate.not_valid_before_utc > certificate.not_valid_after_utc:
        yield "chứng thư không bao giờ có hiệu lực", "this certificate is never valid"
