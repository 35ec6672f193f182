"""Contract with aioimaplib: the names that `wire` builds on, and each fault that it works around.

A test of the second kind that fails is good news: the fault is gone, and its workaround may go too.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aioimaplib import aioimaplib as library

from tests.intake.imap.scripted import Dialog, scripted


@asynccontextmanager
async def logged_in(script: Callable[[Dialog], Awaitable[None]]) -> AsyncIterator[library.IMAP4]:
    """The library's own client after LOGIN and SELECT."""

    async def whole(server: Dialog) -> None:
        await server.say(b"* OK ready")
        await server.answer(b"* CAPABILITY IMAP4rev1 IDLE MOVE")
        await server.answer()
        await server.select()
        await script(server)
        await server.silence()

    async with scripted(whole) as port:
        client = library.IMAP4("127.0.0.1", port, timeout=2)
        await client.wait_hello_from_server()
        await client.login("a", "b")
        await client.select()
        yield client
        client.protocol.transport.abort()
        await asyncio.sleep(0)


class TestNames:
    """What `wire` takes from the library."""

    async def test_a_protocol_has_the_attributes_that_we_set(self) -> None:
        protocol = library.IMAP4ClientProtocol(asyncio.get_running_loop())
        assert protocol.state == "STARTED"
        assert protocol.pending_sync_command is None
        assert protocol.transport is None
        assert isinstance(protocol._idle_event, asyncio.Event)
        assert protocol.new_tag() != protocol.new_tag()
        protocol.connection_made(asyncio.Transport())
        assert protocol.state == "CONNECTED"

    async def test_a_command_is_written_and_completed(self) -> None:
        command = library.Command("FETCH", "A1", "5", "(UID)", prefix="UID")
        assert str(command) == "A1 UID FETCH 5 (UID)"
        assert str(library.Command("NOOP", "A2")) == "A2 NOOP"
        command.close(b"done", result="OK")
        await command.wait()
        assert (command.response.result, command.response.lines) == ("OK", [b"done"])

    async def test_a_tagged_line_completes_the_pending_command(self) -> None:
        protocol = library.IMAP4ClientProtocol(asyncio.get_running_loop())
        command = protocol.pending_sync_command = library.Command("NOOP", "A1")
        protocol._response_done(b"A1 NO not now")
        await command.wait()
        assert protocol.pending_sync_command is None
        assert (command.response.result, command.response.lines[-1]) == ("NO", b"not now")

    async def test_another_tag_raises(self) -> None:
        protocol = library.IMAP4ClientProtocol(asyncio.get_running_loop())
        protocol.pending_sync_command = library.Command("NOOP", "A1")
        with pytest.raises(library.AioImapException):
            protocol._response_done(b"A9 OK")
        protocol.pending_sync_command = None
        with pytest.raises(library.AioImapException):
            protocol._response_done(b"A9 OK")

    def test_line_ends_in_arguments_are_refused(self) -> None:
        with pytest.raises(ValueError, match="CR and LF"):
            library.Command("SELECT", "A1", "x\r\nA2 LOGOUT", loop=asyncio.new_event_loop())


