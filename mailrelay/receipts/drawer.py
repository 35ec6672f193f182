"""Which notices an event causes, for whom, and with which facts. Pure: one event gives one key, so a repeat adds nothing.

Few mails: one confirmation to the sender and one slip to each receiving agency's văn thư, where the rules owe them (obligations
`receipt:sent`, `receipt:incoming`); trouble is always told, and at once. Letters: none but trouble. Never a notice about a notice;
strangers get none unless their address is proved (no backscatter).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from mailrelay.model.agency import Agency, Directory, Role
from mailrelay.model.decision import Action, RecipientDecision
from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome
from mailrelay.model.document import MessageClass, Recognition, Secrecy
from mailrelay.model.entry import Book, RegisterEntry
from mailrelay.model.envelope import Door, Envelope
from mailrelay.model.identity import AgencyId, MailId
from mailrelay.model.message import Content
from mailrelay.model.receipt import Receipt, ReceiptKind
from mailrelay.model.record import MailRecord
from mailrelay.receipts import facts as fact
from mailrelay.receipts.acknowledge import is_notice, may_answer
from mailrelay.receipts.audience import holder_of, is_ours, is_proved, owes_slip
from mailrelay.receipts.blank import about, basic, make, sender
from mailrelay.receipts.facts import Facts
from mailrelay.receipts.statement import is_listed
from mailrelay.receipts.transport import batch, expanded, reports
from mailrelay.receipts.words import ALARMS


def on_accept(
    record: MailRecord,
    content: Content,
    recognition: Recognition,
    directory: Directory,
    entries: Sequence[RegisterEntry],
    now: datetime,
) -> tuple[Receipt, ...]:
    """A mail was judged and entered: `sent`, `returned` and `held`; `incoming` only for a mail that already lies in its box.

    A door's complaint about a box or a login, which is no mail, comes the same way and is told as an `alert`.

    The slips of all other mails follow their delivery (`on_settled`), when it is known that the paper has arrived.
    """
    if record.decision is None or record.message_class is MessageClass.RECEIPT:
        return ()
    receipts: list[Receipt] = []
    going = record.decision.with_action(Action.RELAY)
    returned = record.decision.with_action(Action.RETURN)
    if record.message.envelope.origin.door is Door.IMAP:
        returned += record.decision.with_action(Action.REJECT)
    if _wants_confirmation(record, going) and may_answer(content, record.message.envelope):
        receipts.append(_sent(record, going, directory, now))
    receipts += expanded(record, directory, now)
    if alarm := _alarm_of(returned):
        receipts += _alarms(record, alarm, directory, now)
    elif returned and is_proved(record):
        receipts.append(_returned(record, returned, directory, now))
    receipts += _held(record, directory, now)
    in_place = record.message.envelope.origin.in_place
    if in_place and record.message_class is MessageClass.DOCUMENT and not is_notice(content):
        reached = {decided.recipient for decided in going}
        receipts += _slips(record, sorted(reached), entries, directory, now)
    return tuple(receipts)


def on_settled(
    record: MailRecord,
    settled: Sequence[tuple[Dispatch, Outcome]],
    directory: Directory,
    now: datetime,
    *,
    entries: Sequence[RegisterEntry] = (),
    told_failed: Collection[str] = (),
) -> tuple[Receipt, ...]:
    """A batch of dispatches was tried: slips for those that arrived, one `failed` for those that failed, `dsn` where asked for.

    `entries` are the incoming entries of the mail after the arrival was noted (they may already bear a số đến);
    `told_failed` the recipients (lower case) of whom the sender was told that they were not reached.
    """
    if record.message_class is MessageClass.RECEIPT:
        return ()
    receipts: list[Receipt] = []
    arrived = [d.recipient.address for d, _ in settled if d.state in (DispatchState.DELIVERED, DispatchState.RELAYED)]
    if record.message_class is MessageClass.DOCUMENT:
        receipts += _slips(record, arrived, entries, directory, now)
    if not is_proved(record):
        return tuple(receipts)
    return (*receipts, *reports(record, settled, directory, now, told_failed))


def on_entry_returned(
    entry: RegisterEntry, record: MailRecord, reason: str, clerk: str, now: datetime, *, directory: Directory
) -> tuple[Receipt, ...]:
    """The receiving agency gave the paper back (status 02, Decree 30/2020/NĐ-CP article 21): the sender is told at once."""
    if not is_proved(record):
        return ()
    agency = directory.agency(entry.agency)
    # Another agency hears of the văn thư, never of a user name of our server; the log keeps who typed.
    named = clerk if "@" in clerk or agency is None else agency.clerk
    facts = {
        **basic(record, directory),
        "by": "agency",
        "agency": entry.agency,
        "agency_name": agency.name if agency else entry.agency,
        "contact": agency.clerk if agency else "",
        "reason": fact.line(reason, 500),
        "clerk": fact.line(named, 254),
        "entry": fact.of_entry(entry),
    }
    return (about(ReceiptKind.RETURNED, record, sender(record), f"agency:{entry.agency}", facts, now, directory),)


def status_slip(entry: RegisterEntry, record: MailRecord, to: str, now: datetime, *, directory: Directory) -> Receipt:
    """The state of a paper in the receiving agency's book, for who asks. No event causes it: statuses are data, not mails."""
    agency = directory.agency(entry.agency)
    facts = {
        **basic(record, directory),
        "agency": entry.agency,
        "agency_name": agency.name if agency else entry.agency,
        "entry": fact.of_entry(entry),
    }
    event = f"status:{entry.agency}:{entry.status.value}:{fact.moment(now)}"
    return about(ReceiptKind.STATUS, record, to, event, facts, now, directory)


