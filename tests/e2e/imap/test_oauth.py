"""Accounts that log in by access tokens, against a real Dovecot that asks an identity provider about each of them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mailrelay.intake.imap.door import ImapDoor
from mailrelay.intake.imap.https import post_form
from mailrelay.intake.imap.source import SourceRefused
from mailrelay.intake.imap.tokens import Tokens
from mailrelay.model.agency import OauthGrant, SecretRef
from tests.e2e.imap.conftest import Office, mail, until
from tests.servers.certificates import Authority
from tests.servers.dovecot import Dovecot
from tests.servers.identity import CLIENT, CLIENT_SECRET, IdentityServer

pytestmark = pytest.mark.e2e

GRANT = OauthGrant(
    SecretRef("file", "endpoint"),
    SecretRef("file", "client"),
    SecretRef("file", "refresh"),
    SecretRef("file", "client-secret"),
    scope="https://outlook.office.com/IMAP.AccessAsUser.All offline_access",
)
MODULE = """\
auth_mechanisms = plain login xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {settings}
}}
"""


@pytest.fixture(scope="module")
def identity_server(authority: Authority) -> Iterator[IdentityServer]:
    with IdentityServer(authority.issue("127.0.0.1", "localhost")) as server:
        yield server


@pytest.fixture(scope="module")
def token_dovecot(identity_server: IdentityServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    folder = tmp_path_factory.mktemp("oauth2")
    folder.parent.chmod(0o755)
    settings = folder / "dovecot-oauth2.conf.ext"
    settings.write_text(
        f"introspection_url = {identity_server.introspection}\n"
        "introspection_mode = post\nusername_attribute = username\nactive_attribute = active\nactive_value = true\n"
    )
    with Dovecot(extra=MODULE.format(settings=settings)) as server:
        yield server


class House:
    """An office whose boxes lie on that Dovecot, and what it may read as secrets."""

    def __init__(self, office: Office, identity: IdentityServer, authority: Authority, folder: Path) -> None:
        self.office = office
        self.identity = identity
        self.folder = folder
        self.context = authority.client_context()
        self.secrets = {
            "endpoint": identity.endpoint,
            "client": CLIENT,
            "refresh": "refresh-0",
            "client-secret": CLIENT_SECRET,
        }

    async def open(self) -> ImapDoor:
        async def post(url: str, form: dict[str, str]) -> tuple[int, bytes]:
            return await post_form(url, form, self.context)

        read = lambda ref: self.secrets[ref.name]  # noqa: E731
        self.office.settings["tokens"] = Tokens(read, post, self.folder, self.office.now)
        return await self.office.open()


@pytest.fixture
def house(
    office: Office,
    identity_server: IdentityServer,
    token_dovecot: Dovecot,
    authority: Authority,
    user: str,
    tmp_path: Path,
) -> House:
    office.server = token_dovecot
    identity = identity_server
    identity.user, identity.lifetime, identity.rotates = user, 3600, False
    identity.refresh_tokens = {"refresh-0"}
    for seen in (identity.access_tokens, identity.asked, identity.looked_up):
        seen.clear()
    return House(office, identity, authority, tmp_path / "tokens")


@pytest.mark.parametrize("auth", ["xoauth2", "oauthbearer"])
async def test_one_token_serves_many_logins(
    house: House, user: str, auth: str, capfd: pytest.CaptureFixture[str]
) -> None:
    house.office.account(user, auth=auth, password=None, oauth=GRANT)
    house.office.server.append(user, "INBOX", mail("one"))
    door = await house.open()
    await door.poll(user)
    assert await house.office.endings(user) == {1: "taken"}
    house.office.server.admin("kick", user)
    await until(lambda: not door.states()[0].connected)
    house.office.server.append(user, "INBOX", mail("two"))
    await until(lambda: len(house.office.clerk.taken) == 2)
    assert house.identity.looked_up == [True, True], "two logins"
    (form,) = house.identity.asked
    assert (form["grant_type"], form["scope"]) == ("refresh_token", GRANT.scope)
    said = "".join(capfd.readouterr())
    assert "imap-token-fetched" in said
    for secret in (*house.identity.access_tokens, "refresh-0", CLIENT_SECRET):
        assert secret not in said


async def test_a_token_given_by_hand(house: House, user: str) -> None:
    house.identity.access_tokens.add("made-by-hand")
    house.office.account(user, auth="xoauth2")
    house.office.password = "made-by-hand"
    await (await house.open()).poll(user)
    await house.office.doors[0].close()
    house.office.password = "ran-out-last-week"
    with pytest.raises(SourceRefused, match="AUTHENTICATIONFAILED"):
        await (await house.open()).poll(user)
    assert house.identity.looked_up == [True, False], "nobody can make another one"


async def test_the_next_token_is_fetched_before_the_old_one_ends(house: House, user: str) -> None:
    house.identity.lifetime = 900
    house.office.account(user, auth="xoauth2", password=None, oauth=GRANT)
    door = await house.open()
    await door.poll(user)
    await door.close()
    house.office.skip(timedelta(minutes=9))
    door = house.office.doors[0]
    await door.start()
    await door.poll(user)
    await door.close()
    assert len(house.identity.asked) == 1
    house.office.skip(timedelta(minutes=2))
    await door.start()
    await door.poll(user)
    assert len(house.identity.asked) == 2
    assert all(house.identity.looked_up), "no login failed for it"


async def test_a_token_that_the_server_refuses_is_renewed_once(house: House, user: str) -> None:
    """Revoked before its time: a new password, a security event."""
    house.office.account(user, auth="xoauth2", password=None, oauth=GRANT)
    door = await house.open()
    await door.poll(user)
    await door.close()
    house.office.skip(timedelta(minutes=2))
    house.identity.access_tokens.clear()
    await door.start()
    await door.poll(user)
    assert house.identity.looked_up == [True, False, True]
    assert len(house.identity.asked) == 2


async def test_a_server_that_refuses_every_token_is_not_asked_in_a_circle(house: House, user: str) -> None:
    house.identity.user = "somebody-else"  # the tokens are good, but not for this box
    house.office.account(user, auth="xoauth2", password=None, oauth=GRANT)
    door = await house.open()
    with pytest.raises(SourceRefused, match="AUTHENTICATIONFAILED"):
        await door.poll(user)
    with pytest.raises(SourceRefused, match="AUTHENTICATIONFAILED"):
        await door.poll(user)
    assert len(house.identity.asked) == 1, "a token made a second ago is not the reason"


async def test_a_refresh_token_that_was_revoked(house: House, user: str, capfd: pytest.CaptureFixture[str]) -> None:
    house.identity.refresh_tokens.clear()
    house.office.account(user, auth="xoauth2", password=None, oauth=GRANT)
    door = await house.open()
    with pytest.raises(SourceRefused, match="token endpoint: invalid_grant"):
        await door.poll(user)
    assert door.states()[0].last_fault == "token endpoint: invalid_grant"
    assert house.identity.looked_up == [], "nobody was bothered without a token"
    assert "refresh-0" not in "".join(capfd.readouterr()), "a description may repeat what was sent"
    house.secrets["refresh"] = "refresh-1"  # the administrator has logged in again
    house.identity.refresh_tokens = {"refresh-1"}
    await door.poll(user)


async def test_a_changed_refresh_token_outlives_a_restart(house: House, user: str) -> None:
    house.identity.rotates = True
    house.office.account(user, auth="xoauth2", password=None, oauth=GRANT)
    await (await house.open()).poll(user)
    await house.office.doors[0].close()
    (kept,) = house.folder.iterdir()
    assert (kept.stat().st_mode & 0o777, house.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    first = kept.read_text()
    assert {first} == house.identity.refresh_tokens
    await (await house.open()).poll(user)
    assert [form["refresh_token"] for form in house.identity.asked] == ["refresh-0", first]


async def test_an_endpoint_that_cannot_prove_who_it_is_hears_nothing(house: House, user: str) -> None:
    house.context = ssl.create_default_context()  # which does not know the test's authority
    house.office.account(user, auth="xoauth2", password=None, oauth=GRANT)
    door = await house.open()
    with pytest.raises(Exception, match=r"(?i)certificate"):
        await door.poll(user)
    assert house.identity.asked == []
