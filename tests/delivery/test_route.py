"""Routes: mailboxes, written routes, and never out to our own domain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from mailrelay.delivery.route import route
from mailrelay.model.agency import Agency, Directory, Level, Mailbox, Role, Target, TargetKind
from mailrelay.model.identity import AgencyId

MAILDIR = Target(TargetKind.MAILDIR, path="/mail/vanthu")
SMARTHOST = Target(TargetKind.SMTP, host="smart.vn", port=25, tls="verify")
BY_MX = Target(TargetKind.SMTP, tls="encrypt")
DISTRICT = Target(TargetKind.LMTP, host="10.0.0.1", port=24)


@dataclass(frozen=True)
class Way:
    domain: str
    target: Target


def box(address: str, **fields: object) -> Mailbox:
    return Mailbox(address, "x", AgencyId("a"), frozenset({Role.CLERK}), MAILDIR, **fields)  # type: ignore[arg-type]


DIRECTORY = Directory(
    "hoabinh.gov.vn",
    (Agency(AgencyId("a"), "A", Level.PROVINCE, "A"),),
    (
        box("vanthu@hoabinh.gov.vn", aliases=("vt@hoabinh.gov.vn",)),
        box("cu@hoabinh.gov.vn", enabled=False),
        box("khach@example.vn"),
        replace(box("xa@example.vn"), target=BY_MX),
        replace(box("vong@hoabinh.gov.vn"), target=BY_MX),
    ),
    system_addresses={"postmaster": "vanthu@hoabinh.gov.vn"},
)
WAYS = (Way("*", SMARTHOST), Way("moha.gov.vn", BY_MX), Way(".luongson.vn", DISTRICT), Way("xa.luongson.vn", SMARTHOST))


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("VanThu@HoaBinh.gov.vn", MAILDIR),
        ("vt@hoabinh.gov.vn", MAILDIR),
        ("postmaster@hoabinh.gov.vn", MAILDIR),
        ("khach@example.vn", MAILDIR),
        ("cu@hoabinh.gov.vn", None),
        ("ai@hoabinh.gov.vn", None),
        ("ai@HOABINH.GOV.VN.", None),
        ("ai@example.vn", SMARTHOST),
        ("xa@example.vn", Target(TargetKind.SMTP, host="example.vn", tls="encrypt")),
        ("vong@hoabinh.gov.vn", None),  # our own MX would bring it back
        ("ai@moha.gov.vn", Target(TargetKind.SMTP, host="moha.gov.vn", tls="encrypt")),
        ("ai@a.b.luongson.vn", DISTRICT),
        ("ai@luongson.vn", SMARTHOST),
        ("ai@XA.luongson.vn", SMARTHOST),
        ("ai", None),
        ("@example.vn", None),
        ("ai@", None),
        ("", None),
    ],
)
def test_route(address: str, target: Target | None) -> None:
    assert target == route(address, DIRECTORY, WAYS)


def test_without_routes_only_mailboxes() -> None:
    assert None is route("ai@example.vn", DIRECTORY, ())
    assert route("vanthu@hoabinh.gov.vn", DIRECTORY, ()) == MAILDIR


def test_first_of_two_equal_routes() -> None:
    assert route("a@b.vn", DIRECTORY, (Way("b.vn", SMARTHOST), Way("B.vn", DISTRICT))) == SMARTHOST


@dataclass(frozen=True)
class Back:
    target: Target
    local: bool


@pytest.mark.parametrize(
    ("address", "everything", "outside_only"),
    [
        ("vanthu@hoabinh.gov.vn", True, MAILDIR),
        ("vt@hoabinh.gov.vn", True, MAILDIR),
        ("postmaster@hoabinh.gov.vn", True, MAILDIR),
        ("bi-danh-cua-mta@hoabinh.gov.vn", True, None),
        ("cu@hoabinh.gov.vn", False, None),  # switched off
        ("ai@example.com", True, True),
        ("khach@example.vn", True, True),
        ("khong-phai-dia-chi", False, None),
    ],
)
def test_what_goes_back_to_the_server_in_front(address: str, everything: bool, outside_only: object) -> None:
    back = Target(TargetKind.SMTP, host="127.0.0.1", port=10026)
    ways = [Way("*", SMARTHOST)]
    assert route(address, DIRECTORY, ways, Back(back, True)) == (back if everything else None)
    expected = back if outside_only is True else outside_only
    assert route(address, DIRECTORY, ways, Back(back, False)) == expected
