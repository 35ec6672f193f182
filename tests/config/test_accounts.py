"""Accounts of `imap_accounts`: a password or a way to fetch tokens, secrets by reference alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailrelay.config.office import secrets_of
from mailrelay.model.agency import OauthGrant, SecretRef
from tests.config.test_directory import GOOD, directory_of, problems_of

ACCOUNT = "imap_accounts:\n  - {name: a, host: h, user: u, purpose: incoming, owner: sotttt, %s}\n"
OAUTH = "oauth: {token_endpoint: file:idp/endpoint, client_id: file:idp/client, refresh_token: file:idp/refresh%s}"


def test_a_password(tmp_path: Path) -> None:
    (account,) = directory_of(tmp_path, GOOD + ACCOUNT % "password: file:imap/a").imap_accounts
    assert (account.auth, account.oauth, account.secrets) == ("login", None, (SecretRef("file", "imap/a"),))


def test_a_grant(tmp_path: Path) -> None:
    more = ", client_secret: env:IDP, scope: a b"
    directory = directory_of(tmp_path, GOOD + ACCOUNT % f"auth: oauthbearer, {OAUTH % more}")
    (account,) = directory.imap_accounts
    names = ("endpoint", "client", "refresh")
    refs = tuple(SecretRef("file", f"idp/{name}") for name in names)
    assert account.oauth == OauthGrant(*refs, SecretRef("env", "IDP"), "a b")
    assert account.password is None
    assert set(account.secrets) == {*refs, SecretRef("env", "IDP")} <= set(secrets_of(directory))


def test_the_account_shown_to_admins_loads(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "administration.md"
    (shown,) = re.findall(r"```yml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    (account,) = directory_of(tmp_path, GOOD + shown.replace("yenthuy@hoabinh", "sotttt@hoabinh")).imap_accounts
    assert account.oauth is not None and len(account.secrets) == 4


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("enabled: true", "password"),
        ("auth: xoauth2, password: hunter2", "không ghi bí mật vào tệp này"),
        (f"auth: xoauth2, password: file:x, {OAUTH % ''}", "either password or oauth"),
        (OAUTH % "", "oauth needs auth: xoauth2 or oauthbearer"),
        ("auth: xoauth2, oauth: {client_id: file:x, refresh_token: file:y}", "token_endpoint"),
        ("auth: xoauth2, " + OAUTH % ", refresh: x", "refresh"),
        ("auth: xoauth2, " + OAUTH.replace("file:idp/refresh", "0.AXoA") % "", "không ghi bí mật vào tệp này"),
        ("auth: plain, password: file:x", "auth"),
    ],
)
def test_one_mistake_one_line(tmp_path: Path, written: str, problem: str) -> None:
    problems = problems_of(tmp_path, GOOD + ACCOUNT % written)
    assert any(problem in line for line in problems), problems
    assert "0.AXoA" not in "".join(problems) and "hunter2" not in "".join(problems)
