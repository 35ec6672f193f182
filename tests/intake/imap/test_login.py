"""Log-in by tokens against servers that misbehave. Good ones are in tests/e2e/imap/test_oauth.py."""

from __future__ import annotations

import base64

import pytest

from mailrelay.intake.imap.source import SourceRefused
from tests.intake.imap.scripted import Dialog, connect, scripted


class Credential:
    """Gives its words in turn."""

    def __init__(self, *words: str) -> None:
        self.words = list(words)
        self.refused: list[str] = []

    async def current(self) -> str:
        return self.words.pop(0)

    async def renewed(self, refused: str) -> str | None:
        self.refused.append(refused)
        return self.words.pop(0) if self.words else None


GREETING = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER AUTH=XOAUTH2] ready"


@pytest.mark.parametrize("initial", [True, False])
async def test_oauthbearer(initial: bool) -> None:
    words: list[bytes] = []

    async def script(server: Dialog) -> None:
        await server.say(GREETING if initial else GREETING.replace(b"SASL-IR ", b""))
        tag, _, line = (await server.hear()).partition(b" ")
        if initial:
            words.append(line.removeprefix(b"AUTHENTICATE OAUTHBEARER "))
        else:
            assert line == b"AUTHENTICATE OAUTHBEARER"
            await server.say(b"+ ")
            words.append(await server.hear())
        await server.say(tag + b" OK [CAPABILITY IMAP4rev1] in")
        await server.answer()

    async with scripted(script) as port:
        source = connect(port, "token", auth="oauthbearer", user="a=b,c")
        await source.open()
        await source.close()
    plain = f"n,a=a=3Db=2Cc,\x01host=127.0.0.1\x01port={port}\x01auth=Bearer token\x01\x01"
    assert base64.b64decode(words[0]).decode() == plain


@pytest.mark.parametrize(("auth", "leave"), [("xoauth2", b""), ("oauthbearer", b"AQ==")])
async def test_a_refused_token_is_renewed_once_on_the_same_line(auth: str, leave: bytes) -> None:
    async def script(server: Dialog) -> None:
        await server.say(GREETING)
        for result in (b" NO [AUTHENTICATIONFAILED] no", b" OK [CAPABILITY IMAP4rev1] in"):
            tag = (await server.hear()).partition(b" ")[0]
            if b" NO" in result:
                await server.say(b"+ eyJzdGF0dXMiOiI0MDEifQ==")
                assert await server.hear() == leave
            await server.say(tag + result)
        await server.answer()

    credential = Credential("old", "new")
    async with scripted(script) as port:
        source = connect(port, auth=auth, credential=credential)
        await source.open()
        await source.close()
    assert credential.refused == ["old"]


async def test_a_second_refusal_is_the_end() -> None:
    async def script(server: Dialog) -> None:
        await server.say(GREETING)
        await server.answer(done=b"NO authenticate failed")
        await server.answer(done=b"NO authenticate failed")
        assert (await server.hear()).endswith(b"LOGOUT")

    credential = Credential("old", "new", "never")
    async with scripted(script) as port:
        source = connect(port, auth="xoauth2", credential=credential)
        with pytest.raises(SourceRefused):
            await source.open()
        await source.close()
    assert credential.words == ["never"]


@pytest.mark.parametrize("result", [b"NO [UNAVAILABLE] the directory is down", b"NO [LIMIT] too many", b"BAD what"])
async def test_a_fault_that_is_not_the_token_s_renews_nothing(result: bytes) -> None:
    async def script(server: Dialog) -> None:
        await server.say(GREETING)
        await server.answer(done=result)

    credential = Credential("old", "new")
    async with scripted(script) as port:
        with pytest.raises(SourceRefused):
            await connect(port, auth="xoauth2", credential=credential).open()
    assert credential.words == ["new"]


@pytest.mark.parametrize("auth", ["login", "xoauth2", "oauthbearer"])
async def test_a_server_that_repeats_a_secret_does_not_bring_it_into_the_log(auth: str) -> None:
    async def script(server: Dialog) -> None:
        await server.say(GREETING)
        line = await server.hear()
        tag, _, rest = line.partition(b" ")
        await server.say(tag + b' NO geheim"1 in ' + rest)

    async with scripted(script) as port:
        with pytest.raises(SourceRefused) as refused:
            await connect(port, 'geheim"1', auth=auth).open()
    said = str(refused.value)
    assert "geheim" not in said
    assert base64.b64encode(b'auth=Bearer geheim"1').decode()[4:16] not in said
    assert refused.value.__context__ is None or refused.value.__suppress_context__
