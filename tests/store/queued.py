"""Steps that the tests of the queue share: mails put in it, claims, settlements."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome, Result, Scope
from mailrelay.model.identity import MailId
from mailrelay.store import Store, Transaction, dispatches, messages
from mailrelay.store.schema import metadata
from tests.store.samples import at, dispatch, record

LEASE = timedelta(minutes=20)
SENT = Outcome(
    "sotc@hoabinh.gov.vn", Result.RELAYED, "2.0.0", 250, "OK", "mail.example", "TLSv1.3", True, True, Scope.MAIL
)


async def mail_in(store: Store) -> MailId:
    mail = record()
    await store.write(lambda tx: messages.insert(tx, mail))
    return mail.message.mail_id


async def queue(store: Store, *destinations: str, **changes: object) -> list[Dispatch]:
    """One dispatch per destination, each of a mail of its own."""
    mails = [record() for _ in destinations]
    new = [
        dispatch(m.message.mail_id, "r@x", destination=d, **changes) for m, d in zip(mails, destinations, strict=True)
    ]

    def insert(tx: Transaction) -> tuple[int, ...]:
        for mail in mails:
            messages.insert(tx, mail)
        return dispatches.insert(tx, new)

    ids = await store.write(insert)
    return [dataclasses.replace(d, dispatch_id=i) for d, i in zip(new, ids, strict=True)]


async def copies(store: Store, one: Dispatch, number: int) -> None:
    """So many more dispatches like one, each of a mail of its own, made by the engine itself."""
    kept = {"message": "mail_id", "dispatch": "dispatch_id, mail_id"}
    columns = {
        table: ", ".join(c.name for c in metadata.tables[table].columns if c.name not in kept[table].split(", "))
        for table in kept
    }
    numbered = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) "
    mail_id = "substr(m.mail_id, 1, 19) || CAST(1000000 + n.i AS TEXT)"

    def copy(tx: Transaction) -> None:
        source = {"mail": one.mail_id}
        mails = columns["message"]
        tx.execute(
            f"INSERT INTO message (mail_id, {mails}) {numbered} SELECT {mail_id}, {mails} FROM message m, n"
            " WHERE m.mail_id = :mail",
            source,
        )
        rows = columns["dispatch"]
        tx.execute(
            f"INSERT INTO dispatch (mail_id, {rows}) {numbered} SELECT {mail_id}, {rows} FROM dispatch m, n"
            " WHERE m.mail_id = :mail",
            source,
        )

    await store.write(copy)


async def mail_to(store: Store, *destinations: str, **changes: object) -> list[int]:
    """One mail with a recipient at each destination."""
    mail = await mail_in(store)
    new = [dispatch(mail, f"r{n}@x", destination=d, **changes) for n, d in enumerate(destinations)]
    return list(await store.write(lambda tx: dispatches.insert(tx, new)))


def mail_of(tx: Transaction, dispatch_id: int) -> MailId:
    found = dispatches.get(tx, dispatch_id)
    assert found is not None
    return found.mail_id


async def claim(
    store: Store, seconds: float = 0, limit: int = 100, each: int = 100, holder: str = ""
) -> tuple[Dispatch, ...]:
    return await store.write(
        lambda tx: dispatches.claim(tx, at(seconds), LEASE, limit, per_destination=each, holder=holder)
    )


async def settle(store: Store, dispatch_id: int, state: DispatchState, **changes: object) -> bool:
    settled = {"next_attempt_at": None, "outcome": SENT, "at": at(5)} | changes
    return await store.write(lambda tx: dispatches.settle(tx, dispatch_id, state, **settled))  # type: ignore[arg-type]


async def get(store: Store, dispatch_id: int) -> Dispatch:
    found = await store.read(lambda tx: dispatches.get(tx, dispatch_id))
    assert found is not None
    return found
