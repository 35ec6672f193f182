"""What a door bears: numbers from the settings, and the counters that hold strangers to them. No sockets here."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

_CRAWL = 2048  # octets a second
LOCAL = "local"  # the peer of a Unix socket


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of a door. Sizes in octets; rates in octets a second; a client address is one IPv4 or one IPv6 /64."""

    connections: int = 500
    connections_per_address: int = 50
    size: int = 50 * 1024 * 1024
    line_length: int = 64 * 1024
    recipients: int = 500
    errors: int = 20  # refused commands in one session; refused recipients of a login do not count
    idle_commands: int = 100  # commands in a row that bring no mail forward
    error_delay: timedelta = timedelta(seconds=1)  # before each refusal from the fourth on
    crowded_time: timedelta = timedelta(seconds=15)  # without progress, when the door is full and others wait
    handshake_time: timedelta = timedelta(seconds=30)
    command_time: timedelta = timedelta(minutes=5)  # RFC 5321 section 4.5.3.2.7
    block_time: timedelta = timedelta(minutes=3)  # without one octet of data, RFC 5321 section 4.5.3.2.5
    data_time: timedelta = timedelta(hours=1)  # the ceiling of one DATA or chunk
    minimum_rate: int = 256  # 0: none
    rate_grace: timedelta = timedelta(minutes=2)
    auth_failures_per_session: int = 3
    auth_failures_per_address: int = 20
    auth_failures_per_login: int = 10
    auth_lock_time: timedelta = timedelta(minutes=15)
    auth_delay: timedelta = timedelta(seconds=1)  # grows with each failure of the session
    quota_recipients: int = 1000  # outside recipients of one login within the quota time
    quota_time: timedelta = timedelta(hours=1)
    suspend_after: int = 100  # recipients refused for the quota within its time
    suspension_time: timedelta = timedelta(hours=24)


class Pace:
    """How long data may still take: a limit on silence, on the average rate, and on the whole. Seconds of the loop's clock."""

    def __init__(self, limits: Limits, started: float) -> None:
        self._limits = limits
        self._started = started
        self._received = 0

    def progress(self, octets: int) -> None:
        self._received += octets

    def is_crawling(self, now: float) -> bool:
        """Whether this transfer is one that a crowded door can do without: slower than any link of an agency."""
        return self._received < _CRAWL * (now - self._started)

    def deadline(self, now: float) -> float:
        """The moment at which the transfer is cut unless more data comes before."""
        limits = self._limits
        whole = limits.data_time.total_seconds()
        if limits.minimum_rate:
            whole = min(whole, limits.rate_grace.total_seconds() + self._received / limits.minimum_rate)
        return min(now + limits.block_time.total_seconds(), self._started + whole)


def plain_address(peer: str) -> str:
    """A peer's address as settings, SPF and people write it: on a socket of both families IPv4 comes as ::ffff:192.0.2.7."""
    if not peer.lower().startswith("::ffff:"):
        return peer
    try:
        address = ipaddress.IPv6Address(peer)
    except ValueError:
        return peer
    return str(address.ipv4_mapped or peer)


def client_of(peer: str) -> str:
    """The name under which a peer is counted: its IPv4 address, or the /64 of its IPv6 address."""
    try:
        address = ipaddress.ip_address(plain_address(peer).partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)


def is_loopback(peer: str) -> bool:
    """Whether a peer is on this machine."""
    try:
        return peer == LOCAL or ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False


class ConnectionCount:
    """Open connections, in total and per client address."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self.total = 0

    def enter(self, client: str, *, listed: bool = False) -> bool:
        """Count a connection in; False (and nothing counted) when there is no room. `listed` neighbours may use all of it."""
        most = self._limits.connections if listed else self._limits.connections_per_address
        if self.total >= self._limits.connections or self._open[client] >= most:
            return False
        self._open[client] += 1
        self.total += 1
        return True

    def has_room_for(self, client: str) -> bool:
        """Whether a client that was not let in has reached no limit of its own: the door is full."""
        return self._open[client] < self._limits.connections_per_address

    def leave(self, client: str) -> None:
        self.total -= 1
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]


@dataclass(slots=True)
class _Record:
    count: int
    last: float


class Failures:
    """Failed logins: who is locked out for now. `now` is seconds of a steady clock, given by the caller.

    A login that was right from an address before is locked there only by its own failures, so that neither strangers nor
    a colleague behind the same address lock a clerk out.
    """

    _CAPACITY = 10_000

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records: dict[str, _Record] = {}
        self._known: dict[tuple[str, str], None] = {}

    def minutes_locked(self, client: str, login: str, now: float) -> int:
        """Whole minutes until this client may try this login again; 0 when it may now."""
        limits = self._limits
        until = [self._until(f"pair {client} {login.lower()}", limits.auth_failures_per_login, now)]
        if (client, login.lower()) not in self._known:
            until.append(self._until(f"address {client}", limits.auth_failures_per_address, now))
            until.append(self._until(f"login {login.lower()}", limits.auth_failures_per_login, now))
        seconds = max(until) - now
        return int(seconds // 60) + 1 if seconds > 0 else 0

    def fail(self, client: str, login: str, now: float) -> None:
        for key in (f"address {client}", f"pair {client} {login.lower()}", f"login {login.lower()}"):
            record = self._records.pop(key, None)
            if record is None or now - record.last > self._limits.auth_lock_time.total_seconds():
                record = _Record(0, now)
            self._records[key] = _Record(record.count + 1, now)
        _shorten(self._records, self._CAPACITY)

    def succeed(self, client: str, login: str) -> None:
        """Forget the failures of this client with this login; failures with other logins stay counted."""
        self._records.pop(f"pair {client} {login.lower()}", None)
        self._known.pop((client, login.lower()), None)
        self._known[client, login.lower()] = None
        _shorten(self._known, self._CAPACITY)

    def _until(self, key: str, permitted: int, now: float) -> float:
        record = self._records.get(key)
        if record is None or record.count < permitted:
            return now
        return record.last + self._limits.auth_lock_time.total_seconds()


def _shorten(table: dict[Any, Any], capacity: int) -> None:
    while len(table) > capacity:
        del table[next(iter(table))]
