"""Delivery reports through real Postfixes, in front and behind: what was asked for, by who has the duty, read by another parser."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.e2e.papers import crlf, paper, parsed
from tests.servers.bounces import read_report
from tests.servers.dns import DnsServer
from tests.servers.postfix import Postfix
from tests.servers.process import LOOPBACK, wait_until
from tests.servers.relay import Relay

pytestmark = pytest.mark.e2e

SENDER, RECEIVER, MINISTRY = "vpubnd@hoabinh.gov.vn", "sotc@hoabinh.gov.vn", "vanthu@bo.example"
ENVELOPE = ["RET=HDRS", "ENVID=QQ+2B59-kH"]
WANTED = ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;VanThu+2B1@Bo.Example"]
NEVER = ["NOTIFY=NEVER"]


@pytest.fixture
def relay(tmp_path: Path, new_store: Callable[[], str]) -> Iterator[Relay]:
    with DnsServer({"bo.example": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]}}) as names:
        office = Relay(tmp_path / "office", name_server=names.port, store=new_store())
        yield office
        office.close()
    if office.log.exists():
        print(office.log.read_text()[-6000:])


def route_to(relay: Relay, port: int) -> None:
    """Send the ministry's mail to a next hop from now on: a reload takes it in."""
    relay.add_settings(f'\n[delivery.routes]\n"bo.example" = "smtp://{LOOPBACK}:{port}?tls=none"\n')
    assert relay.reload() == "reloaded"


def submit(relay: Relay, wishes: dict[str, list[str]]) -> None:
    """Hand a paper in on port 587 with the parameters of RFC 3461."""
    mail = paper(SENDER, MINISTRY, "60/BC-UBND", "báo cáo quý")
    with relay.client("vpubnd") as client:
        assert client.mail(SENDER, ENVELOPE)[0] == 250
        for recipient, options in wishes.items():
            assert client.rcpt(recipient, options)[0] == 250
        assert client.data(mail)[0] == 250


def reports(
    relay: Relay, local: str, count: int, limit: float = 40
) -> dict[str, tuple[EmailMessage, dict[str, str], dict[str, str]]]:
    """The delivery reports in a Maildir by Final-Recipient, once there are so many: report, message block, recipient block."""
    told: dict[str, tuple[EmailMessage, dict[str, str], dict[str, str]]] = {}

    def read() -> bool:
        for raw in relay.mails(local):
            report = parsed(raw)
            for part in report.walk():
                if part.get_content_type() == "message/delivery-status":
                    message, *each = [dict(block.items()) for block in part.get_payload()]
                    told.update(
                        {one["Final-Recipient"].partition(";")[2].strip(): (report, message, one) for one in each}
                    )
        return len(told) >= count

    wait_until(read, f"{count} reports for {local}", limit)
    return told


def test_the_next_hop_reports_the_success_and_we_the_failure(relay: Relay) -> None:
    relay.start()
    with Postfix(mailboxes=(MINISTRY,), relay_to=relay.address("mx")[1]) as behind:
        route_to(relay, behind.port)
        wishes = {MINISTRY: WANTED, "khong-co@bo.example": [], "cung-khong@bo.example": NEVER}
        submit(relay, wishes)
        behind.wait_letters(MINISTRY, 1)
        told = reports(relay, "vpubnd", 2)
    assert set(told) == {MINISTRY, "khong-co@bo.example"}
    _, message, recipient = told[MINISTRY]
    assert message["Reporting-MTA"] == "dns; mx.example.test"  # Postfix's own, through our port 25
    assert message["Original-Envelope-Id"] == "QQ+59-kH"
    assert (recipient["Original-Recipient"], recipient["Action"]) == ("rfc822;VanThu+1@Bo.Example", "delivered")
    ours, message, recipient = told["khong-co@bo.example"]
    assert ours.get_content_type() == "multipart/report"
    assert message["Reporting-MTA"] == "dns; mail.hoabinh.gov.vn"
    assert message["Original-Envelope-Id"] == "QQ+59-kH"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert recipient["Diagnostic-Code"].startswith("smtp; 550")
    assert ours["X-Mailrelay-Receipt"] == "failed"


def test_what_a_next_hop_does_not_report_we_report_as_relayed(relay: Relay) -> None:
    relay.start()
    with Postfix(mailboxes=(MINISTRY,), settings={"smtpd_discard_ehlo_keywords": "dsn, silent-discard"}) as behind:
        route_to(relay, behind.port)
        submit(relay, {MINISTRY: WANTED})
        told = reports(relay, "vpubnd", 1)
    report, _, recipient = told[MINISTRY]
    assert (recipient["Action"], recipient["Status"]) == ("relayed", "2.0.0")
    assert recipient["Original-Recipient"] == "rfc822; VanThu+1@Bo.Example"
    assert recipient["Remote-MTA"] == f"dns; [{LOOPBACK}]"
    assert report.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in report.iter_parts()] == [
        "multipart/mixed",
        "message/delivery-status",
        "text/rfc822-headers",
    ]


