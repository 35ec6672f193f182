"""The one transaction of a judged mail: message, findings, log, books, dispatches, receipts – all or nothing.

Every function works inside the caller's transaction and may be run again from the start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailrelay.config.office import Office
from mailrelay.delivery.route import route
from mailrelay.model.agency import Directory, Mailbox
from mailrelay.model.decision import Action, Decision, Reason, RecipientDecision
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.model.document import MessageClass, Recognition, Secrecy, Urgency
from mailrelay.model.document_types import TYPES
from mailrelay.model.entry import EventKind, LogEvent, RegisterEntry
from mailrelay.model.envelope import Envelope, Origin, Recipient
from mailrelay.model.finding import Check, Finding
from mailrelay.model.identity import AgencyId, MailId
from mailrelay.model.message import Content, Message, MessageState
from mailrelay.model.record import MailRecord
from mailrelay.model.refusal import REFUSALS
from mailrelay.pipeline import promise
from mailrelay.pipeline.active import NO_CLAIM, Claim
from mailrelay.pipeline.judgement import Judgement
from mailrelay.pipeline.trace_fields import MAIL_ID_FIELD
from mailrelay.receipts import drawer
from mailrelay.register import books
from mailrelay.store import dispatches, log, messages, receipts
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import log as telemetry

REPEAT_WINDOW = timedelta(days=7)
NO_ROUTE = "no-route"
_MOST_MARKS = 8  # of ours in one mail


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a door could not take something: a name of the refusal table and the values of its sentences."""

    refusal: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entered:
    """The id under which a mail stands in the log: its own, or the earlier one's when it was a mere repeat."""

    mail_id: MailId
    repeated: bool = False
    entries: tuple[RegisterEntry, ...] = ()
    dispatches: tuple[Dispatch, ...] = ()


def enter(
    tx: Transaction,
    judgement: Judgement,
    office: Office,
    now: datetime,
    *,
    known: bool = False,
    claim: Claim = NO_CLAIM,
) -> Entered:
    """Write everything that an accepted mail causes. `known`: its row exists already (it was pending).

    What `claim` has room for is claimed at once: the caller admits it to the active queue.
    """
    record = judgement.record
    mail_id = record.message.mail_id
    live = messages.repeats(tx, record.repeat_key, now - REPEAT_WINDOW)
    looped = _has_come_back(tx, judgement, office)
    if looped:
        judgement, live = _held_for_loop(judgement), {}
        record = judgement.record
    fresh = tuple(r for r in judgement.recipients if r.address.lower() not in live)
    if live and not fresh and not known:
        earlier = next(iter(live.values()))
        log.append(tx, LogEvent(now, EventKind.REPEATED, earlier, detail={"recipients": len(judgement.recipients)}))
        return Entered(earlier, repeated=True)
    (messages.update if known else messages.insert)(tx, judgement.kept)
    log.append(tx, _received(record, office.directory, now), words=_words(record))
    entries = _books(tx, judgement, fresh, office.directory, now)
    sendings = claim.on(_dispatches(judgement, fresh, office, now))
    ids = dispatches.insert(tx, sendings, claim.node)
    sendings = tuple(replace(sending, dispatch_id=number) for sending, number in zip(sendings, ids, strict=True))
    if not sendings:
        messages.set_state(tx, mail_id, _resting_state(record))
    if looped:
        telemetry.error("mail-loop", mail_id=mail_id)  # a notice by mail would go in the same circle
        return Entered(mail_id, entries=entries, dispatches=sendings)
    for receipt in drawer.on_accept(record, judgement.content, judgement.recognition, office.directory, entries, now):
        receipts.insert(tx, receipt)
    return Entered(mail_id, entries=entries, dispatches=sendings)


def _has_come_back(tx: Transaction, judgement: Judgement, office: Office) -> bool:
    """Whether this is a mail of ours that the MTA in front hands to us again, though we gave it back to be delivered.

    It bears our mark, we have sent that very mail to one of these recipients, and nobody else is told to have handed it to
    the MTA. To take it for a mere repeat would lose it (we wait for the MTA, and the MTA for us); to pass it on never ends.
    """
    origin = judgement.record.message.envelope.origin
    if origin.promise is None or (origin.via and origin.helo != office.settings.delivery.helo):
        return False
    marks = [value for name, value in judgement.content.fields if name == MAIL_ID_FIELD.lower()][:_MOST_MARKS]
    sent = {d.recipient.address.lower() for mark in marks for d in dispatches.of_mail(tx, MailId(mark))}
    return not sent.isdisjoint(r.address.lower() for r in judgement.recipients)


