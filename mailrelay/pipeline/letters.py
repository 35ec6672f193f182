"""Letters are nobody's archive: their bytes go once they were delivered and every notice about them is written."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from mailrelay.model.dispatch import DispatchState
from mailrelay.model.document import MessageClass
from mailrelay.model.identity import MailId
from mailrelay.model.receipt import ReceiptState
from mailrelay.pipeline.parts import Parts
from mailrelay.store import dispatches, receipts
from mailrelay.store.transaction import Transaction

_GONE = frozenset({DispatchState.DELIVERED, DispatchState.RELAYED})


async def forget_letter(parts: Parts, mail_id: MailId, message_class: MessageClass | str | None) -> None:
    """Delete the bytes of a letter when nobody needs them any more, where the setting says so. Others are left alone.

    A delivery report quotes the header, so a report that is due waits for no file that is gone.
    """
    if message_class != MessageClass.LETTER or parts.office().settings.letters.keep:
        return

    def is_done(tx: Transaction) -> bool:
        sendings = dispatches.of_mail(tx, mail_id)
        due = any(receipt.state is ReceiptState.DUE for receipt in receipts.of_mail(tx, mail_id))
        return bool(sendings) and not due and all(sending.state in _GONE for sending in sendings)

    if await parts.store.read(is_done):
        with suppress(FileNotFoundError):
            await asyncio.to_thread(parts.spool.remove, mail_id)
