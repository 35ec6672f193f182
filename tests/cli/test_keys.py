"""`keys import|list|expire` against a data folder without a daemon, and through the socket of a running one."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailrelay.cli.demo import stage
from tests.cli.commands import run
from tests.inspection.test_keyring import Smith, smith
from tests.schemas import problems
from tests.servers.relay import Relay

__all__ = ["smith"]
ADDRESS = "sotc@hoabinh.gov.vn"


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="keys") as folder:
        stage.build(Path(folder), 9)
        yield Path(folder)


def told(place: Path, *arguments: str) -> Any:
    done = run("keys", *arguments, "--json", "--config", str(place))
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert problems("keys", value) == []
    return value


def file_of(place: Path, smith: Smith, user_id: str) -> tuple[str, str]:
    finger = smith.make(user_id)
    path = place / f"{finger}.asc"
    path.write_bytes(smith.public(finger))
    return finger, str(path)


def test_import_list_expire_without_a_daemon(place: Path, smith: Smith) -> None:
    finger, path = file_of(place, smith, f"Văn thư <{ADDRESS}>")
    looked = told(place, "import", path, "--agency", "STC", "--dry-run")
    assert (looked["imported"], looked["keys"][0]["fingerprint"]) == (False, finger)
    assert told(place, "list") == {"keys": []}
    imported = told(place, "import", path, "--agency", "Sở Tài chính")
    assert (imported["imported"], imported["keys"][0]["listed"]) == (True, False)
    (listed,) = told(place, "list", "--agency", "STC")["keys"]
    assert (listed["state"], listed["user_ids"]) == ("valid", [f"Văn thư <{ADDRESS}>"])
    (ended,) = told(place, "expire", finger, "--agency", "STC")["keys"]
    assert (ended["state"], ended["ended_at"] is None) == ("ended", False)
    events = json.loads(run("log", "search", "--kind", "configured", "--json", "--config", str(place)).stdout)["events"]
    assert [(event["detail"]["openpgp"], event["detail"]["fingerprints"]) for event in events] == [
        ("expire", [finger]),
        ("import", [finger]),
    ]
    assert ADDRESS not in json.dumps(events)


def test_refusals_say_why_and_change_nothing(place: Path, smith: Smith) -> None:
    finger, path = file_of(place, smith, "x <x@evil.vn>")
    done = run("keys", "import", path, "--agency", "STC", "--config", str(place))
    assert done.returncode == 1
    assert finger in done.stderr and "x@evil.vn" in done.stderr and "--other-addresses" in done.stderr
    assert told(place, "list") == {"keys": []}
    assert told(place, "import", path, "--agency", "STC", "--other-addresses")["imported"] is True
    assert run("keys", "import", str(place / "none"), "--agency", "STC", "--config", str(place)).returncode == 1
    assert run("keys", "import", path, "--agency", "nobody", "--config", str(place)).returncode == 2
    assert run("keys", "expire", "0" * 40, "--agency", "STC", "--config", str(place)).returncode == 1


def test_a_running_daemon_does_it(tmp_path: Path, smith: Smith) -> None:
    relay = Relay(tmp_path / "office")
    relay.start()
    try:
        finger, path = file_of(tmp_path, smith, f"Văn thư <{ADDRESS}>")
        assert told(relay.folder, "import", path, "--agency", "STC")["imported"] is True
        assert [key["fingerprint"] for key in told(relay.folder, "list")["keys"]] == [finger]
    finally:
        relay.stop()


def test_check_tells_of_certificates_by_their_line(place: Path) -> None:
    trust = place / "trust"
    block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    (trust / "bad.pem").write_text(f"# from: 2020-13-01\n# crl: ldap://x\n{block}")
    (trust / "empty.crt").write_text("nothing")
    (trust / "list.crl").write_text("nothing")
    subprocess.run(["openssl", "genrsa", "-out", str(trust / "key.pem"), "2048"], check=True, capture_output=True)
    done = run("check", "--json", "--config", str(place))
    found = json.loads(done.stdout)
    assert (done.returncode, problems("check", found)) == (1, [])
    at = {(problem["file"], problem["line"]) for problem in found["problems"]}
    bad = {("trust/bad.pem", number) for number in (1, 2, 3)}
    assert at == bad | {("trust/key.pem", 1), ("trust/empty.crt", 1), ("trust/list.crl", 1)}


def test_check_tells_of_keys_by_their_line(place: Path, smith: Smith) -> None:
    finger, path = file_of(place, smith, f"Văn thư <{ADDRESS}>")
    lines = (place / "mailboxes.yaml").read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if line.strip() == f"clerk: {ADDRESS}")
    lines.insert(number, f"    openpgp_keys: [{finger}]")
    (place / "mailboxes.yaml").write_text("\n".join(lines) + "\n")

    def found() -> list[tuple[str, int]]:
        told = json.loads(run("check", "--json", "--config", str(place)).stdout)
        return [(problem["file"], problem["line"]) for problem in told["problems"]]

    assert found() == [("mailboxes.yaml", number + 1)]  # listed, and not in the keyring
    assert told(place, "import", path, "--agency", "STC")["keys"][0]["listed"] is True
    assert found() == []
    told(place, "expire", finger, "--agency", "STC")
    assert found() == [("mailboxes.yaml", number + 1)]
