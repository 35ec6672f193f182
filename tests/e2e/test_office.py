"""One document all the way, with the servers that an agency has: Dovecot for the boxes, Postfix in front and behind."""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.papers import carried, crlf, paper, parsed
from tests.servers.dovecot import Dovecot
from tests.servers.maildir import letters
from tests.servers.postfix import Postfix
from tests.servers.process import LOOPBACK, program, wait_until
from tests.servers.province import add_account, deliver_to
from tests.servers.relay import Relay

pytestmark = [pytest.mark.e2e, pytest.mark.engines]

SENDER, RECEIVER, MINISTRY = "vpubnd@hoabinh.gov.vn", "sotc@hoabinh.gov.vn", "vanthu@bo.example"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as server:
        yield server


@pytest.fixture
def relay(tmp_path: Path, new_store: Callable[[], str]) -> Iterator[Relay]:
    office = Relay(tmp_path / "office", store=new_store())
    yield office
    office.close()
    if office.log.exists():
        print(office.log.read_text()[-6000:])  # shown when the test fails


def inbox(dovecot: Dovecot, user: str) -> list[bytes]:
    """Every mail of an INBOX as an IMAP client gets it."""
    with dovecot.session(user) as client:
        client.select("INBOX", readonly=True)
        found = client.search(None, "ALL")[1][0].split()
        return [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0][1] for number in found]  # type: ignore[index,misc]


def notices(stored: list[bytes], kind: str) -> list[EmailMessage]:
    """The receipts of one kind among mails, by the data file that every receipt carries."""
    found = []
    for raw in stored:
        mail = parsed(raw)
        data = [part for part in mail.walk() if part.get_filename() == "bien-nhan.json"]
        if data and json.loads(data[0].get_content())["kind"] == kind:
            found.append(mail)
    return found


