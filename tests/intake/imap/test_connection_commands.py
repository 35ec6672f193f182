"""SELECT, SEARCH, FETCH and MOVE against servers that misbehave."""

from __future__ import annotations

import pytest

from mailrelay.intake.imap.source import BLOCK, Listed, Selected, SourceLost, SourceRefused
from tests.intake.imap.scripted import Dialog, Selecting, connect, scripted


class TestSelect:
    async def select(self, *lines: bytes, done: bytes = b"OK [READ-WRITE] in") -> Selected:
        async def script(server: Dialog) -> None:
            await server.log_in()
            await server.answer(*lines, done=done)
            if not any(b"UIDNEXT" in line for line in lines):
                assert await server.answer(done=b"NO") == b'STATUS "&ARAA4w- &AREBAw-ng k&AP0-" (UIDNEXT)'
            await server.silence()

        async with scripted(script) as port:
            source = connect(port)
            await source.open()
            try:
                return await source.select("Đã đăng ký")
            finally:
                source._throw_away("test over")

    async def test_read_only(self) -> None:
        found = await self.select(b"* OK [UIDVALIDITY 3] x", b"* OK [PERMANENTFLAGS ()] x", done=b"OK [READ-ONLY] in")
        assert found == Selected(3, 0, 0, keywords=False, read_only=True)

    async def test_no_keywords(self) -> None:
        found = await self.select(b"* OK [UIDVALIDITY 3] x", b"* OK [PERMANENTFLAGS (\\Seen \\Deleted)] x")
        assert not found.keywords

    async def test_our_keyword_alone(self) -> None:
        found = await self.select(b"* OK [UIDVALIDITY 3] x", b"* OK [PERMANENTFLAGS (\\Seen $Registered)] x")
        assert found.keywords

    @pytest.mark.parametrize(
        ("value", "modseq"), [(b"715194045007", 715194045007), (b"0", 0), (b"-1", 0), (b"9" * 19, 0), (b"9" * 40, 0)]
    )
    async def test_how_often_it_was_changed(self, value: bytes, modseq: int) -> None:
        found = await self.select(b"* OK [UIDVALIDITY 3] x", b"* OK [HIGHESTMODSEQ " + value + b"] x")
        assert found.modseq == modseq

    async def test_condstore_is_asked_for_where_it_is_offered_and_given_up_where_it_is_not_known(self) -> None:
        async def script(server: Dialog) -> None:
            known = (b"* OK [UIDVALIDITY 3] x", b"* OK [UIDNEXT 1] x")
            await server.log_in(b"IMAP4rev1 CONDSTORE")
            assert await server.answer(done=b"BAD too many arguments") == b'SELECT "INBOX" (CONDSTORE)'
            for _ in range(2):
                assert await server.answer(*known, done=b"OK in") == b'SELECT "INBOX"'
            assert await server.answer(done=b"NO no such folder") == b'SELECT "INBOX"'

        async with scripted(script) as port:
            source = connect(port)
            await source.open()
            assert (await source.select("INBOX")).modseq == 0
            await source.select("INBOX")
            with pytest.raises(SourceRefused, match="no such folder"):
                await source.select("INBOX")
            source._throw_away("test over")

    async def test_a_server_that_does_not_tell_the_next_uid_is_asked(self) -> None:
        async def script(server: Dialog) -> None:
            await server.log_in()
            await server.answer(b"* OK [UIDVALIDITY 3] x")
            assert await server.answer(b'* STATUS "INBOX" (UIDNEXT 815)') == b'STATUS "INBOX" (UIDNEXT)'

        async with scripted(script) as port:
            source = connect(port)
            await source.open()
            assert (await source.select("INBOX")).uid_next == 815
            source._throw_away("test over")

    async def test_no_lasting_uids(self) -> None:
        with pytest.raises(SourceRefused, match="lasting"):
            await self.select(b"* 3 EXISTS")

    async def test_no_such_folder(self) -> None:
        with pytest.raises(SourceRefused, match="SELECT: NO"):
            await self.select(done=b"NO nowhere")


