"""What may be set about delivery: limits, times and names. Plain values that the daemon fills in; reads no file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long to wait for a peer. The defaults are the least times of RFC 5321 section 4.5.3.2, `connect` apart."""

    connect: timedelta = timedelta(seconds=30)  # one address: TCP connection or TLS handshake
    greeting: timedelta = timedelta(minutes=5)
    command: timedelta = timedelta(minutes=5)  # EHLO, MAIL, RCPT, RSET
    data: timedelta = timedelta(minutes=2)  # the answer to DATA
    block: timedelta = timedelta(minutes=3)  # until the peer takes one block of the mail
    final: timedelta = timedelta(minutes=10)  # after the final dot: a shorter time makes duplicates
    dialogue: timedelta = timedelta(minutes=15)  # everything before the mail itself: bounds a tarpit
    hosts: timedelta = timedelta(minutes=5)  # after this no further host of a destination is tried
    slowest_rate: int = 512  # bytes per second below which a transfer is given up, after ten minutes of grace


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """`hostname` is said in EHLO; `own_names` are further host names under which this service is known (MX loop guard)."""

    hostname: str = "localhost"
    own_names: frozenset[str] = frozenset()
    mx_port: int = 25
    source: str = ""  # own IP address to send from; addresses of the other family are then not tried
    ca_file: str = ""  # certificates trusted for `tls: verify`; "" = those of the system
    connections: int = 64  # open at once, all destinations together
    connections_per_destination: int = 4
    mails_per_connection: int = 100
    idle: timedelta = timedelta(seconds=30)  # how long an unused connection is kept
    recipients_per_mail: int = 100
    addresses_per_delivery: int = 6  # MX hosts' addresses tried in one delivery
    maildir_threads: int = 4
    times: TimeLimits = field(default_factory=TimeLimits)

    @property
    def names(self) -> frozenset[str]:
        """Every name of this service, lower case, but "localhost", which is everybody's."""
        return frozenset(name.lower() for name in (self.hostname, *self.own_names)) - {"localhost", ""}
