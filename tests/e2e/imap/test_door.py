"""The IMAP door against a real Dovecot: mails come in, each once, by every kind of account."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from mailrelay.model.agency import Purpose
from mailrelay.model.envelope import Door, Recipient
from mailrelay.model.faults import NotFound
from tests.e2e.imap.conftest import DOMAIN, Office, mail, until

pytestmark = pytest.mark.e2e

DROP, DONE, FAILED = "Chờ gửi", "Đã đăng ký", "Không gửi được"
WIRE = {DROP: "Ch&Ht0- g&Hu0-i", DONE: "&ARAA4w- &AREBAw-ng k&AP0-", FAILED: "Kh&APQ-ng g&Hu0-i &AREBsB7j-c"}


def drop_folder(office: Office, user: str, *mails: bytes, flags: str = "") -> None:
    office.account(user, Purpose.OUTGOING, folder=DROP, done_folder=DONE, failed_folder=FAILED)
    with office.server.session(user) as client:
        client.create(f'"{WIRE[DROP]}"')
    office.server.append(user, WIRE[DROP], *mails, flags=flags)


class TestIncoming:
    async def test_taken_once_and_marked(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.deliver(user, mail("one"), mail("two"))
        door = await office.open()
        await door.poll(user)
        await door.poll(user)
        assert [envelope.sender for envelope, _ in office.clerk.taken] == ["sender@example.test"] * 2
        envelope = next(envelope for data, envelope in office.clerk.letters().items() if data.endswith(mail("one")))
        assert envelope.recipients == (Recipient(f"{user}@{DOMAIN}"),)
        assert (envelope.origin.door, envelope.origin.account, envelope.origin.in_place) == (Door.IMAP, user, True)
        assert (envelope.origin.login, envelope.origin.peer) == (None, "127.0.0.1")
        assert await office.endings(user) == {1: "taken", 2: "taken"}
        # The keyword, and never \Seen: that is the clerk's own mark.
        assert office.flags(user) == {1: {"$Registered"}, 2: {"$Registered"}}

    async def test_what_a_person_has_read_is_taken_too(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.append(user, "INBOX", mail("read"), flags="\\Seen \\Flagged")
        await (await office.open()).poll(user)
        assert office.flags(user) == {1: {"\\Seen", "\\Flagged", "$Registered"}}
        assert len(office.clerk.taken) == 1

    async def test_the_bytes_are_the_bytes(self, office: Office, user: str) -> None:
        raw = b"Subject: A1 OK done\r\nX: ((( {5}\r\n\r\n* BYE\r\n)\r\n" + bytes(range(1, 256)).replace(
            b"\r", b""
        ).replace(b"\n", b"")
        raw += b"\r\n.\r\n{99}\r\n"
        office.account(user)
        office.server.append(user, "INBOX", raw, b"\r\n", mail("three"))
        await (await office.open()).poll(user)
        bodies = {data: envelope.body for data, envelope in office.clerk.letters().items()}
        assert bodies == {raw: "8BITMIME", b"\r\n": "7BIT", mail("three"): "8BITMIME"}

    async def test_the_bell_rings(self, office: Office, user: str) -> None:
        office.account(user)
        door = await office.open()
        await door.poll(user)
        office.server.deliver(user, mail("one"))
        await until(lambda: office.clerk.taken, 5)

    async def test_without_idle_a_look_finds_it(self, office: Office, user: str) -> None:
        office.settings |= {"idle": False, "interval": timedelta(milliseconds=200)}
        office.account(user)
        door = await office.open()
        await door.poll(user)
        office.server.deliver(user, mail("one"))
        await until(lambda: office.clerk.taken, 5)

    async def test_a_done_folder(self, office: Office, user: str) -> None:
        office.account(user, done_folder=DONE)
        office.server.append(user, "INBOX", mail("one"), mail("two"), flags="\\Flagged")
        door = await office.open()
        await door.poll(user)
        assert office.flags(user) == {}
        assert office.flags(user, WIRE[DONE]) == {1: {"\\Flagged"}, 2: {"\\Flagged"}}
        with office.server.session(user) as client:
            assert f'"{WIRE[DONE]}"'.encode() in b" ".join(client.lsub()[1])

    async def test_our_own_delivery_is_recognised_and_stays(self, office: Office, user: str) -> None:
        mail_id = "01JD2M3N4P5Q6R7S8T9V0W1X2Y"
        office.account(user, done_folder=DONE)
        ours = mail("ours", f"X-Mailrelay-Id: {mail_id}")
        await office.delivered(mail_id, ours, f"{user}@{DOMAIN}")
        office.server.deliver(user, ours.replace(b"Subject: ", b"X-Spam: no\r\nSubject: [?] "))  # as filters do
        office.server.deliver(f"{user}2", ours)
        office.account(f"{user}2")
        door = await office.open()
        await door.poll(user)
        await door.poll(f"{user}2")
        assert await office.endings(user) == {1: "own"}
        assert office.flags(user) == {1: {"$Registered"}}
        assert await office.endings(f"{user}2") == {1: "taken"}, "a mark of somebody else's delivery proves nothing"
        assert len(office.files()) == 1

    async def test_a_mark_on_another_mail_is_a_forgery_and_the_mail_is_taken(self, office: Office, user: str) -> None:
        """Whoever received a mail of ours knows its mark. Copied, it must never make us pass over somebody's mail."""
        mail_id, owner = "01JD2M3N4P5Q6R7S8T9V0W1X2Y", f"{user}@{DOMAIN}"
        ours = mail("ours", f"X-Mailrelay-Id: {mail_id}")
        await office.delivered(mail_id, ours, owner)
        office.account(user)
        forged = [
            mail("ours", f"X-Mailrelay-Id: {mail_id}", body="Công văn khác"),  # its Message-ID as well
            mail("another", f"X-Mailrelay-Id: {mail_id}"),  # its body as well
            ours.replace(b"Message-ID: <ours@test>\r\n", b""),
            mail("plain", body="x").replace(b"<plain@test>", f"<{mail_id}@{DOMAIN}>".encode()),
        ]
        office.server.append(user, "INBOX", *forged)
        await (await office.open()).poll(user)
        assert await office.endings(user) == dict.fromkeys(range(1, 5), "taken")
        assert office.clerk.letters().keys() == set(forged)

    async def test_a_refused_mail(self, office: Office, user: str) -> None:
        office.account(user, failed_folder=FAILED)
        office.account(f"{user}2")
        office.clerk.refusals["MẬT".encode()] = "secret-document"
        for name in (user, f"{user}2"):
            office.server.append(name, "INBOX", mail("bad", body="MẬT"), mail("good"))
        door = await office.open()
        await door.poll(user)
        await door.poll(f"{user}2")
        assert await office.endings(user) == {1: "refused", 2: "taken"}
        assert office.flags(user) == {2: {"$Registered"}}
        assert office.flags(user, WIRE[FAILED]) == {1: set()}
        assert office.flags(f"{user}2") == {1: {"$Refused"}, 2: {"$Registered"}}
        assert len(office.files()) == 2

    async def test_a_mail_that_is_too_big(self, office: Office, user: str) -> None:
        office.settings["size_limit"] = 100_000
        office.account(user)
        office.server.append(user, "INBOX", mail("big", body="x" * 110_000), mail("small"))
        await (await office.open()).poll(user)
        assert await office.endings(user) == {1: "too-big", 2: "taken"}
        (told,) = office.unreadable
        assert (told.refusal, told.values["limit"], told.account.name) == ("too-big", "0.0954 MB", user)
        assert office.flags(user) == {1: {"$Refused"}, 2: {"$Registered"}}

    @pytest.mark.parametrize("tls", ["implicit", "starttls"])
    async def test_tls(self, office: Office, user: str, tls: str) -> None:
        port = office.server.tls_port if tls == "implicit" else office.server.port
        office.account(user, tls=tls, port=port, host="localhost")
        office.server.deliver(user, mail("one", body="x" * 2_000_000))
        await (await office.open()).poll(user)
        assert len(office.clerk.taken) == 1

    async def test_a_folder_that_may_only_be_read(self, office: Office, user: str) -> None:
        """What cannot be marked is known from the ledger alone."""
        office.server.append(user, "INBOX", mail("one"))
        (office.server.maildir(user) / "dovecot-acl").write_text("owner lr\n")
        office.account(user)
        door = await office.open()
        await door.poll(user)
        await door.poll(user)
        assert await office.endings(user) == {1: "taken"}
        assert len(office.clerk.taken) == 1


