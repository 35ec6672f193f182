"""The keyrings of the agencies with a real gpg: what a file of keys shows, what is refused, what importing leaves behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailrelay.inspection.keyring import Key, Keyrings
from mailrelay.model.faults import NotAllowed, NotFound

ADDRESS = "vanthu.stc@hoabinh.gov.vn"
OWN = frozenset((ADDRESS, "lan.stc@hoabinh.gov.vn"))


class Smith:
    """Makes keys of every kind, good and bad, in a GnuPG home with secret keys."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def gpg(self, *arguments: str, data: bytes = b"") -> bytes:
        fixed = ("--homedir", str(self.home), "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback")
        command = ["gpg", *fixed, "--passphrase", "", *arguments]
        return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout

    def make(
        self, user_id: str, algorithm: str = "ed25519", usage: str = "sign", expires: str = "0", *more: str
    ) -> str:
        self.gpg(*more, "--yes", "--quick-generate-key", user_id, algorithm, usage, expires)
        revocations = self.home / "openpgp-revocs.d"  # one file for each key that was made
        return max(revocations.iterdir(), key=lambda path: path.stat().st_mtime_ns).stem

    def public(self, fingerprint: str) -> bytes:
        return self.gpg("--armor", "--export", fingerprint)


@pytest.fixture(scope="module")
def smith() -> Iterator[Smith]:
    home = Path(tempfile.mkdtemp(prefix="smith"))
    yield Smith(home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def rings(tmp_path: Path) -> Keyrings:
    return Keyrings(tmp_path / "keyrings")


def refusal(rings: Keyrings, data: bytes, own: frozenset[str] = OWN, *, other_addresses: bool = False) -> str:
    with pytest.raises(NotAllowed) as refused:
        rings.vet("stc", rings.read(data), own, other_addresses=other_addresses)
    return str(refused.value)


def accepted(rings: Keyrings, data: bytes) -> list[Key]:
    keys = rings.read(data)
    rings.vet("stc", keys, OWN, other_addresses=False)
    rings.add("stc", data)
    return keys


def test_a_key_shows_what_it_is(smith: Smith, rings: Keyrings) -> None:
    finger = smith.make(f"Văn thư Sở Tài chính <{ADDRESS}>", "rsa3072", "sign", "2y")
    (key,) = accepted(rings, smith.public(finger))
    assert (key.fingerprint, key.algorithm, key.bits, key.state) == (finger, "rsa", 3072, "valid")
    assert key.user_ids == (f"Văn thư Sở Tài chính <{ADDRESS}>",)
    assert key.addresses == {ADDRESS}
    assert key.expires_at is not None and key.expires_at.year >= datetime.now(UTC).year + 1
    assert rings.keys("stc") == [key]
    assert rings.keys("sgddt") == []


def test_secret_keys_are_refused_armored_and_binary(smith: Smith, rings: Keyrings) -> None:
    finger = smith.make(f"S <{ADDRESS}>")
    for form in ((), ("--armor",)):
        with pytest.raises(NotAllowed, match="secret"):
            rings.read(smith.gpg(*form, "--export-secret-keys", finger))
    assert not (rings.home("stc") / "pubring.kbx").exists()


@pytest.mark.parametrize(
    ("algorithm", "more", "word"),
    [
        ("rsa1024", (), "2048"),
        ("dsa2048", (), "DSA"),
        ("ed25519", ("--cert-digest-algo", "SHA1"), "SHA-1"),
        ("rsa2048", ("--cert-digest-algo", "RIPEMD160"), "SHA-1"),
    ],
)
def test_weak_keys_are_refused(smith: Smith, rings: Keyrings, algorithm: str, more: tuple[str, ...], word: str) -> None:
    finger = smith.make(f"{algorithm} <{ADDRESS}>", algorithm, "sign", "0", *more)
    told = refusal(rings, smith.public(finger))
    assert word in told and finger in told


def test_a_weak_subkey_for_signing_is_refused(smith: Smith, rings: Keyrings) -> None:
    finger = smith.make(f"sub <{ADDRESS}>", "ed25519", "cert")
    smith.gpg("--quick-add-key", finger, "rsa1024", "sign", "0")
    assert "2048" in refusal(rings, smith.public(finger))


def test_keys_that_cannot_sign_or_have_run_out_are_refused(smith: Smith, rings: Keyrings) -> None:
    encrypting = smith.make(f"cert <{ADDRESS}>", "ed25519", "cert")
    assert "cannot be used to sign" in refusal(rings, smith.public(encrypting))
    old = smith.make(f"old <{ADDRESS}>", "ed25519", "sign", "20200701T000000", "--faked-system-time", "20200101T000000")
    assert "expired" in refusal(rings, smith.public(old))


def test_other_addresses_need_a_word(smith: Smith, rings: Keyrings) -> None:
    for user_id in ("x@evil.vn", "Sở Tài chính", f"{ADDRESS} <x@evil.vn>", f"<{ADDRESS}.evil.vn>"):
        finger = smith.make(user_id)
        told = refusal(rings, smith.public(finger))
        assert "--other-addresses" in told
        rings.vet("stc", rings.read(smith.public(finger)), OWN, other_addresses=True)


def test_a_second_user_id_of_another_is_seen(smith: Smith, rings: Keyrings) -> None:
    finger = smith.make(f"two <{ADDRESS}>")
    smith.gpg("--quick-add-uid", finger, "x <x@evil.vn>")
    assert "x@evil.vn" in refusal(rings, smith.public(finger))


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n", os.urandom(500), b"x" * 300_000]
)
def test_what_is_no_file_of_keys_is_refused(rings: Keyrings, data: bytes) -> None:
    with pytest.raises(NotAllowed):
        rings.read(data)


