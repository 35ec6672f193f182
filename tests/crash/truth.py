"""What the test itself knows to be true, kept outside the service: who was told what, and what the next hop was given."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field

from tests.servers.smtp_sink import Delivered, SmtpSink


@dataclass(slots=True)
class Truth:
    """Every answer that a client heard. `acknowledged`: number of a mail -> the mail id in its 250; `refused`: -> its 5xx."""

    begun: set[int] = field(default_factory=set)
    acknowledged: dict[int, str] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    placed: dict[str, int] = field(default_factory=dict)  # digest of a mail put into the polled box -> its number
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def answered(self) -> int:
        return len(self.acknowledged) + len(self.refused)


class NextHop:
    """A recording mail server in a thread of its own, so that it outlives every crash of the service."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._sink = SmtpSink()
        self._thread = threading.Thread(target=self._run, name="next-hop", daemon=True)
        self._ready = threading.Event()

    @property
    def port(self) -> int:
        return self._sink.port

    @property
    def replies(self) -> dict[str, str]:
        """What it answers instead of the usual, as SmtpSink has it."""
        return self._sink.replies

    @property
    def arrivals(self) -> list[Delivered]:
        """Every mail that was taken, with its recipients and bytes, in order."""
        return list(self._sink.mails)

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the next hop did not start")

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._sink.__aenter__())
        self._ready.set()
        with contextlib.closing(self._loop):
            self._loop.run_forever()
            self._loop.run_until_complete(self._sink.__aexit__(None, None, None))
