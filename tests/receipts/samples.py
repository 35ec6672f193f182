"""One receipt of every kind, as the drawer makes them, and how to build and read their notices."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage

from mailrelay.model.agency import Directory, Group
from mailrelay.model.decision import Action, Decision, Reason, RecipientDecision
from mailrelay.model.dispatch import DispatchState, Result
from mailrelay.model.document import MessageClass, Recognition, Secrecy
from mailrelay.model.entry import Book, EntryStatus, RegisterEntry
from mailrelay.model.envelope import Door, Envelope, Notify, Origin, Recipient
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.identity import AgencyId, MailId
from mailrelay.model.message import Content, Message, MessageState
from mailrelay.model.receipt import Notice, Receipt
from mailrelay.model.record import MailRecord
from mailrelay.model.refusal import REFUSALS
from mailrelay.receipts import drawer, statement, transport
from mailrelay.receipts.compose import Letterhead, data_file, notice
from mailrelay.receipts.transport import Late
from tests.province import ARRIVED, DIRECTORY, a_content, an_envelope, at
from tests.receipts.office import MAIL_ID, NOTICE_ID, SIGNED_AT, a_decision, a_dispatch, a_record, an_outcome

WHY = Reason(
    "attachments.executable",
    "Tệp “bc.exe” là chương trình, không được gửi.",
    "bc.exe is a program.",
    "Gửi lại PDF.",
    "Send a PDF.",
)
LETTERHEAD = Letterhead(
    "bien-nhan@hoabinh.gov.vn", "hoabinh.gov.vn", hostname="mail.hoabinh.gov.vn", takes_answers=True
)
SEAL = b"\x30\x82seal"
ORIGINAL = b"From: <vpubnd@hoabinh.gov.vn>\r\nSubject: x\r\nMessage-ID: <goc-1@hoabinh.gov.vn>\r\n\r\nnoi dung\r\n"


def build(receipt: Receipt, original: bytes = b"", letterhead: Letterhead = LETTERHEAD) -> Notice:
    data = data_file(receipt, letterhead, NOTICE_ID, SIGNED_AT)
    return notice(receipt, letterhead, NOTICE_ID, SIGNED_AT, data=data, seal=SEAL, original=original)


def read(made: Notice) -> EmailMessage:
    """With the standard library's other parser and policy than ours."""
    message = email.message_from_bytes(made.raw, policy=email.policy.default)
    assert not message.defects and all(not part.defects for part in message.walk())
    return message


def text_of(message: EmailMessage, subtype: str = "plain") -> str:
    for part in message.walk():
        if part.get_content_type() == f"text/{subtype}":
            return str(part.get_content()).replace("\r\n", "\n")
    raise AssertionError(f"no text/{subtype}")


def words_of(message: EmailMessage) -> str:
    """The plain text on one line."""
    return " ".join(text_of(message).split())


def sent(**named: object) -> Receipt:
    record, content, recognition = a_record(**named)  # type: ignore[arg-type]
    return drawer.on_accept(record, content, recognition, DIRECTORY, (), SIGNED_AT)[0]


def returned() -> Receipt:
    return sent(decision=a_decision({"sotc": Action.RETURN}, [WHY]))


def held(index: int) -> Receipt:
    record, content, recognition = a_record(
        a_content("[KHẨN] 12/BC-STC", "", ("x.pdf",), sender="annv"),
        an_envelope("annv", ("sokhdt",)),
        a_decision({"sokhdt": Action.HOLD}, [WHY]),
    )
    return drawer.on_accept(record, content, recognition, DIRECTORY, (), SIGNED_AT)[index]


def settled(
    state: DispatchState,
    notify: frozenset[Notify] | None = None,
    orcpt: str | None = None,
    *,
    told_failed: tuple[str, ...] = (),
    **outcome: object,
) -> Receipt:
    record, *_ = a_record()
    dispatch = a_dispatch("x@y.vn", state, recipient=Recipient("x@y.vn", notify, orcpt))
    result = {DispatchState.FAILED: Result.FAILED, DispatchState.DEFERRED: Result.DEFERRED}.get(state, Result.DELIVERED)
    status = str(outcome.pop("status", "2.0.0"))
    pair = (replace(dispatch, created_at=ARRIVED.replace(day=20)), an_outcome(result, status, **outcome))
    return drawer.on_settled(record, [pair], DIRECTORY, SIGNED_AT, told_failed=told_failed)[0]


def failed() -> Receipt:
    return settled(DispatchState.FAILED, status="5.1.1", code=550, text="5.1.1 <x@y.vn> unknown", remote="mx.y.vn")


def entry(status: EntryStatus, seq: int | None = None) -> RegisterEntry:
    record, *_ = a_record()
    assert record.document is not None
    return RegisterEntry(
        AgencyId("H28.02"),
        Book.INCOMING,
        2013,
        MAIL_ID,
        status,
        record.document,
        "H28.UB",
        seq=seq,
        accepted_on=ARRIVED.date() if seq else None,
    )


def incoming(seq: int | None = None) -> Receipt:
    record, *_ = a_record(findings=[Finding(Check.PDF, Verdict.PASS, "59_KH-UBND.pdf", "both")])
    entries = [entry(EntryStatus.ACCEPTED if seq else EntryStatus.ARRIVED, seq)]
    pair = (a_dispatch("sotc", DispatchState.DELIVERED), an_outcome())
    return drawer.on_settled(record, [pair], DIRECTORY, SIGNED_AT, entries=entries)[0]


