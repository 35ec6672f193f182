"""Authors that are not who they seem."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailrelay.inspection import sender
from mailrelay.model.agency import Directory
from mailrelay.model.envelope import Door, Envelope
from mailrelay.model.message import Address, Content
from tests.inspection.conftest import envelope


def found(directory: Directory, by: Envelope, name: str, address: str) -> list[str]:
    return [finding.detail for finding in sender.check(by, Content(senders=(Address(name, address),)), directory)]


@pytest.mark.parametrize(
    ("login", "address", "expected"),
    [
        ("vanthu.stc", "vanthu.stc@hoabinh.gov.vn", []),
        ("lan.stc", "VANTHU.STC@hoabinh.gov.vn", []),  # the agency's role box
        ("lan.stc", "vanthu@hoabinh.gov.vn", ["from-differs"]),
        ("lan.stc", "lan@gmail.com", ["from-differs"]),
        (None, "lan@gmail.com", []),
        (None, "vanthu@hoabinh.gov.vn", ["from-differs"]),
    ],
)
def test_the_author_against_the_login(
    directory: Directory, login: str | None, address: str, expected: list[str]
) -> None:
    assert found(directory, envelope(login=login), "", address) == expected


def test_mail_that_lies_in_a_box_already_is_not_judged_by_its_door(directory: Directory) -> None:
    by = envelope(login=None)
    by = replace(by, origin=replace(by.origin, door=Door.IMAP, account="a", in_place=True))
    assert found(directory, by, "", "vanthu@hoabinh.gov.vn") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Nguyễn Thị Lan", []),
        ("Sở Tài chính", ["display-name-imitates"]),
        ("SO TAI CHINH", ["display-name-imitates"]),
        ("Văn thư Sở Tài chính Hòa Bình", ["display-name-imitates"]),
        ("UBND tỉnh Hoà Bình", ["display-name-imitates"]),
        ("Sở Tаi chính", ["display-name-imitates"]),  # Cyrillic а
        ("vanthu@hoabinh.gov.vn", ["display-name-imitates"]),
        ("vanthu@hoabinh.gov.vn (Văn thư)", ["display-name-imitates"]),
        ("Sở Tài chính Hà Nội", ["display-name-imitates"]),  # cannot be told apart by name alone: said, not refused
        ("x@evil.vn", []),
        ("", []),
    ],
)
def test_display_names(directory: Directory, name: str, expected: list[str]) -> None:
    assert found(directory, envelope("x@evil.vn", None), name, "x@evil.vn") == expected


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("hoabinh.gov.vn", []),
        ("stc.hoabinh.gov.vn", []),
        ("hagiang.gov.vn", []),
        ("moit.gov.vn", []),
        ("gmail.com", []),
        ("hoabinh.edu.vn", []),
        ("h0abinh.gov.vn", ["look-alike-domain"]),
        ("hoablnh.gov.vn", ["look-alike-domain"]),
        ("hoabinhh.gov.vn", ["look-alike-domain"]),
        ("haobinh.gov.vn", ["look-alike-domain"]),
        ("hoabinh.g0v.vn", ["look-alike-domain"]),
        ("hoabinh-gov.vn", ["look-alike-domain"]),
        ("hoabinh.gov.vn.evil.com", ["look-alike-domain"]),
        ("hoabinh-gov-vn.com", ["look-alike-domain"]),
        ("hoabinh.gov.com", ["look-alike-domain"]),
        ("mail.hoabinh.gov.com.vn", ["look-alike-domain"]),
        ("hoabinh-gov.com", ["look-alike-domain"]),
        ("h0abinh.gov.org", ["look-alike-domain"]),
        ("hoabinh.com.vn", []),
        ("xahoabinh.gov.com", []),
        ("hоabinh.gov.vn", ["look-alike-domain"]),  # Cyrillic о
        ("hоabinh.gov.vn".encode("idna").decode(), ["look-alike-domain"]),
        ("hoàbinh.gov.vn", ["look-alike-domain"]),
        ("ｈoabinh.gov.vn", ["look-alike-domain"]),
    ],
)
def test_domains(directory: Directory, domain: str, expected: list[str]) -> None:
    by = envelope("x@evil.vn", None)
    assert [slug for slug in found(directory, by, "", f"x@{domain}") if slug != "from-differs"] == expected


def test_each_directory_speaks_for_itself(directory: Directory) -> None:
    """What is made of a directory is kept for the next mail: not when that comes under another one."""
    other = replace(directory, domain="langson.gov.vn", agencies=())
    for _ in range(2):
        assert found(directory, envelope("x@evil.vn", None), "Sở Tài chính", "x@evil.vn") == ["display-name-imitates"]
        assert found(other, envelope("x@evil.vn", None), "Sở Tài chính", "x@evil.vn") == []
        assert found(directory, envelope("x@evil.vn", None), "", "x@1angson.gov.vn") == []
        assert found(other, envelope("x@evil.vn", None), "", "x@1angson.gov.vn") == ["look-alike-domain"]
