"""The IMAP ledger: one outcome for every UID."""

from __future__ import annotations

import asyncio

from mailrelay.store import Store, polls
from tests.store.samples import NOW, mail_id


async def test_a_folder_is_read_on_from_its_cursor(store: Store) -> None:
    assert await store.read(lambda tx: polls.cursor(tx, "a", "INBOX")) is None
    await store.write(lambda tx: polls.set_cursor(tx, "a", "INBOX", 1700000000, 4))
    await store.write(lambda tx: polls.set_cursor(tx, "a", "Đã đăng ký", 7, 1))
    await store.write(lambda tx: polls.set_cursor(tx, "a", "INBOX", 4294967295, 4294967294))
    assert await store.read(lambda tx: polls.cursor(tx, "a", "INBOX")) == (4294967295, 4294967294)
    assert await store.read(lambda tx: polls.cursor(tx, "a", "Đã đăng ký")) == (7, 1)
    assert await store.read(lambda tx: polls.cursor(tx, "b", "INBOX")) is None


async def test_when_a_folder_was_compared(store: Store) -> None:
    await store.write(lambda tx: polls.set_cursor(tx, "a", "INBOX", 7, 4))
    assert await store.read(lambda tx: polls.compared(tx, "a", "INBOX")) == (0, None)
    await store.write(lambda tx: polls.set_compared(tx, "a", "INBOX", 7, 2**63 - 1, NOW))
    await store.write(lambda tx: polls.set_cursor(tx, "a", "INBOX", 7, 5))
    assert await store.read(lambda tx: polls.compared(tx, "a", "INBOX")) == (2**63 - 1, NOW)
    await store.write(lambda tx: polls.set_compared(tx, "a", "INBOX", 8, 1, NOW))
    assert await store.read(lambda tx: polls.compared(tx, "a", "INBOX")) == (2**63 - 1, NOW), "other UIDs by now"
    await store.write(lambda tx: polls.set_cursor(tx, "a", "INBOX", 8, 0))
    assert await store.read(lambda tx: polls.compared(tx, "a", "INBOX")) == (0, None)
    assert await store.read(lambda tx: polls.compared(tx, "b", "INBOX")) == (0, None)


async def test_a_message_of_a_folder_has_one_outcome(store: Store) -> None:
    mail = mail_id()
    assert await store.read(lambda tx: polls.outcome(tx, "a", "INBOX", 1, 5)) is None
    assert await store.write(lambda tx: polls.record(tx, "a", "INBOX", 1, 5, "taken", mail)) is True
    assert await store.write(lambda tx: polls.record(tx, "a", "INBOX", 1, 5, "refused")) is False
    assert await store.read(lambda tx: polls.outcome(tx, "a", "INBOX", 1, 5)) == "taken"
    for place in (("b", "INBOX", 1, 5), ("a", "Sent", 1, 5), ("a", "INBOX", 2, 5), ("a", "INBOX", 1, 6)):
        assert await store.write(lambda tx, place=place: polls.record(tx, *place, "own")) is True


async def test_two_pollers_record_one_outcome(store: Store) -> None:
    done = await asyncio.gather(
        *(store.write(lambda tx, n=n: polls.record(tx, "a", "INBOX", 1, 5, str(n))) for n in range(8))
    )
    assert sorted(done) == [False] * 7 + [True]