class TestOutgoing:
    async def test_the_owner_is_the_sender(self, office: Office, user: str) -> None:
        raw = mail("one", "To: a@x.vn, Sở B <b@x.vn>", "Bcc: c@x.vn", "Cc: =?utf-8?q?A?= <A@x.vn>")
        drop_folder(office, user, raw)
        await (await office.open()).poll(user)
        ((envelope, data),) = office.clerk.taken
        assert envelope.sender == f"{user}@{DOMAIN}"
        assert [recipient.address for recipient in envelope.recipients] == ["a@x.vn", "b@x.vn", "c@x.vn"]
        assert (envelope.origin.login, envelope.origin.in_place) == (f"login-{user}", False)
        assert data == raw
        ((start, end),) = envelope.cuts
        assert raw[start:end] == b"Bcc: c@x.vn\r\n"
        assert office.flags(user, WIRE[DROP]) == {}
        assert office.flags(user, WIRE[DONE]) == {1: set()}

    async def test_recipients_that_are_not_clear_are_refused_and_told(self, office: Office, user: str) -> None:
        drop_folder(
            office, user, mail("one", "To: a@x.vn, Nguyen Van B b@x.vn"), mail("two"), mail("three", "To: c@x.vn")
        )
        await (await office.open()).poll(user)
        assert await office.endings(user) == {1: "refused", 2: "refused", 3: "taken"}
        assert [told.refusal for told in office.unreadable] == ["bad-recipient-address", "no-valid-recipients"]
        assert office.flags(user, WIRE[FAILED]) == {1: set(), 2: set()}
        assert len(office.clerk.taken) == len(office.files()) == 1

    @pytest.mark.parametrize("flag", ["\\Draft", "\\Deleted"])
    async def test_a_draft_waits_until_it_is_none(self, office: Office, user: str, flag: str) -> None:
        drop_folder(office, user, mail("one", "To: a@x.vn"), flags=flag)
        door = await office.open()
        await door.poll(user)
        assert office.clerk.taken == []
        assert await office.endings(user) == {}
        with office.server.session(user) as client:
            client.select(f'"{WIRE[DROP]}"')
            client.uid("STORE", "1", "-FLAGS", f"({flag})")
        await door.poll(user)
        assert len(office.clerk.taken) == 1

    async def test_a_missing_drop_folder_is_made(self, office: Office, user: str) -> None:
        office.account(user, Purpose.OUTGOING, folder=DROP)
        door = await office.open()
        await door.poll(user)
        office.server.append(user, WIRE[DROP], mail("one", "To: a@x.vn"))
        await until(lambda: office.clerk.taken)

    async def test_a_mail_dropped_again_is_sent_again(self, office: Office, user: str) -> None:
        """Whether that makes a second dispatch is the pipeline's rule, not the door's."""
        raw = mail("one", "To: a@x.vn")
        drop_folder(office, user, raw)
        door = await office.open()
        await door.poll(user)
        office.server.append(user, WIRE[DROP], raw)
        await door.poll(user)
        assert len(office.clerk.taken) == 2


