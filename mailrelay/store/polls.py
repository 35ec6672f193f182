"""The ledger of the IMAP poller: how far each folder was read, and exactly one outcome for every UID."""

from __future__ import annotations

from datetime import datetime

from mailrelay.model.identity import MailId
from mailrelay.store.codec import microseconds, moment, plain
from mailrelay.store.transaction import Transaction

CURSOR = "SELECT uidvalidity, last_uid FROM poll_cursor WHERE account = :account AND folder = :folder"
SET_CURSOR = (
    "INSERT INTO poll_cursor (account, folder, uidvalidity, last_uid, modseq, compared_at)"
    " VALUES (:account, :folder, :uidvalidity, :last_uid, 0, 0)"
    " ON CONFLICT (account, folder) DO UPDATE SET uidvalidity = excluded.uidvalidity, last_uid = excluded.last_uid"
)
COMPARED = "SELECT modseq, compared_at FROM poll_cursor WHERE account = :account AND folder = :folder"
SET_COMPARED = (
    "UPDATE poll_cursor SET modseq = :modseq, compared_at = :compared_at"
    " WHERE account = :account AND folder = :folder AND uidvalidity = :uidvalidity"
)
FORGET_COMPARED = (
    "UPDATE poll_cursor SET modseq = 0, compared_at = 0 WHERE account = :account AND folder = :folder AND modseq > 0"
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
    """Note how far a folder was read. Back at the start or not: what was compared before counts only while UIDs go up."""
    if last_uid == 0:
        tx.execute(FORGET_COMPARED, {"account": account, "folder": folder})
    tx.execute(SET_CURSOR, {"account": account, "folder": folder, "uidvalidity": uidvalidity, "last_uid": last_uid})


def compared(tx: Transaction, account: str, folder: str) -> tuple[int, datetime | None]:
    """(the server's count of changes, when) at the last comparison of the whole folder; (0, None) when there was none."""
    rows = tx.hold(COMPARED, {"account": account, "folder": folder})
    return (rows[0][0], moment(rows[0][1])) if rows and rows[0][0] else (0, None)


def set_compared(
    tx: Transaction, account: str, folder: str, uidvalidity: int, modseq: int, compared_at: datetime
) -> None:
    """Note a comparison of the whole folder; nothing when its UIDs mean something else by now."""
    key = {"account": account, "folder": folder, "uidvalidity": uidvalidity}
    tx.execute(SET_COMPARED, key | {"modseq": modseq, "compared_at": microseconds(compared_at)})


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
