"""The ledger on the real store."""

from __future__ import annotations

import pytest

from mailrelay.intake.imap.ledger import Ending, Ledger, Place
from mailrelay.model.identity import MailId
from mailrelay.store import Store, polls


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store, "stc")


async def end(store: Store, ledger: Ledger, place: Place, uid: int, ending: Ending = Ending.TAKEN) -> bool:
    return await store.write(lambda tx: ledger.end(tx, place, uid, ending, MailId("m")))


async def test_a_new_account_begins_at_the_start(ledger: Ledger) -> None:
    assert await ledger.begin("INBOX", 7, 100) == Place("INBOX", 7, 0)
    assert await ledger.begin("INBOX", 7, 100) == Place("INBOX", 7, 0)


async def test_goes_on_from_the_highest_end(store: Store, ledger: Ledger) -> None:
    place = await ledger.begin("INBOX", 7, 10)
    for uid in (3, 8, 5):
        assert await end(store, ledger, place, uid)
    assert await ledger.begin("INBOX", 7, 10) == Place("INBOX", 7, 8)


async def test_each_uid_ends_once(store: Store, ledger: Ledger) -> None:
    place = await ledger.begin("INBOX", 7, 10)
    assert await end(store, ledger, place, 3, Ending.REFUSED)
    assert not await end(store, ledger, place, 3, Ending.TAKEN)
    assert await ledger.endings(place, [1, 2, 3]) == {3: Ending.REFUSED}
    assert await ledger.endings(place, []) == {}


async def test_a_changed_uidvalidity_begins_anew(store: Store, ledger: Ledger) -> None:
    place = await ledger.begin("INBOX", 7, 10)
    await end(store, ledger, place, 9)
    changed = await ledger.begin("INBOX", 8, 20)
    assert changed == Place("INBOX", 8, 0, known_below=20)
    assert await ledger.endings(changed, [9]) == {}
    await end(store, ledger, changed, 4)
    # The border survives a crash in the middle of the rescan, and mails that came meanwhile do not move it.
    assert await ledger.begin("INBOX", 8, 25) == Place("INBOX", 8, 4, known_below=20)


async def test_an_end_under_an_old_uidvalidity_does_not_move_the_cursor(store: Store, ledger: Ledger) -> None:
    old = await ledger.begin("INBOX", 7, 10)
    await ledger.begin("INBOX", 8, 20)
    await end(store, ledger, old, 9)
    assert (await ledger.begin("INBOX", 8, 20)).last_uid == 0


async def test_a_server_that_does_not_tell_its_next_uid(store: Store, ledger: Ledger) -> None:
    place = await ledger.begin("INBOX", 7, 0)
    await end(store, ledger, place, 9)
    assert await ledger.begin("INBOX", 7, 0) == Place("INBOX", 7, 9)
    assert (await ledger.begin("INBOX", 8, 0)).known_below == 2**32


async def test_uids_that_went_backwards_lose_their_meaning(store: Store, ledger: Ledger) -> None:
    place = await ledger.begin("INBOX", 7, 10)
    await end(store, ledger, place, 9)
    restored = await ledger.begin("INBOX", 7, 5)  # 5 to 9 will be given to other mails
    assert restored.folder != "INBOX"
    assert (restored.uidvalidity, restored.last_uid, restored.known_below) == (7, 0, 5)
    assert await ledger.endings(restored, [9]) == {}
    assert await end(store, ledger, restored, 9)
    assert await ledger.begin("INBOX", 7, 10) == Place(restored.folder, 7, 9, known_below=5)
    again = await ledger.begin("INBOX", 7, 3)
    assert again.folder not in ("INBOX", restored.folder)


async def test_an_end_is_undone_with_the_transaction(store: Store, ledger: Ledger) -> None:
    place = await ledger.begin("INBOX", 7, 10)

    def fails(tx: object) -> None:
        ledger.end(tx, place, 3, Ending.TAKEN)  # type: ignore[arg-type]
        raise RuntimeError("after it")

    with pytest.raises(RuntimeError):
        await store.write(fails)
    assert await ledger.endings(place, [3]) == {}
    assert await store.read(lambda tx: polls.cursor(tx, "stc", "INBOX")) == (7, 0)


async def test_accounts_and_folders_are_apart(store: Store, ledger: Ledger) -> None:
    place = await ledger.begin("INBOX", 7, 10)
    await end(store, ledger, place, 3)
    other = Ledger(store, "syt")
    assert await other.endings(await other.begin("INBOX", 7, 10), [3]) == {}
    assert await ledger.endings(await ledger.begin("Đến", 7, 10), [3]) == {}
