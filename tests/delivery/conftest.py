"""A courier that waits for nobody long, next hops that answer as a test says, and parcels to send to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailrelay.delivery.courier import Courier
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.model.dispatch import Parcel
from mailrelay.model.envelope import Recipient
from mailrelay.model.identity import MailId, make_mail_id
from mailrelay.model.message import Rendering
from tests.servers.next_hop import QUICK, Peer, serving

MOMENT = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
MAIL_ID = make_mail_id(int(MOMENT.timestamp() * 1000), b"0123456789")


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """Start peers, given the fields of Peer that differ from a good server, on ports of the system's choice."""
    async with serving() as start:
        yield start


@pytest.fixture
async def courier() -> AsyncIterator[Courier]:
    made = Courier(DeliverySettings(hostname="relay.test", times=QUICK))
    yield made
    await made.close()


BODY = b"From: a@hoabinh.gov.vn\r\nSubject: =?utf-8?b?VGjhu60=?=\r\n\r\nd\xc3\xb2ng m\xe1\xbb\x99t\r\n.\r\n..hai\r\n"


@pytest.fixture
def parcel(tmp_path: Path) -> Callable[..., Parcel]:
    def make(*addresses: str, mail: bytes = BODY, mail_id: MailId = MAIL_ID, **fields: Any) -> Parcel:
        path = tmp_path / f"{mail_id}.eml"
        path.write_bytes(mail)
        recipients = tuple(Recipient(a) for a in addresses or ("b@example.vn",))
        values: dict[str, Any] = {
            "sender": "a@hoabinh.gov.vn",
            "recipients": recipients,
            "rendering": Rendering(b"Received: here\r\n"),
            "body": "8BITMIME",
        }
        return Parcel(mail_id=mail_id, path=path, size=len(mail), **(values | fields))

    return make
