"""Who may speak: the table of doors, logins, senders and recipients."""

from __future__ import annotations

import pytest

from mailrelay.intake.admission import Admission, account_of, admit_recipient, admit_sender
from mailrelay.model.agency import Agency, Directory, Group, Level, Mailbox, Role, Target, TargetKind
from mailrelay.model.envelope import Door, Origin
from mailrelay.model.identity import AgencyId


def _box(local_part: str, agency: str, login: str = "", *, shared: bool = False, enabled: bool = True) -> Mailbox:
    target = Target(TargetKind.MAILDIR, path=local_part)
    return Mailbox(
        f"{local_part}@hoabinh.gov.vn",
        local_part,
        AgencyId(agency),
        frozenset({Role.CLERK}),
        target,
        aliases=(f"{local_part}.cu@hoabinh.gov.vn",),
        login=login,
        shared=shared,
        enabled=enabled,
    )


DIRECTORY = Directory(
    domain="hoabinh.gov.vn",
    agencies=(Agency(AgencyId("stc"), "Sở Tài chính", Level.PROVINCE, "STC"),),
    mailboxes=(
        _box("vanthu.stc", "stc", "vanthu", shared=True),
        _box("nam", "stc", "nam"),
        _box("lan", "stc", "lan", enabled=False),
        _box("vanthu.syt", "syt", "vanthu.syt", shared=True),
    ),
    groups=(Group("cacso@hoabinh.gov.vn", "Các sở", ()),),
    system_addresses={"trogiup": "nam@hoabinh.gov.vn"},
)
YES = Admission()


def _origin(door: Door = Door.MX, login: str | None = None) -> Origin:
    return Origin(door, "192.0.2.1", login=login)


@pytest.mark.parametrize(
    ("door", "login", "sender", "refusal"),
    [
        (Door.SUBMISSION, "nam", "nam@hoabinh.gov.vn", ""),
        (Door.SUBMISSION, "nam", "NAM@HoaBinh.gov.vn", ""),
        (Door.SUBMISSION, "nam", "nam.cu@hoabinh.gov.vn", ""),
        (Door.SUBMISSION, "nam", "vanthu.stc@hoabinh.gov.vn", ""),  # the role box of the own agency
        (Door.SUBMISSIONS, "nam", "vanthu.syt@hoabinh.gov.vn", "sender-not-owned"),
        (Door.SUBMISSIONS, "vanthu", "nam@hoabinh.gov.vn", "sender-not-owned"),
        (Door.SUBMISSION, "nam", "nam@example.vn", "sender-not-owned"),
        (Door.SUBMISSION, "nam", "", "null-sender"),
        (Door.SUBMISSION, "lan", "lan@hoabinh.gov.vn", "sender-not-owned"),  # disabled since the login
        (Door.SUBMISSION, None, "nam@hoabinh.gov.vn", "auth-required"),
        (Door.SUBMISSIONS, None, "ai@example.vn", "auth-required"),
        (Door.SUBMISSION, None, "", "auth-required"),
        (Door.MX, None, "ai@example.vn", ""),
        (Door.MX, None, "", ""),
        (Door.MX, None, "nam@hoabinh.gov.vn", "local-sender-without-login"),
        (Door.MX, None, "khong-co@HOABINH.gov.vn", "local-sender-without-login"),
        (Door.LMTP, None, "nam@hoabinh.gov.vn", ""),
    ],
)
def test_senders(door: Door, login: str | None, sender: str, refusal: str) -> None:
    assert admit_sender(DIRECTORY, _origin(door, login), sender).refusal == refusal


@pytest.mark.parametrize(
    ("recipient", "stranger", "clerk"),
    [
        ("nam@hoabinh.gov.vn", "", ""),
        ("Nam@HoaBinh.gov.vn", "", ""),
        ("nam.cu@hoabinh.gov.vn", "", ""),
        ("cacso@hoabinh.gov.vn", "", ""),
        ("postmaster@hoabinh.gov.vn", "", ""),
        ("Abuse@hoabinh.gov.vn", "", ""),
        ("trogiup@hoabinh.gov.vn", "", ""),
        ("lan@hoabinh.gov.vn", "mailbox-disabled", "mailbox-disabled"),
        ("khong-co@hoabinh.gov.vn", "no-such-recipient", "no-such-recipient"),
        ("ai@example.vn", "relay-denied", ""),
        ("nam@sub.hoabinh.gov.vn", "relay-denied", ""),
        ("postmaster@example.vn", "relay-denied", ""),
        ("nam@[192.0.2.7]", "relay-denied", ""),
    ],
)
def test_recipients(recipient: str, stranger: str, clerk: str) -> None:
    assert admit_recipient(DIRECTORY, _origin(), recipient).refusal == stranger
    assert admit_recipient(DIRECTORY, _origin(Door.LMTP), recipient).refusal == stranger
    assert admit_recipient(DIRECTORY, _origin(Door.SUBMISSION, "nam"), recipient).refusal == clerk


def test_a_refusal_names_what_it_refuses() -> None:
    refused = admit_sender(DIRECTORY, _origin(Door.SUBMISSION, "nam"), "lan@hoabinh.gov.vn")
    assert refused == Admission("sender-not-owned", {"login": "nam", "sender": "lan@hoabinh.gov.vn"})
    assert admit_sender(DIRECTORY, _origin(), "ai@example.vn") == YES


@pytest.mark.parametrize(
    ("login", "address"),
    [
        ("nam", "nam@hoabinh.gov.vn"),
        ("NAM", "nam@hoabinh.gov.vn"),
        ("nam@hoabinh.gov.vn", "nam@hoabinh.gov.vn"),
        ("nam.cu@hoabinh.gov.vn", "nam@hoabinh.gov.vn"),
        ("lan", None),
        ("khong-co", None),
        ("", None),
    ],
)
def test_people_may_log_in_with_their_address(login: str, address: str | None) -> None:
    box = account_of(DIRECTORY, login)
    assert (box.address if box else None) == address
