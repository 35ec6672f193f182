"""Tells the senders of mails that are under way for too long: once for each mail, whatever the queue is doing meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mailrelay.config.office import Office
from mailrelay.delivery.backoff import expires_at, warns_at
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.model.document import Urgency
from mailrelay.model.identity import MailId
from mailrelay.pipeline.parts import Parts
from mailrelay.receipts import transport
from mailrelay.receipts.transport import Late
from mailrelay.store import backlog, dispatches, messages, receipts
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import log

_UNDER_WAY = (DispatchState.QUEUED, DispatchState.SENDING, DispatchState.DEFERRED)
_BATCH = 50  # mails told of in one transaction


class DelayWatch:
    """Looks for what has become late since its last look; the first look takes in everything, and tells nothing twice."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._seen: dict[Urgency, datetime] = {}

    async def look(self) -> int:
        """Write the notices of delay that are due; return how many mails they concern."""
        parts = self._parts
        now = parts.now()
        after = parts.office().settings.delivery.delayed_after
        # Late is what was created before `now` less the time that is allowed.
        until = {urgency: now - (warns_at(now, urgency, after) - now) for urgency in (Urgency.NORMAL, Urgency.URGENT)}
        spans = [(self._seen.get(urgency), until[urgency]) for urgency in until]
        late = await parts.store.read(lambda tx: backlog.late(tx, *spans))
        for start in range(0, len(late), _BATCH):
            group = late[start : start + _BATCH]
            await parts.store.write(lambda tx, group=group: _tell(tx, parts.office(), group, now))  # type: ignore[misc]
        self._seen = until
        if late:
            log.info("delayed", mails=len(late))
            parts.bells.receipts.set()
        return len(late)


def _tell(tx: Transaction, office: Office, mails: Sequence[MailId], now: datetime) -> None:
    for mail_id in mails:
        record = messages.get(tx, mail_id)
        if record is None:
            continue
        late = [_late(tx, office, d, now) for d in dispatches.of_mail(tx, mail_id) if _is_late(d, office, now)]
        for receipt in transport.on_delayed(record, late, office.directory, now):
            receipts.insert(tx, receipt)


def _is_late(dispatch: Dispatch, office: Office, now: datetime) -> bool:
    if dispatch.state not in _UNDER_WAY or dispatch.created_at is None:
        return False
    return warns_at(dispatch.created_at, dispatch.urgency, office.settings.delivery.delayed_after) <= now


def _late(tx: Transaction, office: Office, dispatch: Dispatch, now: datetime) -> Late:
    tries = dispatches.attempts(tx, dispatch.dispatch_id)
    at, outcome = tries[-1] if tries else (None, None)
    until = expires_at(dispatch.created_at or now, office.settings.delivery.give_up_days)
    return Late(dispatch, until, outcome, at)
