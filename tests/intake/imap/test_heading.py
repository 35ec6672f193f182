"""What the door reads in a header, and the envelope that it makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.intake.imap.heading import make_envelope, read_heading
from mailrelay.model.agency import Directory, ImapAccount, Mailbox, Purpose, Role, SecretRef, Target, TargetKind
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.identity import AgencyId

OWNER = "VanThu.STC@hoabinh.gov.vn"
BOX = Mailbox(
    OWNER,
    "Văn thư",
    AgencyId("stc"),
    frozenset({Role.CLERK}),
    Target(TargetKind.IN_PLACE),
    aliases=("stc@hoabinh.gov.vn",),
    login="stc",
)
DIRECTORY = Directory("hoabinh.gov.vn", (), (BOX,))
MAIL_ID = "01JD2M3N4P5Q6R7S8T9V0W1X2Y"
OTHER_ID = "01JD2M3N4P5Q6R7S8T9V0W1X2Z"


def account(purpose: Purpose, owner: str = "stc@hoabinh.gov.vn") -> ImapAccount:
    return ImapAccount("stc", "imap.test", 993, "stc", SecretRef("file", "x"), purpose, owner)


@pytest.mark.parametrize(
    ("head", "sender"),
    [
        ("Return-Path: <a@x.vn>\r\nFrom: b@x.vn", "a@x.vn"),
        ("Return-Path: a@x.vn\r\n", "a@x.vn"),
        ("Return-Path: <>\r\nFrom: b@x.vn", ""),  # a bounce keeps its null path
        ("Return-Path: rubbish\r\nFrom: b@x.vn", ""),
        ("Return-Path: <a@x.vn>\r\nReturn-Path: <c@x.vn>", "a@x.vn"),  # the last server wrote the first one
        ("From: B <b@x.vn>\r\n", "b@x.vn"),
        ("From: rubbish\r\n", ""),
        ("Subject: x\r\n", ""),
    ],
)
def test_sender(head: str, sender: str) -> None:
    assert read_heading(f"{head}\r\n\r\nFrom: body@x.vn\r\n".encode()).sender == sender


def test_recipients_of_all_fields_once() -> None:
    heading = read_heading(
        b"To: a@x.vn, B <b@x.vn>\r\nCc: A@X.vn,\r\n c@x.vn\r\nTo: d@x.vn\r\nBCC: e@x.vn\r\nReply-To: no@x.vn\r\n\r\n"
    )
    assert heading.recipients == ("a@x.vn", "b@x.vn", "c@x.vn", "d@x.vn", "e@x.vn")
    assert heading.unreadable == ""


def test_one_unclear_field_spoils_the_list() -> None:
    heading = read_heading(b"To: a@x.vn\r\nCc: Nguyen Van B b@x.vn\r\n\r\n")
    assert (heading.recipients, heading.unreadable) == ((), "cc")


def test_too_many_recipients_over_several_fields() -> None:
    fields = b"".join(
        b"To: " + b", ".join(b"a%d@x.vn" % (100 * line + number) for number in range(100)) + b"\r\n"
        for line in range(6)
    )
    assert read_heading(fields + b"\r\n").recipients == ()


def test_blind_fields_are_cut_by_offset() -> None:
    head = b"To: a@x.vn\r\nBcc: e@x.vn,\r\n f@x.vn\r\nSubject: s\r\nresent-bcc: g@x.vn\r\n\r\nBcc: body@x.vn\r\n"
    heading = read_heading(head)
    rest, at = b"", 0
    for start, end in heading.blind:
        rest += head[at:start]
        at = end
    assert rest + head[at:] == b"To: a@x.vn\r\nSubject: s\r\n\r\nBcc: body@x.vn\r\n"


def test_our_own_mark() -> None:
    head = f"X-Mailrelay-Id: {MAIL_ID}\r\nX-Mailrelay-ID: nonsense\r\n\r\nX-Mailrelay-Id: {OTHER_ID}"
    assert read_heading(head.encode()).mail_ids == (MAIL_ID,)


def test_our_own_notices_bear_their_id_in_the_message_id() -> None:
    """Without that a notice found in a polled box would be taken, and be the cause of the next notice, for ever."""
    assert read_heading(f"Message-ID: <{MAIL_ID}@hoabinh.gov.vn>\r\n\r\n".encode()).mail_ids == (MAIL_ID,)
    both = f"X-Mailrelay-Id: {OTHER_ID}\r\nMessage-ID: <{MAIL_ID}@hoabinh.gov.vn>\r\n\r\n"
    assert read_heading(both.encode()).mail_ids == (OTHER_ID, MAIL_ID)
    for other in ("<abc@x.vn>", f"<{MAIL_ID}>", f"<{MAIL_ID}1@x.vn>", f"<{'U' * 26}@x.vn>", ""):
        assert read_heading(f"Message-ID: {other}\r\n\r\n".encode()).mail_ids == ()


def test_many_marks_are_not_all_looked_up() -> None:
    marks = "".join(f"X-Mailrelay-Id: {MAIL_ID[:-4]}{number:04}\r\n" for number in range(1000))
    assert len(read_heading(marks.encode()).mail_ids) == 8


@given(st.binary(max_size=300))
def test_any_bytes(head: bytes) -> None:
    heading = read_heading(head)
    for start, end in heading.blind:
        assert 0 <= start < end <= len(head)


def test_envelope_of_incoming_mail() -> None:
    heading = read_heading(b"Return-Path: <a@x.vn>\r\nTo: other@x.vn\r\nBcc: e@x.vn\r\n\r\n")
    found = make_envelope(heading, account(Purpose.INCOMING), DIRECTORY, peer="192.0.2.1", ascii_only=True)
    origin = Origin(Door.IMAP, peer="192.0.2.1", esmtp=False, account="stc", in_place=True)
    assert found == Envelope("a@x.vn", (Recipient("stc@hoabinh.gov.vn"),), origin)
    assert not found.origin.is_authenticated


def test_envelope_of_outgoing_mail() -> None:
    heading = read_heading(b"Return-Path: <forged@x.vn>\r\nFrom: forged@x.vn\r\nTo: a@x.vn\r\nBcc: e@x.vn\r\n\r\n")
    found = make_envelope(heading, account(Purpose.OUTGOING), DIRECTORY, peer="", ascii_only=False)
    origin = Origin(Door.IMAP, login="stc", esmtp=False, account="stc")
    recipients = (Recipient("a@x.vn"), Recipient("e@x.vn"))
    assert found == Envelope(OWNER, recipients, origin, body="8BITMIME", cuts=((59, 72),))


def test_envelope_of_an_owner_without_login() -> None:
    heading = read_heading("To: văn.thư@x.vn\r\n\r\n".encode())
    found = make_envelope(heading, account(Purpose.OUTGOING, "b@x.vn"), DIRECTORY, peer="", ascii_only=True)
    assert (found.sender, found.origin.login, found.smtputf8) == ("b@x.vn", "b@x.vn", True)
