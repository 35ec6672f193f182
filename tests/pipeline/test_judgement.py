"""What the corridor makes of a judgement: addresses resolved, actions fitted to the door, letters kept discreet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from mailrelay.model.decision import Action, Decision, RecipientDecision
from mailrelay.model.document import MessageClass
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.identity import make_mail_id
from mailrelay.model.message import Attachment, Content, Message, MessageState
from mailrelay.model.record import MailRecord
from mailrelay.pipeline import trace_fields
from mailrelay.pipeline.judgement import discreet, enforceable, repeat_key
from mailrelay.receipts.audience import is_proved
from tests.province import DOMAIN

NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
MAIL_ID = make_mail_id(1_795_000_000_000, b"0123456789")
STRANGER = Origin(Door.MX, peer="192.0.2.7", helo="mx.example")
CLERK = Origin(Door.SUBMISSION, peer="192.0.2.8", helo="pc", login="sotc", tls="TLSv1.3 TLS_AES_256_GCM_SHA384")


def _decision(*actions: Action) -> Decision:
    return Decision(tuple(RecipientDecision(f"r{n}@{DOMAIN}", action) for n, action in enumerate(actions)))


def _enforced(origin: Origin, *actions: Action) -> list[Action]:
    envelope = Envelope("a@b.example", (), origin)
    return [r.action for r in enforceable(_decision(*actions), envelope).recipients]


def test_a_login_refused_for_some_gets_a_notice_for_those() -> None:
    assert _enforced(CLERK, Action.RELAY, Action.REJECT) == [Action.RELAY, Action.RETURN]
    assert _enforced(CLERK, Action.RETURN, Action.RETURN) == [Action.RETURN, Action.RETURN]
    assert _enforced(CLERK, Action.REJECT, Action.REJECT) == [Action.REJECT, Action.REJECT]


def test_in_a_drop_folder_a_refusal_is_a_notice() -> None:
    drop = Origin(Door.IMAP, login="sotc", account="sotc")
    assert _enforced(drop, Action.REJECT, Action.REJECT) == [Action.RETURN, Action.RETURN]


def test_a_stranger_never_gets_a_mail_from_us() -> None:
    assert _enforced(STRANGER, Action.RETURN) == [Action.REJECT]
    assert _enforced(STRANGER, Action.RETURN, Action.REJECT) == [Action.REJECT, Action.REJECT]
    assert _enforced(STRANGER, Action.RELAY, Action.RETURN) == [Action.RELAY, Action.HOLD]
    assert _enforced(STRANGER, Action.HOLD, Action.REJECT) == [Action.HOLD, Action.HOLD]


def test_what_may_go_is_left_alone() -> None:
    assert _enforced(STRANGER, Action.RELAY, Action.HOLD) == [Action.RELAY, Action.HOLD]


def test_without_a_message_id_only_the_same_bytes_are_the_same_mail() -> None:
    """A device says "all is well" in the same words every day, and only its Date tells the days apart."""
    envelope = Envelope("may-in@b.example", (), STRANGER)
    content = Content(body_sha256="aa")
    assert repeat_key(envelope, content, "ff") == repeat_key(envelope, content, "ff")
    assert repeat_key(envelope, content, "ff") != repeat_key(envelope, content, "fe")


def test_a_mail_is_repeated_only_when_sender_id_and_body_agree() -> None:
    envelope = Envelope("a@b.example", (), CLERK)
    content = Content(message_id="<1@b>", body_sha256="aa")
    key = repeat_key(envelope, content, "ff")
    assert key == repeat_key(replace(envelope, sender="A@b.example"), content, "other")
    assert key != repeat_key(envelope, replace(content, body_sha256="bb"), "ff")
    assert key != repeat_key(envelope, replace(content, message_id="<2@b>"), "ff")


def test_of_a_letter_only_digests_are_kept() -> None:
    envelope = Envelope("a@b.example", (Recipient(f"an@{DOMAIN}"),), CLERK)
    record = MailRecord(
        Message(MAIL_ID, envelope, "ab" * 32, 10, NOW),
        MessageState.MOVING,
        message_id="<private@b>",
        subject="Chuyện riêng",
        message_class=MessageClass.LETTER,
        findings=(Finding(Check.TYPE, Verdict.PASS, "anh-cuoi.jpg", "", {"signer": "An"}),),
        attachments=(Attachment("anh-cuoi.jpg", ("anh-cuoi.jpg",), "image/jpeg", "image/jpeg", 3, "cd" * 32, "2"),),
    )
    kept = repr(discreet(record))
    assert "riêng" not in kept
    assert "private" not in kept
    assert "anh-cuoi" not in kept
    assert "cd" * 32 in kept


def test_a_stranger_may_still_be_told_what_became_of_its_letter() -> None:
    envelope = Envelope("a@b.example", (Recipient(f"an@{DOMAIN}"),), STRANGER)
    found = (
        Finding(Check.SPF, Verdict.PASS, "b.example", "authorised"),
        Finding(Check.DKIM, Verdict.PASS, "d=gui-ho.example; s=k", "good", {"domain": "gui-ho.example"}),
    )
    record = MailRecord(Message(MAIL_ID, envelope, "ab" * 32, 10, NOW), MessageState.MOVING, findings=found)
    kept = discreet(record)
    assert is_proved(kept)
    assert "gui-ho" not in repr(kept.findings)
    assert not is_proved(discreet(replace(record, findings=found[1:])))


def test_the_received_field_says_how_the_mail_came() -> None:
    envelope = Envelope("a@b.example", (Recipient(f"sotc@{DOMAIN}"),), CLERK)
    field = trace_fields.received(Message(MAIL_ID, envelope, "", 1, NOW), "mail.example").decode()
    assert field == (
        "Received: from pc ([192.0.2.8])\r\n"
        f"\tby mail.example (mailrelay) with ESMTPSA id {MAIL_ID}\r\n"
        f"\tfor <sotc@{DOMAIN}>\r\n"
        "\t(using TLSv1.3 TLS_AES_256_GCM_SHA384);\r\n"
        "\tSun, 22 Nov 2026 10:04:05 +0700\r\n"
    )


def test_a_hostile_greeting_cannot_write_header_fields() -> None:
    origin = replace(STRANGER, helo="x\r\nBcc: all@example\r\n\u202e", peer="192.0.2.7\r\nX: y")
    recipients = (Recipient("a@x.vn"), Recipient("b@x.vn"))
    field = trace_fields.received(Message(MAIL_ID, Envelope("", recipients, origin), "", 1, NOW), "mail.example")
    lines = field.decode("ascii").split("\r\n")
    assert all(line.startswith(("Received:", "\t")) for line in lines[:-1])
    assert b"a@x.vn" not in field  # a blind copy is not given away


def test_only_a_submission_is_completed() -> None:
    recipients = (Recipient("a@x.vn"),)
    submitted = Message(MAIL_ID, Envelope("s@x.vn", recipients, CLERK), "", 1, NOW)
    relayed = Message(MAIL_ID, Envelope("s@b.example", recipients, STRANGER), "", 1, NOW)
    added = trace_fields.completed(submitted, Content(), "x.vn").decode()
    assert added == f"Date: Sun, 22 Nov 2026 10:04:05 +0700\r\nMessage-ID: <{MAIL_ID.lower()}@x.vn>\r\n"
    assert trace_fields.completed(submitted, Content(date="today", message_id="<1@x>"), "x.vn") == b""
    assert trace_fields.completed(relayed, Content(), "x.vn") == b""
