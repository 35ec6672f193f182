"""The IMAP door against a real Dovecot when things go wrong: nothing is lost and nothing doubled."""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta

import pytest

from mailrelay.intake.imap.connection import Connection
from mailrelay.intake.imap.source import BLOCK
from mailrelay.model.agency import Purpose
from mailrelay.model.faults import StoreFault
from mailrelay.model.identity import MailId
from mailrelay.store import polls
from tests.e2e.imap.conftest import Office, ended, mail, until
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.e2e


class TestLedger:
    async def test_a_crash_before_the_commit(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.append(user, "INBOX", mail("one"), mail("two"))
        reached = asyncio.Event()

        async def hang() -> None:
            reached.set()
            await asyncio.sleep(0.3)
            raise StoreFault("the disk went away")

        office.clerk.before_commit = hang
        door = await office.open()
        await reached.wait()
        await door.close()
        assert await office.endings(user) == {}
        office.clerk.before_commit = None
        await (await office.open()).poll(user)
        assert await office.endings(user) == {1: "taken", 2: "taken"}
        assert len(office.clerk.taken) == 2

    async def test_a_crash_between_commit_and_mark(self, office: Office, user: str) -> None:
        office.account(user, done_folder="Done")
        office.account(f"{user}2")
        for name in (user, f"{user}2"):
            office.server.append(name, "INBOX", mail(f"one-{name}"))
        reached = asyncio.Semaphore(0)

        async def die() -> None:
            reached.release()
            raise OSError("the process died here")

        office.clerk.after_commit = die
        door = await office.open()
        await reached.acquire()
        await reached.acquire()
        await door.close()
        assert office.flags(user) == {1: set()}
        office.clerk.after_commit = None
        door = await office.open()
        await door.poll(user)
        await door.poll(f"{user}2")
        assert len(office.clerk.taken) == 2
        assert office.flags(user) == {}
        assert office.flags(user, "Done") == {1: set()}
        assert office.flags(f"{user}2") == {1: {"$Registered"}}

    async def test_closing_lets_a_mail_be_handed_in_to_the_end(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.append(user, "INBOX", mail("one"), mail("two"))
        reached = asyncio.Event()

        async def slow() -> None:
            reached.set()
            await asyncio.sleep(0.3)

        office.clerk.before_commit = slow
        door = await office.open()
        await reached.wait()
        await door.close()
        endings = await office.endings(user)
        assert endings[1] == "taken"
        assert len(office.clerk.taken) == len(office.files()) == len(endings)

    async def test_a_changed_uidvalidity_doubles_nothing(self, office: Office, own_dovecot: Dovecot, user: str) -> None:
        office.account(user)
        office.account(f"{user}2", Purpose.OUTGOING)
        office.clerk.refusals[b"bad"] = "policy"
        for name in (user, f"{user}2"):
            mails = (
                mail(f"one-{name}", "To: a@x.vn"),
                mail(f"two-{name}", "To: a@x.vn"),
                mail(f"bad-{name}", "To: a@x.vn"),
            )
            own_dovecot.append(name, "INBOX", *mails)
        door = await office.open()
        await door.poll(user)
        await door.poll(f"{user}2")
        await door.close()
        assert len(office.clerk.taken) == 4
        for name in (user, f"{user}2"):
            before = await office.outcomes(name)
            own_dovecot.renew_uidvalidity(name)
            own_dovecot.append(name, "INBOX", mail(f"three-{name}", "To: a@x.vn"))
            door = await office.open()
            await door.poll(name)
            await door.close()
            fresh = {
                uid: ending
                for key, ending in (await office.outcomes(name)).items()
                if key not in before
                for uid in key[1:]
            }
            assert sorted(fresh.values()) == ["refused", "repeated", "repeated", "taken"]
        assert len(office.clerk.taken) == len(office.files()) == 6

    async def test_a_drop_folder_after_a_rescan_takes_repetitions_again(
        self, office: Office, own_dovecot: Dovecot, user: str
    ) -> None:
        office.account(user, Purpose.OUTGOING)
        raw = mail("one", "To: a@x.vn")
        own_dovecot.append(user, "INBOX", raw)
        door = await office.open()
        await door.poll(user)
        await door.close()
        own_dovecot.renew_uidvalidity(user)
        door = await office.open()
        await door.poll(user)
        assert len(office.clerk.taken) == 1
        own_dovecot.append(user, "INBOX", raw)
        await door.poll(user)
        assert len(office.clerk.taken) == 2

    async def test_a_server_restored_from_a_copy_gives_numbers_again(
        self, office: Office, own_dovecot: Dovecot, user: str
    ) -> None:
        """paperless-ngx#8939: the new mail bears a UID that was used for another one."""
        office.account(user)
        own_dovecot.append(user, "INBOX", mail("one"))
        own_dovecot.stop()
        box = own_dovecot.folder / "mail" / user
        shutil.copytree(box, own_dovecot.folder / "copy")
        own_dovecot.start()
        own_dovecot.append(user, "INBOX", mail("two"), mail("three"))
        door = await office.open()
        await door.poll(user)
        await door.close()
        assert await office.endings(user) == {1: "taken", 2: "taken", 3: "taken"}
        own_dovecot.stop()
        shutil.rmtree(box)
        shutil.copytree(own_dovecot.folder / "copy", box)
        own_dovecot.own(box)
        own_dovecot.start()
        own_dovecot.append(user, "INBOX", mail("four"))
        assert sorted(office.flags(user)) == [1, 2]
        door = await office.open()
        await door.poll(user)
        await door.poll(user)
        assert office.clerk.letters().keys() == {mail(name) for name in ("one", "two", "three", "four")}

    async def test_mails_below_the_cursor_are_found(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.append(user, "INBOX", mail("one"), mail("two"), mail("three"))
        with office.server.session(user) as client:
            client.select("INBOX")
            uidvalidity = int(client.untagged_responses["UIDVALIDITY"][0])

        def ahead(tx: object) -> None:
            polls.set_cursor(tx, user, "INBOX", uidvalidity, 3)  # type: ignore[arg-type]
            polls.record(tx, user, "INBOX", uidvalidity, 2, "taken", MailId("m"))  # type: ignore[arg-type]

        await office.store.write(ahead)
        await (await office.open()).poll(user)
        assert office.clerk.letters().keys() == {mail("one"), mail("three")}
        assert office.flags(user) == {uid: {"$Registered"} for uid in (1, 2, 3)}

    async def test_the_same_mail_copied_within_a_box(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.append(user, "INBOX", mail("one"))
        door = await office.open()
        await door.poll(user)
        with office.server.session(user) as client:
            client.select("INBOX")
            client.uid("COPY", "1", "INBOX")
        await door.poll(user)
        assert await office.endings(user) == {1: "taken", 2: "repeated"}
        assert len(office.clerk.taken) == 1


class TestBetween:
    async def test_expunged_between_search_and_fetch(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.append(user, "INBOX", *[mail(f"mail{number}") for number in range(1, 8)])

        def expunge() -> None:
            with office.server.session(user) as client:
                client.select("INBOX")
                client.uid("STORE", "4,6", "+FLAGS", "(\\Deleted)")
                client.expunge()

        office.before_draft[2] = expunge
        await (await office.open()).poll(user)
        assert await office.endings(user) == {n: "vanished" if n in (4, 6) else "taken" for n in range(1, 8)}
        assert len(office.clerk.taken) == len(office.files()) == 5

    async def test_a_file_that_is_gone_on_the_server(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.append(user, "INBOX", *[mail(f"mail{number}") for number in range(1, 7)])

        def remove() -> None:
            box = office.server.maildir(user)
            files = [path for path in (*box.glob("cur/*"), *box.glob("new/*")) if b"mail5" in path.read_bytes()]
            assert len(files) == 1
            files[0].unlink()

        office.before_draft[2] = remove
        await office.open()
        await until(lambda: ended(office, user, 6))
        assert await office.endings(user) == {n: "vanished" if n == 5 else "taken" for n in range(1, 7)}
        assert len(office.clerk.taken) == len(office.files()) == 5

    async def test_expunged_in_the_middle_of_a_large_mail(self, office: Office, user: str) -> None:
        """What was fetched so far is never taken for the whole."""
        office.account(user)
        office.server.append(user, "INBOX", mail("one", body="x" * 3_000_000), mail("two"))
        door = await office.open()
        original = Connection.block

        async def block(self: Connection, uid: int, offset: int) -> bytes | None:
            if offset == 2 * BLOCK:
                with office.server.session(user) as client:
                    client.select("INBOX")
                    client.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
                    client.expunge()
                await self._live.ask("NOOP")
            return await original(self, uid, offset)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Connection, "block", block)
            await door.poll(user)
        assert await office.endings(user) == {1: "vanished", 2: "taken"}
        assert len(office.files()) == 1

    async def test_a_fault_of_the_house_is_tried_again_and_noted_nowhere(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.append(user, "INBOX", mail("one"), mail("two"), mail("three"))
        office.clerk.fault = lambda data: StoreFault("full") if b"two" in data else None
        door = await office.open()
        await door.poll(user)
        assert await office.endings(user) == {1: "taken", 3: "taken"}
        assert office.flags(user) == {1: {"$Registered"}, 2: set(), 3: {"$Registered"}}
        office.clerk.fault = lambda data: None
        await door.poll(user)
        assert await office.endings(user) == {1: "taken", 3: "taken"}, "not before a minute has passed"
        office.skip(timedelta(minutes=1))
        await door.poll(user)
        assert await office.endings(user) == {1: "taken", 2: "taken", 3: "taken"}

    async def test_a_few_poisonous_mails_do_not_block_those_behind_them(self, office: Office, user: str) -> None:
        office.account(user)
        office.server.append(user, "INBOX", *[mail(f"poison{number}") for number in range(7)], mail("good"))
        office.clerk.fault = lambda data: RuntimeError("a bug") if b"poison" in data else None
        door = await office.open()
        async with asyncio.timeout(20):
            while await office.endings(user) != {8: "taken"}:
                try:
                    await door.poll(user)
                except Exception:
                    await asyncio.sleep(0.01)
        assert len(office.files()) == 1

    async def test_a_full_disk_ends_the_session_and_not_the_mail(
        self, office: Office, user: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """paperless-ngx#8329: disk full, marked as processed, never tried again."""
        office.account(user)
        office.server.append(user, "INBOX", *[mail(f"mail{number}") for number in range(5)])
        whole = office.spool.draft

        def full() -> object:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(office.spool, "draft", full)
        door = await office.open()
        with pytest.raises(Exception, match="No space"):
            await door.poll(user)
        assert await office.endings(user) == {}
        await door.close()
        monkeypatch.setattr(office.spool, "draft", whole)
        await (await office.open()).poll(user)
        assert len(await office.endings(user)) == 5
