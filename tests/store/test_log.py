"""The document log: appended, read, searched in any spelling."""

from __future__ import annotations

import dataclasses

import pytest

from mailrelay.model.entry import EventKind, LogEvent
from mailrelay.model.identity import AgencyId
from mailrelay.store import Store, log
from tests.store.samples import FINANCE, at, event, mail_id


async def _append(store: Store, **changes: object) -> LogEvent:
    new = event(**changes)
    return dataclasses.replace(new, event_id=await store.write(lambda tx: log.append(tx, new)))


async def test_an_event_comes_back_as_it_was(store: Store) -> None:
    new = await _append(store, mail_id=mail_id())
    defaults = {item.name: item.default for item in dataclasses.fields(new)}
    assert [name for name, default in defaults.items() if getattr(new, name) == default] == []
    assert await store.read(lambda tx: log.get(tx, new.event_id)) == new
    assert await store.read(lambda tx: log.get(tx, new.event_id + 1)) is None


async def test_an_event_may_concern_no_mail_and_no_agency(store: Store) -> None:
    new = await _append(store, agency=None, actor="", detail={}, kind=EventKind.CONFIGURED)
    assert await store.read(lambda tx: log.get(tx, new.event_id)) == new


async def test_the_events_of_a_mail_come_in_the_order_of_writing(store: Store) -> None:
    mail = mail_id()
    later = await _append(store, mail_id=mail, at=at(60))
    await _append(store, mail_id=mail_id())
    earlier = await _append(store, mail_id=mail, at=at(30), kind=EventKind.DELIVERED)
    assert await store.read(lambda tx: log.of_mail(tx, mail)) == (later, earlier)


async def test_search_by_each_condition_newest_first(store: Store) -> None:
    a = await _append(store, at=at(0), actor="Nguyễn Thị Hoà")
    b = await _append(store, at=at(10), kind=EventKind.HELD, agency=AgencyId("H28.03"))
    c = await _append(store, at=at(20), kind=EventKind.HELD, detail={"deep": [{"why": "Đường 100% _bất"}], "n": 5})

    async def found(**asked: object) -> tuple[LogEvent, ...]:
        return await store.read(lambda tx: log.search(tx, **asked))  # type: ignore[arg-type]

    assert await found() == (c, b, a)
    assert await found(limit=2) == (c, b)
    assert await found(before_id=c.event_id) == (b, a)
    assert await found(kind=EventKind.HELD) == (c, b)
    assert await found(agency=FINANCE) == (c, a)
    assert await found(since=at(10)) == (c, b)
    assert await found(until=at(10)) == (a,)
    assert await found(since=at(10), until=at(20), kind=EventKind.HELD) == (b,)


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("đường", True),
        ("DUONG", True),
        ("Đu\u031bo\u031b\u0300ng", True),  # decomposed
        ("duong  100%", True),
        ("_bất VPUBND đường", True),  # every word, in any order
        ("đường mòn", False),
        ("100% _bat", True),
        ("h28.02", True),
        ("vpubnd", True),
        ("10_%", False),  # wildcards are letters
        ("%", True),
        ("!", False),
        ("duongg", False),
    ],
)
async def test_search_by_text_in_any_spelling(store: Store, text: str, hit: bool) -> None:
    new = await _append(store, detail={"deep": [{"why": "Đường 100% _bất"}], "n": 5})
    assert await store.read(lambda tx: log.search(tx, text=text)) == ((new,) if hit else ())


async def test_an_event_is_found_by_words_that_it_does_not_keep(store: Store) -> None:
    new = event(mail_id=mail_id())
    event_id = await store.write(lambda tx: log.append(tx, new, words="59/KH-UBND Kế hoạch trao đổi văn bản"))
    (found,) = await store.read(lambda tx: log.search(tx, text="ke hoach 59"))
    assert found == dataclasses.replace(new, event_id=event_id)
