"""Spam from strangers waits for the receiver's văn thư, who may let it go; nothing is thrown away, ham and our own mail pass."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mailrelay.config.settings import HostPort
from mailrelay.model.dispatch import DispatchState
from mailrelay.model.finding import Check
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
    (told,) = house.notices("sokhdt", "held")
    assert "Bộ lọc cho rằng đây là thư rác" in text_of(told)
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