def _held_for_loop(judgement: Judgement) -> Judgement:
    decision = promise.looped(judgement.decision)
    return replace(judgement, record=replace(judgement.record, decision=decision, state=MessageState.HELD))


def refuse(tx: Transaction, judgement: Judgement, directory: Directory, now: datetime, *, known: bool = False) -> None:
    """Note a refusal. Of a secret paper only time, sender, digest and reason are kept (Law 29/2018/QH14)."""
    record = judgement.kept if judgement.secrecy is Secrecy.NONE else _contentless(judgement.record)
    (messages.update if known else messages.insert)(tx, record)
    decided = judgement.decision.recipients[0]
    detail = {"rules": list(decided.rules), "refusal": decided.refusal, "sha256": record.message.digest}
    actor = record.message.envelope.sender
    log.append(
        tx, LogEvent(now, EventKind.REFUSED, record.message.mail_id, actor=actor, detail=detail), words=_words(record)
    )
    if judgement.secrecy is not Secrecy.NONE:
        envelope, digest = record.message.envelope, record.message.digest
        for receipt in drawer.on_secret_refused(
            envelope, judgement.secrecy, directory, digest, now, mail_id=record.message.mail_id
        ):
            receipts.insert(tx, receipt)


def postpone(tx: Transaction, record: MailRecord, now: datetime) -> None:
    """Note a mail that was acknowledged before it could be judged."""
    messages.insert(tx, record)
    log.append(tx, LogEvent(now, EventKind.RECEIVED, record.message.mail_id, detail={"state": "pending"}))


def complain(
    tx: Transaction,
    mail_id: MailId,
    owner: Mailbox,
    origin: Origin,
    complaint: Complaint,
    directory: Directory,
    now: datetime,
) -> None:
    """Note what a door could not take, and of which nothing was kept, and tell the owner of the box or account.

    A mail that the poller could not read, a login that was suspended: nobody would see a reply on the wire.
    """
    row = REFUSALS[complaint.refusal]
    reason = Reason(
        "door",
        row.fill(row.vi, complaint.values),
        row.fill(row.en, complaint.values),
        row.fill(row.remedy_vi, complaint.values),
        row.fill(row.remedy_en, complaint.values),
    )
    origin = replace(origin, login=owner.login or owner.address)
    envelope = Envelope(owner.address, (Recipient(owner.address),), origin)
    decided = RecipientDecision(owner.address, Action.RETURN, reasons=(reason,), refusal=complaint.refusal)
    record = MailRecord(
        Message(mail_id, envelope, hashlib.sha256(b"").hexdigest(), 0, now),
        MessageState.RETURNED,
        message_class=MessageClass.LETTER,
        decision=Decision((decided,)),
    )
    messages.insert(tx, record)
    actor = origin.account or owner.login
    log.append(tx, LogEvent(now, EventKind.REFUSED, mail_id, owner.agency, actor, {"refusal": complaint.refusal}))
    for receipt in drawer.on_accept(record, Content(), Recognition(MessageClass.LETTER), directory, (), now):
        receipts.insert(tx, receipt)


def _received(record: MailRecord, directory: Directory, now: datetime) -> LogEvent:
    assert record.decision is not None and record.message_class is not None
    origin = record.message.envelope.origin
    agency = directory.agency_of(record.message.envelope.sender)
    detail = {
        "door": origin.door.value,
        "class": record.message_class.value,
        "action": record.decision.action.value,
        "recipients": len(record.decision.recipients),
        "size": record.message.size,
        "sha256": record.message.digest,
        "rulebook": record.decision.rulebook_digest,
        "directory": record.decision.directory_digest,
    }
    actor = origin.login or origin.account or origin.peer
    return LogEvent(
        now, EventKind.RECEIVED, record.message.mail_id, agency.agency_id if agency else None, actor, detail
    )


def _words(record: MailRecord) -> str:
    """What an auditor may search official mail by: the log keeps none of it of letters and of secret papers."""
    document = record.document
    if document is None or record.message_class is MessageClass.LETTER:
        return ""
    names = [kind.name for kind in TYPES if kind.abbreviation == document.type]
    sender = record.message.envelope.sender
    return " ".join((str(document.code or ""), *names, document.summary, record.subject, sender))


