"""Taking one mail from servers that are odd. `Source` is a double for such a server."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrelay.intake.imap import taking as module
from mailrelay.intake.imap.ledger import Ending, Ledger, Place
from mailrelay.intake.imap.marked import Marked
from mailrelay.intake.imap.source import Listed, SourceRefused
from mailrelay.intake.imap.taking import Alongside, Fetched, Gates, House, NotNow, Share, Taking, Unreadable
from mailrelay.intake.smtp.limits import Limits
from mailrelay.intake.smtp.quota import Quota
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.agency import Directory, ImapAccount, Purpose, SecretRef
from mailrelay.model.envelope import Envelope
from mailrelay.model.message import Message, MessageState
from mailrelay.model.record import MailRecord
from mailrelay.spool import Draft, Spool
from mailrelay.store import Store, Transaction, messages

OWNER = "stc@hoabinh.gov.vn"
PLACE = Place("INBOX", 7, 0)
RAW = b"From: a@x.vn\r\nTo: b@x.vn\r\nSubject: s\r\n\r\n" + bytes(range(256)) * 8


class Source:
    """Hands out one mail in blocks; `size` is what it claims, `beyond` what it says behind the end."""

    peer = "192.0.2.1"

    def __init__(
        self, raw: bytes = RAW, *, beyond: bytes | None = b"", gone_at: int | None = None, still: bool = True
    ) -> None:
        self._raw = raw
        self._beyond = beyond
        self._gone_at = gone_at
        self._still = still
        self.asked: list[int] = []

    async def block(self, uid: int, offset: int) -> bytes | None:
        self.asked.append(offset)
        if self._gone_at is not None and offset >= self._gone_at:
            return None
        return self._raw[offset : offset + module.BLOCK] or self._beyond

    async def present(self, uids: list[int]) -> frozenset[int]:
        return frozenset(uids) if self._still else frozenset()


class Desk:
    """An account's taking, and an acceptor whose answer is set by the test."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        purpose: Purpose = Purpose.INCOMING,
        size_limit: int = 10_000,
        share: Callable[[str], Share] | None = None,
    ) -> None:
        self.store = store
        self.spool = Spool(folder / "spool", now=lambda: datetime.now(UTC))
        self.answer = Acceptance(None)
        self.state = MessageState.DONE
        self.in_transaction = True
        self.ours: set[str] = set()
        self.compared: list[Marked] = []
        self.unreadable: list[Unreadable] = []
        account = ImapAccount("stc", "imap.test", 993, "stc", SecretRef("file", "x"), purpose, OWNER)
        self.ledger = Ledger(store, "stc")
        house = House(
            store,
            self.spool.draft,
            self.accept,
            lambda: Directory("hoabinh.gov.vn", (), ()),
            self.delivered_by_us,
            lambda tx, found: self.unreadable.append(found),
            size_limit,
            Gates(4, 2),
            share,
        )
        self.taking = Taking(account, house, self.ledger)

    async def delivered_by_us(self, found: Marked, owner: str) -> bool:
        assert owner == OWNER
        self.compared.append(found)
        return bool(self.ours.intersection(found.mail_ids))

    async def accept(self, envelope: Envelope, draft: Draft, *, alongside: Alongside | None = None) -> Acceptance:
        assert alongside is not None
        message = Message(draft.mail_id, envelope, draft.finish(), draft.size, datetime.now(UTC))
        answer = Acceptance(draft.mail_id, self.answer.refusal, repeated=self.answer.repeated)

        def enter(tx: Transaction) -> None:
            messages.insert(tx, MailRecord(message, self.state))
            alongside(tx, answer)

        if self.in_transaction:
            await self.store.write(enter, durable=[draft.path])
        return answer

    def files(self) -> list[Path]:
        return list(self.spool._root.rglob("*.eml"))

    async def take(self, source: Source, mail: Listed, place: Place = PLACE) -> Ending | None:
        found = await self.taking.fetch(source, place, mail)  # type: ignore[arg-type]
        return await self.taking.settle(place, found) if isinstance(found, Fetched) else found

    async def endings(self) -> dict[int, Ending]:
        return await self.ledger.endings(PLACE, list(range(1, 10)))