class TestAccounts:
    async def test_switched_on_and_off_without_restart(self, office: Office, user: str) -> None:
        office.account(user)
        door = await office.open()
        await door.poll(user)
        assert [state.name for state in door.states()] == [user]
        office.accounts[0] = replace(office.accounts[0], enabled=False)
        await door.tick()
        assert door.states() == ()
        with pytest.raises(NotFound):
            await door.poll(user)
        office.server.deliver(user, mail("one"))
        office.accounts[0] = replace(office.accounts[0], enabled=True, done_folder=DONE)
        await door.tick()
        await until(lambda: office.clerk.taken)
        await door.poll(user)
        assert office.flags(user, WIRE[DONE]) == {1: set()}
        office.accounts.clear()
        await door.tick()
        assert door.states() == ()

    async def test_one_bad_account_never_hurts_the_others(self, office: Office, user: str) -> None:
        office.account("nobody", port=1)
        office.account("lost", host="no-such-host.invalid")
        office.account("typo", folder="Không có")
        office.account("clear", host="192.0.2.1", port=9)
        office.account(user)
        office.server.deliver(user, mail("one"))
        door = await office.open()
        await door.poll(user)
        assert len(office.clerk.taken) == 1
        with pytest.raises(Exception, match="SELECT"):
            await door.poll("typo")
        states = {state.name: state for state in door.states()}
        assert states[user].connected
        assert states[user].last_success is not None
        assert not states["typo"].connected
        assert "SELECT: NO" in states["typo"].last_fault

    async def test_a_secret_that_cannot_be_read(self, office: Office, user: str) -> None:
        office.account(user)
        office.secret_fault = OSError("no such secret")
        office.server.deliver(user, mail("one"))
        door = await office.open()
        with pytest.raises(OSError, match="no such secret"):
            await door.poll(user)
        office.secret_fault = None
        await door.poll(user)
        assert len(office.clerk.taken) == 1

    async def test_a_password_changed_on_the_server(self, office: Office, user: str) -> None:
        office.account(user)
        office.password = "wrong"
        door = await office.open()
        with pytest.raises(Exception, match="AUTHENTICATIONFAILED"):
            await door.poll(user)
        office.password = office.server.password
        await door.poll(user)

    async def test_alarm_after_fifteen_minutes_without_a_look(
        self, office: Office, user: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told: list[tuple[str, str]] = []
        office.settings["on_alarm"] = lambda account, state: told.append((account.name, state.last_fault))
        office.account(user, port=1)
        door = await office.open()
        await until(lambda: door.states()[0].last_fault)
        office.skip(timedelta(minutes=14))
        await door.tick()
        assert "imap-no-successful-poll" not in capsys.readouterr().out
        office.skip(timedelta(minutes=1))
        await door.tick()
        await door.tick()
        assert capsys.readouterr().out.count("imap-no-successful-poll") == 1
        assert door.states()[0].alarmed
        assert [name for name, _ in told] == [user] and told[0][1], "once for each silence, with its reason"
        office.accounts[0] = replace(office.accounts[0], port=office.server.port)
        await door.tick()
        await door.poll(user)
        assert not door.states()[0].alarmed

    async def test_a_tick_rings_an_account_that_waits_too_long(self, office: Office, user: str) -> None:
        office.settings |= {"idle": False, "interval": timedelta(minutes=5)}
        office.account(user)
        door = await office.open()
        await door.poll(user)
        office.server.deliver(user, mail("one"))
        await door.tick()
        await asyncio.sleep(0.2)
        assert office.clerk.taken == []
        office.skip(timedelta(minutes=6))
        await door.tick()
        await until(lambda: office.clerk.taken)

    async def test_nothing_is_left_behind(self, office: Office, user: str) -> None:
        office.account(user)
        door = await office.open()
        await door.poll(user)
        before = asyncio.all_tasks()
        assert any(task.get_name() == f"imap-{user}" for task in before)
        async with asyncio.timeout(3):
            await door.close()
        assert not any(task.get_name().startswith("imap-") for task in asyncio.all_tasks())
        await door.tick()
        assert door.states() == ()
