"""Notices to people, from the fact that makes one due to the mail that carried it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailrelay.model.identity import MailId
from mailrelay.model.receipt import Receipt, ReceiptKind, ReceiptState
from mailrelay.store.codec import dumps, loads, microseconds, moment, plain
from mailrelay.store.transaction import Row, Transaction, require

_COLUMNS = "kind, mail_id, addressee, event_key, created_at, facts, state, receipt_id, notice_id"
INSERT = (
    "INSERT INTO receipt (kind, mail_id, addressee, event_key, created_at, facts, state, notice_id) VALUES (:kind,"
    " :mail_id, :addressee, :event_key, :created_at, :facts, :state, :notice_id)"
    " ON CONFLICT (event_key) DO NOTHING"
)
DUE = f"SELECT {_COLUMNS} FROM receipt WHERE state = 'due' ORDER BY receipt_id LIMIT :limit"
MARK = "UPDATE receipt SET state = :state, notice_id = coalesce(:notice_id, notice_id) WHERE receipt_id = :receipt_id"
OF_MAIL = f"SELECT {_COLUMNS} FROM receipt WHERE mail_id = :mail_id ORDER BY receipt_id"
OF_KIND = f"SELECT {_COLUMNS} FROM receipt WHERE mail_id = :mail_id AND kind = :kind ORDER BY receipt_id"
STATE = "SELECT state FROM receipt WHERE receipt_id = :receipt_id"
MARK_NOTICE = "UPDATE receipt SET state = :state WHERE notice_id = :notice_id"
BY_NOTICE = f"SELECT {_COLUMNS} FROM receipt WHERE notice_id = :notice_id"

_FACTS = Mapping[str, Any]


def _receipt(row: Row) -> Receipt:
    kind, mail_id, addressee, event_key, created_at, facts, state, receipt_id, notice_id = row
    return Receipt(
        kind=ReceiptKind(kind),
        mail_id=MailId(mail_id),
        to=addressee,
        event_key=event_key,
        created_at=moment(created_at),
        facts=loads(_FACTS, facts),
        state=ReceiptState(state),
        receipt_id=receipt_id,
        notice_id=notice_id,
    )


def insert(tx: Transaction, receipt: Receipt) -> int | None:
    """Add a receipt and return its id; None when one with the same event key is there already."""
    return tx.insert(
        INSERT,
        {
            "kind": receipt.kind,
            "mail_id": receipt.mail_id,
            "addressee": plain(receipt.to),
            "event_key": plain(receipt.event_key),
            "created_at": microseconds(receipt.created_at),
            "facts": dumps(receipt.facts, _FACTS),
            "state": receipt.state,
            "notice_id": receipt.notice_id,
        },
        "receipt_id",
    )


def due(tx: Transaction, limit: int) -> tuple[Receipt, ...]:
    """Receipts whose fact is committed and whose mail is not yet composed, oldest first."""
    return tuple(_receipt(row) for row in tx.rows(DUE, {"limit": limit}))


def mark(tx: Transaction, receipt_id: int, state: ReceiptState, notice_id: MailId | None = None) -> None:
    """Move a receipt on; `notice_id` names the stored mail that carries it. Raises NotFound."""
    parameters = {"receipt_id": receipt_id, "state": state, "notice_id": notice_id}
    require(tx.execute(MARK, parameters), f"biên nhận {receipt_id}")


def mark_notice(tx: Transaction, notice_id: MailId, state: ReceiptState) -> None:
    """Move on the receipt that a mail of ours carries; nothing when the mail is not ours."""
    tx.execute(MARK_NOTICE, {"notice_id": notice_id, "state": state})


def of_mail(tx: Transaction, mail_id: MailId) -> tuple[Receipt, ...]:
    """The receipts about a mail."""
    return tuple(_receipt(row) for row in tx.rows(OF_MAIL, {"mail_id": mail_id}))


def of_kind(tx: Transaction, mail_id: MailId, kind: ReceiptKind) -> tuple[Receipt, ...]:
    """The receipts of one kind about a mail."""
    return tuple(_receipt(row) for row in tx.rows(OF_KIND, {"mail_id": mail_id, "kind": kind}))


def state(tx: Transaction, receipt_id: int) -> ReceiptState | None:
    """How far a receipt is; None when there is none."""
    rows = tx.hold(STATE, {"receipt_id": receipt_id})
    return ReceiptState(rows[0][0]) if rows else None


def by_notice(tx: Transaction, notice_id: MailId) -> Receipt | None:
    """The receipt that a mail of ours carries."""
    rows = tx.hold(BY_NOTICE, {"notice_id": notice_id})
    return _receipt(rows[0]) if rows else None
