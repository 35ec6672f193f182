"""What the queue has to tell the sender: delivered, relayed, expanded, delayed, failed, and what was wrong before. Pure.

Reports that were asked for are DSNs (RFC 3461), and take the place of our own notices: without NOTIFY a failure and a delay
are told, a success never; with it exactly what it names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mailrelay.model.agency import Directory
from mailrelay.model.decision import Action, Reason, RecipientDecision
from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome
from mailrelay.model.document import MessageClass
from mailrelay.model.envelope import Notify, Recipient
from mailrelay.model.receipt import Receipt, ReceiptKind
from mailrelay.model.record import MailRecord
from mailrelay.receipts import facts as fact
from mailrelay.receipts.audience import asked_for, is_proved, operator, wants
from mailrelay.receipts.blank import about, basic, sender
from mailrelay.receipts.facts import Facts

_ARRIVED = {DispatchState.DELIVERED: "delivered", DispatchState.RELAYED: "relayed"}
Tried = tuple[Dispatch, Outcome]


@dataclass(frozen=True, slots=True)
class Late:
    """A dispatch that is under way for too long: what its last try brought, and when it will be given up."""

    dispatch: Dispatch
    until: datetime
    outcome: Outcome | None = None
    tried_at: datetime | None = None


def reports(
    record: MailRecord, settled: Sequence[Tried], directory: Directory, now: datetime, told_failed: Collection[str]
) -> list[Receipt]:
    """What is told of a batch that was tried: one `failed`, one `dsn` for each success that was asked for, corrections.

    `told_failed` are the recipients (lower case) whose failure was told before: of those a success is told in any case.
    """
    receipts = []
    failed = [
        one for one in settled if one[0].state is DispatchState.FAILED and wants(one[0], Notify.FAILURE, unasked=True)
    ]
    if failed:
        receipts.append(_report(record, ReceiptKind.FAILED, "failed", failed, directory, now))
    corrected = [one for one in settled if one[0].state in _ARRIVED and one[0].recipient.address.lower() in told_failed]
    asked = asked_for(settled)
    for action, pairs in asked.items():
        if pairs:
            corrects = any(one in corrected for one in pairs)
            receipts.append(_report(record, ReceiptKind.DSN, action, pairs, directory, now, corrects=corrects))
    for state, action in _ARRIVED.items():
        unasked = [one for one in corrected if one[0].state is state and one not in asked[action]]
        if unasked:
            plain: Facts = {"corrects": True, "unasked": True}
            receipts.append(_report(record, ReceiptKind.DSN, action, unasked, directory, now, **plain))
    return receipts


def on_delayed(record: MailRecord, late: Sequence[Late], directory: Directory, now: datetime) -> tuple[Receipt, ...]:
    """A mail is under way for too long: told once. Who asked for reports of delays gets a DSN, who said nothing a notice."""
    if record.message_class is MessageClass.RECEIPT or not is_proved(record):
        return ()
    told = [one for one in late if wants(one.dispatch, Notify.DELAY, unasked=True)]
    asked = [one for one in told if one.dispatch.recipient.notify is not None]
    unasked = [one for one in told if one.dispatch.recipient.notify is None]
    return tuple(
        about(kind, record, sender(record), "delayed", _delay(record, group, directory, now), now, directory)
        for kind, group in ((ReceiptKind.DSN, asked), (ReceiptKind.DELAYED, unasked))
        if group
    )


def expanded(record: MailRecord, directory: Directory, now: datetime) -> tuple[Receipt, ...]:
    """Groups that stand for several: who asked for a report of success hears that the mail went to the members instead.

    RFC 3461 section 5.2.7.3 (c): the members' own success is then reported to nobody.
    """
    asked = [r for r in record.message.envelope.recipients if r.notify is not None and Notify.SUCCESS in r.notify]
    if not asked or not is_proved(record):
        return ()
    decided = record.decision.recipients if record.decision else ()
    going = {one.recipient.lower() for one in decided if one.action in (Action.RELAY, Action.HOLD)}
    groups = [
        recipient
        for recipient in asked
        if stands_for_several(recipient, directory)
        and going & {directory.resolve(member).lower() for member in _members(recipient, directory)}
    ]
    if not groups:
        return ()
    recipients = [_of_group(group, directory, now) for group in groups]
    facts = {**basic(record, directory), "action": "expanded", "recipients": recipients}
    return (about(ReceiptKind.DSN, record, sender(record), "expanded", facts, now, directory),)


def stands_for_several(recipient: Recipient, directory: Directory) -> bool:
    """Tell whether a recipient is a group of more than one; a group of one is an alias, and keeps all wishes."""
    return len(_members(recipient, directory)) > 1


def on_poisoned(
    record: MailRecord, dispatch: Dispatch, reason: Reason, directory: Directory, now: datetime
) -> tuple[Receipt, ...]:
    """A mail is held because sending it kills the service: the operator is told, and decides."""
    if record.message_class is MessageClass.RECEIPT:
        return ()
    address = operator(directory)
    named = {
        "address": address,
        "name": fact.name_of(address, directory),
        "agency": fact.agency_name(address, directory),
    }
    # The card of a hold shows no remedies, since its holders know what to do; here they need to be told.
    told = replace(reason, vi=f"{reason.vi}. {reason.remedy_vi}", en=f"{reason.en}. {reason.remedy_en}")
    decided = RecipientDecision(dispatch.recipient.address, Action.HOLD, reasons=(told,))
    facts = {
        **basic(record, directory),
        "holders": [named],
        "to_holder": True,
        "recipients": [fact.of_recipient(decided, directory)],
    }
    event = f"poisoned:{dispatch.dispatch_id}:{dispatch.attempts}"  # released and held again: told again
    return (about(ReceiptKind.HELD, record, address, event, facts, now, directory),)


def batch(dispatches: Sequence[Dispatch]) -> str:
    """A short name of a set of dispatches, the same however often it is made."""
    names = sorted(f"{d.dispatch_id}:{d.recipient.address.lower()}" for d in dispatches)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _report(
    record: MailRecord,
    kind: ReceiptKind,
    action: str,
    pairs: Sequence[Tried],
    directory: Directory,
    now: datetime,
    **more: Any,
) -> Receipt:
    facts = {
        **basic(record, directory),
        "action": action,
        "recipients": [_of_dispatch(record, dispatch, outcome, directory, action, now) for dispatch, outcome in pairs],
        **more,
    }
    event = f"{action}:{batch([dispatch for dispatch, _ in pairs])}"
    return about(kind, record, sender(record), event, facts, now, directory)


def _delay(record: MailRecord, late: Sequence[Late], directory: Directory, now: datetime) -> Facts:
    recipients = [
        {
            **_of_dispatch(record, one.dispatch, one.outcome, directory, "delayed", one.tried_at or now),
            "next_at": fact.moment(one.dispatch.next_attempt_at),
            "until": fact.moment(one.until),
        }
        for one in late
    ]
    return {**basic(record, directory), "action": "delayed", "recipients": recipients}


def _of_dispatch(
    record: MailRecord, dispatch: Dispatch, outcome: Outcome | None, directory: Directory, action: str, at: datetime
) -> Facts:
    """An ORCPT that we added for the next hop, where a group or alias was resolved, is none of the sender's: 6.3 (d)."""
    facts = fact.of_dispatch(dispatch, outcome, directory, action, at)
    given = {recipient.orcpt for recipient in record.message.envelope.recipients}
    return facts if dispatch.recipient.orcpt in given else {**facts, "orcpt": ""}


def _members(recipient: Recipient, directory: Directory) -> tuple[str, ...]:
    group = directory.group(recipient.address)
    return group.members if group else ()


def _of_group(recipient: Recipient, directory: Directory, now: datetime) -> Facts:
    group = directory.group(recipient.address)
    return {
        "address": fact.line(recipient.address, 254),
        "name": group.name if group else "",
        "agency": "",
        "orcpt": fact.line(recipient.orcpt or "", 500),
        "action": "expanded",
        "status": "2.0.0",
        "code": 0,
        "text": "",
        "remote": "",
        "attempts": 0,
        "at": fact.moment(now),
    }