def given_back() -> Receipt:
    record, *_ = a_record()
    row = entry(EntryStatus.RETURNED)
    return drawer.on_entry_returned(row, record, "Thiếu phụ lục kèm theo", at("sotc"), SIGNED_AT, directory=DIRECTORY)[
        0
    ]


def not_released() -> Receipt:
    record, *_ = a_record()
    dispatches = [a_dispatch("sotc", DispatchState.WITHDRAWN)]
    return drawer.on_held_returned(record, dispatches, "Chưa ký", at("vpubnd"), SIGNED_AT, directory=DIRECTORY)[0]


def alert(index: int = 1) -> Receipt:
    envelope = an_envelope("annv", ("sokhdt",))
    return drawer.on_secret_refused(envelope, Secrecy.SECRET, DIRECTORY, "ab" * 32, SIGNED_AT, mail_id=MAIL_ID)[index]


def alarm(
    refusal: str, origin: Origin, values: dict[str, str], directory: Directory = DIRECTORY
) -> tuple[Receipt, ...]:
    """What a door complains of, as the pipeline hands it to the drawer."""
    row, owner = REFUSALS[refusal], at("sotc")
    why = Reason("door", *(row.fill(text, values) for text in (row.vi, row.en, row.remedy_vi, row.remedy_en)))
    envelope = Envelope(owner, (Recipient(owner),), origin)
    decided = RecipientDecision(owner, Action.RETURN, reasons=(why,), refusal=refusal)
    message = Message(MAIL_ID, envelope, "e3b0" * 16, 0, ARRIVED)
    record = MailRecord(
        message, MessageState.RETURNED, message_class=MessageClass.LETTER, decision=Decision((decided,))
    )
    return drawer.on_accept(record, Content(), Recognition(MessageClass.LETTER), directory, (), SIGNED_AT)


def silent_box() -> Receipt:
    origin = Origin(Door.IMAP, login="sotc", account="tai-chinh-imap")
    values = {"account": "tai-chinh-imap", "minutes": "17", "fault": "token endpoint: invalid_grant"}
    return alarm("box-not-polled", origin, values)[0]


def suspended() -> Receipt:
    return alarm("login-suspended", Origin(Door.SUBMISSION, login="sotc"), {"login": "sotc"})[0]


def day(mails: int = 2) -> Receipt:
    """The list of a day on which the filter held some mails for the Department of Finance."""
    record, *_ = a_record(envelope=an_envelope("ban.hang@shop.example", ("sotc",)))
    return statement.on_day(MailId(MAIL_ID), at("sotc"), [(record, (at("sotc"),))] * mails, DIRECTORY, SIGNED_AT)


def status() -> Receipt:
    record, *_ = a_record()
    return drawer.status_slip(entry(EntryStatus.ACCEPTED, 1234), record, at("vpubnd"), SIGNED_AT, directory=DIRECTORY)


def delayed(notify: frozenset[Notify] | None = None) -> Receipt:
    record, *_ = a_record()
    dispatch = a_dispatch("x@y.vn", DispatchState.DEFERRED, recipient=Recipient("x@y.vn", notify))
    dispatch = replace(dispatch, next_attempt_at=ARRIVED + timedelta(hours=5))
    busy = an_outcome(Result.DEFERRED, "4.4.1", text="no route to host", remote="mx.y.vn[192.0.2.7]:25")
    late = Late(dispatch, ARRIVED + timedelta(days=7), busy, ARRIVED + timedelta(hours=4))
    return transport.on_delayed(record, [late], DIRECTORY, SIGNED_AT)[0]


def expanded() -> Receipt:
    group = Recipient(at("tatca"), frozenset({Notify.SUCCESS}), "rfc822;TatCa@hoabinh.gov.vn")
    decision = a_decision({"sotc": Action.RELAY, "sokhdt": Action.RELAY})
    record, *_ = a_record(envelope=replace(an_envelope(), recipients=(group,)), decision=decision)
    members = Group(at("tatca"), "Tất cả các cơ quan", (at("sotc"), at("sokhdt")))
    return transport.expanded(record, replace(DIRECTORY, groups=(members,)), SIGNED_AT)[0]


def poisoned() -> Receipt:
    record, *_ = a_record()
    reason = Reason(
        "queue.poisoned", "việc gửi thư này làm dịch vụ dừng", "it crashes the service", "Xem nhật ký.", "Look."
    )
    return transport.on_poisoned(record, a_dispatch("sotc", DispatchState.HELD), reason, DIRECTORY, SIGNED_AT)[0]


ALL: dict[str, Callable[[], Receipt]] = {
    "sent": sent,
    "incoming": incoming,
    "returned": returned,
    "given-back": given_back,
    "not-released": not_released,
    "failed": failed,
    "held-holder": lambda: held(0),
    "held-sender": lambda: held(1),
    "alert-officer": lambda: alert(0),
    "alert-sender": lambda: alert(1),
    "day": day,
    "silent-box": silent_box,
    "suspended": suspended,
    "status": status,
    "delivered": lambda: settled(DispatchState.DELIVERED, frozenset({Notify.SUCCESS})),
    "relayed": lambda: settled(DispatchState.RELAYED, frozenset({Notify.SUCCESS})),
    "delayed": lambda: delayed(frozenset({Notify.DELAY})),
    "delayed-unasked": delayed,
    "expanded": expanded,
    "corrected": lambda: settled(DispatchState.DELIVERED, told_failed=("x@y.vn",)),
    "corrected-asked": lambda: settled(DispatchState.RELAYED, frozenset({Notify.SUCCESS}), told_failed=("x@y.vn",)),
    "poisoned": poisoned,
}