def swaks(relay: Relay, login: str, sender: str, recipient: str, mail: bytes, folder: Path) -> str:
    """Hand a mail in on port 587 as swaks does it, with STARTTLS and AUTH; returns the mail id of the reply."""
    host, port = relay.address("submission")
    file = folder / "mail.eml"
    file.write_bytes(
        re.sub(rb"^\.", b"..", mail, flags=re.MULTILINE) + b"."
    )  # as it stands on the wire; swaks ends the line
    options = ["--server", host, "--port", str(port), "--tls", "--auth", "PLAIN", "--auth-user", login]
    options += [
        "--auth-password",
        relay.stage.password,
        "--from",
        sender,
        "--to",
        recipient,
        "--data",
        f"@{file}",
        "--no-data-fixup",
    ]
    done = subprocess.run([program("swaks"), *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    [mail_id] = re.findall(r"^<~\s+250 2\.0\.0 ([0-9A-Z]{26})\b", done.stdout, re.MULTILINE)
    return str(mail_id)


def settled(relay: Relay, mail_id: str) -> dict[str, Any]:
    """The life of a mail when nothing of it moves any more: no dispatch open, no receipt still to be written."""
    told: dict[str, Any] = {}

    def quiet() -> bool:
        told.update(relay.json("trace", mail_id))
        return told["state"] not in ("pending", "moving") and all(
            r["state"] not in ("due", "queued") for r in told["receipts"]
        )

    wait_until(quiet, f"the end of {mail_id}", 40)
    return told


def test_submission_reaches_dovecot_the_books_and_the_sender(relay: Relay, dovecot: Dovecot, tmp_path: Path) -> None:
    for address in (SENDER, RECEIVER):
        deliver_to(relay.folder, address, f"lmtp://{LOOPBACK}:{dovecot.lmtp_port}")
    relay.start()
    mail = paper(SENDER, RECEIVER, "59/KH-UBND", "trao đổi văn bản điện tử", attachment=PDF)
    mail_id = swaks(relay, SENDER, SENDER, RECEIVER, mail, tmp_path)
    life = settled(relay, mail_id)

    assert (life["class"], life["state"], life["door"], life["login"]) == ("document", "done", "submission", "vpubnd")
    assert [(d["recipient"], d["state"]) for d in life["dispatches"]] == [(RECEIVER, "delivered")]
    [stored] = [raw for raw in inbox(dovecot, "sotc") if mail_id.encode() in raw and b"59_KH-UBND.pdf" in raw]
    assert carried(stored, mail)

    books = {(entry["agency"], entry["book"]): entry for entry in life["entries"]}
    assert set(books) == {("ubnd-tinh", "outgoing"), ("sotc", "incoming")}
    assert books["ubnd-tinh", "outgoing"]["code"] == {"number": "59", "notation": "KH-UBND"}
    assert (books["sotc", "incoming"]["status"], books["sotc", "incoming"]["seq"]) == ("01", None)
    accepted = relay.json("register", "accept", str(books["sotc", "incoming"]["id"]))
    assert (accepted["status"], accepted["seq"]) == ("03", 1)

    [sent] = notices(inbox(dovecot, "vpubnd"), "sent")
    assert "59/KH-UBND" in str(sent["Subject"])
    assert parsed(mail)["Message-ID"] in str(sent["References"])
    assert len(notices(inbox(dovecot, "sotc"), "incoming")) == 1


def test_postfix_in_front_and_behind(relay: Relay, dovecot: Dovecot) -> None:
    """A ministry writes through its Postfix; the agency's boxes lie behind another one; a delivery report goes back."""
    with Postfix(mailboxes=(RECEIVER, MINISTRY)) as behind:
        deliver_to(relay.folder, RECEIVER, f"smtp://{LOOPBACK}:{behind.port}")
        relay.add_settings(f'\n[delivery.routes]\n"bo.example" = "smtp://{LOOPBACK}:{behind.port}"\n')
        relay.start()
        with Postfix(relay_to=relay.address("mx")[1], hostname="mail.bo.example") as front:
            mail = paper(MINISTRY, RECEIVER, "1777/BTTTT-ƯDCNTT", "hướng dẫn lộ trình", attachment=PDF)
            with smtplib.SMTP(LOOPBACK, front.port, timeout=30) as client:
                client.sendmail(MINISTRY, [RECEIVER], mail, rcpt_options=["NOTIFY=SUCCESS,FAILURE"])
            stored, notice = sorted(behind.wait_letters(RECEIVER, 2), key=lambda raw: not crlf(raw).endswith(mail))
            [report] = behind.wait_letters(MINISTRY, 1)

    [mail_id] = re.findall(rb"with ESMTPS? id ([0-9A-Z]{26})", stored)
    life = settled(relay, mail_id.decode())
    assert (life["class"], life["state"], life["door"], life["login"]) == ("document", "done", "mx", None)
    assert [(d["recipient"], d["state"]) for d in life["dispatches"]] == [(RECEIVER, "relayed")]
    above = crlf(stored)[: -len(mail)]
    assert crlf(stored).endswith(mail)
    assert len(re.findall(rb"^Received:", above, re.MULTILINE)) == 3
    assert [(e["agency"], e["book"], e["status"]) for e in life["entries"]] == [("sotc", "incoming", "01")]
    assert notices([crlf(notice)], "incoming")
    assert parsed(crlf(report)).get_content_type() == "multipart/report"
    assert parsed(crlf(report))["Return-Path"] == "<>"


def test_a_document_goes_out_through_postfix(relay: Relay, tmp_path: Path) -> None:
    with Postfix(mailboxes=(MINISTRY,)) as behind:
        relay.add_settings(f'\n[delivery.routes]\n"bo.example" = "smtp://{LOOPBACK}:{behind.port}"\n')
        relay.start()
        mail = paper(SENDER, MINISTRY, "60/BC-UBND", "báo cáo quý")
        mail_id = swaks(relay, SENDER, SENDER, MINISTRY, mail, tmp_path)
        [stored] = behind.wait_letters(MINISTRY, 1)
    life = settled(relay, mail_id)
    assert crlf(stored).endswith(mail)
    assert [(d["recipient"], d["state"]) for d in life["dispatches"]] == [(MINISTRY, "relayed")]
    assert [(e["agency"], e["book"]) for e in life["entries"]] == [("ubnd-tinh", "outgoing")]
    wait_until(lambda: notices(relay.mails("vpubnd"), "sent"), "the receipt")


def test_mail_that_the_poller_finds(relay: Relay, dovecot: Dovecot) -> None:
    """`incoming`: already in its box, so it is registered where it lies; `outgoing`: a drop folder whose owner is the sender."""
    dovecot.maildir("yenthuy")
    with dovecot.session("caophong") as client:
        client.create("Gui")
    common = {"host": LOOPBACK, "port": dovecot.port, "tls": "none"}
    incoming = {"name": "den", "user": "yenthuy", "purpose": "incoming", "owner": "yenthuy@hoabinh.gov.vn"}
    outgoing = {
        "name": "di",
        "user": "caophong",
        "purpose": "outgoing",
        "owner": "caophong@hoabinh.gov.vn",
        "folder": "Gui",
    }
    add_account(relay.folder, dovecot.password, **common, **incoming)
    add_account(relay.folder, dovecot.password, **common, **outgoing)
    deliver_to(relay.folder, "yenthuy@hoabinh.gov.vn", "in-place")
    relay.start()

    arrived = paper(MINISTRY, "yenthuy@hoabinh.gov.vn", "1778/BTTTT-CNTT", "thu thập số liệu", attachment=PDF)
    dovecot.deliver("yenthuy", arrived, sender=MINISTRY)
    dropped = paper("caophong@hoabinh.gov.vn", RECEIVER, "12/BC-UBND", "kết quả thực hiện")
    dovecot.append("caophong", "Gui", dropped)

    def found(message: bytes) -> dict[str, Any] | None:
        done = relay.command("trace", "--message-id", str(parsed(message)["Message-ID"]), "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    wait_until(lambda: found(arrived) and found(dropped), "both mails in the log", 40)
    told = [found(mail) for mail in (arrived, dropped)]
    assert told[0] is not None
    assert told[1] is not None
    lives = [settled(relay, life["mail_id"]) for life in told if life]
    assert [(life["class"], life["door"], life["state"]) for life in lives] == [("document", "imap", "done")] * 2
    assert [(e["agency"], e["book"], e["status"]) for e in lives[0]["entries"]] == [("yenthuy", "incoming", "01")]
    assert lives[0]["dispatches"] == []
    assert [raw for raw in inbox(dovecot, "yenthuy") if raw.endswith(arrived)] == [inbox(dovecot, "yenthuy")[0]]

    books = {(e["agency"], e["book"]): e["status"] for e in lives[1]["entries"]}
    assert books == {("caophong", "outgoing"): "registered", ("sotc", "incoming"): "01"}
    [stored] = [raw for raw in relay.mails("sotc") if raw.endswith(dropped)]
    assert carried(stored, dropped)
    wait_until(lambda: notices(relay.mails("caophong"), "sent"), "the receipt of the drop folder's owner")


def test_what_is_refused_at_the_door_leaves_nothing(relay: Relay) -> None:
    relay.start()
    before = len(letters(relay.folder / "data" / "maildir" / "sotc"))
    with relay.client() as stranger, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        stranger.sendmail(MINISTRY, ["ai-do@noi-khac.example"], b"Subject: relay\r\n\r\n")
    assert refused.value.recipients["ai-do@noi-khac.example"][0] == 550
    with relay.client("sotc") as clerk, pytest.raises(smtplib.SMTPSenderRefused):
        clerk.sendmail("sokhdt@hoabinh.gov.vn", [RECEIVER], b"Subject: not mine\r\n\r\n")
    assert len(letters(relay.folder / "data" / "maildir" / "sotc")) == before
    assert relay.json("queue", "list")["dispatches"] == []