def on_held_returned(
    record: MailRecord,
    held: Sequence[Dispatch],
    reason: str,
    actor: str,
    now: datetime,
    *,
    directory: Directory | None = None,
) -> tuple[Receipt, ...]:
    """Whoever held the mail decided not to let it go: one notice to the sender with the reason."""
    if not held or not is_proved(record):
        return ()
    names = directory or Directory("", (), ())
    recipients = [fact.of_dispatch(dispatch, None, names, "returned", now) for dispatch in held]
    facts = {
        **basic(record, names),
        "by": "holder",
        "reason": fact.line(reason, 500),
        "clerk": fact.line(actor, 254),
        "clerk_name": fact.name_of(actor, names),
        "recipients": recipients,
    }
    event = f"holder:{batch(held)}"
    return (about(ReceiptKind.RETURNED, record, sender(record), event, facts, now, directory),)


def on_secret_refused(
    envelope: Envelope, mark: Secrecy, directory: Directory, digest: str, now: datetime, *, mail_id: MailId
) -> tuple[Receipt, ...]:
    """A mail with a secrecy mark was refused: tell the security officers and an authenticated sender, without any content."""
    officers = [box for box in directory.mailboxes if Role.SECURITY_OFFICER in box.roles and box.enabled]
    agency = directory.agency_of(envelope.sender)
    own = [box for box in officers if agency and box.agency == agency.agency_id]
    to = [box.address for box in own or officers]
    if envelope.sender and envelope.origin.is_authenticated:
        to.append(envelope.sender)
    facts: Facts = {
        "at": fact.moment(now),
        "mark": mark.value,
        "sha256": digest,
        "from": fact.line(envelope.sender, 254),
        "from_name": fact.name_of(envelope.sender, directory),
        "agency": agency.name if agency else "",
        "login": fact.line(envelope.origin.login or "", 254),
        "door": envelope.origin.door.value,
        "peer": fact.line(envelope.origin.peer, 100),
        "mail": {"mail_id": mail_id, "message_id": "", "subject": "", "class": ""},
        "document": None,
    }
    unique = dict.fromkeys(address.lower() for address in to)
    return tuple(
        make(
            ReceiptKind.ALERT,
            mail_id,
            address,
            "secret",
            facts | {"to_sender": address == envelope.sender.lower()},
            now,
            directory,
        )
        for address in unique
    )


def _wants_confirmation(record: MailRecord, going: Sequence[RecipientDecision]) -> bool:
    """Documents and exchanges of senders who logged in are confirmed where the rules owe it; letters never."""
    official = record.message_class in (MessageClass.DOCUMENT, MessageClass.EXCHANGE)
    return official and is_ours(record.message.envelope) and any("receipt:sent" in one.obligations for one in going)


def _sent(record: MailRecord, going: Sequence[RecipientDecision], directory: Directory, now: datetime) -> Receipt:
    facts = {
        **basic(record, directory),
        "files": fact.of_files(record),
        "checks": fact.of_sender_checks(record),
        "recipients": [fact.of_recipient(decided, directory) for decided in going],
    }
    return about(ReceiptKind.SENT, record, sender(record), "accepted", facts, now, directory)


def _returned(
    record: MailRecord, returned: Sequence[RecipientDecision], directory: Directory, now: datetime
) -> Receipt:
    total = len(record.decision.recipients) if record.decision else len(returned)
    facts = {
        **basic(record, directory),
        "by": "system",
        "total": total,
        "files": fact.of_files(record),
        "recipients": [fact.of_recipient(decided, directory) for decided in returned],
    }
    return about(ReceiptKind.RETURNED, record, sender(record), "judged", facts, now, directory)