@pytest.fixture
def desk(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(module, "BLOCK", 100)
    return Desk(store, tmp_path)


def listed(size: int = len(RAW), *flags: str) -> Listed:
    return Listed(1, size, frozenset(flags))


class TestBlocks:
    async def test_a_server_whose_size_is_right_is_not_asked_once_more_than_needed(self, desk: Desk) -> None:
        source = Source()
        fetched = await desk.taking.fetch(source, PLACE, listed())  # type: ignore[arg-type]
        assert isinstance(fetched, Fetched)
        assert fetched.draft.path.read_bytes() == RAW
        assert source.asked == list(range(0, len(RAW), 100))

    @pytest.mark.parametrize("claimed", [1, len(RAW) - 1, len(RAW) + 1, 9_999])
    @pytest.mark.parametrize("length", [0, 1, 99, 100, 101, 200, 350])
    async def test_a_size_that_is_a_guess(self, desk: Desk, claimed: int, length: int) -> None:
        """Exchange guesses RFC822.SIZE."""
        raw = RAW[:length]
        if not raw:
            with pytest.raises(SourceRefused, match="hand this mail out"):
                await desk.taking.fetch(Source(raw), PLACE, listed(claimed))  # type: ignore[arg-type]
            return
        fetched = await desk.taking.fetch(Source(raw), PLACE, listed(claimed))  # type: ignore[arg-type]
        assert isinstance(fetched, Fetched)
        assert fetched.draft.path.read_bytes() == raw

    async def test_an_empty_mail(self, desk: Desk) -> None:
        fetched = await desk.taking.fetch(Source(b""), PLACE, listed(0))  # type: ignore[arg-type]
        assert isinstance(fetched, Fetched)
        assert fetched.draft.size == 0

    @pytest.mark.parametrize("beyond", [b"", None])
    async def test_the_end_on_the_border_of_a_block(self, desk: Desk, beyond: bytes | None) -> None:
        fetched = await desk.taking.fetch(Source(RAW[:300], beyond=beyond), PLACE, listed(300))  # type: ignore[arg-type]
        assert isinstance(fetched, Fetched)
        assert fetched.draft.size == 300

    async def test_nil_in_the_middle_of_a_mail_that_is_still_there(self, desk: Desk) -> None:
        with pytest.raises(SourceRefused, match="hand this mail out"):
            await desk.take(Source(gone_at=200), listed())
        assert await desk.endings() == {}
        assert desk.files() == []

    @pytest.mark.parametrize("gone_at", [0, 100, 300])
    async def test_vanished(self, desk: Desk, gone_at: int) -> None:
        assert await desk.take(Source(gone_at=gone_at, still=False), listed()) is Ending.VANISHED
        assert await desk.endings() == {1: Ending.VANISHED}
        assert desk.files() == []

    async def test_a_mail_larger_than_it_was_said_to_be(self, desk: Desk) -> None:
        assert await desk.take(Source(b"x" * 10_100), listed(10)) is Ending.TOO_BIG
        assert desk.files() == []

    async def test_a_mail_that_says_it_is_too_big_is_not_fetched(self, desk: Desk) -> None:
        source = Source()
        assert await desk.take(source, listed(10_001)) is Ending.TOO_BIG
        assert source.asked == []

    @settings(max_examples=40, deadline=None)
    @given(length=st.integers(1, 500), claimed=st.integers(1, 600), beyond=st.sampled_from([b"", None]))
    def test_nothing_is_cut_and_nothing_added(
        self, tmp_path_factory: pytest.TempPathFactory, length: int, claimed: int, beyond: bytes | None
    ) -> None:
        async def fetch() -> None:
            desk = Desk(None, tmp_path_factory.mktemp("spool"))  # type: ignore[arg-type]  # nothing is written
            found = await desk.taking.fetch(Source(RAW[:length], beyond=beyond), PLACE, listed(claimed))  # type: ignore[arg-type]
            assert isinstance(found, Fetched)
            assert found.draft.path.read_bytes() == RAW[:length]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "BLOCK", 50)
            try:
                asyncio.run(fetch())
            except SourceRefused:  # NIL before the size that the server itself had told
                assert beyond is None
                assert length < claimed


