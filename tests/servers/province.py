"""Changes to an office's files before it starts: where a box is delivered, which boxes are polled."""

from __future__ import annotations

import json
from pathlib import Path


def deliver_to(office: Path, address: str, target: str) -> None:
    """Have a mailbox of mailboxes.yaml delivered elsewhere, for example to `lmtp://127.0.0.1:2424`."""
    _replace(office, f"{{address: {address},", f'{{address: {address}, deliver: "{target}",')


def add_account(office: Path, password: str, **account: str | int) -> None:
    """Add an IMAP account of this name, host, port, user, purpose and owner; its password goes to the secrets folder."""
    secret = office / "secrets" / f"imap-{account['name']}"
    secret.touch(mode=0o600)
    secret.write_text(password)
    row = json.dumps({**account, "password": f"file:{secret.name}"}, ensure_ascii=False)  # JSON is YAML
    _replace(office, "imap_accounts:\n", f"imap_accounts:\n  - {row}\n")


def _replace(office: Path, old: str, new: str) -> None:
    file = office / "mailboxes.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in mailboxes.yaml"
    file.write_text(text.replace(old, new), encoding="utf-8")
