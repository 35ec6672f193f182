"""DKIM key records (RFC 6376 section 3.6.1, RFC 8463): what was published, and the public key in it. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailrelay.inspection.authentication.rules import (
    InvalidTagValueList,
    UnparsableKeyError,
    parse_public_key,
    parse_tag_value,
)

_MOST_BITS = 8192
_PADDING, _HASH = padding.PKCS1v15(), Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """`fault` is a slug of the DKIM findings when no signature can be judged by this record."""

    fault: str = ""
    kind: str = ""
    bits: int = 0
    testing: bool = False
    strict: bool = False  # t=s: i= must name the very domain
    key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey | None = field(default=None, repr=False)

    def verifies(self, signature: bytes, digest: bytes) -> bool:
        """Tell whether the signature fits the SHA-256 digest of the signed header."""
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, digest, _PADDING, _HASH)
            elif isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, digest)
            else:
                return False
        except InvalidSignature:
            return False
        return True


@lru_cache(maxsize=512)
def read(record: bytes) -> KeyRecord:
    """Read one TXT record; a peer's key is read once for many mails."""
    try:
        tags = {name: bytes(value) for name, value in parse_tag_value(record).items()}
    except (InvalidTagValueList, IndexError):
        return KeyRecord("key-unusable")
    if tags.get(b"v", b"DKIM1") != b"DKIM1" or not _serves_mail(tags):
        return KeyRecord("key-unusable")
    flags = _words(tags.get(b"t", b""))
    letters = b"".join(tags.get(b"p", b"").split())
    if not letters:
        return KeyRecord("key-revoked" if b"p" in tags else "key-unusable")
    try:
        material = base64.b64decode(letters, validate=True)
    except binascii.Error:
        return KeyRecord("key-unusable")
    kind = tags.get(b"k", b"rsa").lower()
    key, bits = _ed25519(material) if kind == b"ed25519" else _rsa(material) if kind == b"rsa" else (None, 0)
    fault = "" if key is not None else "short-key" if 0 < bits < 1024 else "key-unusable"
    return KeyRecord(fault, kind.decode("ascii", "replace"), bits, b"y" in flags, b"s" in flags, key)


def _words(value: bytes) -> list[bytes]:
    return [word.strip().lower() for word in value.split(b":")]


def _serves_mail(tags: dict[bytes, bytes]) -> bool:
    """RFC 6376 section 3.6.1: h= must allow SHA-256, s= must name e-mail or everything."""
    hashes = _words(tags.get(b"h", b"sha256"))
    services = _words(tags.get(b"s", b"*"))
    return b"sha256" in hashes and (b"*" in services or b"email" in services)


def _ed25519(material: bytes) -> tuple[ed25519.Ed25519PublicKey | None, int]:
    try:
        return ed25519.Ed25519PublicKey.from_public_bytes(material), 256
    except ValueError:
        return None, 0


def _rsa(material: bytes) -> tuple[rsa.RSAPublicKey | None, int]:
    """Return the key and its size; a key too short for `cryptography` comes back without the key but with its size."""
    try:
        key = load_der_public_key(material)  # SubjectPublicKeyInfo, or the bare RSAPublicKey of PKCS #1
    except (ValueError, UnsupportedAlgorithm):
        return None, _modulus_bits(material)
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size > _MOST_BITS:
        return None, 0
    return (key, key.key_size) if key.key_size >= 1024 else (None, key.key_size)


def _modulus_bits(material: bytes) -> int:
    try:
        return int(parse_public_key(material)["modulus"].bit_length())
    except (UnparsableKeyError, KeyError, IndexError, TypeError, ValueError, AttributeError):
        return 0