def _alarm_of(returned: Sequence[RecipientDecision]) -> RecipientDecision | None:
    """A door's complaint that speaks of no mail. What rules return bears their names."""
    return next((one for one in returned if one.refusal in ALARMS and not one.rules), None)


def _alarms(record: MailRecord, alarm: RecipientDecision, directory: Directory, now: datetime) -> list[Receipt]:
    """To the address that the door named; of a login to the IT officer too, for whoever stole its password reads its mail."""
    origin = record.message.envelope.origin
    agency = directory.agency_of(alarm.recipient)
    to = [alarm.recipient] + ([agency.it_officer] if agency and agency.it_officer and not origin.account else [])
    facts = {
        **basic(record, directory),
        "alarm": alarm.refusal,
        "name": fact.line(origin.account or origin.login or "", 254),
        "agency": agency.name if agency else "",
        "reason": fact.of_recipient(alarm, directory)["reasons"][-1],
    }
    unique = dict.fromkeys(address.lower() for address in to)
    return [about(ReceiptKind.ALERT, record, one, alarm.refusal, facts, now, directory) for one in unique]


def _held(record: MailRecord, directory: Directory, now: datetime) -> list[Receipt]:
    """One notice to each holder, and one to a sender who logged in, naming the holders. Who is both gets the holder's.

    What the rules leave to the daily list is not told to its holder at once.
    """
    held = record.decision.with_action(Action.HOLD) if record.decision else ()
    if not held:
        return []
    holders: dict[str, list[RecipientDecision]] = {}
    for decided in held:
        holders.setdefault(holder_of(record, decided.recipient, directory), []).append(decided)
    named = [
        {"address": address, "name": fact.name_of(address, directory), "agency": fact.agency_name(address, directory)}
        for address in holders
    ]
    shared = {**basic(record, directory), "holders": named}
    receipts = []
    for address, group in holders.items():
        if all(is_listed(decided) for decided in group):
            continue
        facts = {
            **shared,
            "to_holder": True,
            "recipients": [fact.of_recipient(decided, directory) for decided in group],
        }
        receipts.append(about(ReceiptKind.HELD, record, address, "judged", facts, now, directory))
    author = sender(record)
    if is_ours(record.message.envelope) and author.lower() not in {address.lower() for address in holders}:
        facts = {
            **shared,
            "to_holder": False,
            "recipients": [fact.of_recipient(decided, directory) for decided in held],
        }
        receipts.append(about(ReceiptKind.HELD, record, author, "judged", facts, now, directory))
    return receipts


def _slips(
    record: MailRecord, addresses: Sequence[str], entries: Sequence[RegisterEntry], directory: Directory, now: datetime
) -> list[Receipt]:
    """One slip for each receiving agency that has a văn thư; none to the agency whose paper it is.

    That is the issuer, which need not be the box's own agency: the VP UBND's văn thư sends the papers of UBND tỉnh, and the
    office is one of their receivers.
    """
    author = directory.agency_of(sender(record))
    issuer = record.document.issuer if record.document and author else None
    own = issuer or (author.agency_id if author else None)
    reached: dict[AgencyId, tuple[Agency, list[str]]] = {}
    for address in addresses:
        agency = directory.agency_of(address) if owes_slip(record, address) else None
        if agency is not None and agency.clerk and agency.agency_id != own:
            reached.setdefault(agency.agency_id, (agency, []))[1].append(address)
    incoming = {entry.agency: entry for entry in entries if entry.book is Book.INCOMING}
    receipts = []
    for agency, agency_addresses in reached.values():
        facts = {
            **basic(record, directory),
            "agency": agency.agency_id,
            "agency_name": agency.name,
            "automatic": agency.automatic_acceptance,
            "entry": fact.of_entry(incoming.get(agency.agency_id)),
            "arrived_at": fact.moment(now),
            "recipients": [
                {"address": a, "name": fact.name_of(a, directory), "agency": agency.name} for a in agency_addresses
            ],
            "files": fact.of_files(record),
            "checks": fact.of_sender_checks(record),
            "sender_agency": author.name if author else "",
            "authenticated": record.message.envelope.origin.is_authenticated,
        }
        event = f"arrived:{agency.agency_id}"
        receipts.append(about(ReceiptKind.INCOMING, record, agency.clerk, event, facts, now, directory))
    return receipts
