"""The timed looks of the service do what the doors cannot do themselves."""

from __future__ import annotations

from mailrelay.daemon import rooms
from mailrelay.model.receipt import ReceiptKind
from mailrelay.pipeline.accept import Pipeline
from mailrelay.store import receipts
from tests.pipeline.conftest import house, serve
from tests.pipeline.house import House

__all__ = ["house", "serve"]


async def test_a_suspended_login_is_told_by_mail(house: House) -> None:
    suspended = ["sotc", "nobody"]
    imap = rooms.imap_door(house.office, Pipeline(house.parts), house.parts)
    tick = next(t for t in rooms.ticks(house.office, house.parts, imap, suspended) if t.name == "suspensions")
    await tick.run()
    await tick.run()
    assert suspended == []
    mails = await house.parts.store.read(lambda tx: tx.rows("SELECT mail_id FROM message", {}))
    told = await house.parts.store.read(lambda tx: receipts.of_mail(tx, mails[0][0]))
    assert [(receipt.kind, receipt.to) for receipt in told] == [(ReceiptKind.RETURNED, "sotc@hoabinh.gov.vn")]
