"""The connection against servers that misbehave. What a good server does is shown against Dovecot in tests/e2e/imap."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from mailrelay.intake.imap import connection as module
from mailrelay.intake.imap.connection import Connection
from mailrelay.intake.imap.source import BLOCK, Listed, Selected, SourceLost, SourceRefused
from mailrelay.model.agency import ImapAccount, Purpose, SecretRef
from tests.intake.imap.scripted import Dialog, scripted
from tests.servers.certificates import Authority

Script = Callable[[Dialog], Awaitable[None]]
ACCOUNT = ImapAccount(
    "stc", "127.0.0.1", 0, "stc", SecretRef("file", "x"), Purpose.INCOMING, "stc@hoabinh.gov.vn", tls="none"
)


def connect(
    port: int, secret: str = "secret", *, patience: float = 5.0, idle: bool = True, **changes: Any
) -> Connection:
    context = changes.pop("context", None) or ssl.create_default_context()
    return Connection(replace(ACCOUNT, port=port, **changes), secret, context, patience=patience, idle=idle)


class TestLogin:
    async def test_quotes_both_words(self) -> None:
        heard: list[bytes] = []

        async def script(server: Dialog) -> None:
            await server.say(b"* OK ready")
            heard.append(await server.answer(b"* CAPABILITY IMAP4rev1"))
            heard.append(await server.answer())
            heard.append(await server.answer(b"* CAPABILITY IMAP4rev1 IDLE"))
            heard.append(await server.answer(b"* BYE", done=b"OK"))

        async with scripted(script) as port:
            source = connect(port, 'a"b\\c', user="van thu")
            await source.open()
            await source.close()
        assert heard == [b"CAPABILITY", b'LOGIN "van thu" "a\\"b\\\\c"', b"CAPABILITY", b"LOGOUT"]

    async def test_other_letters_go_as_literals(self) -> None:
        heard: list[bytes] = []

        async def script(server: Dialog) -> None:
            await server.say(b"* OK [CAPABILITY IMAP4rev1] ready")
            tag, _, line = (await server.hear()).partition(b" ")
            heard.append(line)
            await server.say(b"+ go on")
            heard.append(await server.hear())
            await server.say(b"+ go on")
            heard.append(await server.hear())
            await server.say(tag + b" OK [CAPABILITY IMAP4rev1] in")
            await server.answer()

        async with scripted(script) as port:
            source = connect(port, "mật khẩu", user="thư")
            await source.open()
            await source.close()
        assert heard == [b"LOGIN {4}", b"th\xc6\xb0 {12}", "mật khẩu".encode()]

    async def test_a_wrong_password_is_refused_and_not_told(self) -> None:
        async def script(server: Dialog) -> None:
            await server.say(b"* OK [CAPABILITY IMAP4rev1] ready")
            await server.answer(done=b"NO [AUTHENTICATIONFAILED] wrong")

        async with scripted(script) as port:
            with pytest.raises(SourceRefused, match="AUTHENTICATIONFAILED") as caught:
                await connect(port, "geheim").open()
        assert "geheim" not in str(caught.value)

    async def test_login_disabled(self) -> None:
        async def script(server: Dialog) -> None:
            await server.say(b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready")
            assert (await server.hear()).endswith(b" LOGOUT")  # no password was said

        async with scripted(script) as port:
            source = connect(port)
            with pytest.raises(SourceRefused, match="LOGIN"):
                await source.open()
            await source.close()

    @pytest.mark.parametrize("initial", [True, False])
    async def test_xoauth2(self, initial: bool) -> None:
        words: list[bytes] = []

        async def script(server: Dialog) -> None:
            offered = b"IMAP4rev1 AUTH=XOAUTH2" + (b" SASL-IR" if initial else b"")
            await server.say(b"* OK [CAPABILITY " + offered + b"] ready")
            tag, _, line = (await server.hear()).partition(b" ")
            if initial:
                words.append(line.removeprefix(b"AUTHENTICATE XOAUTH2 "))
            else:
                assert line == b"AUTHENTICATE XOAUTH2"
                await server.say(b"+ ")
                words.append(await server.hear())
            await server.say(tag + b" OK [CAPABILITY IMAP4rev1] in")
            await server.answer()

        async with scripted(script) as port:
            source = connect(port, "token", auth="xoauth2")
            await source.open()
            await source.close()
        assert base64.b64decode(words[0]) == b"user=stc\x01auth=Bearer token\x01\x01"

    async def test_a_refused_token_is_refused_at_once(self) -> None:
        """The server asks once more before it says NO; aioimaplib never answers and waits for the time-out."""

        async def script(server: Dialog) -> None:
            await server.say(b"* OK [CAPABILITY IMAP4rev1 SASL-IR] ready")
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ eyJzdGF0dXMiOiI0MDEifQ==")
            assert await server.hear() == b""
            await server.say(tag + b" NO invalid token")

        async with scripted(script) as port:
            with pytest.raises(SourceRefused, match="invalid token"):
                await connect(port, "old", auth="xoauth2").open()


class TestLine:
    async def test_nobody_there(self) -> None:
        async def script(server: Dialog) -> None:
            return

        async with scripted(script) as port:
            pass
        with pytest.raises(SourceLost, match=r"(?i)connect"):
            await connect(port).open()

    async def test_a_name_that_does_not_exist(self) -> None:
        with pytest.raises(SourceLost):
            await connect(143, host="no-such-host.invalid").open()

    @pytest.mark.parametrize("greeting", [b"* BYE too many", b"* NO", b"220 smtp.test ESMTP"])
    async def test_an_unfriendly_greeting(self, greeting: bytes) -> None:
        async def script(server: Dialog) -> None:
            await server.say(greeting)
            await server.silence()

        async with scripted(script) as port:
            with pytest.raises(SourceRefused, match="greeting"):
                await connect(port).open()

    async def test_no_greeting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "CONNECT_TIME", 0.2)
        async with scripted(Dialog.silence) as port:
            with pytest.raises(SourceLost, match="in time"):
                await connect(port).open()

    async def test_hangs_up_before_the_greeting(self) -> None:
        async def script(server: Dialog) -> None:
            server.writer.close()

        async with scripted(script) as port:
            with pytest.raises(SourceLost):
                await connect(port).open()

    async def test_clear_text_only_on_loopback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Connection, "peer", "192.0.2.1")

        async def script(server: Dialog) -> None:
            await server.say(b"* OK ready")
            assert await server.hear() == b""

        async with scripted(script) as port:
            with pytest.raises(SourceRefused, match="clear text"):
                await connect(port).open()

    @pytest.mark.parametrize(
        ("address", "found"),
        [
            ("127.0.0.1", True),
            ("127.8.9.1", True),
            ("::1", True),
            ("10.0.0.1", False),
            ("fe80::1%lo", False),
            ("", False),
        ],
    )
    def test_loopback(self, address: str, found: bool) -> None:
        assert module._is_loopback(address) is found

    async def test_a_certificate_that_nobody_vouches_for(self, authority: Authority) -> None:
        pair = authority.issue("localhost", "127.0.0.1")
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0, ssl=pair.server_context())
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(SourceLost, match=r"(?i)certificate"):
                await connect(port, tls="implicit").open()

    async def test_a_certificate_for_another_name(self, authority: Authority) -> None:
        pair = authority.issue("other.test")
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0, ssl=pair.server_context())
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(SourceLost, match=r"(?i)certificate"):
                await connect(port, tls="implicit", context=authority.client_context()).open()


class TestStarttls:
    async def test_not_offered(self) -> None:
        async def script(server: Dialog) -> None:
            await server.say(b"* OK [CAPABILITY IMAP4rev1] ready")
            assert (await server.hear()).endswith(b" LOGOUT")

        async with scripted(script) as port:
            source = connect(port, tls="starttls")
            with pytest.raises(SourceRefused, match="STARTTLS"):
                await source.open()
            await source.close()

    @pytest.mark.parametrize("injected", [b"* CAPABILITY IMAP4rev1\r\n", b"* CAPA", b"x"])
    async def test_clear_text_behind_the_answer_is_a_fault(self, injected: bytes) -> None:
        async def script(server: Dialog) -> None:
            await server.say(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready")
            tag = (await server.hear()).partition(b" ")[0]
            server.writer.write(tag + b" OK begin\r\n" + injected)
            await server.silence()

        async with scripted(script) as port:
            with pytest.raises(SourceLost, match="clear text after STARTTLS"):
                await connect(port, tls="starttls").open()

    async def test_a_server_that_says_we_are_logged_in_already(self) -> None:
        async def script(server: Dialog) -> None:
            await server.say(b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] welcome")
            assert await server.hear() == b""

        async with scripted(script) as port:
            with pytest.raises(SourceRefused, match="PREAUTH"):
                await connect(port, tls="starttls").open()

    async def test_preauth_on_loopback_needs_no_login(self) -> None:
        async def script(server: Dialog) -> None:
            await server.say(b"* PREAUTH [CAPABILITY IMAP4rev1] welcome")
            await server.select(uid_next=9, exists=3)
            await server.answer()

        async with scripted(script) as port:
            source = connect(port)
            await source.open()
            assert await source.select("INBOX") == Selected(7, 9, 3, keywords=True)
            await source.close()


class Selecting:
    """A source that is logged in and has selected; `script` says what the server does then."""

    def __init__(self, script: Script, capabilities: bytes = b"IMAP4rev1 IDLE MOVE UIDPLUS", **options: Any) -> None:
        self._script = script
        self._capabilities = capabilities
        self._options = options

    async def __aenter__(self) -> Connection:
        async def whole(server: Dialog) -> None:
            await server.log_in(self._capabilities)
            await server.select()
            await self._script(server)
            await server.silence()

        self._server = scripted(whole)
        self._source = connect(await self._server.__aenter__(), **self._options)
        await self._source.open()
        await self._source.select("INBOX")
        return self._source

    async def __aexit__(self, *fault: Any) -> None:
        self._source._throw_away("test over")
        await self._server.__aexit__(*fault)


class TestSelect:
    async def select(self, *lines: bytes, done: bytes = b"OK [READ-WRITE] in") -> Selected:
        async def script(server: Dialog) -> None:
            await server.log_in()
            await server.answer(*lines, done=done)
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


class TestLoss:
    async def test_no_answer_throws_the_connection_away(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()

        async with Selecting(script, patience=0.2) as source:
            with pytest.raises(SourceLost, match="no answer to NOOP"):
                await source.since(1)
            with pytest.raises(SourceLost, match="no answer to NOOP"):  # a late answer cannot be mistaken
                await source.since(1)

    async def test_hang_up_wakes_a_waiter_at_once(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            server.writer.transport.abort()

        async with Selecting(script) as source:
            began = time.monotonic()
            with pytest.raises(SourceLost):
                await source.since(1)
            assert time.monotonic() - began < 1

    async def test_hang_up_wakes_a_sleeper_at_once(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(b"+ idling")
            server.writer.transport.abort()

        async with Selecting(script) as source:
            began = time.monotonic()
            with pytest.raises(SourceLost):
                await source.wait(60)
            assert time.monotonic() - began < 1

    async def test_hang_up_wakes_a_sleeper_without_idle(self) -> None:
        async def script(server: Dialog) -> None:
            await asyncio.sleep(0.1)
            server.writer.transport.abort()

        async with Selecting(script, b"IMAP4rev1") as source:
            with pytest.raises(SourceLost):
                await source.wait(60)

    async def test_goodbye(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(b"+ idling", b"* BYE shutting down")

        async with Selecting(script) as source:
            with pytest.raises(SourceLost, match="goodbye"):
                await source.wait(60)

    async def test_silent_death_is_found_at_the_end_of_idle(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(b"+ idling")

        async with Selecting(script, patience=0.3) as source:
            began = time.monotonic()
            with pytest.raises(SourceLost, match="no answer to IDLE"):
                await source.wait(0.2)
            assert time.monotonic() - began < 2

    async def test_an_answer_to_another_command(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(b"ZZZ9 OK what")

        async with Selecting(script) as source:
            with pytest.raises(SourceLost, match="not given"):
                await source.since(1)

    async def test_an_endless_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mailrelay.intake.imap.wire.REPLY_LIMIT", 100)

        async def script(server: Dialog) -> None:
            await server.hear()
            await server.say(*[b"* 1 FETCH (FLAGS ())"] * 200)

        async with Selecting(script) as source:
            with pytest.raises(SourceLost, match="endless answer"):
                await source.since(1)

    async def test_cancelled_in_a_command(self) -> None:
        async def script(server: Dialog) -> None:
            await server.hear()

        async with Selecting(script) as source:
            task = asyncio.create_task(source.since(1))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(SourceLost, match="cancelled"):
                await source.since(1)

    async def test_before_open_and_after_close(self) -> None:
        source = connect(1)
        await source.close()
        with pytest.raises(SourceLost):
            await source.since(1)


class TestIdle:
    async def test_the_bell(self) -> None:
        async def script(server: Dialog) -> None:
            assert await server.hear() != b""
            await server.say(b"+ idling", b"* 3 EXISTS")
            assert await server.hear() == b"DONE"
            await server.say(server.heard[-2].partition(b" ")[0] + b" OK")
            await server.answer()
            await server.answer(b"* SEARCH 3")
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ idling")
            assert await server.hear() == b"DONE"
            await server.say(tag + b" OK")

        async with Selecting(script) as source:
            began = time.monotonic()
            await source.wait(60)
            assert time.monotonic() - began < 2
            assert await source.since(3) == (3,)
            began = time.monotonic()
            await source.wait(0.2)
            assert time.monotonic() - began >= 0.2

    async def test_what_is_announced_while_leaving_idle_is_not_lost(self) -> None:
        """RFC 2177: EXISTS may come between DONE and the tagged OK. The search that follows sees it, so no second bell."""

        async def script(server: Dialog) -> None:
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ idling")
            assert await server.hear() == b"DONE"
            await server.say(b"* 3 EXISTS", tag + b" OK")
            await server.answer()
            await server.answer(b"* SEARCH 9")

        async with Selecting(script) as source:
            await source.wait(0.1)
            assert await source.since(9) == (9,)

    async def test_what_is_announced_during_a_pass_ends_the_next_wait(self) -> None:
        async def script(server: Dialog) -> None:
            await server.answer()
            await server.answer(b"* SEARCH", b"* 4 EXISTS")
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ idling")
            assert await server.hear() == b"DONE"
            await server.say(tag + b" OK")

        async with Selecting(script) as source:
            await source.since(1)
            async with asyncio.timeout(2):
                await source.wait(60)

    async def test_idle_that_is_refused_is_not_ended(self) -> None:
        """The bell has rung already: DONE sent too early would be an unknown command."""

        async def script(server: Dialog) -> None:
            await server.answer(b"* SEARCH", b"* 4 EXISTS")
            tag = (await server.hear()).partition(b" ")[0]
            await asyncio.sleep(0.1)
            await server.say(tag + b" NO not today")
            assert await server.answer(b"* SEARCH") == b"UID SEARCH UID 1:5"

        async with Selecting(script) as source:
            await source.since(1, 5)
            await source.wait(5)
            await source.since(1, 5)

    async def test_idle_that_is_never_agreed_to(self) -> None:
        async with Selecting(Dialog.silence, patience=0.2) as source:
            with pytest.raises(SourceLost, match="no answer to IDLE"):
                await source.wait(60)

    async def test_flags_that_others_change_do_not_ring(self) -> None:
        """A burst of 1,000 lines kills aioimaplib's protocol."""

        async def script(server: Dialog) -> None:
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ idling", *[b"* %d FETCH (FLAGS (\\Seen))" % n for n in range(1, 3001)])
            assert await server.hear() == b"DONE"
            await server.say(tag + b" OK")

        async with Selecting(script) as source:
            began = time.monotonic()
            await source.wait(0.5)
            assert 0.5 <= time.monotonic() - began < 2

    async def test_ring(self) -> None:
        async def script(server: Dialog) -> None:
            tag = (await server.hear()).partition(b" ")[0]
            await server.say(b"+ idling")
            assert await server.hear() == b"DONE"
            await server.say(tag + b" OK")

        async with Selecting(script) as source:
            asyncio.get_running_loop().call_later(0.1, source.ring)
            async with asyncio.timeout(2):
                await source.wait(60)

    @pytest.mark.parametrize(("capabilities", "idle"), [(b"IMAP4rev1", True), (b"IMAP4rev1 IDLE", False)])
    async def test_without_idle(self, capabilities: bytes, idle: bool) -> None:
        async def script(server: Dialog) -> None:
            assert (await server.hear()).endswith(b" UID SEARCH UID 1:9")

        async with Selecting(script, capabilities, idle=idle, patience=0.2) as source:
            began = time.monotonic()
            await source.wait(0.2)
            assert time.monotonic() - began >= 0.2
            with pytest.raises(SourceLost):
                await source.since(1, 9)

    async def test_idle_that_is_announced_and_refused(self) -> None:
        async def script(server: Dialog) -> None:
            assert await server.answer(done=b"NO not today") == b"IDLE"
            assert await server.answer() == b"NOOP"
            assert await server.answer(b"* SEARCH") == b"UID SEARCH UID 1:*"

        async with Selecting(script) as source:
            await source.wait(0.1)
            await source.wait(0.1)
            assert await source.since(1) == ()

    async def test_idle_is_asked_for_again_before_a_firewall_forgets(self) -> None:
        assert module.IDLE_LIMIT <= 9 * 60
