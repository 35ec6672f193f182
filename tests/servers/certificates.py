"""Certificates for tests: an authority made on the spot and what it issues, as PEM files."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NOW = datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM; `certificate` ends with the authority's own."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(pem)


class Authority:
    """A certificate authority in a folder; `certificate` is what clients must trust."""

    def __init__(self, folder: Path, name: str = "mailrelay test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._own = self._build(name, self._key.public_key(), authority=True, names=())
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(self._own.public_bytes(serialization.Encoding.PEM))

    def _build(
        self,
        subject: str,
        public_key: ec.EllipticCurvePublicKey,
        *,
        authority: bool,
        names: tuple[str, ...],
        days: int = 30,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(subject) if authority else self._own.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - datetime.timedelta(days=60))
            .not_valid_after(_NOW + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
            )
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, *names: str, days: int = 30) -> Pair:
        """A server certificate for DNS names and addresses; negative `days` gives one that has run out."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._build(names[0], key.public_key(), authority=False, names=names, days=days)
        pair = Pair(self._folder / f"{names[0]}.pem", self._folder / f"{names[0]}.key")
        own = self._own.public_bytes(serialization.Encoding.PEM)
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + own)
        _write_key(pair.key, key)
        return pair

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts this authority and nobody else."""
        return ssl.create_default_context(cafile=self.certificate)
