"""The seal of a data file: a detached CMS signature (RFC 5652) that openssl and every mail client can check. Holds the key."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_OPTIONS = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities]
_LIFE = timedelta(days=3653)


class Sealer:
    """Seals with one key and its certificate. `certificate` goes along with every seal."""

    def __init__(self, key: PrivateKey, certificate: x509.Certificate) -> None:
        if key.public_key() != certificate.public_key():
            raise ValueError("the certificate does not belong to the sealing key")
        self._key = key
        self.certificate = certificate

    @classmethod
    def from_pem(cls, key: bytes, certificate: bytes) -> Sealer:
        """Build from an unencrypted PEM key (EC or RSA) and a PEM certificate. Raises ValueError on anything else."""
        loaded = serialization.load_pem_private_key(key, password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError("the sealing key must be an EC or RSA key")
        return cls(loaded, x509.load_pem_x509_certificate(certificate))

    def seal(self, data: bytes) -> bytes:
        """Return the detached CMS signature of exactly these bytes, in DER, with signing time and certificate."""
        builder = pkcs7.PKCS7SignatureBuilder().set_data(data).add_signer(self.certificate, self._key, hashes.SHA256())
        return builder.sign(serialization.Encoding.DER, _OPTIONS)


def make_key_and_certificate(name: str, address: str, now: datetime) -> tuple[bytes, bytes]:
    """Make a P-256 key and a self-signed certificate for sealing, both PEM: what a new installation begins with."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name[:64]), x509.NameAttribute(NameOID.EMAIL_ADDRESS, address)]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_pem, certificate.public_bytes(serialization.Encoding.PEM)


def open_sealer(key_path: Path, certificate_path: Path, *, name: str, address: str, now: datetime) -> Sealer:
    """Read key and certificate; at the first start, when neither exists, make them (key mode 0600, synced before use).

    Raises ValueError when only one of the two exists: a lost key must be replaced by a person, never silently.
    """
    unfinished = key_path.with_name(key_path.name + ".new")
    if not key_path.exists() and unfinished.exists():  # a first start was cut short: finish it, or begin again
        _finish(unfinished, key_path, certificate_path)
    if key_path.exists() != certificate_path.exists():
        raise ValueError(f"only one of {key_path.name} and {certificate_path.name} exists")
    if not key_path.exists():
        key, certificate = make_key_and_certificate(name, address, now)
        _write(unfinished, key, 0o600)
        _write(certificate_path, certificate, 0o644)
        unfinished.rename(key_path)
        _sync_folder(key_path.parent)
    return Sealer.from_pem(key_path.read_bytes(), certificate_path.read_bytes())


def _finish(unfinished: Path, key_path: Path, certificate_path: Path) -> None:
    """Nothing was sealed yet, so what is not whole may go."""
    try:
        Sealer.from_pem(unfinished.read_bytes(), certificate_path.read_bytes())
    except (FileNotFoundError, ValueError):
        certificate_path.unlink(missing_ok=True)
        unfinished.unlink()
    else:
        unfinished.rename(key_path)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