class TestAnswers:
    @pytest.mark.parametrize(
        ("answer", "state", "ending"),
        [
            (Acceptance(None), MessageState.DONE, Ending.TAKEN),
            (Acceptance(None), MessageState.PENDING, Ending.TAKEN),
            (Acceptance(None), MessageState.RETURNED, Ending.REFUSED),
            (Acceptance(None, "policy"), MessageState.REJECTED, Ending.REFUSED),
            (Acceptance(None, "a-name-of-the-rule-book"), MessageState.REJECTED, Ending.REFUSED),
            (Acceptance(None, repeated=True), MessageState.DONE, Ending.REPEATED),
        ],
    )
    async def test_ending(self, desk: Desk, answer: Acceptance, state: MessageState, ending: Ending) -> None:
        desk.answer, desk.state = answer, state
        assert await desk.take(Source(), listed()) is ending
        assert await desk.endings() == {1: ending}

    @pytest.mark.parametrize(
        ("answer", "ending"),
        [(Acceptance(None, "policy"), Ending.REFUSED), (Acceptance(None, repeated=True), Ending.REPEATED)],
    )
    async def test_an_answer_without_a_transaction(self, desk: Desk, answer: Acceptance, ending: Ending) -> None:
        desk.answer, desk.in_transaction = answer, False
        assert await desk.take(Source(), listed()) is ending
        assert await desk.endings() == {1: ending}

    @pytest.mark.parametrize("refusal", ["busy", "try-later", "disk-full"])
    async def test_a_refusal_for_now_is_no_end(self, desk: Desk, refusal: str) -> None:
        desk.answer, desk.in_transaction = Acceptance(None, refusal), False
        with pytest.raises(NotNow, match=refusal):
            await desk.take(Source(), listed())
        assert await desk.endings() == {}

    async def test_known_by_its_digest(self, desk: Desk) -> None:
        assert await desk.take(Source(), listed()) is Ending.TAKEN
        assert await desk.take(Source(), Listed(2, len(RAW), frozenset())) is Ending.REPEATED
        assert len(desk.files()) == 1

    async def test_what_was_refused_once_is_refused_without_asking(self, desk: Desk) -> None:
        desk.answer, desk.state = Acceptance(None, "secret-document"), MessageState.REJECTED
        assert await desk.take(Source(), listed()) is Ending.REFUSED
        desk.answer, desk.in_transaction = Acceptance(None, "busy"), False
        assert await desk.take(Source(), Listed(2, len(RAW), frozenset())) is Ending.REFUSED

    async def test_a_drop_folder_knows_old_mails_only_in_a_rescan(self, store: Store, tmp_path: Path) -> None:
        desk = Desk(store, tmp_path, Purpose.OUTGOING)
        for uid, place, ending in (
            (1, PLACE, Ending.TAKEN),
            (2, PLACE, Ending.TAKEN),
            (3, Place("INBOX", 7, 0, known_below=4), Ending.REPEATED),
            (4, Place("INBOX", 7, 0, known_below=4), Ending.TAKEN),
        ):
            assert await desk.take(Source(), Listed(uid, len(RAW), frozenset()), place) is ending

    async def test_a_drop_folder_spends_its_owners_quota(self, store: Store, tmp_path: Path) -> None:
        """Else whoever has the password of the box sends to the world without end."""
        quota = Quota(Limits(quota_recipients=3))
        desk = Desk(store, tmp_path, Purpose.OUTGOING, share=quota.share)
        outside = b"From: stc@hoabinh.gov.vn\r\nTo: a@x.vn, b@x.vn\r\n\r\n"
        inside = b"From: stc@hoabinh.gov.vn\r\nTo: syt@hoabinh.gov.vn\r\n\r\n"

        async def drop(uid: int, raw: bytes) -> Ending | None:
            return await desk.take(Source(raw + b"%d" % uid), Listed(uid, len(raw) + 1, frozenset()))

        desk.answer, desk.in_transaction = Acceptance(None, "busy"), False
        with pytest.raises(NotNow):
            await drop(1, outside)  # what is not taken costs nothing
        desk.answer, desk.in_transaction = Acceptance(None), True
        assert [await drop(uid, raw) for uid, raw in ((1, outside), (2, outside), (3, inside))] == [
            Ending.TAKEN,
            Ending.REFUSED,
            Ending.TAKEN,
        ]
        assert [(found.refusal, found.values) for found in desk.unreadable] == [("quota-exceeded", {"login": OWNER})]
        assert len(desk.files()) == 3, "what was refused leaves nothing in the spool"

    async def test_our_own_mark_needs_our_own_delivery(self, desk: Desk) -> None:
        mail_id = "01JD2M3N4P5Q6R7S8T9V0W1X2Y"
        raw = f"X-Mailrelay-Id: {mail_id}\r\n".encode() + RAW
        desk.ours.add(mail_id)
        source = Source(raw)
        assert await desk.take(source, listed(len(raw))) is Ending.OWN
        assert source.asked == list(range(0, len(raw), 100)), "all of it is compared"
        (found,) = desk.compared
        assert hashlib.sha256(RAW.partition(b"\r\n\r\n")[2]).hexdigest() in found.body_digests
        assert desk.files() == []
        desk.ours.clear()
        assert await desk.take(Source(raw), Listed(2, len(raw), frozenset())) is Ending.TAKEN