class TestFaults:
    """Each is worked around; the name of the test in test_connection that shows it stands in the docstring."""

    async def test_a_lost_connection_wakes_nobody(self) -> None:
        """TestLoss.test_hang_up_wakes_a_sleeper_at_once (issues #110, #120)."""

        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(b"+ idling")
            server.writer.transport.abort()

        async with logged_in(script) as client:
            await client.idle_start()
            with pytest.raises(TimeoutError):
                await client.wait_server_push(timeout=0.5)

    async def test_a_command_on_a_lost_connection_waits_for_its_time_out(self) -> None:
        """TestLoss.test_hang_up_wakes_a_waiter_at_once."""

        async def script(server: Dialog) -> None:
            await server.hear()
            server.writer.transport.abort()

        async with logged_in(script) as client:
            client.timeout = 0.5
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await client.noop()

    async def test_a_burst_of_lines_kills_the_protocol(self) -> None:
        """TestIdle.test_flags_that_others_change_do_not_ring (issues #103, #118, #119, #130)."""
        protocol = library.IMAP4ClientProtocol(asyncio.get_running_loop())
        protocol.state = "SELECTED"
        with pytest.raises(RecursionError):
            protocol.data_received(b"".join(b"* %d FETCH (FLAGS ())\r\n" % number for number in range(1500)))

    async def test_stars_are_lost_inside_a_line(self) -> None:
        """test_answers.test_the_body_of_a_mail_that_looks_like_protocol; and we never ask for ENVELOPE."""

        async def script(server: Dialog) -> None:
            await server.answer(b'* 1 FETCH (ENVELOPE ("d" "a * b" NIL))')

        async with logged_in(script) as client:
            response = await client.fetch("1", "ENVELOPE")
            assert b"a b" in response.lines[0]

    async def test_parentheses_in_a_string_swallow_the_next_reply(self) -> None:
        """test_answers.test_fetched, TestCommands.test_search_drops_what_was_not_asked_for (issue #51)."""

        async def script(server: Dialog) -> None:
            await server.answer(b'* 1 FETCH (UID 5 BODY[]<0> ":-(")', b"* 4 EXISTS")

        async with logged_in(script) as client:
            response = await client.fetch("1", "BODY[]<0>")
            assert b"* 4 EXISTS" in response.lines

    async def test_an_abandoned_command_blocks_the_next_of_its_name(self) -> None:
        """TestLoss.test_no_answer_throws_the_connection_away."""

        async def script(server: Dialog) -> None:
            await server.hear()
            await server.answer()

        async with logged_in(script) as client:
            client.timeout = 0.3
            with pytest.raises(TimeoutError):
                await client.noop()
            with pytest.raises(TimeoutError):
                await client.noop()

    async def test_an_unfriendly_greeting_is_not_noticed(self, recwarn: pytest.WarningsRecorder) -> None:
        """TestLine.test_an_unfriendly_greeting."""

        async def script(server: Dialog) -> None:
            await server.say(b"* BYE too many connections")
            await server.silence()

        async with scripted(script) as port:
            client = library.IMAP4("127.0.0.1", port, timeout=0.5)
            quiet = asyncio.get_running_loop()
            quiet.set_exception_handler(lambda loop, context: None)  # its lost task complains to nobody
            with pytest.raises(TimeoutError):
                await client.wait_hello_from_server()
            client.protocol.transport.abort()

    async def test_there_is_no_starttls(self) -> None:
        """TestStarttls, and tests/e2e/imap."""
        assert not hasattr(library.IMAP4, "starttls")
        assert not hasattr(library.IMAP4ClientProtocol, "starttls")

    async def test_select_cannot_ask_for_changes_to_be_counted(self) -> None:
        """TestSelect.test_condstore_is_asked_for_where_it_is_offered_and_given_up_where_it_is_not_known."""
        assert list(inspect.signature(library.IMAP4.select).parameters) == ["self", "mailbox"]

    async def test_there_is_no_oauthbearer(self) -> None:
        """test_login.test_oauthbearer."""
        assert not hasattr(library.IMAP4, "oauthbearer")

    async def test_names_of_folders_are_neither_encoded_nor_quoted(self) -> None:
        """TestCommands.test_move_makes_the_folder."""

        async def script(server: Dialog) -> None:
            assert await server.answer() == "SELECT Đã đăng ký".encode()

        async with logged_in(script) as client:
            await client.select("Đã đăng ký")

    async def test_login_quotes_only_the_password(self) -> None:
        """TestLogin.test_quotes_both_words."""

        async def script(server: Dialog) -> None:
            await server.say(b"* OK ready")
            await server.answer(b"* CAPABILITY IMAP4rev1")
            assert await server.answer() == b'LOGIN van thu "x"'

        async with scripted(script) as port:
            client = library.IMAP4("127.0.0.1", port, timeout=2)
            await client.wait_hello_from_server()
            await client.login("van thu", "x")
            client.protocol.transport.abort()

    async def test_a_refused_token_is_never_answered(self) -> None:
        """TestLogin.test_a_refused_token_is_refused_at_once."""

        async def script(server: Dialog) -> None:
            await server.say(b"* OK ready")
            await server.answer(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2")
            await server.hear()
            await server.say(b"+ eyJzdGF0dXMiOiI0MDEifQ==")
            await server.silence()

        async with scripted(script) as port:
            client = library.IMAP4("127.0.0.1", port, timeout=0.5)
            await client.wait_hello_from_server()
            with pytest.raises(TimeoutError):
                await client.xoauth2("a", "token")
            client.protocol.transport.abort()

    async def test_searches_name_a_charset_that_some_servers_refuse(self) -> None:
        """TestCommands.test_search_drops_what_was_not_asked_for."""

        async def script(server: Dialog) -> None:
            assert await server.answer(b"* SEARCH") == b"UID SEARCH CHARSET utf-8 ALL"

        async with logged_in(script) as client:
            await client.uid_search("ALL")

    async def test_what_is_sent_goes_into_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        """test_wire.test_nothing_of_a_login_is_logged."""

        async def script(server: Dialog) -> None:
            await server.answer()

        async with logged_in(script) as client:
            with caplog.at_level(logging.DEBUG, library.log.name):
                client.protocol.send("A9 AUTHENTICATE PLAIN AGEAc2VjcmV0")
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await asyncio.sleep(1)
            assert "AGEAc2VjcmV0" in caplog.text


def test_each_workaround_has_a_test_that_shows_it() -> None:
    """The docstrings above name them: a fault whose workaround nobody proves any more is found here."""
    written = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    for name, test in vars(TestFaults).items():
        if name.startswith("test_"):
            shown = re.findall(
                r"\btest_[a-z_]+", (test.__doc__ or "").replace("test_answers.", "").replace("test_wire.", "")
            )
            named = [one for one in shown if one not in ("test_login", "test_answers", "test_wire")]
            assert named or "Test" in (test.__doc__ or ""), f"{name} names no test"
            assert all(f"def {one}(" in written for one in named), f"{name}: {named}"
