"""Tells each văn thư once a day what the spam filter made wait: few mails, and nothing held in silence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from functools import partial

from mailrelay.model.agency import Directory
from mailrelay.model.calendar import VIETNAM
from mailrelay.model.dispatch import DispatchState
from mailrelay.model.document import MessageClass
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.identity import MailId, make_mail_id
from mailrelay.model.message import Message, MessageState
from mailrelay.model.record import MailRecord
from mailrelay.pipeline.parts import Parts
from mailrelay.receipts import statement
from mailrelay.receipts.audience import holder_of
from mailrelay.store import dispatches, messages, receipts
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import log

Held = Mapping[MailId, tuple[MailRecord, tuple[str, ...]]]

AT = time(7, 30)  # Vietnamese time: the list lies there when the văn thư comes to work
_DAY = timedelta(days=1)
_BACK = 3  # days that a service which was down makes up for
_PAGE = 1000
_ENTERED = timedelta(minutes=1)  # within this a mail that was held at a moment is in the store, or never was


class HeldLists:
    """Looks whether a list is due. A list has an id that follows from its day and its reader, so that it is written once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._told: datetime | None = None  # up to where this process has looked

    async def look(self) -> int:
        """Write the lists that are due; return how many."""
        parts, written = self._parts, 0
        due = last_due(parts.now())
        if due == self._told:
            return 0
        directory = parts.office().directory
        for days in reversed(range(_BACK)):
            until = due - days * _DAY
            held = await parts.store.read(partial(_held, since=until - _DAY, until=until, directory=directory))
            for holder, mails in held.items():
                tell = partial(_tell, holder=holder, mails=mails, until=until, now=parts.now(), directory=directory)
                written += await parts.store.write(tell)
        self._told = due
        if written:
            log.info("held-lists", lists=written)
            parts.bells.receipts.set()
        return written


def last_due(now: datetime) -> datetime:
    """The last moment for lists, once all that came before it has surely been entered: what is missing then is told nowhere."""
    local = now.astimezone(VIETNAM) - _ENTERED
    today = datetime.combine(local.date(), AT, VIETNAM)
    return today if today <= local else today - _DAY


def _held(tx: Transaction, since: datetime, until: datetime, directory: Directory) -> Mapping[str, Held]:
    """What is still held of the mails that came after `since` and up to `until`, by holder."""
    found: dict[str, dict[MailId, tuple[MailRecord, tuple[str, ...]]]] = {}
    after = 0
    while page := dispatches.listing(tx, states=(DispatchState.HELD,), after_id=after, limit=_PAGE):
        after = page[-1].dispatch_id
        for dispatch in page:
            if dispatch.created_at is None or not since < dispatch.created_at <= until:
                continue
            address = dispatch.recipient.address
            record = messages.get(tx, dispatch.mail_id)
            if record is None or not _is_listed(record, address):
                continue
            mails = found.setdefault(holder_of(record, address, directory), {})
            _, before = mails.get(dispatch.mail_id, (record, ()))
            mails[dispatch.mail_id] = (record, (*before, address))
    return found


def _is_listed(record: MailRecord, address: str) -> bool:
    decided = record.decision.recipients if record.decision else ()
    return any(one.recipient.lower() == address.lower() and statement.is_listed(one) for one in decided)


def _tell(tx: Transaction, holder: str, mails: Held, until: datetime, now: datetime, directory: Directory) -> int:
    """Write one list; 0 when it was written before."""
    mail_id = make_mail_id(int(until.timestamp() * 1000), hashlib.sha256(holder.lower().encode()).digest()[:10])
    if messages.get(tx, mail_id) is not None:
        return 0
    envelope = Envelope("", (Recipient(holder),), Origin(Door.SUBMISSION))
    message = Message(mail_id, envelope, hashlib.sha256(b"").hexdigest(), 0, now)
    messages.insert(tx, MailRecord(message, MessageState.DONE, message_class=MessageClass.RECEIPT))
    receipts.insert(tx, statement.on_day(mail_id, holder, tuple(mails.values()), directory, now))
    return 1