def test_one_bad_key_among_good_ones_refuses_the_file(smith: Smith, rings: Keyrings) -> None:
    good, bad = smith.make(f"good <{ADDRESS}>"), smith.make("bad <x@evil.vn>")
    told = refusal(rings, smith.public(good) + smith.public(bad))
    assert bad in told and good not in told


def test_a_revocation_comes_by_the_key_itself(smith: Smith, rings: Keyrings) -> None:
    finger = smith.make(f"rev <{ADDRESS}>")
    accepted(rings, smith.public(finger))
    certificate = (smith.home / "openpgp-revocs.d" / f"{finger}.rev").read_text().replace(":-----BEGIN", "-----BEGIN")
    smith.gpg("--import", data=certificate[certificate.index("-----BEGIN") :].encode())
    revoked = smith.public(finger)
    assert "revoked" in refusal(Keyrings(rings.home("x")), revoked)  # nothing to revoke there
    (key,) = accepted(rings, revoked)
    assert key.state == "revoked"
    assert [one.state for one in rings.keys("stc")] == ["revoked"]


def test_giving_a_key_up(smith: Smith, rings: Keyrings) -> None:
    finger = smith.make(f"end <{ADDRESS}>")
    accepted(rings, smith.public(finger))
    at = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
    assert rings.end("stc", finger[-16:].lower(), at).ended == at
    assert [key.ended for key in rings.keys("stc")] == [at]
    for wrong in ("", "AB", "0" * 40, finger[:20]):
        with pytest.raises(NotFound):
            rings.end("stc", wrong, at)


def test_imports_leave_no_agent_no_work_folder_and_only_public_keys(
    smith: Smith, rings: Keyrings, tmp_path: Path
) -> None:
    for number in range(3):
        accepted(rings, smith.public(smith.make(f"n{number} <{ADDRESS}>")))
    assert sorted(path.name for path in rings.home("stc").iterdir()) == ["pubring.kbx"]
    assert sorted(path.name for path in (tmp_path / "keyrings").iterdir()) == ["stc"]
    assert (rings.home("stc") / "pubring.kbx").stat().st_mode & 0o777 == 0o600
    assert rings.home("stc").stat().st_mode & 0o777 == 0o700
    assert _agents(str(tmp_path)) == []
    assert len(rings.keys("stc")) == 3


def test_a_verification_meanwhile_sees_a_whole_ring(smith: Smith, rings: Keyrings, tmp_path: Path) -> None:
    first = smith.make(f"first <{ADDRESS}>")
    accepted(rings, smith.public(first))
    (tmp_path / "text").write_bytes(b"x")
    (tmp_path / "text.sig").write_bytes(smith.gpg("--detach-sign", "-u", first, data=b"x"))
    others = [smith.public(smith.make(f"m{number} <{ADDRESS}>")) for number in range(6)]
    ended = threading.Event()
    failed: list[str] = []

    def verify() -> None:
        ring = rings.home("stc") / "pubring.kbx"
        while not ended.is_set():
            command = ["gpgv", "--keyring", str(ring), "text.sig", "text"]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
            if done.returncode:
                failed.append(done.stderr)

    watcher = threading.Thread(target=verify)
    watcher.start()
    for data in others:
        rings.add("stc", data)
    ended.set()
    watcher.join()
    assert failed == []
    assert len(rings.keys("stc")) == 7


def _agents(home: str) -> list[str]:
    lines = (
        path.read_bytes().decode("utf-8", "replace") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    )
    return [line for line in lines if "gpg-agent" in line and home in line]
