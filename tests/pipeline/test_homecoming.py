"""A mail in a polled box is ours when we sent it there and its content says so; a mark alone proves nothing."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailrelay.model.message import Rendering
from mailrelay.model.record import veiled
from mailrelay.pipeline.homecoming import is_our_delivery
from mailrelay.pipeline.trace_fields import made_message_id
from mailrelay.store import Store, dispatches, messages, open_store
from tests.province import DOMAIN
from tests.store.samples import dispatch, mail_id, record

BODY, OTHER = "b" * 64, "c" * 64


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite:///{tmp_path}/mailrelay.db")
    yield opened
    await opened.close()
    shutil.rmtree(tmp_path, ignore_errors=True)


async def test_only_the_same_content_sent_to_the_same_address(store: Store) -> None:
    mail = mail_id()
    known = replace(record(), message_id="<1@x.vn>", rendering=Rendering(b"", (), BODY))
    known = replace(known, message=replace(known.message, mail_id=mail))
    sending = dispatch(mail, "SoTC@hoabinh.gov.vn")
    await store.write(lambda tx: (messages.insert(tx, known), dispatches.insert(tx, [sending])))

    async def ask(address: str, message_id: str, *bodies: str, of: str = mail) -> bool:
        return await store.read(
            lambda tx: is_our_delivery(
                tx, of, address, message_id=message_id, body_digests=frozenset(bodies), domain=DOMAIN
            )
        )

    assert await ask("sotc@hoabinh.gov.vn", "<1@x.vn>", BODY)
    assert await ask("sotc@hoabinh.gov.vn", "<1@x.vn>", OTHER, BODY)
    assert not await ask("sotc@hoabinh.gov.vn", "<1@x.vn>", OTHER)
    assert not await ask("sotc@hoabinh.gov.vn", "<2@x.vn>", BODY)
    assert not await ask("sotc@hoabinh.gov.vn", "", BODY)
    assert not await ask("soyt@hoabinh.gov.vn", "<1@x.vn>", BODY)
    assert not await ask("sotc@hoabinh.gov.vn", "<1@x.vn>", BODY, of=mail_id())

    # Of a letter only the digest of its Message-ID is kept.
    await store.write(lambda tx: messages.update(tx, replace(known, message_id=veiled("<1@x.vn>"))))
    assert await ask("sotc@hoabinh.gov.vn", "<1@x.vn>", BODY)
    assert not await ask("sotc@hoabinh.gov.vn", "<2@x.vn>", BODY)

    # It had none when we took it in; the next server may have given it one of its own.
    made = made_message_id(known.message, DOMAIN)
    for kept in (made, veiled(made)):
        await store.write(lambda tx, kept=kept: messages.update(tx, replace(known, message_id=kept)))
        assert await ask("sotc@hoabinh.gov.vn", "", BODY)
        assert await ask("sotc@hoabinh.gov.vn", "<given@next.hop>", BODY)
        assert not await ask("sotc@hoabinh.gov.vn", "", OTHER)


async def test_a_mail_without_a_known_body_is_never_ours(store: Store) -> None:
    """Pending, or from before its content was read: an empty digest must not match."""
    mail = mail_id()
    known = replace(record(), message_id="<1@x.vn>", rendering=Rendering())
    known = replace(known, message=replace(known.message, mail_id=mail))
    await store.write(lambda tx: (messages.insert(tx, known), dispatches.insert(tx, [dispatch(mail)])))
    assert not await store.read(
        lambda tx: is_our_delivery(
            tx, mail, "sotc@hoabinh.gov.vn", message_id="<1@x.vn>", body_digests={""}, domain=DOMAIN
        )
    )