def _books(
    tx: Transaction, judgement: Judgement, recipients: Sequence[Recipient], directory: Directory, now: datetime
) -> tuple[RegisterEntry, ...]:
    """Sổ đi of the issuer and sổ đến of every receiving agency, for documents that go on or wait."""
    recognition, record = judgement.recognition, judgement.record
    if recognition.message_class is not MessageClass.DOCUMENT or recognition.document is None:
        return ()
    fresh = {r.address for r in recipients}
    going = [r.recipient for r in judgement.decision.recipients if r.action in (Action.RELAY, Action.HOLD)]
    receivers = [address for address in going if address in fresh]
    if not receivers:
        return ()
    document, mail_id = recognition.document, record.message.mail_id
    sender = record.message.envelope.sender
    issuer = _issuer(document.issuer, sender, judgement, directory)
    entries: list[RegisterEntry] = []
    outgoing = directory.agency(AgencyId(issuer)) if record.message.envelope.origin.is_authenticated else None
    if outgoing is not None:
        entries.append(books.enter_outgoing(tx, document, outgoing, receivers, mail_id, now))
    grouped = books.receiving_agencies(receivers, directory, outgoing.agency_id if outgoing else None)
    for agency_id, addresses in sorted(grouped.items()):
        agency = directory.agency(agency_id)
        assert agency is not None
        entry = books.enter_incoming(tx, document, agency, issuer, addresses, mail_id, now)
        if record.message.envelope.origin.in_place:
            entry = books.arrive(tx, entry, agency, now)
        entries.append(entry)
    for entry in entries:
        detail = {"entry": entry.entry_id, "book": entry.book.value, "year": entry.year, "seq": entry.seq}
        log.append(tx, LogEvent(now, EventKind.REGISTERED, mail_id, entry.agency, detail=detail), words=_words(record))
    return tuple(entries)


def _issuer(recognised: AgencyId | None, sender: str, judgement: Judgement, directory: Directory) -> str:
    """The issuing agency's id for a known sender, else the sender's address."""
    if judgement.record.message.envelope.origin.is_authenticated and judgement.recognition.document is not None:
        agency = books.issuing_agency(judgement.recognition.document, sender, directory)
        if agency is not None:
            return agency.agency_id
    return recognised or sender.lower() or "unknown"


def _dispatches(
    judgement: Judgement, recipients: Sequence[Recipient], office: Office, now: datetime
) -> tuple[Dispatch, ...]:
    if judgement.record.message.envelope.origin.in_place:
        return ()
    actions = {r.recipient.lower(): r.action for r in judgement.decision.recipients}
    states = {Action.RELAY: DispatchState.QUEUED, Action.HOLD: DispatchState.HELD}
    document = judgement.recognition.document
    urgency = document.urgency if document else Urgency.NORMAL
    return tuple(
        Dispatch(
            mail_id=judgement.record.message.mail_id,
            recipient=recipient,
            destination=destination_of(recipient.address, office),
            state=states[actions[recipient.address.lower()]],
            next_attempt_at=now,
            urgency=urgency,
            created_at=now,
        )
        for recipient in recipients
        if actions[recipient.address.lower()] in states
    )


def destinations(judgement: Judgement, office: Office) -> frozenset[str]:
    """The next hops to which a mail goes at once when it is entered."""
    if judgement.record.message.envelope.origin.in_place:
        return frozenset()
    going = (one.recipient for one in judgement.decision.recipients if one.action is Action.RELAY)
    return frozenset(destination_of(address, office) for address in going)


def destination_of(address: str, office: Office) -> str:
    """The name under which the queue counts a recipient's next hop."""
    delivery = office.settings.delivery
    target = route(address, office.directory, delivery.routes, delivery.back)
    return target.destination if target else NO_ROUTE


def _resting_state(record: MailRecord) -> MessageState:
    if record.message.envelope.origin.in_place and record.state is MessageState.MOVING:
        return MessageState.DONE
    return MessageState.DONE if record.state is MessageState.MOVING else record.state


def _contentless(record: MailRecord) -> MailRecord:
    envelope = record.message.envelope
    bare = Envelope(envelope.sender, (), envelope.origin)
    return replace(
        record,
        message=replace(record.message, envelope=bare),
        subject="",
        message_id="",
        attachments=(),
        document=None,
        # The marks alone: a finding about a file would name it.
        findings=tuple(Finding(f.check, f.verdict, "", f.detail) for f in record.findings if f.check is Check.SECRECY),
        repeat_key="",
        rendering=type(record.rendering)(),
        decision=replace(
            record.decision,
            recipients=tuple(replace(r, recipient="", reasons=()) for r in record.decision.recipients[:1]),
        )
        if record.decision
        else None,
    )
