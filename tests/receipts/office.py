"""Records, decisions and receipts of a small province, for the tests of notices."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from mailrelay.inspection.document import recognise
from mailrelay.model.decision import Action, Decision, Reason, RecipientDecision
from mailrelay.model.dispatch import Dispatch, DispatchState, Outcome, Result
from mailrelay.model.document import Recognition
from mailrelay.model.envelope import Envelope, Recipient
from mailrelay.model.finding import Finding
from mailrelay.model.identity import MailId, make_mail_id
from mailrelay.model.message import Content, Message, MessageState
from mailrelay.model.record import MailRecord
from tests.province import ARRIVED, DIRECTORY, a_content, an_envelope, at

MAIL_ID = make_mail_id(1_383_012_300_000, bytes(10))
NOTICE_ID = make_mail_id(1_383_012_301_000, bytes(range(10)))
SIGNED_AT = datetime(2013, 10, 29, 2, 5, 1, tzinfo=UTC)
DIGEST = hashlib.sha256(b"thu goc").hexdigest()
PLAN_SUBJECT = "59/KH-UBND ngày 28/10/2013 V/v trao đổi văn bản điện tử trong hoạt động của các cơ quan nhà nước"


def a_plan(**changes: object) -> Content:
    return a_content(PLAN_SUBJECT, "Kính gửi các cơ quan.", ("59_KH-UBND.pdf",), **changes)  # type: ignore[arg-type]


def a_decision(actions: dict[str, Action], reasons: Sequence[Reason] = ()) -> Decision:
    return Decision(
        tuple(
            RecipientDecision(
                at(local),
                action,
                reasons=tuple(reasons) if action is not Action.RELAY else (),
                obligations=("receipt:sent", "receipt:incoming") if action is Action.RELAY else ("receipt:held",),
            )
            for local, action in actions.items()
        )
    )


def a_record(
    content: Content | None = None,
    envelope: Envelope | None = None,
    decision: Decision | None = None,
    findings: Sequence[Finding] = (),
) -> tuple[MailRecord, Content, Recognition]:
    """A judged mail: by default the plan, sent by the province's văn thư to the Department of Finance."""
    content = content or a_plan()
    envelope = envelope or an_envelope()
    recognition = recognise(content, envelope, DIRECTORY, ARRIVED)
    decision = decision or a_decision({r.address: Action.RELAY for r in envelope.recipients})
    record = MailRecord(
        Message(MAIL_ID, envelope, DIGEST, 300_000, ARRIVED),
        MessageState.MOVING,
        message_id=content.message_id,
        subject=content.subject,
        message_class=recognition.message_class,
        findings=tuple(findings),
        attachments=content.attachments,
        document=recognition.document,
        warnings=recognition.warnings,
        decision=decision,
    )
    return record, content, recognition


def a_dispatch(local: str, state: DispatchState, *, number: int = 1, recipient: Recipient | None = None) -> Dispatch:
    return Dispatch(
        MailId(MAIL_ID),
        recipient or Recipient(at(local)),
        "smtp:mx.example:25",
        state,
        ARRIVED,
        attempts=3,
        dispatch_id=number,
        created_at=ARRIVED,
    )


def an_outcome(result: Result = Result.DELIVERED, status: str = "2.0.0", **changes: object) -> Outcome:
    return replace(Outcome("", result, status), **changes)  # type: ignore[arg-type]
