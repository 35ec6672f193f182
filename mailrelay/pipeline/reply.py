"""Due receipts become mails: composed and sealed after the commit of their fact, stored, then sent by the same queue."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

from mailrelay.failpoint import failpoint
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.model.document import MessageClass
from mailrelay.model.entry import EventKind, LogEvent
from mailrelay.model.envelope import Door, Envelope, Notify, Origin, Recipient
from mailrelay.model.faults import StoreFault, StoreNotNow
from mailrelay.model.identity import MailId
from mailrelay.model.message import Message, MessageState, Rendering
from mailrelay.model.receipt import Notice, Receipt, ReceiptState
from mailrelay.model.record import MailRecord
from mailrelay.pipeline import trace_fields
from mailrelay.pipeline.active import Claim
from mailrelay.pipeline.entry import destination_of
from mailrelay.pipeline.letters import forget_letter
from mailrelay.pipeline.parts import Parts
from mailrelay.receipts.compose import compose, needs_original
from mailrelay.receipts.report import returns_whole
from mailrelay.spool import Spool
from mailrelay.store import dispatches, log, messages, receipts
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import log as telemetry

_BATCH = 50
_TOGETHER = 8  # written in one commit, and composed without holding up the doors for long
_LOOK = 5.0
_GATHER = 0.025  # seconds in which further receipts may come due, to be composed and committed together
_HEADER = 64 * 1024
_WHOLE = 1 << 20  # a bigger mail comes back as its header, whatever was asked for


class Replier:
    """The receipt loop of one process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self) -> None:
        while True:
            bell = self._parts.bells.receipts
            bell.clear()
            try:
                waiting = await self.issue_due() == 0
            except (StoreFault, OSError) as fault:
                telemetry.error("receipts-wait", fault=str(fault))
                await asyncio.sleep(_LOOK)
                continue
            if waiting:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await bell.wait()
                        await asyncio.sleep(_GATHER)

    async def issue_due(self) -> int:
        """Compose every due receipt; return how many were taken. One that cannot be composed is marked, never retried blindly.

        Raises StoreFault and OSError when the disk does not take a receipt: it stays due.
        """
        due = await self._parts.store.read(lambda tx: receipts.due(tx, _BATCH))
        for start in range(0, len(due), _TOGETHER):
            together = due[start : start + _TOGETHER]
            ended = await asyncio.gather(*map(self._issue_or_mark, together), return_exceptions=True)
            for fault in ended:
                if fault is not None:
                    raise fault
        return len(due)

    async def _issue_or_mark(self, receipt: Receipt) -> None:
        try:
            await self._issue(receipt)
        except (StoreFault, OSError):
            raise
        except Exception as fault:
            telemetry.error("receipt-fault", receipt=receipt.receipt_id, fault=type(fault).__name__, exc_info=True)
            mark = partial(receipts.mark, receipt_id=receipt.receipt_id, state=ReceiptState.FAILED)
            await self._parts.store.write(mark)
        await forget_letter(self._parts, receipt.mail_id, receipt.facts.get("mail", {}).get("class"))

    async def _issue(self, receipt: Receipt) -> None:
        parts = self._parts
        draft = parts.spool.draft()
        now = parts.now()
        try:
            notice = await self._composed(receipt, draft.mail_id, now)
            draft.write(notice.raw)
            digest = draft.finish()
        except BaseException:
            with suppress(OSError, StoreFault):
                draft.discard()
            raise
        envelope = _envelope(receipt, "7BIT" if notice.raw.isascii() else "8BITMIME")
        message = Message(draft.mail_id, envelope, digest, draft.size, now)
        record = MailRecord(
            message,
            MessageState.MOVING,
            message_id=notice.message_id,
            message_class=MessageClass.RECEIPT,
            rendering=Rendering(trace_fields.mark(message), body_sha256=_body_digest(notice.raw)),
        )
        destination = destination_of(receipt.to, parts.office())
        try:
            with parts.active.claim(draft.mail_id, [destination]) as claim:
                sending = await parts.store.write(
                    lambda tx: self._enter(tx, receipt, record, destination, claim),
                    durable=[draft.path],
                    patience=_GATHER,
                )
                failpoint("reply.after-commit")
                parts.active.admit(record, sending)
        except StoreNotNow:
            with suppress(OSError, StoreFault):
                await asyncio.to_thread(draft.discard)
            raise
        if any(dispatch.state is DispatchState.QUEUED for dispatch in sending):
            parts.bells.dispatches.set()

    async def _composed(self, receipt: Receipt, notice_id: MailId, now: datetime) -> Notice:
        parts = self._parts
        settings = parts.office().settings
        return compose(
            receipt,
            sender=settings.receipts.sender,
            domain=settings.domain,
            notice_id=notice_id,
            signed_at=now,
            seal=parts.sealer.seal,
            original=await asyncio.to_thread(_original_of, parts.spool, receipt) if needs_original(receipt) else b"",
            name=settings.receipts.name,
            hostname=settings.hostname,
            takes_answers=False,
        )

    def _enter(
        self, tx: Transaction, receipt: Receipt, record: MailRecord, destination: str, claim: Claim
    ) -> tuple[Dispatch, ...]:
        """Enter the notice as a mail; return its dispatch, nothing when somebody was faster."""
        now = self._parts.now()
        mail_id = record.message.mail_id
        if receipts.state(tx, receipt.receipt_id) is not ReceiptState.DUE:
            return ()  # the file without a row is dropped at the next start
        messages.insert(tx, record)
        sending = Dispatch(
            mail_id=mail_id,
            recipient=record.message.envelope.recipients[0],
            destination=destination,
            state=DispatchState.QUEUED,
            next_attempt_at=now,
            created_at=now,
        )
        (sending,) = claim.on([sending])
        (number,) = dispatches.insert(tx, [sending], claim.node)
        receipts.mark(tx, receipt.receipt_id, ReceiptState.QUEUED, mail_id)
        detail = {"kind": receipt.kind.value, "notice": mail_id, "sha256": record.message.digest}
        log.append(tx, LogEvent(now, EventKind.RECEIPT, receipt.mail_id, detail=detail))
        return (replace(sending, dispatch_id=number),)


def _body_digest(raw: bytes) -> str:
    return hashlib.sha256(raw.partition(b"\r\n\r\n")[2]).hexdigest()


def _original_of(spool: Spool, receipt: Receipt) -> bytes:
    """What a report may quote (RFC 6522 section 3): the header, at most 64 KiB, or the whole mail where that was asked for.

    Nothing of a refused mail. What is cut off by the limit has no blank line at its end.
    """
    whole = returns_whole(receipt.facts)
    try:
        with spool.open(receipt.mail_id) as file:
            start = file.read(_WHOLE + 1 if whole else _HEADER)
    except OSError:
        return b""
    if whole and len(start) <= _WHOLE:
        return start
    header, blank, _ = start.partition(b"\r\n\r\n")
    return header + blank


def _envelope(receipt: Receipt, body: str) -> Envelope:
    """Null reverse-path, and no report wanted about a report (RFC 3461 section 6.2, RFC 3834)."""
    recipient = Recipient(receipt.to, notify=frozenset({Notify.NEVER}))
    return Envelope("", (recipient,), Origin(Door.SUBMISSION, peer="", helo="mailrelay"), body=body)
