"""What a look at a box costs, on a Dovecot that counts changes (CONDSTORE) and on one that does not say so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from mailrelay.intake.imap.wire import Wire
from tests.e2e.imap.conftest import Office, ended, mail, until
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.e2e

PLAIN = "imap_capability = IMAP4rev1 LITERAL+ SASL-IR IDLE MOVE UIDPLUS\n"


@pytest.fixture(scope="module", params=["counting", "plain"])
def counting(request: pytest.FixtureRequest) -> Iterator[tuple[Dovecot, bool]]:
    counts = request.param == "counting"
    with Dovecot(extra="" if counts else PLAIN) as server:
        yield server, counts


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that are given, in order."""
    said: list[str] = []
    begin = Wire._begin

    def note(self: Wire, name: str, arguments: tuple[str, ...], *more: object) -> object:
        said.append(" ".join((name, *arguments)))
        return begin(self, name, arguments, *more)

    monkeypatch.setattr(Wire, "_begin", note)
    return said


async def session(office: Office, asked: list[str]) -> list[str]:
    """What one session asks between its log-in and its first IDLE."""
    asked.clear()
    door = await office.open()
    await until(lambda: "IDLE" in asked, 20)
    await door.close()
    said = asked[: asked.index("IDLE")]
    return [word for word in said if not word.startswith(("CAPABILITY", "LOGIN", "AUTHENTICATE"))]


async def test_a_large_box_with_nothing_new(
    office: Office, counting: tuple[Dovecot, bool], user: str, asked: list[str]
) -> None:
    office.server, counts = counting
    office.account(user)
    office.server.place(user, *[mail(f"mail{number}") for number in range(300)])
    await session(office, asked)
    assert len(await office.endings(user)) == 300
    second = await session(office, asked)  # our own marks were changes
    assert any("UNKEYWORD" in word for word in second)
    for _ in range(2):
        quiet = await session(office, asked)
        if counts:
            assert quiet == ['SELECT "INBOX" (CONDSTORE)']
        else:
            assert quiet[0] == 'SELECT "INBOX"'
            assert any("UNKEYWORD" in word for word in quiet)

    # What comes while nobody looks is found, whatever it is that has changed.
    office.server.append(user, "INBOX", mail("new"))
    await session(office, asked)
    assert (await office.endings(user))[301] == "taken"
    office.skip(timedelta(hours=2))
    assert any("UNKEYWORD" in word for word in await session(office, asked)), "no server is believed for ever"


async def test_a_mark_that_was_lost_is_set_again(office: Office, counting: tuple[Dovecot, bool], user: str) -> None:
    """Somebody took our keyword away: a change, so the next comparison sees it."""
    office.server, _ = counting
    office.account(user)
    office.server.append(user, "INBOX", mail("one"))
    door = await office.open()
    await until(lambda: ended(office, user, 1))
    await door.poll(user)
    await door.close()
    with office.server.session(user) as client:
        client.select("INBOX")
        client.uid("STORE", "1", "-FLAGS", "($Registered)")
    await office.open()
    await until(lambda: office.flags(user) == {1: {"$Registered"}}, 20)
    assert len(office.clerk.taken) == 1