class TestCommands:
    async def test_search_drops_what_was_not_asked_for(self) -> None:
        async def script(server: Dialog) -> None:
            assert await server.answer(b"* 5 EXISTS") == b"NOOP"
            assert await server.answer(b"* SEARCH 4") == b"UID SEARCH UID 50:*"
            assert await server.answer(b"* SEARCH 60 49 51 51 70", b"* 9 EXISTS") == b"UID SEARCH UID 50:60"

        async with Selecting(script) as source:
            assert await source.since(50) == ()
            assert await source.since(50, 60) == (51, 60)

    async def test_list_passes_over_what_others_do(self) -> None:
        async def script(server: Dialog) -> None:
            command = await server.answer(
                b"* 1 FETCH (UID 5 RFC822.SIZE 100 FLAGS (\\Seen))",
                b"* 9 FETCH (UID 90 FLAGS ($X))",
                b"* 9 FETCH (FLAGS ($X))",
                b"* 2 FETCH (UID 6 FLAGS ())",
                b"* 2 FETCH (RFC822.SIZE 7 UID 6)",
                b"* 3 EXPUNGE",
            )
            assert command == b"UID FETCH 5:6,90 (UID RFC822.SIZE FLAGS)"

        async with Selecting(script) as source:
            assert await source.list([5, 6, 90]) == (Listed(5, 100, frozenset({"\\Seen"})), Listed(6, 7, frozenset()))

    async def test_block(self) -> None:
        async def script(server: Dialog) -> None:
            command = await server.answer(
                b"* 1 FETCH (FLAGS (\\Seen) UID 5)", b"* 1 FETCH (BODY[]<0> {4}", b"ab)\r UID 5)"
            )
            assert command == b"UID FETCH 5 (UID BODY.PEEK[]<0.%d>)" % BLOCK
            await server.answer(b'* 1 FETCH (UID 5 BODY[]<4> "")')
            await server.answer(b'* 1 FETCH (UID 6 BODY[]<4> "x")', b'* 1 FETCH (UID 5 BODY[]<0> "y")')
            await server.answer(b"* 1 FETCH (UID 5 BODY[]<0> NIL)")

        async with Selecting(script) as source:
            assert await source.block(5, 0) == b"ab)\r"
            assert await source.block(5, 4) == b""
            assert await source.block(5, 4) is None
            assert await source.block(5, 0) is None

    async def test_a_server_that_ignores_the_size_of_a_block(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(b"* 1 FETCH (UID 5 BODY[] {100000000}")

        async with Selecting(script) as source:
            with pytest.raises(SourceLost, match="larger piece"):
                await source.block(5, 0)

    async def test_move_makes_the_folder(self) -> None:
        async def script(server: Dialog) -> None:
            name = b'"&ARAA4w- &AREBAw-ng k&AP0-"'
            assert await server.answer(done=b"NO [TRYCREATE] no folder") == b"UID MOVE 5:6 " + name
            assert await server.answer() == b"CREATE " + name
            assert await server.answer(done=b"NO no") == b"SUBSCRIBE " + name
            assert await server.answer(b"* OK [COPYUID 1 5:6 1:2] moved") == b"UID MOVE 5:6 " + name

        async with Selecting(script) as source:
            await source.move([5, 6], "Đã đăng ký")

    async def test_without_move(self) -> None:
        async def script(server: Dialog) -> None:
            assert await server.answer() == b'UID COPY 5 "x"'
            assert await server.answer() == b"UID STORE 5 +FLAGS.SILENT (\\Deleted)"
            assert await server.answer() == b"UID EXPUNGE 5"

        async with Selecting(script, b"IMAP4rev1 UIDPLUS") as source:
            await source.move([5], "x")

    async def test_nothing_is_expunged_blindly(self) -> None:
        async def script(server: Dialog) -> None:
            assert await server.answer() == b"UID STORE 5 +FLAGS.SILENT ($Registered)"

        async with Selecting(script, b"IMAP4rev1") as source:
            with pytest.raises(SourceRefused, match="neither"):
                await source.move([5], "x")
            await source.mark([5], "$Registered")

    @pytest.mark.parametrize("folder", ["", "a\r\nA1 LOGOUT"])
    async def test_impossible_folders(self, folder: str) -> None:
        async def script(server: Dialog) -> None:
            assert await server.hear() == b""

        async with Selecting(script) as source:
            with pytest.raises(SourceRefused, match="folder"):
                await source.move([5], folder)
