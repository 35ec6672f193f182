"""`mailrelay demo --once --json`: an independent recount of the mailboxes by digest, and the named outcome of each mail."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.papers import TRACE, parsed
from tests.servers.maildir import letters

pytestmark = [pytest.mark.e2e, pytest.mark.engines]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[], str]) -> tuple[Path, dict[str, Any]]:
    """The folder that the demo leaves, and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "office"
    command = [sys.executable, "-m", "mailrelay.cli.main", "demo", "--once", "--json", "--dir", str(folder)]
    if url := new_store():
        command += ["--store", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def boxes(folder: Path) -> dict[str, list[bytes]]:
    """Every mailbox of the office by its address, read from the disk."""
    return {f"{box.name}@hoabinh.gov.vn": letters(box) for box in (folder / "data" / "maildir").iterdir()}


def holds(stored: bytes, mail: dict[str, Any]) -> bool:
    """Whether a stored mail ends with the bytes of this digest, under nothing but trace fields."""
    end = stored[-mail["size"] :]
    if len(end) != mail["size"] or hashlib.sha256(end).hexdigest() != mail["sha256"]:
        return False
    return {name.lower() for name in parsed(stored[: -mail["size"]] + b"\r\n")} <= TRACE


def test_every_mail_lies_where_it_was_said_to_lie(office: tuple[Path, dict[str, Any]]) -> None:
    folder, told = office
    found = boxes(folder)
    for mail in told["mails"]:
        said = Counter(d["recipient"] for d in mail["dispatches"] if d["state"] == "delivered")
        lies = Counter(
            {address: n for address, stored in found.items() if (n := sum(holds(raw, mail) for raw in stored))}
        )
        assert lies == said, mail["message_id"]


def test_each_mail_has_its_named_outcome(office: tuple[Path, dict[str, Any]]) -> None:
    mails = office[1]["mails"]
    outcomes = Counter((mail["class"], mail["state"], len(mail["dispatches"])) for mail in mails)
    assert outcomes == {
        ("document", "done", 33): 1,  # the plan to everyone
        ("document", "done", 1): 1,  # the ministry
        ("exchange", "done", 1): 3,  # invitation, its answer, the draft
        ("letter", "done", 1): 2,  # a colleague, a citizen
        ("document", "returned", 0): 1,  # the disguised program
        ("document", "rejected", 0): 1,  # MẬT
    }
    assert office[1]["counts"]["lost"] == 0
    plan = next(mail for mail in mails if len(mail["dispatches"]) == 33)
    assert {entry["status"] for entry in plan["entries"] if entry["book"] == "incoming"} >= {"01", "02", "03"}


def test_the_sender_of_33_gets_few_notices(office: tuple[Path, dict[str, Any]]) -> None:
    """Besides its own slip as one of the 33: one confirmation, and one for the paper that came back."""
    folder, told = office
    plan = next(mail for mail in told["mails"] if len(mail["dispatches"]) == 33)
    notices = [parsed(raw) for raw in boxes(folder)[plan["envelope"]["from"]] if plan["message_id"].encode() in raw]
    data = [part for mail in notices for part in mail.walk() if part.get_filename() == "bien-nhan.json"]
    kinds = Counter(json.loads(part.get_content())["kind"] for part in data)
    assert kinds - Counter({"incoming": 1}) == {"sent": 1, "returned": 1}


def test_of_the_secret_mail_nothing_is_left(office: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = office
    needle = "không được rời máy của người soạn"
    for path in folder.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert needle.encode() not in raw, path
            assert "một việc không gửi qua mạng".encode() not in raw, path
