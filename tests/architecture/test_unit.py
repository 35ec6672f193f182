"""The systemd unit starts the service that exists, and is as closed as we say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main

from mailrelay.cli.main import app

UNIT = Path(__file__).resolve().parent.parent.parent / "systemd" / "mailrelay.service"
MOST_EXPOSED = 1.5


def test_the_unit_starts_a_command_that_exists() -> None:
    [words] = re.findall(r"^ExecStart=\S+/mailrelay (\S+) (--\S+) /etc/mailrelay$", UNIT.read_text(), re.MULTILINE)
    command = typer.main.get_command(app).commands[words[0]]  # type: ignore[attr-defined]
    assert any(words[1] in parameter.opts for parameter in command.params)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed on this machine")
def test_the_unit_is_closed() -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT],
        capture_output=True,
        text=True,
        timeout=60,
    )
    [exposure] = re.findall(r"Overall exposure level for mailrelay\.service: ([0-9.]+)", told.stdout)
    assert float(exposure) <= MOST_EXPOSED, told.stdout


def test_the_folders_of_secrets_that_the_unit_is_given_are_made_at_the_installation() -> None:
    """systemd starts no service for which a credential is missing."""
    guide = (UNIT.parent.parent / "docs" / "administration.md").read_text("utf-8")
    folders = re.findall(r"^LoadCredential=\w+:(\S+)$", UNIT.read_text(), re.MULTILINE)
    [made] = re.findall(r"^install -d -m 700 (.+)$", guide, re.MULTILINE)
    assert set(folders) <= set(made.split())
    assert "/etc/mailrelay/secrets/tls" in folders and 'key = "secrets/tls/' in guide
