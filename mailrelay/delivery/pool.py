"""Kept connections, and the limits on how many are open. Decides nothing about mails."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from mailrelay.delivery.pace import Pace
from mailrelay.delivery.session import Place
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.delivery.smtp_client import Connection


@dataclass(frozen=True, slots=True)
class PoolCounts:
    """Connections now kept idle, and since the start: opened, used again, and found dead when they were to be used again."""

    idle: int
    opened: int
    reused: int
    stale: int


class Pool:
    """Idle connections by place. `take` and `give` never wait; `slot` is what bounds the number of senders."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings
        self._idle: dict[Place, list[tuple[Connection, asyncio.TimerHandle]]] = {}
        self._everywhere = asyncio.Semaphore(settings.connections)
        self._per_destination: WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = WeakValueDictionary()
        self._paces: WeakValueDictionary[tuple[str, int], Pace] = WeakValueDictionary()
        self._closed = False
        self.seen: Counter[str] = Counter()

    @property
    def counts(self) -> PoolCounts:
        idle = sum(len(kept) for kept in self._idle.values())
        return PoolCounts(idle, self.seen["opened"], self.seen["reused"], self.seen["stale"])

    @asynccontextmanager
    async def slot(self, destination: str, most: int = 0) -> AsyncIterator[None]:
        """Wait for a turn at a destination: first its own limit (`most`, or that of the settings), then that of all together."""
        most = most or self._settings.connections_per_destination
        own = self._per_destination.get((destination, most))
        if own is None:
            own = asyncio.Semaphore(most)
            self._per_destination[destination, most] = own
        async with own, self._everywhere:
            yield

    def pace(self, destination: str, rate: int) -> Pace | None:
        """The speed that all deliveries under way to a destination share; None without a limit. Keep it while sending."""
        if not rate:
            return None
        pace = self._paces.get((destination, rate))
        if pace is None:
            pace = Pace(rate)
            self._paces[destination, rate] = pace
        return pace

    def take(self, place: Place) -> Connection | None:
        """The most recently used idle connection that still stands, now the caller's."""
        kept = self._idle.get(place, [])
        while kept:
            connection, timer = kept.pop()
            timer.cancel()
            if not kept:
                self._idle.pop(place, None)
            if connection.is_usable:
                self.seen["reused"] += 1
                return connection
            connection.close()
            self.seen["stale"] += 1
        return None

    def give(self, connection: Connection) -> None:
        """Take a connection back: keep it for a while, or close it when it is spent or there are enough."""
        kept = self._idle.get(connection.place, [])
        room = len(kept) < self._settings.connections_per_destination and self.counts.idle < self._settings.connections
        if self._closed or not room or not connection.is_usable:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._settings.idle.total_seconds(), self._expire, connection)
        self._idle.setdefault(connection.place, []).append((connection, timer))

    def close(self) -> None:
        """Close what is idle; what is given back later is closed then."""
        self._closed = True
        for kept in self._idle.values():
            for connection, timer in kept:
                timer.cancel()
                connection.close()
        self._idle.clear()

    def _expire(self, connection: Connection) -> None:
        kept = [entry for entry in self._idle.get(connection.place, []) if entry[0] is not connection]
        if kept:
            self._idle[connection.place] = kept
        else:
            self._idle.pop(connection.place, None)
        connection.close()
