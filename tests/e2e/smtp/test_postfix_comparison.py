"""The dialogs of tests/conformance/smtp spoken to a stock Postfix: each is the same by class of reply, or has its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mailrelay.model.envelope import Door
from tests.conformance.smtp.dialog import Dialog, Stage, dialogs
from tests.intake.smtp.office import Client
from tests.servers.postfix import Postfix

pytestmark = pytest.mark.e2e
COMPARED = [dialog for dialog in dialogs() if dialog.postfix]
BOXES = ("vanthu.stc@hoabinh.gov.vn", "vanthu.syt@hoabinh.gov.vn", "abuse@hoabinh.gov.vn", "postmaster@hoabinh.gov.vn")


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    settings = {
        "myorigin": "hoabinh.gov.vn",
        "mynetworks": "192.0.2.0/24",
        "smtpd_relay_restrictions": "reject_unauth_destination",
        "message_size_limit": "1000000",
        "smtpd_recipient_limit": "100",
        "smtpd_error_sleep_time": "0",
        "smtpd_soft_error_limit": "100",
        "smtpd_hard_error_limit": "100",
        "smtpd_client_auth_rate_limit": "0",
    }
    with Postfix(mailboxes=BOXES, settings=settings) as running:
        yield running


class _Class(Stage):
    """Compares the first digit of a reply only, and knows nothing of what the other side stored."""

    def match(self, expected: str, reply: str) -> None:
        assert reply[:1] == expected[:1], f"expected {expected!r}, got {reply!r}"

    def inspect(self, word: str, rest: str) -> None:
        """What Postfix stored is seen by its own tests."""


async def _play(dialog: Dialog, port: int) -> None:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    try:
        async with asyncio.timeout(10):
            await _Class(client, Door.MX, None).play(dialog)
    finally:
        await client.close()


@pytest.mark.parametrize("dialog", [pytest.param(d, id=d.name) for d in COMPARED if d.postfix == "same"])
async def test_postfix_answers_alike(postfix: Postfix, dialog: Dialog) -> None:
    await _play(dialog, postfix.port)


@pytest.mark.parametrize("dialog", [pytest.param(d, id=d.name) for d in COMPARED if d.postfix != "same"])
async def test_a_difference_that_is_explained_is_there(postfix: Postfix, dialog: Dialog) -> None:
    with pytest.raises((AssertionError, TimeoutError, ConnectionError)):
        await _play(dialog, postfix.port)


def test_every_dialog_of_mx_in_clear_text_is_compared() -> None:
    encrypted = {dialog.name for dialog in dialogs() if any(word == "TLS" for word, _ in dialog.steps)}
    assert {d.name for d in dialogs() if Door.MX in d.doors} - encrypted <= {d.name for d in COMPARED}
