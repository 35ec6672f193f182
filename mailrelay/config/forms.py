"""How single values are written: durations, sizes, places, addresses, secrets by reference, delivery targets. Pure.

Each reader takes a node and returns the value, or raises Unreadable with a sentence in both languages.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from urllib.parse import parse_qsl, urlsplit

from mailrelay.config.marks import Node
from mailrelay.config.problems import clipped
from mailrelay.config.setting import HostPort
from mailrelay.model.agency import SecretRef, Target, TargetKind

EPOCH = date(1970, 1, 1)


class Unreadable(ValueError):
    """A value that cannot be read as what it should be."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(en)
        self.vi = vi
        self.en = en


_TYPE_NAMES = {
    bool: ("true/false", "true/false"),
    int: ("số nguyên", "a whole number"),
    str: ("chữ", "text"),
    list: ("danh sách", "a list"),
    dict: ("bảng", "a mapping"),
    type(None): ("trống", "nothing"),
}


def wrong_type(node: Node, wanted: type) -> Unreadable:
    """The sentence for a value of a wrong type; the value itself is not shown."""
    vi, en = _TYPE_NAMES[wanted]
    found_vi, found_en = _TYPE_NAMES.get(type(node.value), ("giá trị khác", "something else"))
    hint = " (hãy đặt trong dấu nháy)" if wanted is str and isinstance(node.value, bool | int) else ""
    hint_en = " (put it in quotes)" if hint else ""
    return Unreadable(f"cần {vi}, không phải {found_vi}{hint}", f"expected {en}, not {found_en}{hint_en}")


def text(node: Node) -> str:
    if not isinstance(node.value, str):
        raise wrong_type(node, str)
    return node.value.strip()


def flag(node: Node) -> bool:
    if not isinstance(node.value, bool):
        raise wrong_type(node, bool)
    return node.value


def count(node: Node) -> int:
    """A whole number from 0."""
    if isinstance(node.value, bool) or not isinstance(node.value, int):
        raise wrong_type(node, int)
    if node.value < 0:
        raise Unreadable("số không được âm", "the number must not be negative")
    return node.value


def positive(node: Node) -> int:
    """A whole number from 1."""
    if count(node) == 0:
        raise Unreadable("số phải từ 1 trở lên", "the number must be at least 1")
    return count(node)


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(node: Node) -> timedelta:
    """ "20s", "5m", "4h", "1h 30m", "2d"; at most ten years."""
    written, end, seconds = text(node), 0, 0.0
    while piece := _DURATION.match(written, end):
        seconds += float(piece[1]) * _SECONDS[piece[2]]
        end = piece.end()
    if not written or end != len(written) or seconds > 3660 * 86400:
        raise Unreadable(
            "thời gian phải viết như “20s”, “5m”, “4h”, “2d”", "a duration is written like “20s”, “5m”, “4h”, “2d”"
        )
    return timedelta(seconds=seconds)


def period(node: Node) -> timedelta:
    """A duration that is more than nothing: a pause that a loop takes, or the time for a step."""
    if not duration(node):
        raise Unreadable("thời gian phải dài hơn 0", "the time must be longer than 0")
    return duration(node)


_SIZE = re.compile(r"(\d{1,15})\s*(B|KiB|MiB|GiB|kB|KB|MB|GB)?\Z")
_BYTES = {
    None: 1,
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
}


def size(node: Node) -> int:
    """Bytes: "50 MiB", "64 KiB", or a plain number."""
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        return count(node)
    found = _SIZE.match(text(node))
    if not found:
        raise Unreadable("kích thước phải viết như “50 MiB”", "a size is written like “50 MiB”")
    return int(found[1]) * _BYTES[found[2]]


_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?\Z")
_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]\s]*)):(\d{1,5})\Z")


def place(node: Node) -> HostPort:
    """ "127.0.0.1:2525", "[::1]:25", "mail.example.vn:24"; port 0 lets the system choose."""
    found = _PLACE.match(text(node))
    if not found or int(found[3]) > 65535 or (found[2] and not _HOST.match(found[2])):
        raise Unreadable("phải viết như “127.0.0.1:25” hoặc “[::1]:25”", "write it like “127.0.0.1:25” or “[::1]:25”")
    return HostPort(found[1] or found[2] or "0.0.0.0", int(found[3]))  # noqa: S104 - ":25" means every address


_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+\Z")


