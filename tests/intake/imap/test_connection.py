"""Log-in, lines and STARTTLS against servers that misbehave. What a good server does is shown in tests/e2e/imap."""

from __future__ import annotations

import asyncio
import base64

import pytest

from mailrelay.intake.imap import connection as module
from mailrelay.intake.imap.connection import Connection
from mailrelay.intake.imap.source import Selected, SourceLost, SourceRefused
from tests.intake.imap.scripted import Dialog, connect, scripted
from tests.servers.certificates import Authority


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
