"""The ledger of the IMAP poller: how far each folder was read, and exactly one outcome for every UID."""

from __future__ import annotations

from mailrelay.model.identity import MailId
from mailrelay.store.codec import plain
from mailrelay.store.transaction import Transaction

CURSOR = "SELECT uidvalidity, last_uid FROM poll_cursor WHERE account = :account AND folder = :folder"
SET_CURSOR = (
    "INSERT INTO poll_cursor (account, folder, uidvalidity, last_uid) VALUES (:account, :folder, :uidvalidity, :last_uid)"
    " ON CONFLICT (account, folder) DO UPDATE SET uidvalidity = excluded.uidvalidity, last_uid = excluded.last_uid"
)
OUTCOME = (
    "SELECT outcome FROM poll_outcome"
    " WHERE account = :account AND folder = :folder AND uidvalidity = :uidvalidity AND uid = :uid"
)
RECORD = (
    "INSERT INTO poll_outcome (account, folder, uidvalidity, uid, outcome, mail_id)"
    " VALUES (:account, :folder, :uidvalidity, :uid, :outcome, :mail_id)"
    " ON CONFLICT (account, folder, uidvalidity, uid) DO NOTHING"
)


def cursor(tx: Transaction, account: str, folder: str) -> tuple[int, int] | None:
    """(uidvalidity, last_uid) up to which a folder was read; None before the first time."""
    rows = tx.hold(CURSOR, {"account": account, "folder": folder})
    return (rows[0][0], rows[0][1]) if rows else None


def set_cursor(tx: Transaction, account: str, folder: str, uidvalidity: int, last_uid: int) -> None:
    """Note how far a folder was read."""
    tx.execute(SET_CURSOR, {"account": account, "folder": folder, "uidvalidity": uidvalidity, "last_uid": last_uid})


def outcome(tx: Transaction, account: str, folder: str, uidvalidity: int, uid: int) -> str | None:
    """What became of one message of a folder; None when it was not dealt with yet."""
    key = {"account": account, "folder": folder, "uidvalidity": uidvalidity, "uid": uid}
    tx.hold_key("poll", *map(str, key.values()))
    found: str | None = tx.value(OUTCOME, key)
    return found


def record(
    tx: Transaction, account: str, folder: str, uidvalidity: int, uid: int, outcome: str, mail_id: MailId | None = None
) -> bool:
    """Note what became of one message of a folder. False: it had its outcome already, which stays."""
    key = {"account": account, "folder": folder, "uidvalidity": uidvalidity, "uid": uid}
    return tx.execute(RECORD, key | {"outcome": plain(outcome), "mail_id": mail_id}) == 1