def domain(node: Node) -> str:
    written = text(node)
    if not _DOMAIN.match(written):
        shown = clipped(written)
        raise Unreadable(f"“{shown}” không phải tên miền (chữ thường)", f"“{shown}” is no domain name in lower case")
    return written


_LOCAL_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?\Z")


def address(node: Node, home: str) -> str:
    """A flat address of the province, `xxx@home`; `xxx` alone stands for it. Lower case, no plus sign."""
    written = text(node)
    local, _, host = written.partition("@")
    shown = clipped(written)
    if "@" in written and host != home:
        raise Unreadable(f"“{shown}” phải có dạng xxx@{home}", f"“{shown}” must have the form xxx@{home}")
    if not _LOCAL_PART.match(local) or ".." in local:
        raise Unreadable(
            f"“{shown}” không phải địa chỉ hợp lệ: chỉ dùng chữ thường không dấu, số, . _ -",
            f"“{shown}” is no valid address: use unaccented lower-case letters, digits, . _ - only",
        )
    return f"{local}@{home}"


_SECRET = re.compile(r"(file|env):([A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*)\Z")


def secret(node: Node) -> SecretRef:
    """A secret by reference. What is written there instead is never shown."""
    found = _SECRET.match(node.value) if isinstance(node.value, str) else None
    if not found:
        raise Unreadable(
            "không ghi bí mật vào tệp này; hãy ghi nơi cất nó: file:TÊN hoặc env:TÊN",
            "no secret in this file; write where it is kept: file:NAME or env:NAME",
        )
    return SecretRef(found[1], found[2])


_SLOWEST = 4096  # bytes per second: slower than that no mail of usual size would ever end
TLS_POLICIES = ("none", "may", "encrypt", "verify")
_TARGET_HELP = Unreadable(
    "nơi giao phải viết như “maildir”, “maildir:THƯ-MỤC”, “lmtp://máy:24”, “smtp://máy:25?tls=verify”, “mx”, “in-place”",
    "a target is written like “maildir”, “maildir:FOLDER”, “lmtp://host:24”, “smtp://host:25?tls=verify”, “mx”, “in-place”",
)


def target(node: Node) -> Target:
    """Where mail is delivered. The path of a Maildir is still relative to the folder of Maildirs, "" = named by the address."""
    written = text(node)
    if written in ("maildir", "in-place", "mx"):
        kind = {"maildir": TargetKind.MAILDIR, "in-place": TargetKind.IN_PLACE, "mx": TargetKind.SMTP}[written]
        return Target(kind)
    if written.startswith("maildir:") and written[8:]:
        return Target(TargetKind.MAILDIR, path=written[8:])
    try:
        parts = urlsplit(written)
        port = parts.port
    except ValueError:
        raise _TARGET_HELP from None
    wishes = dict(parse_qsl(parts.query, keep_blank_values=True))
    tls = wishes.pop("tls", "none" if parts.scheme == "lmtp" else "may")
    connections, rate = _link(wishes)
    if parts.scheme not in ("lmtp", "smtp") or wishes or tls not in TLS_POLICIES or parts.path or parts.username:
        raise _TARGET_HELP
    host = parts.hostname or ""
    if not host or not (":" in host or _HOST.match(host)) or port == 0:
        raise _TARGET_HELP
    default_port = 24 if parts.scheme == "lmtp" else 25
    kind = TargetKind(parts.scheme)
    return Target(kind, host=host, port=port or default_port, tls=tls, connections=connections, rate=rate)


def _link(wishes: dict[str, str]) -> tuple[int, int]:
    """The limits of a slow link, taken out of the wishes: connections (1 to 99) and bytes per second (from 4 KiB)."""
    connections = wishes.pop("connections", "0")
    speed = _SIZE.match(wishes.pop("rate", "0"))
    rate = int(speed[1]) * _BYTES[speed[2]] if speed else -1
    if not re.fullmatch(r"0|[1-9]\d?", connections) or (rate and rate < _SLOWEST):
        raise Unreadable(
            "giới hạn đường truyền phải viết như “connections=1&rate=64KiB” (mỗi giây, từ 4KiB)",
            "the limits of a link are written like “connections=1&rate=64KiB” (per second, from 4KiB)",
        )
    return int(connections), rate


def day(node: Node) -> date:
    """A date as 2013-10-28."""
    try:
        return date.fromisoformat(text(node))
    except ValueError as fault:
        if isinstance(fault, Unreadable):
            raise
        raise Unreadable("ngày phải viết như 2013-10-28", "a date is written like 2013-10-28") from None
