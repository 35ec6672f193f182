"""The outbound quota outlives a restart: what was sent is read from the mails, who is suspended is kept, an admin lifts it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from mailrelay.daemon import rooms
from mailrelay.daemon.suspensions import Suspensions
from mailrelay.daemon.verbs import key_desk, verbs
from mailrelay.intake.smtp.limits import Limits
from mailrelay.intake.smtp.quota import Quota
from mailrelay.model.entry import EventKind
from mailrelay.model.faults import NotFound
from mailrelay.model.receipt import ReceiptKind
from mailrelay.pipeline.accept import Pipeline
from mailrelay.pipeline.hold import Desk
from mailrelay.store import log, quotas, receipts
from tests.pipeline.conftest import house, serve
from tests.pipeline.house import PLANNING, House, paper

__all__ = ["house", "serve"]

LIMITS = Limits(quota_recipients=3)


def now() -> float:
    return asyncio.get_running_loop().time()


async def restored(house: House) -> Quota:
    """The quota of a door after a restart."""
    quota = Quota(LIMITS)
    await Suspensions(house.office, house.parts).restore(quota)
    return quota


def desk(house: House) -> Desk:
    return Desk(house.parts.store, lambda: house.office().directory, house.now, house.parts.bells.ring)


async def test_a_suspended_login_is_kept_and_told_once_by_mail(house: House) -> None:
    suspensions = Suspensions(house.office, house.parts)
    imap = rooms.imap_door(house.office, Pipeline(house.parts), house.parts, [])
    tick = next(t for t in rooms.ticks(house.office, house.parts, imap, suspensions, []) if t.name == "suspensions")
    suspensions.note("sotc")
    suspensions.note("nobody")
    await tick.run()
    await tick.run()
    mails = await house.parts.store.read(
        lambda tx: tx.rows("SELECT mail_id FROM message WHERE door = 'submission'", {})
    )
    assert len(mails) == 1
    told = await house.parts.store.read(lambda tx: receipts.of_mail(tx, mails[0][0]))
    agency = house.office().directory.agency_of("sotc@hoabinh.gov.vn")
    assert agency is not None
    assert {(receipt.kind, receipt.to) for receipt in told} == {
        (ReceiptKind.ALERT, "sotc@hoabinh.gov.vn"),
        (ReceiptKind.ALERT, agency.it_officer),
    }
    kept = await house.parts.store.read(lambda tx: quotas.suspended(tx, house.now()))
    assert [login for login, _ in kept] == ["nobody", "sotc"]
    assert kept[1][1] - house.now() > timedelta(hours=23)


async def test_a_restart_gives_nobody_a_new_quota(house: House) -> None:
    assert (await restored(house)).refusal("sotc", 3, now()) == ""
    await house.hand_in(paper(1), "a@khac.example", "b@khac.example", PLANNING)  # our own boxes do not count
    quota = await restored(house)
    assert quota.refusal("sotc", 1, now()) == ""
    assert quota.refusal("sotc", 2, now()) == "quota-exceeded"
    assert quota.refusal("soyt", 3, now()) == ""
    house.later(timedelta(hours=1, minutes=1))
    assert (await restored(house)).refusal("sotc", 3, now()) == ""


async def test_a_restart_lifts_no_suspension_but_its_end_does(house: House) -> None:
    suspensions = Suspensions(house.office, house.parts)
    suspensions.note("sotc")
    await suspensions.look()
    quota = await restored(house)
    assert (quota.refusal("sotc", 1, now()), quota.suspended(now())) == ("login-suspended", ("sotc",))
    house.later(timedelta(hours=24, minutes=1))
    assert (await restored(house)).refusal("sotc", 1, now()) == ""


@pytest.mark.parametrize("named", ["sotc", "SOTC@hoabinh.gov.vn"])
async def test_an_admin_lets_a_login_send_again(house: House, named: str) -> None:
    """At once in the running door, and after a restart too: what was sent before counts no more."""
    await house.hand_in(paper(1), "a@khac.example", "b@khac.example", "c@khac.example")
    suspensions = Suspensions(house.office, house.parts)
    suspensions.note("sotc")
    await suspensions.look()
    quota = await restored(house)
    keys = key_desk(house.office().settings, house.parts.store, lambda: house.office().directory)
    act = verbs(desk(house), keys, quota.release)["queue.lift"]
    assert await act({"login": named, "actor": "root"}) == {"login": "sotc"}
    assert quota.refusal("sotc", 3, now()) == ""
    assert (await restored(house)).refusal("sotc", 3, now()) == ""
    (event, *_) = await house.parts.store.read(lambda tx: log.search(tx, kind=EventKind.RELEASED))
    assert (event.actor, event.mail_id, event.detail) == ("root", None, {"login": "sotc"})
    await house.hand_in(paper(2), "a@khac.example")
    assert (await restored(house)).refusal("sotc", 3, now()) == "quota-exceeded"


async def test_nobody_is_no_login(house: House) -> None:
    with pytest.raises(NotFound):
        await desk(house).lift_suspension("khong-co", "root")
