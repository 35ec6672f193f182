"""Delivery reports end to end in the house: exactly what was asked for (RFC 3461), read back by another parser than ours."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from mailrelay.model.agency import Group
from mailrelay.model.dispatch import DispatchState
from mailrelay.model.envelope import Notify, Recipient
from mailrelay.pipeline.delays import DelayWatch
from tests.pipeline.house import HEALTH, PLANNING, STRANGER, House, blocks_of, paper, text_of

SUCCESS = frozenset({Notify.SUCCESS})
BOTH = frozenset({Notify.SUCCESS, Notify.FAILURE})
FAILURE = frozenset({Notify.FAILURE})
DELAY = frozenset({Notify.DELAY})
NEVER = frozenset({Notify.NEVER})
PLAIN = ["mx.test", "PIPELINING", "8BITMIME", "SIZE 10000000"]  # no DSN
LETTER = b"From: <sotc@hoabinh.gov.vn>\r\nTo: <x@bo.example>\r\nSubject: Trua nay\r\nMessage-ID: <thu@pc>\r\n\r\nAn pho nhe.\r\n"


def refuses(command: str) -> str:
    return "550 5.1.1 no such user" if "khong" in command else "250 2.1.5 ok"


async def reports(house: House, local: str = "sotc") -> dict[str, str]:
    """Recipient -> action, of all reports in a mailbox."""
    told = {}
    for report in house.notices(local, "dsn", "failed"):
        assert report.get_content_type() == "multipart/report"
        assert report["Return-Path"] in (None, "<>")
        for block in blocks_of(report)[1:]:
            recipient = block["Final-Recipient"].partition("; ")[2]
            assert recipient not in told
            told[recipient] = block["Action"]
    return told


async def test_every_wish_at_every_kind_of_next_hop(serve, house: House) -> None:
    able, plain = await serve(rcpt=refuses), await serve(rcpt=refuses, ehlo=PLAIN)
    house.route("able.example", able.target())
    house.route("plain.example", plain.target())
    wishes = {"k": None, "s": SUCCESS, "b": BOTH, "f": FAILURE, "n": NEVER}
    recipients = [
        Recipient(f"{prefix}{letter}@{domain}", notify)
        for domain in ("able.example", "plain.example")
        for prefix in ("co-", "khong-")
        for letter, notify in wishes.items()
    ]
    recipients += [Recipient(PLANNING, BOTH), Recipient(HEALTH, FAILURE)]
    await house.settled(await house.hand_in(paper(1), *recipients))
    failed = {f"khong-{letter}@{domain}": "failed" for domain in ("able.example", "plain.example") for letter in "kbf"}
    relayed = {
        f"co-{letter}@plain.example": "relayed" for letter in "sb"
    }  # what able.example took, able.example reports
    assert await reports(house) == failed | relayed | {PLANNING: "delivered"}
    assert len(house.notices("sotc", "failed")) == 2  # one for each next hop


async def test_parameters_are_passed_on_letter_for_letter(serve, house: House) -> None:
    peer = await serve()
    house.route("bo.example", peer.target())
    wanted = Recipient("A.b@bo.example", BOTH, "rfc822;Van+2BThu@Bo.EXAMPLE")
    await house.settled(await house.hand_in(paper(1), wanted, "c@bo.example", ret="HDRS", envid="QQ+2B59-kH"))
    mail, first, second, *_ = [line for line in peer.commands if line.startswith(("MAIL", "RCPT"))]
    assert mail.endswith(" RET=HDRS ENVID=QQ+2B59-kH")
    assert first == "RCPT TO:<A.b@bo.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Van+2BThu@Bo.EXAMPLE"
    assert second == "RCPT TO:<c@bo.example>"


async def test_a_report_names_envelope_recipient_and_reply(serve, house: House) -> None:
    peer = await serve(rcpt=refuses)
    house.route("bo.example", peer.target())
    wanted = Recipient("khong@bo.example", FAILURE, "rfc822;Van+2BThu@Bo.EXAMPLE")
    await house.settled(await house.hand_in(paper(1), wanted, ret="HDRS", envid="QQ+2B59-kH"))
    (report,) = house.notices("sotc", "failed")
    message, recipient = blocks_of(report)
    assert message["Original-Envelope-Id"] == "QQ+59-kH"
    assert recipient["Original-Recipient"] == "rfc822; Van+Thu@Bo.EXAMPLE"
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert recipient["Remote-MTA"] == "dns; [127.0.0.1]"
    assert report["Auto-Submitted"] == "auto-replied"


@pytest.mark.parametrize(
    ("ret", "body", "kind"),
    [
        ("FULL", "Noi dung.", "message/rfc822"),
        ("FULL", "Nội dung.", "message/rfc822"),
        ("HDRS", "Noi dung.", "text/rfc822-headers"),
        (None, "Noi dung.", "text/rfc822-headers"),
    ],
)
async def test_the_mail_comes_back_whole_where_that_was_asked_for(
    serve, house: House, ret: str | None, body: str, kind: str
) -> None:
    peer = await serve(rcpt=refuses)
    house.route("bo.example", peer.target())
    raw = paper(1, body)
    await house.settled(await house.hand_in(raw, "khong@bo.example", ret=ret))
    (report,) = house.notices("sotc", "failed")
    *_, third = report.iter_parts()
    assert third.get_content_type() == kind
    (stored,) = [mail for mail in house.mails("sotc") if b"X-Mailrelay-Receipt: failed" in mail]
    assert (raw.partition(b"\r\n\r\n")[2] in stored) is (kind == "message/rfc822")
    assert raw.partition(b"\r\n\r\n")[0] in stored


async def test_a_mail_too_big_to_come_back_whole_comes_back_as_its_header(serve, house: House) -> None:
    peer = await serve(rcpt=refuses)
    house.route("bo.example", peer.target())
    await house.settled(await house.hand_in(paper(1, "x" * 70 + "\r\n" * 600_000), "khong@bo.example", ret="FULL"))
    (report,) = house.notices("sotc", "failed")
    *_, third = report.iter_parts()
    assert third.get_content_type() == "text/rfc822-headers"


async def test_a_group_is_reported_as_expanded_and_its_members_success_is_not(house: House) -> None:
    directory = house.snapshot.directory
    group = Group("hai-so@hoabinh.gov.vn", "Hai sở", (PLANNING, HEALTH))
    house.snapshot = replace(house.snapshot, directory=replace(directory, groups=(*directory.groups, group)))
    life = await house.settled(await house.hand_in(paper(1), Recipient(group.address, BOTH)))
    assert await reports(house) == {group.address: "expanded"}
    assert {d.recipient.notify for d in life.dispatches} == {FAILURE}
    assert {d.recipient.orcpt for d in life.dispatches} == {"rfc822;hai-so@hoabinh.gov.vn"}


async def test_the_next_hop_hears_which_address_was_written_where_a_group_was_resolved(serve, house: House) -> None:
    """RFC 3461: ORCPT may be added for the next hop (5.2.1), but stands in no report of ours (6.3 d)."""
    peer = await serve(lmtp=True, rcpt="550 5.1.1 no such user")
    house.deliver_to(HEALTH, peer.target())
    directory = house.snapshot.directory
    group = Group("hai-so@hoabinh.gov.vn", "Hai sở", (PLANNING, HEALTH))
    house.snapshot = replace(house.snapshot, directory=replace(directory, groups=(*directory.groups, group)))
    await house.settled(await house.hand_in(paper(1), Recipient(group.address)))
    (report,) = house.notices("sotc", "failed")
    _, recipient = blocks_of(report)
    assert "Original-Recipient" not in recipient
    assert recipient["Final-Recipient"] == f"rfc822; {HEALTH}"
    assert f"RCPT TO:<{HEALTH}> ORCPT=rfc822;hai-so@hoabinh.gov.vn" in peer.commands


async def test_strangers_get_no_report_unless_their_address_is_proved(serve, house: House) -> None:
    peer = await serve(lmtp=True, rcpt="550 5.1.1 no such user")
    back = await serve()
    house.deliver_to(HEALTH, peer.target())
    house.route("mic.example", back.target())
    raw = paper(1, author="bo@mic.example")
    life = await house.settled(
        await house.hand_in(raw, Recipient(HEALTH, BOTH), sender="bo@mic.example", origin=STRANGER)
    )
    assert [d.state for d in life.dispatches] == [DispatchState.FAILED]
    assert back.taken == []


async def test_the_report_about_a_letter_quotes_its_header_before_the_letter_goes(house: House) -> None:
    acceptance = await house.hand_in(LETTER, Recipient(PLANNING, SUCCESS))
    await house.settled(acceptance)
    (report,) = house.notices("sotc", "dsn")
    *_, third = report.iter_parts()
    assert "Subject: Trua nay" in third.get_payload()
    assert "An pho nhe" not in report.as_string()
    async with asyncio.timeout(5):
        while f"{acceptance.mail_id}.eml" in house.spooled():
            await asyncio.sleep(0.02)


# Delays


async def test_a_delay_is_told_once_with_what_happens_next(serve, house: House) -> None:
    peer = await serve(rcpt="450 4.2.1 busy")
    house.route("bo.example", peer.target())
    wanted = ("a@bo.example", Recipient("b@bo.example", DELAY), Recipient("c@bo.example", NEVER), PLANNING)
    acceptance = await house.hand_in(paper(1), *wanted)
    await house.state(acceptance, DispatchState.DEFERRED, DispatchState.DELIVERED)
    watch = DelayWatch(house.parts)
    house.ahead += timedelta(hours=3, minutes=59)
    assert await watch.look() == 0
    house.ahead += timedelta(minutes=2)
    assert await watch.look() == 1
    assert await watch.look() == 0
    assert await DelayWatch(house.parts).look() == 0  # after a restart
    await house.state(acceptance, DispatchState.DEFERRED, DispatchState.DELIVERED)
    (notice,) = house.notices("sotc", "delayed")
    assert notice.get_content_type() == "multipart/mixed"
    assert "Không cần gửi lại: hệ thống tự thử lại đến" in text_of(notice)
    assert "a@bo.example" in text_of(notice) and "b@bo.example" not in text_of(notice)
    (report,) = house.notices("sotc", "dsn")
    _, recipient = blocks_of(report)
    assert (recipient["Final-Recipient"], recipient["Action"]) == ("rfc822; b@bo.example", "delayed")
    assert "Will-Retry-Until" in recipient


async def test_an_urgent_paper_is_late_after_a_quarter_of_an_hour(serve, house: House) -> None:
    peer = await serve(greeting="421 4.3.2 closed")
    house.route("bo.example", peer.target())
    urgent = paper(1).replace(b"Subject: ", b"Subject: =?utf-8?q?=5BH=E1=BB=8FA_T=E1=BB=90C=5D?= ")
    acceptance = await house.hand_in(urgent, "a@bo.example")
    life = await house.state(acceptance, DispatchState.DEFERRED)
    assert life.dispatches[0].urgency.value == "flash"
    house.ahead += timedelta(minutes=14)
    assert await DelayWatch(house.parts).look() == 0
    house.ahead += timedelta(minutes=2)
    assert await DelayWatch(house.parts).look() == 1


async def test_what_a_person_held_is_not_late(serve, house: House) -> None:
    peer = await serve(rcpt="450 4.2.1 busy")
    house.route("bo.example", peer.target())
    acceptance = await house.hand_in(paper(1), "a@bo.example")
    life = await house.state(acceptance, DispatchState.DEFERRED)

    def hold(tx) -> None:  # type: ignore[no-untyped-def]
        tx.execute("UPDATE dispatch SET state = 'held' WHERE dispatch_id = :id", {"id": life.dispatches[0].dispatch_id})

    await house.parts.store.write(hold)
    house.ahead += timedelta(days=9)
    assert await DelayWatch(house.parts).look() == 0
