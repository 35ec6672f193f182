from __future__ import annotations

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from mailrelay.receipts.seal import Sealer, make_key_and_certificate, open_sealer

DATA = '{"kind":"sent","to":"văn thư"}'.encode()


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, bytes]:
    return make_key_and_certificate("Biên nhận", "bien-nhan@hoabinh.gov.vn", datetime.now(UTC))


def verify(folder: Path, data: bytes, seal: bytes, certificate: bytes) -> subprocess.CompletedProcess[bytes]:
    """Ask openssl, which knows nothing of us."""
    for name, content in (("data", data), ("seal", seal), ("ca.pem", certificate)):
        (folder / name).write_bytes(content)
    command = [
        "openssl",
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "seal",
        "-content",
        "data",
        "-CAfile",
        "ca.pem",
    ]
    return subprocess.run([*command, "-purpose", "any"], cwd=folder, capture_output=True, check=False)


def test_openssl_verifies_the_seal_and_sees_a_changed_byte(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    seal = Sealer.from_pem(*pair).seal(DATA)
    good = verify(tmp_path, DATA, seal, pair[1])
    assert (good.returncode, good.stdout) == (0, DATA)
    assert verify(tmp_path, DATA + b" ", seal, pair[1]).returncode != 0


def test_line_ends_are_sealed_as_they_are(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    data = b"a\nb\r\nc\r"
    assert verify(tmp_path, data, Sealer.from_pem(*pair).seal(data), pair[1]).stdout == data


def test_the_seal_is_by_p256_and_names_its_time(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    sealer = Sealer.from_pem(*pair)
    key = sealer.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"
    (tmp_path / "seal").write_bytes(sealer.seal(DATA))
    shown = subprocess.run(
        ["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", "seal"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert b"signingTime" in shown.stdout and b"ecdsa-with-SHA256" in shown.stdout


def test_a_key_that_does_not_fit_the_certificate_is_refused(pair: tuple[bytes, bytes]) -> None:
    other, _ = make_key_and_certificate("x", "x@hoabinh.gov.vn", datetime.now(UTC))
    with pytest.raises(ValueError, match="does not belong"):
        Sealer.from_pem(other, pair[1])


def test_a_key_of_another_kind_is_refused(pair: tuple[bytes, bytes]) -> None:
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="EC or RSA"):
        Sealer.from_pem(key, pair[1])


def test_the_first_start_makes_the_key_and_later_ones_use_it(tmp_path: Path) -> None:
    key, certificate, now = tmp_path / "secrets" / "seal.key", tmp_path / "seal.pem", datetime.now(UTC)
    first = open_sealer(key, certificate, name="Biên nhận", address="bien-nhan@hoabinh.gov.vn", now=now)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    again = open_sealer(key, certificate, name="Khác", address="khac@hoabinh.gov.vn", now=now + timedelta(days=9))
    assert again.certificate == first.certificate


def test_a_first_start_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    key, certificate, now = tmp_path / "seal.key", tmp_path / "seal.pem", datetime.now(UTC)
    first = open_sealer(key, certificate, name="x", address="x@hoabinh.gov.vn", now=now)
    key.rename(tmp_path / "seal.key.new")  # power was lost before the key got its name
    assert open_sealer(key, certificate, name="x", address="x@hoabinh.gov.vn", now=now).certificate == first.certificate
    key.rename(tmp_path / "seal.key.new")
    certificate.unlink()  # and once before the certificate was written
    assert open_sealer(key, certificate, name="x", address="x@hoabinh.gov.vn", now=now).certificate != first.certificate


@pytest.mark.parametrize("left", [b"", b"-----BEGIN CERT"])
def test_a_first_start_that_was_cut_within_the_certificate_begins_again(tmp_path: Path, left: bytes) -> None:
    key, certificate, now = tmp_path / "key.pem", tmp_path / "certificate.pem", datetime.now(UTC)
    open_sealer(key, certificate, name="x", address="x@hoabinh.gov.vn", now=now)
    key.rename(tmp_path / "key.pem.new")
    certificate.write_bytes(left)
    made = open_sealer(key, certificate, name="x", address="x@hoabinh.gov.vn", now=now)
    assert open_sealer(key, certificate, name="x", address="x@hoabinh.gov.vn", now=now).certificate == made.certificate
    assert sorted(path.name for path in tmp_path.iterdir()) == ["certificate.pem", "key.pem"]


def test_a_lost_half_is_never_replaced_silently(tmp_path: Path) -> None:
    key, certificate, now = tmp_path / "seal.key", tmp_path / "seal.pem", datetime.now(UTC)
    open_sealer(key, certificate, name="x", address="x@hoabinh.gov.vn", now=now)
    key.unlink()
    with pytest.raises(ValueError, match="only one of"):
        open_sealer(key, certificate, name="x", address="x@hoabinh.gov.vn", now=now)