def test_all_that_rfc_3461_knows_through_postfix_by_other_parsers(relay: Relay) -> None:
    """One mail to seven recipients behind two Postfixes, one with DSN and one without: success, failure, delay, relayed."""
    late = "cham@bo.example"
    deferring = {
        "smtpd_recipient_restrictions": f"check_recipient_access inline:{{{{{late} = 450 4.2.1 later}}}}, permit"
    }
    without = {"smtpd_discard_ehlo_keywords": "dsn, silent-discard"}
    relay.start()
    with (
        Postfix(mailboxes=(MINISTRY, late), relay_to=relay.address("mx")[1], settings=deferring) as able,
        Postfix(mailboxes=("vanthu@tinh.example",), settings=without) as plain,
    ):
        routes = {"bo.example": able.port, "tinh.example": plain.port}
        named = ", ".join(f'"{name}" = "smtp://{LOOPBACK}:{port}?tls=none"' for name, port in routes.items())
        relay.configure({"delivery": {"delayed_after": '"1s"', "routes": f"{{ {named} }}"}})
        assert relay.reload() == "reloaded"
        wishes = {
            MINISTRY: WANTED,
            "khong@bo.example": ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Khong@Bo.Example"],
            "khong2@bo.example": ["NOTIFY=SUCCESS,DELAY"],
            "khong3@bo.example": NEVER,
            late: ["NOTIFY=DELAY"],
            "vanthu@tinh.example": ["NOTIFY=SUCCESS"],
            "khong@tinh.example": [],
        }
        submit(relay, wishes)
        wanted = {
            MINISTRY: ("delivered", "2.0.0", "rfc822;VanThu+1@Bo.Example"),
            "khong@bo.example": ("failed", "5.1.1", "rfc822; Khong@Bo.Example"),
            late: ("delayed", "4.2.1", None),
            "vanthu@tinh.example": ("relayed", "2.0.0", None),
            "khong@tinh.example": ("failed", "5.1.1", None),
        }
        told = reports(relay, "vpubnd", len(wanted), limit=100)  # a look for what is late comes each minute
    found = {name: (one["Action"], one["Status"], one.get("Original-Recipient")) for name, (_, _, one) in told.items()}
    assert found == wanted
    sent = [raw for raw in relay.mails("vpubnd") if parsed(raw).get_content_type() == "multipart/report"]
    assert all(parsed(raw)["Return-Path"] in (None, "<>") for raw in sent)
    # Perl's parser keeps to what did not arrive for good; that nothing else looks like it is as much worth.
    failures = {name: state for name, state in wanted.items() if state[0] == "failed"}
    blamed = [(bounce, each) for bounce, each in map(read_report, sent) if bounce or each]
    assert len(blamed) == len(failures)
    for bounce, each in blamed:
        assert bounce
        for name, one in each.items():
            assert (one["Action"], one["Status"], one["Original-Recipient"] or None) == failures.pop(name)
            assert one["std_reason"] == "user_unknown"
    assert failures == {}


def test_a_ministry_hears_of_the_delivery_into_a_mailbox(relay: Relay) -> None:
    """Its Postfix passes the wish on to us; our report goes back by the route to its domain."""
    relay.start()
    with (
        Postfix(mailboxes=(MINISTRY,)) as home,
        Postfix(relay_to=relay.address("mx")[1], hostname="mail.bo.example") as front,
    ):
        route_to(relay, home.port)
        mail = paper(MINISTRY, RECEIVER, "1777/BTTTT-CNTT", "hướng dẫn lộ trình")
        with smtplib.SMTP(LOOPBACK, front.port, timeout=30) as client:
            client.sendmail(MINISTRY, [RECEIVER], mail, mail_options=ENVELOPE, rcpt_options=["NOTIFY=SUCCESS"])
        [stored] = home.wait_letters(MINISTRY, 1)
    report = parsed(crlf(stored))
    assert (report.get_content_type(), report["Return-Path"]) == ("multipart/report", "<>")
    (status,) = [part for part in report.walk() if part.get_content_type() == "message/delivery-status"]
    message, recipient = status.get_payload()
    assert message["Original-Envelope-Id"] == "QQ+59-kH"
    assert (recipient["Final-Recipient"], recipient["Action"]) == (f"rfc822; {RECEIVER}", "delivered")
    assert recipient["Original-Recipient"] == f"rfc822; {RECEIVER}"  # Postfix added it
