"""A small province for tests: agencies, boxes, groups, and builders of envelopes and contents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from mailrelay.model.agency import Agency, Directory, Group, Level, Mailbox, Role, Target, TargetKind
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.identity import AgencyId
from mailrelay.model.message import Address, Attachment, Content

DOMAIN = "hoabinh.gov.vn"
ARRIVED = datetime(2013, 10, 29, 2, 5, tzinfo=UTC)  # 09:05 on 29 October 2013 in Hòa Bình

_AGENCIES = (
    ("H28.UB", "UBND tỉnh Hòa Bình", Level.PROVINCE, "UBND", None, ("UBND tỉnh",), "vpubnd"),
    ("H28.01", "Văn phòng UBND tỉnh", Level.PROVINCE, "VPUBND", "H28.UB", ("VP.UBND",), "vpubnd"),
    ("H28.02", "Sở Tài chính", Level.PROVINCE, "STC", "H28.UB", (), "sotc"),
    ("H28.03", "Sở Thông tin và Truyền thông", Level.PROVINCE, "STTTT", "H28.UB", (), "sotttt"),
    ("H28.04", "Sở Giáo dục và Đào tạo", Level.PROVINCE, "SGD&ĐT", "H28.UB", ("SGDĐT",), "sogddt"),
    ("H28.05", "Sở Kế hoạch và Đầu tư", Level.PROVINCE, "SKHĐT", "H28.UB", (), "sokhdt"),
    ("H28.21", "UBND huyện Cao Phong", Level.DISTRICT, "UBND", "H28.UB", (), "caophong"),
    ("H28.22", "UBND huyện Đà Bắc", Level.DISTRICT, "UBND", "H28.UB", (), "dabac"),
)


def _target(address: str) -> Target:
    return Target(TargetKind.MAILDIR, path=address)


def _clerk(agency: str, local: str, name: str) -> Mailbox:
    address = f"{local}@{DOMAIN}"
    return Mailbox(address, name, AgencyId(agency), frozenset({Role.CLERK}), _target(address), login=local, shared=True)


def _person(agency: str, local: str, name: str, role: Role = Role.SPECIALIST) -> Mailbox:
    address = f"{local}@{DOMAIN}"
    return Mailbox(address, name, AgencyId(agency), frozenset({role}), _target(address), login=local)


DIRECTORY = Directory(
    domain=DOMAIN,
    agencies=tuple(
        Agency(
            AgencyId(agency),
            name,
            level,
            symbol,
            AgencyId(parent) if parent else None,
            aliases,
            clerk=f"{clerk}@{DOMAIN}",
        )
        for agency, name, level, symbol, parent, aliases, clerk in _AGENCIES
    ),
    mailboxes=(
        _clerk("H28.01", "vpubnd", "Văn thư Văn phòng UBND tỉnh"),
        _clerk("H28.02", "sotc", "Văn thư Sở Tài chính"),
        _clerk("H28.03", "sotttt", "Văn thư Sở Thông tin và Truyền thông"),
        _clerk("H28.04", "sogddt", "Văn thư Sở Giáo dục và Đào tạo"),
        _clerk("H28.05", "sokhdt", "Văn thư Sở Kế hoạch và Đầu tư"),
        _clerk("H28.21", "caophong", "Văn thư UBND huyện Cao Phong"),
        _clerk("H28.22", "dabac", "Văn thư UBND huyện Đà Bắc"),
        _person("H28.02", "annv", "Nguyễn Văn An"),
        _person("H28.02", "binhtt", "Trần Thị Bình", Role.LEADER),
        _person("H28.03", "dungpv", "Phạm Văn Dũng", Role.SECURITY_OFFICER),
    ),
    groups=(
        Group(f"huyen-tp@{DOMAIN}", "UBND các huyện, thành phố", (f"caophong@{DOMAIN}", f"dabac@{DOMAIN}")),
        Group(
            f"so-ban-nganh@{DOMAIN}",
            "Các sở, ban, ngành tỉnh",
            tuple(f"{local}@{DOMAIN}" for local in ("sotc", "sotttt", "sogddt", "sokhdt")),
        ),
    ),
    system_addresses={"postmaster": f"postmaster@{DOMAIN}", "bien-nhan": f"bien-nhan@{DOMAIN}"},
)


def at(local: str) -> str:
    """The address of a local part; a whole address stays as it is."""
    return local if "@" in local or not local else f"{local}@{DOMAIN}"


def an_envelope(
    sender: str = "vpubnd", to: Sequence[str] = ("sotc",), *, login: str | None = "", door: Door = Door.SUBMISSION
) -> Envelope:
    """An envelope; `login` "" means: the sender's own account when the address is local."""
    address = at(sender)
    if login == "":
        box = DIRECTORY.mailbox(address)
        login = box.login if box else None
    return Envelope(address, tuple(Recipient(at(one)) for one in to), Origin(door, peer="192.0.2.7", login=login))


def a_file(name: str, declared: str = "application/pdf", size: int = 250_000) -> Attachment:
    return Attachment(name, (name,), declared, declared, size, hashlib.sha256(name.encode()).hexdigest(), "2")


def a_content(
    subject: str = "",
    text: str = "",
    files: Sequence[str] = (),
    *,
    sender: str = "vpubnd",
    fields: Sequence[tuple[str, str]] = (),
    message_id: str = "<goc-1@hoabinh.gov.vn>",
    in_reply_to: Sequence[str] = (),
) -> Content:
    return Content(
        subject=subject,
        senders=(Address("", at(sender)),),
        message_id=message_id,
        in_reply_to=tuple(in_reply_to),
        fields=tuple(fields),
        text=text,
        attachments=tuple(a_file(name) for name in files),
        body_sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
