"""A courier with short times, and mails to send, for tests against real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mailrelay.delivery.courier import Courier
from mailrelay.delivery.settings import DeliverySettings, TimeLimits
from mailrelay.model.dispatch import Parcel
from mailrelay.model.envelope import Recipient
from mailrelay.model.identity import make_mail_id
from mailrelay.model.message import Rendering

PREFIX = b"Received: from may-tram (here)\r\n\tby relay.test (mailrelay); Wed, 4 Mar 2026 10:00:00 +0700\r\n"
_SHORT = timedelta(seconds=20)
TIMES = TimeLimits(greeting=_SHORT, command=_SHORT, data=_SHORT, block=_SHORT, final=_SHORT)


@pytest.fixture
async def courier() -> AsyncIterator[Courier]:
    made = Courier(DeliverySettings(hostname="relay.test", times=TIMES))
    yield made
    await made.close()


@pytest.fixture
def parcel(tmp_path: Path) -> Callable[..., Parcel]:
    numbers = iter(range(1000))

    def make(mail: bytes, *recipients: Recipient, **fields: Any) -> Parcel:
        mail_id = make_mail_id(1_772_593_200_000, next(numbers).to_bytes(10, "big"))
        path = tmp_path / f"{mail_id}.eml"
        path.write_bytes(mail)
        values = {"sender": "vanthu@hoabinh.gov.vn", "rendering": Rendering(PREFIX), "body": "8BITMIME"} | fields
        return Parcel(mail_id=mail_id, recipients=recipients, path=path, size=len(mail), **values)

    return make
