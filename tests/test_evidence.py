"""The folder of evidence: each piece once, whole or not there, and nothing but what its name says."""

from __future__ import annotations

import errno
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailrelay.evidence import Evidence
from mailrelay.model.evidence import exhibit
from mailrelay.model.faults import StoreUnhealthy
from mailrelay.store import durable


def test_a_piece_is_kept_once_and_read_by_its_digest(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "evidence")
    pieces = [exhibit("certificate", b"one"), exhibit("crl", b"two"), exhibit("dns", b"one")]
    assert evidence.missing(pieces) == pieces
    evidence.keep(pieces)
    assert evidence.missing(pieces) == []
    assert evidence.read(hashlib.sha256(b"one").hexdigest()) == b"one"
    files = sorted(path for path in (tmp_path / "evidence").rglob("*") if path.is_file())
    assert [path.name for path in files] == sorted({piece.digest for piece in pieces})
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    before = [path.stat().st_mtime_ns for path in files]
    evidence.keep(pieces)
    assert [path.stat().st_mtime_ns for path in files] == before


def test_what_is_not_there_or_not_what_its_name_says_is_not_read(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    piece = exhibit("tools", b"{}")
    assert evidence.read(piece.digest) is None
    evidence.keep([piece])
    (tmp_path / piece.digest[:2] / piece.digest).write_bytes(b"forged")
    assert evidence.read(piece.digest) is None
    for foul in ("", "..", "../../etc/passwd", piece.digest.upper(), piece.digest + "/x"):
        assert evidence.read(foul) is None


def test_many_at_once_keep_one_whole_file(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    pieces = [exhibit("crl", bytes((number,)) * 50_000) for number in range(20)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: evidence.keep(pieces), range(16)))
    assert [evidence.read(piece.digest) for piece in pieces] == [piece.data for piece in pieces]
    assert not list(tmp_path.rglob("*.new"))


def test_a_failed_sync_leaves_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise StoreUnhealthy(f"fsync failed: {errno.errorcode[errno.EIO]}")

    evidence = Evidence(tmp_path)
    monkeypatch.setattr(durable, "sync_file", fail)
    piece = exhibit("dns", b"x")
    with pytest.raises(StoreUnhealthy):
        evidence.keep([piece])
    assert evidence.missing([piece]) == [piece]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
