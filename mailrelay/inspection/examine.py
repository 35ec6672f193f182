"""The Inspector: the doors' and the pipeline's way into inspection. Starts the workers; each mail is an `Examination`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mailrelay.inspection import fetching
from mailrelay.inspection.antivirus import Clamd, Scanner
from mailrelay.inspection.authentication import domains
from mailrelay.inspection.authentication.spf import Names
from mailrelay.inspection.dns import TxtAnswer
from mailrelay.inspection.examination import Bench, Examination
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.inspection.revocation_cache import Fetch, RevocationCache
from mailrelay.inspection.spam import Rspamd, SpamFilter
from mailrelay.inspection.workers import Worker, WorkerLost
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Findings
from mailrelay.model.message import Message


def _nothing(name: str) -> None:
    return None


class Inspector:
    """Facts about mails. One per process; `start` before the first mail, `close` at the end.

    `txt` looks up DKIM keys, `kept` knows those that need not be asked for. `names` (a `dns.Resolver`) is asked for SPF and
    DMARC, which are not judged without it. `scanner` and `spam` stand in for the clamd and the Rspamd of the settings. `fetch`
    reaches the CAs' servers.
    """

    def __init__(
        self,
        settings: InspectionSettings,
        *,
        txt: Callable[[str], Awaitable[TxtAnswer]],
        names: Names | None = None,
        kept: Callable[[str], TxtAnswer | None] = _nothing,
        scanner: Scanner | None = None,
        fetch: Fetch = fetching.fetch,
        spam: SpamFilter | None = None,
    ) -> None:
        small = Worker("small", settings)
        large = Worker("large", settings) if settings.workers > 1 else small
        if scanner is None and settings.clamd is not None:
            scanner = Clamd(settings.clamd, settings.scan_limit)
        if spam is None and settings.rspamd is not None:
            spam = Rspamd(*settings.rspamd, settings.spam_limit)
        self._revocation: RevocationCache | None = None
        if settings.trust_roots is not None and settings.revocation is not None:
            self._revocation = RevocationCache(
                settings.revocation, settings.trust_roots, fetch, self._vet, every=settings.revocation_every
            )
        self._bench = Bench(settings, small, large, txt, names, scanner, self._revocation, spam, kept)

    async def start(self) -> None:
        """Start the worker processes. Raises InspectionFault when they do not come up."""
        await asyncio.gather(*(worker.start() for worker in self._bench.workers))
        domains.load()

    async def close(self) -> None:
        await asyncio.gather(*(worker.close() for worker in self._bench.workers))

    def pids(self) -> list[int]:
        """The process ids of the running workers: the small one first."""
        return [worker.pid for worker in self._bench.workers if worker.pid is not None]

    async def can_scan(self) -> bool:
        """Tell whether a virus scanner is set up and answers at present."""
        scanner = self._bench.scanner
        return scanner is not None and await scanner.ready()

    async def examine(self, message: Message, path: Path, directory: Directory) -> Findings:
        """Return what can be known of a mail. Raises InspectionFault only, when no worker can be started."""
        return await Examination(self._bench, message, path, directory).run()

    async def refresh_revocation(self, now: datetime) -> int:
        """Fetch the revocation lists and answers that are due; return how many came. Called by a timed job."""
        return await self._revocation.refresh(now) if self._revocation is not None else 0

    async def _vet(self, path: Path, kind: str) -> Mapping[str, Any]:
        request = {"step": "vet", "path": str(path), "kind": kind}
        try:
            return await self._bench.large.ask(request, self._bench.settings.time_limit)
        except WorkerLost as lost:
            return {"fault": f"worker-{lost.cause}"}
