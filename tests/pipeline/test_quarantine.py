"""Spam from strangers waits for the receiver's văn thư, who may let it go; nothing is thrown away, ham and our own mail pass."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mailrelay.config.settings import HostPort
from mailrelay.model.dispatch import DispatchState
from mailrelay.model.finding import Check
from mailrelay.pipeline.held_lists import HeldLists, last_due
from mailrelay.pipeline.hold import Desk
from mailrelay.reports.trace import Life
from tests.pipeline.conftest import opened_house
from tests.pipeline.house import PLANNING, STRANGER, House, paper, text_of

SENDER = "ban.hang@shop.example"


async def filter_says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A filter that calls spam what says "khuyến mại"."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
    spam = "khuyến mại".encode() in await reader.readexactly(length)
    answer = json.dumps({"action": "add header" if spam else "no action", "score": 9.1 if spam else 0.3}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
    writer.close()


def letter(text: str) -> bytes:
    name = b"=?utf-8?q?S=E1=BB=9F_T=C3=A0i_ch=C3=ADnh?="
    raw = paper(1, text, f"<{text.encode().hex()[:20]}@shop.example>", author=SENDER).replace(name, b"Shop")
    return raw.replace(b"Subject: 1/BC-STC V/v thu nghiem", b"Subject: Chao ban")


def verdicts(life: Life) -> list[str]:
    return [f.detail for f in life.record.findings if f.check is Check.SPAM]


@pytest.mark.parametrize("kept", [True, False])
async def test_spam_waits_and_can_be_released(tmp_path: Path, new_store: Callable[[], str], kept: bool) -> None:
    async with await asyncio.start_server(filter_says, "127.0.0.1", 0) as listening:
        place = HostPort("127.0.0.1", listening.sockets[0].getsockname()[1])
        async with opened_house(tmp_path, new_store(), rspamd=place) as house:
            await follow(house, kept=kept)


async def follow(house: House, *, kept: bool) -> None:
    accepted = await house.hand_in(letter("khuyến mại lớn"), PLANNING, sender=SENDER, origin=STRANGER)
    life = await house.settled(accepted)
    assert ([d.state for d in life.dispatches], verdicts(life)) == ([DispatchState.HELD], ["spam"])
    assert house.notices("sokhdt", "held") == [], "the morning's list tells of it"
    desk = Desk(house.parts.store, lambda: house.office().directory, house.now, house.parts.bells.ring)
    mail_id = life.record.message.mail_id
    if kept:
        await desk.release(mail_id, PLANNING)
        life = await house.settled(accepted)
        assert [d.state for d in life.dispatches] == [DispatchState.DELIVERED]
    else:
        await desk.return_held(mail_id, PLANNING, "thư quảng cáo")
        life = await house.settled(accepted)
        assert [d.state for d in life.dispatches] == [DispatchState.WITHDRAWN]
        assert life.events[-1].actor == PLANNING  # who ended it is written down: nothing goes by itself
    ham = await house.settled(await house.hand_in(letter("hỏi thăm"), PLANNING, sender=SENDER, origin=STRANGER))
    assert ([d.state for d in ham.dispatches], verdicts(ham)) == ([DispatchState.DELIVERED], ["ham"])
    own = await house.settled(await house.hand_in(paper(3, "khuyến mại"), PLANNING))
    assert ([d.state for d in own.dispatches], verdicts(own)) == ([DispatchState.DELIVERED], ["spam"])


async def test_the_mornings_list_tells_of_the_days_spam_once(tmp_path: Path, new_store: Callable[[], str]) -> None:
    async with await asyncio.start_server(filter_says, "127.0.0.1", 0) as listening:
        place = HostPort("127.0.0.1", listening.sockets[0].getsockname()[1])
        async with opened_house(tmp_path, new_store(), rspamd=place) as house:
            first, second = [
                await house.hand_in(letter(f"khuyến mại {n}"), PLANNING, sender=SENDER, origin=STRANGER) for n in "ab"
            ]
            lists = HeldLists(house.parts)
            assert await lists.look() == 0, "it has come after the last morning"
            house.later(timedelta(days=1))
            assert [await lists.look(), await lists.look(), await HeldLists(house.parts).look()] == [1, 0, 0]
            async with asyncio.timeout(20):
                while not (told := house.notices("sokhdt", "statement")):
                    await asyncio.sleep(0.02)
            (only,) = told
            assert str(only["Subject"]) == "[THƯ RÁC] 2 thư đang tạm giữ, chờ văn thư xem"
            words = text_of(only)
            assert SENDER in words and f"mã thư {first.mail_id}" in words and f"mã thư {second.mail_id}" in words
            house.later(timedelta(days=1))
            assert await lists.look() == 0, "nothing new"


async def test_what_was_decided_before_the_morning_is_not_in_the_list(
    tmp_path: Path, new_store: Callable[[], str]
) -> None:
    async with await asyncio.start_server(filter_says, "127.0.0.1", 0) as listening:
        place = HostPort("127.0.0.1", listening.sockets[0].getsockname()[1])
        async with opened_house(tmp_path, new_store(), rspamd=place) as house:
            accepted = await house.hand_in(letter("khuyến mại"), PLANNING, sender=SENDER, origin=STRANGER)
            desk = Desk(house.parts.store, lambda: house.office().directory, house.now, house.parts.bells.ring)
            assert accepted.mail_id is not None
            await desk.release(accepted.mail_id, PLANNING)
            house.later(timedelta(days=1))
            assert await HeldLists(house.parts).look() == 0


async def test_a_paper_that_the_filter_calls_spam_is_told_at_once(tmp_path: Path, new_store: Callable[[], str]) -> None:
    async with await asyncio.start_server(filter_says, "127.0.0.1", 0) as listening:
        place = HostPort("127.0.0.1", listening.sockets[0].getsockname()[1])
        async with opened_house(tmp_path, new_store(), rspamd=place) as house:
            ministry = "vanthu@mic.gov.vn"
            raw = paper(7, "khuyến mại", author=ministry).replace(b"S=E1=BB=9F_T=C3=A0i_ch=C3=ADnh", b"Bo")
            accepted = await house.hand_in(raw, PLANNING, sender=ministry, origin=STRANGER)
            await house.settled(accepted)
            (told,) = house.notices("sokhdt", "held")
            assert "nhưng thư có dạng văn bản" in text_of(told)
            house.later(timedelta(days=1))
            assert await HeldLists(house.parts).look() == 0


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-27T07:29:59+07:00", "2026-11-26T07:30:00+07:00"),
        (
            "2026-11-27T07:30:59+07:00",
            "2026-11-26T07:30:00+07:00",
        ),  # what came before 7:30 may yet be on its way to the disk
        ("2026-11-27T07:31:00+07:00", "2026-11-27T07:30:00+07:00"),
        ("2026-11-27T00:31:00+00:00", "2026-11-27T07:30:00+07:00"),
        ("2026-12-31T18:00:00+00:00", "2026-12-31T07:30:00+07:00"),
    ],
)
def test_lists_are_due_in_the_morning_of_vietnam(now: str, due: str) -> None:
    assert last_due(datetime.fromisoformat(now)) == datetime.fromisoformat(due)
