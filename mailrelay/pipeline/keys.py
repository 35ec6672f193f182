"""What an administrator does to the agencies' OpenPGP keys: put in, give up. Each act is in the log, by fingerprint only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from mailrelay.inspection.keyring import Key, Keyrings
from mailrelay.model.agency import Agency, Directory
from mailrelay.model.entry import EventKind, LogEvent
from mailrelay.model.faults import NotFound
from mailrelay.model.identity import AgencyId
from mailrelay.store import log
from mailrelay.store.engine import Store


class KeyDesk:
    """One act at a time; verifications go on meanwhile with the ring as it was."""

    def __init__(
        self, keyrings: Keyrings, store: Store, directory: Callable[[], Directory], now: Callable[[], datetime]
    ) -> None:
        self._keyrings = keyrings
        self._store = store
        self._directory = directory
        self._now = now
        self._turn = asyncio.Lock()

    async def put_in(
        self, agency_id: str, data: bytes, actor: str, *, other_addresses: bool = False, dry_run: bool = False
    ) -> tuple[Agency, list[Key]]:
        """`mailrelay keys import`: all keys of a file or none. Raises NotAllowed with every reason against them."""
        agency = self._agency(agency_id)
        async with self._turn:
            keys = await asyncio.to_thread(self._keyrings.read, data)
            own = addresses_of(agency, self._directory())
            await asyncio.to_thread(self._keyrings.vet, agency.agency_id, keys, own, other_addresses=other_addresses)
            if not dry_run:
                await asyncio.to_thread(self._keyrings.add, agency.agency_id, data)
                await self._log(agency, "import", keys, actor)
        return agency, keys

    async def give_up(self, agency_id: str, fingerprint: str, actor: str) -> tuple[Agency, list[Key]]:
        """`mailrelay keys expire`: from now on the key vouches for nothing new."""
        agency = self._agency(agency_id)
        async with self._turn:
            key = await asyncio.to_thread(self._keyrings.end, agency.agency_id, fingerprint, self._now())
            await self._log(agency, "expire", [key], actor)
        return agency, [key]

    def _agency(self, agency_id: str) -> Agency:
        agency = self._directory().agency(AgencyId(agency_id))
        if agency is None:
            raise NotFound(f"Không có cơ quan {agency_id}. (There is no agency {agency_id}.)")
        return agency

    async def _log(self, agency: Agency, act: str, keys: list[Key], actor: str) -> None:
        detail = {"openpgp": act, "fingerprints": [key.fingerprint for key in keys]}
        event = LogEvent(self._now(), EventKind.CONFIGURED, None, agency.agency_id, actor, detail)
        await self._store.write(lambda tx: log.append(tx, event))


def addresses_of(agency: Agency, directory: Directory) -> frozenset[str]:
    """The addresses that a key of an agency may bear: its boxes and its clerk's, lower case."""
    boxes = [box for box in directory.mailboxes if box.agency == agency.agency_id]
    own = {address.lower() for box in boxes for address in (box.address, *box.aliases)}
    return frozenset(own | ({agency.clerk.lower()} if agency.clerk else set()))
