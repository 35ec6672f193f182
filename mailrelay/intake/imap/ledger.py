"""What became of every mail of one folder: the truth about "done", kept in the store. Flags on the server are a courtesy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailrelay.model.identity import MailId
from mailrelay.store import Store, Transaction, polls

_HIGHEST_UID = 2**32
_NO_MAIL = 0  # no mail has this UID: its row is a note about the whole folder


class Ending(StrEnum):
    """How a UID ended. Each ends once."""

    TAKEN = "taken"
    OWN = "own"  # we delivered it there ourselves
    REFUSED = "refused"
    REPEATED = "repeated"  # the same mail as an earlier one
    VANISHED = "vanished"  # seen, and gone before it could be fetched
    TOO_BIG = "too-big"


@dataclass(slots=True)
class Place:
    """Where the reading of a folder stands. `known_below`: mails below this UID may be old ones under a new UID.

    `modseq` is the server's count of changes (0: none) at the last comparison of the whole folder, begun at `compared_at`.
    """

    folder: str  # as the ledger names it
    uidvalidity: int
    last_uid: int
    known_below: int = 0
    modseq: int = 0
    compared_at: datetime | None = None


class Ledger:
    """The rows of one account. UIDs mean something only together with the UIDVALIDITY (RFC 3501 section 2.3.1.1)."""

    def __init__(self, store: Store, account: str) -> None:
        self._store = store
        self._account = account

    async def begin(self, folder: str, uidvalidity: int, uid_next: int) -> Place:
        """Find the place to go on from, or the start of the folder when its UIDs have lost their meaning.

        That is a changed UIDVALIDITY, or UIDs that went backwards: a server restored from a copy gives the same numbers to
        new mails. Then nothing known of the old numbers counts, and old mails are recognised by their digest.
        """
        return await self._store.write(lambda tx: self._begin(tx, folder, uidvalidity, uid_next))

    async def endings(self, place: Place, uids: Sequence[int]) -> dict[int, Ending]:
        """Those of the UIDs that have ended already."""

        def look(tx: Transaction) -> dict[int, Ending]:
            found = ((uid, polls.outcome(tx, self._account, place.folder, place.uidvalidity, uid)) for uid in uids)
            return {uid: Ending(ending) for uid, ending in found if ending is not None}

        return await self._store.read(look) if uids else {}

    def end(self, tx: Transaction, place: Place, uid: int, ending: Ending, mail_id: MailId | None = None) -> bool:
        """Note how a mail ended and how far the folder was read, in the caller's transaction. False: it had ended before."""
        fresh = polls.record(tx, self._account, place.folder, place.uidvalidity, uid, ending.value, mail_id)
        cursor = polls.cursor(tx, self._account, place.folder)
        if cursor is not None and cursor[0] == place.uidvalidity and cursor[1] < uid:
            polls.set_cursor(tx, self._account, place.folder, place.uidvalidity, uid)
        return fresh

    async def compared(self, place: Place, modseq: int, at: datetime) -> None:
        """Note that every mail of the folder as it was at `modseq` has ended."""
        place.modseq, place.compared_at = modseq, at
        await self._store.write(
            lambda tx: polls.set_compared(tx, self._account, place.folder, place.uidvalidity, modseq, at)
        )

    def _begin(self, tx: Transaction, folder: str, uidvalidity: int, uid_next: int) -> Place:
        name = self._present_name(tx, folder)
        cursor = polls.cursor(tx, self._account, name)
        if cursor is None:
            return self._start(tx, name, uidvalidity, 0)
        known, last_uid = cursor
        border = uid_next or _HIGHEST_UID
        if known != uidvalidity:
            return self._start(tx, name, uidvalidity, border)
        if uid_next and uid_next <= last_uid:
            polls.record(tx, self._account, name, 0, _NO_MAIL, "superseded")
            return self._start(tx, self._present_name(tx, folder), uidvalidity, border)
        note = polls.outcome(tx, self._account, name, uidvalidity, _NO_MAIL)
        modseq, compared_at = polls.compared(tx, self._account, name)
        return Place(name, uidvalidity, last_uid, _border(note), modseq, compared_at)

    def _start(self, tx: Transaction, name: str, uidvalidity: int, border: int) -> Place:
        polls.set_cursor(tx, self._account, name, uidvalidity, 0)
        if border:
            polls.record(tx, self._account, name, uidvalidity, _NO_MAIL, f"known-below-{border}")
        note = polls.outcome(tx, self._account, name, uidvalidity, _NO_MAIL)
        return Place(name, uidvalidity, 0, max(border, _border(note)))

    def _present_name(self, tx: Transaction, folder: str) -> str:
        """The ledger's name of a folder: its own, with a count of how often its UIDs went backwards."""
        name, count = folder, 0
        while polls.outcome(tx, self._account, name, 0, _NO_MAIL) is not None:
            count += 1
            name = f"{folder}\t{count}"
        return name


def _border(note: str | None) -> int:
    return int(note.rpartition("-")[2]) if note else 0
