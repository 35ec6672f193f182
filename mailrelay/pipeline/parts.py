"""The rooms that the corridor walks through, built once by the daemon. No logic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from mailrelay.config.office import Office
from mailrelay.delivery.courier import Courier
from mailrelay.delivery.dkim import Signer
from mailrelay.delivery.under_way import UnderWay
from mailrelay.evidence import Evidence
from mailrelay.inspection.examine import Inspector
from mailrelay.pipeline.active import ActiveQueue
from mailrelay.receipts.seal import Sealer
from mailrelay.spool import Spool
from mailrelay.store.engine import Store


@dataclass(slots=True)
class Bells:
    """Wake-up calls between loops of one process. The rows are the truth; a bell only saves waiting for the next look."""

    dispatches: asyncio.Event = field(default_factory=asyncio.Event)
    receipts: asyncio.Event = field(default_factory=asyncio.Event)
    pending: asyncio.Event = field(default_factory=asyncio.Event)

    def ring(self) -> None:
        """Something was written that the loops may have to act on."""
        self.dispatches.set()
        self.receipts.set()


@dataclass(frozen=True, slots=True)
class Parts:
    """`office` returns the snapshot of settings, directory and rule book in force; it is swapped whole on reload."""

    office: Callable[[], Office]
    spool: Spool
    evidence: Evidence
    store: Store
    inspector: Inspector
    courier: Courier
    sealer: Sealer
    signer: Signer | None  # DKIM; None while no key is configured
    now: Callable[[], datetime]
    under_way: UnderWay
    node: str = ""  # by this name it takes leases: one name for each data folder that shares a store
    active: ActiveQueue = field(default_factory=ActiveQueue)
    bells: Bells = field(default_factory=Bells)
