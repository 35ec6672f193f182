"""The speed of a slow link: all connections over it share so many bytes per second. Knows no mail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

_PER_SECOND = 4  # pieces: short enough that nothing else on the link waits long for one
_LEAST = 1024


class Pace:
    """Lets bytes pass at `rate` bytes per second, in the order in which they were announced."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._piece = max(_LEAST, rate // _PER_SECOND)
        self._free_at = 0.0

    async def pieces(self, data: bytes) -> AsyncIterator[bytes]:
        """Give the data piece by piece, each when its time has come."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), self._piece):
            piece = data[start : start + self._piece]
            now = loop.time()
            due = max(now, self._free_at)
            self._free_at = due + len(piece) / self._rate
            if due > now:
                await asyncio.sleep(due - now)
            yield piece
