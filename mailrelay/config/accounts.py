"""Reads the accounts of `imap_accounts` in mailboxes.yaml."""

from __future__ import annotations

from collections.abc import Callable

from mailrelay.config import forms
from mailrelay.config.marks import Node
from mailrelay.config.table import Table
from mailrelay.model.agency import ImapAccount, OauthGrant, Purpose, SecretRef

MISSING = SecretRef("file", "missing")  # stands where a problem was noted


def read_account(table: Table, address: Callable[[Node], str]) -> ImapAccount:
    """One account; what is wrong with it goes to the table's problems."""
    password, oauth = _credentials(table)
    purpose = table.choice("purpose", tuple(Purpose), Purpose.INCOMING, required=True)
    tls = table.choice("tls", ("implicit", "starttls", "none"), "implicit")
    account = ImapAccount(
        name=table.text("name", required=True),
        host=table.text("host", required=True),
        port=table.read("port", forms.count, 993 if tls == "implicit" else 143),
        user=table.text("user", required=True),
        password=password,
        purpose=Purpose(purpose),
        owner=table.read("owner", address, "", required=True),
        folder=table.text("folder", "INBOX"),
        done_folder=table.text("done_folder"),
        failed_folder=table.text("failed_folder"),
        tls=tls,
        enabled=table.flag("enabled", True),
        auth=table.choice("auth", ("login", "xoauth2", "oauthbearer"), "login"),
        oauth=oauth,
    )
    if oauth and account.auth == "login":
        table.problems.add(
            table.node, "oauth cần auth: xoauth2 hoặc oauthbearer", "oauth needs auth: xoauth2 or oauthbearer"
        )
    table.close()
    return account


def _credentials(table: Table) -> tuple[SecretRef | None, OauthGrant | None]:
    """A password (or a token that somebody else renews), or how tokens are fetched: one of the two."""
    given = table.table("oauth")
    password = table.read("password", _secret_or_none, None, required=given is None)
    if given is None:
        return password or MISSING, None
    if password is not None:
        table.problems.add(table.node, "chỉ ghi password hoặc oauth", "either password or oauth, not both")
    grant = OauthGrant(
        token_endpoint=given.read("token_endpoint", forms.secret, MISSING, required=True),
        client_id=given.read("client_id", forms.secret, MISSING, required=True),
        refresh_token=given.read("refresh_token", forms.secret, MISSING, required=True),
        client_secret=given.read("client_secret", _secret_or_none, None),
        scope=given.text("scope"),
    )
    given.close()
    return None, grant


def _secret_or_none(node: Node) -> SecretRef | None:
    return forms.secret(node)
