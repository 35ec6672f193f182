"""Bytes, name and rows are on the disk before a client hears 250: seen in the service's own system calls.

Needs ptrace; otherwise skipped with the reason.
"""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest

from tests.crash.mails import NUMBERED, OUTSIDE, size_of
from tests.crash.office import Office
from tests.crash.order import CALLS, broken_promises, read_calls
from tests.crash.syscalls import NoTrace, recorded
from tests.servers.process import wait_until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

LARGE = size_of(3)  # synced in a thread of its own, not by the writer


def hand_in(office: Office, number: int, size: int) -> str:
    """A mail from outside in clear, so that its 250 can be read in the recording; its mail id."""
    lines = b"mot dong van ban\r\n" * (size // 18)
    head = f"From: <{OUTSIDE}>\r\nTo: <{NUMBERED}>\r\nMessage-ID: <order-{number}@bo.example>\r\nSubject: {number}/BC-BO\r\n"
    with office.relay.client() as client:
        client.ehlo()
        for code, text in (client.mail(OUTSIDE), client.rcpt(NUMBERED), client.data(head.encode() + b"\r\n" + lines)):
            if code != 250:
                raise smtplib.SMTPResponseException(code, text)
        return text.decode().split()[1]


def promises_broken(tmp_path: Path, mutant: str = "") -> list[list[str]]:
    """What was missing at the 250 of a small and of a large mail, after one that warmed the house up."""
    with Office(tmp_path / "office", mutant=mutant) as office:
        office.start()
        hand_in(office, 1, 2000)
        wait_until(office.is_at_rest, "rest", 30)
        try:
            with recorded(office.relay.child.pid, CALLS, tmp_path / "calls"):
                mail_ids = [hand_in(office, 2, 2000), hand_in(office, 3, LARGE)]
                wait_until(office.is_at_rest, "rest", 30)
            calls = read_calls(tmp_path / "calls")
        except NoTrace as reason:
            pytest.skip(str(reason))
        return [
            broken_promises(calls, mail_id, office.data / "spool", office.data / "mailrelay.db") for mail_id in mail_ids
        ]


def test_all_is_on_the_disk_before_250(tmp_path: Path) -> None:
    assert promises_broken(tmp_path) == [[], []]


NOT_SYNCED = "the store's log was not synced after the rows were written"
NOT_WRITTEN = "nothing was written to the store after the bytes were safe"


@pytest.mark.parametrize(
    ("mutant", "seen"),
    [
        ("no-file-sync", {"the file was not synced after its last byte"}),
        ("no-folder-sync", {"its folder was not synced after its name was made"}),
        ("no-commit-sync", {NOT_SYNCED}),
        ("reply-before-commit", {NOT_SYNCED, NOT_WRITTEN}),
    ],
)
def test_a_promise_that_is_broken_is_seen(tmp_path: Path, mutant: str, seen: set[str]) -> None:
    broken = promises_broken(tmp_path, mutant)
    assert all(broken), broken
    assert all(set(one) & seen for one in broken), broken
