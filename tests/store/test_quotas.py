"""The account of a login, on both engines."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from mailrelay.model.envelope import Door, Origin
from mailrelay.model.identity import make_mail_id
from mailrelay.store import Store, dispatches, messages, quotas
from mailrelay.store.transaction import Transaction
from tests.store.samples import NOW, dispatch, record

HOUR = timedelta(hours=1)
numbers = iter(range(1000))


def _mail(tx: Transaction, login: str | None, at: Any, *recipients: str) -> None:
    mail = record()
    mail_id = make_mail_id(int(at.timestamp() * 1000), next(numbers).to_bytes(10, "big"))
    envelope = replace(mail.message.envelope, origin=Origin(Door.SUBMISSION, login=login))
    messages.insert(
        tx, replace(mail, message=replace(mail.message, mail_id=mail_id, received_at=at, envelope=envelope))
    )
    dispatches.insert(tx, [dispatch(mail_id, recipient) for recipient in recipients])


async def test_what_a_login_sent_to_the_outside_is_read_from_its_mails(store: Store) -> None:
    def fill(tx: Transaction) -> None:
        _mail(tx, "nam", NOW - 2 * HOUR, "a@x.example")
        _mail(tx, "nam", NOW - HOUR / 2, "a@x.example", "b@x.example", "c@HOABINH.gov.vn")
        _mail(tx, "Nam", NOW, "a@khachoabinh.gov.vn")
        _mail(tx, "lan", NOW, "c@hoabinh.gov.vn")
        _mail(tx, None, NOW, "a@x.example")

    await store.write(fill)
    spent = await store.read(lambda tx: quotas.spent(tx, NOW - HOUR, "hoabinh.gov.vn"))
    assert spent == (("nam", NOW - HOUR / 2, 2), ("Nam", NOW, 1))
    await store.write(lambda tx: quotas.lift(tx, "NAM", NOW - HOUR / 4))
    assert await store.read(lambda tx: quotas.spent(tx, NOW - HOUR, "hoabinh.gov.vn")) == (("Nam", NOW, 1),)


async def test_suspensions_are_kept_until_they_end_or_are_lifted(store: Store) -> None:
    await store.write(lambda tx: quotas.suspend(tx, "Nam", NOW + HOUR))
    await store.write(lambda tx: quotas.suspend(tx, "lan", NOW + 2 * HOUR))
    await store.write(lambda tx: quotas.suspend(tx, "nam", NOW + 3 * HOUR))
    assert await store.read(lambda tx: quotas.suspended(tx, NOW)) == (("lan", NOW + 2 * HOUR), ("nam", NOW + 3 * HOUR))
    assert await store.read(lambda tx: quotas.suspended(tx, NOW + 2 * HOUR)) == (("nam", NOW + 3 * HOUR),)
    await store.write(lambda tx: quotas.lift(tx, "nam", NOW))
    assert await store.read(lambda tx: quotas.suspended(tx, NOW)) == (("lan", NOW + 2 * HOUR),)
