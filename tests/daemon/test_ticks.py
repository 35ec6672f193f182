"""The timed looks of the service do what the doors cannot do themselves."""

from __future__ import annotations

from datetime import timedelta

from mailrelay.daemon import rooms
from mailrelay.daemon.suspensions import Suspensions
from mailrelay.intake.imap.poller import AccountState
from mailrelay.model.agency import ImapAccount, Purpose, SecretRef
from mailrelay.model.calendar import utc_now
from mailrelay.model.receipt import ReceiptKind
from mailrelay.pipeline.accept import Pipeline
from mailrelay.store import receipts
from tests.pipeline.conftest import house, serve
from tests.pipeline.house import House

__all__ = ["house", "serve"]


async def test_a_box_that_cannot_be_read_is_told_by_mail(house: House) -> None:
    owner = "sotc@hoabinh.gov.vn"
    account = ImapAccount("tai-chinh", "h", 993, "u", SecretRef("file", "x"), Purpose.INCOMING, owner)
    state = AccountState("tai-chinh", utc_now() - timedelta(minutes=17), last_fault="token endpoint: invalid_grant")
    silent = [(account, state)]
    imap = rooms.imap_door(house.office, Pipeline(house.parts), house.parts, silent)
    suspensions = Suspensions(house.office, house.parts)
    tick = next(t for t in rooms.ticks(house.office, house.parts, imap, suspensions, silent) if t.name == "imap")
    await tick.run()
    await tick.run()
    assert silent == []
    mails = await house.parts.store.read(lambda tx: tx.rows("SELECT mail_id FROM message", {}))
    (told,) = await house.parts.store.read(lambda tx: receipts.of_mail(tx, mails[0][0]))
    agency = house.office().directory.agency_of(owner)
    assert agency is not None
    assert told.kind is ReceiptKind.ALERT
    assert told.to == (agency.it_officer or owner)
    said = str(told.facts)
    assert "tai-chinh" in said and "17 phút" in said and "invalid_grant" in said
