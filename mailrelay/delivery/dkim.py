"""DKIM signatures on what leaves the house (RFC 6376, RFC 8463): RSA and Ed25519 beside each other. Looks up no keys.

The arithmetic is that of `cryptography`: dkimpy signs with RSA in pure Python, thirty times slower.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from mailrelay.delivery.canonical import RelaxedBody, fields_of, relaxed_field
from mailrelay.delivery.content import blocks, blocks_of
from mailrelay.model.calendar import utc_now
from mailrelay.model.message import Rendering

# Signed once more than they appear: nobody can add another one, and a field that is missing cannot be put in.
OVERSIGNED = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"content-type",
    b"mime-version",
    b"reply-to",
    b"in-reply-to",
    b"references",
)
# Signed as often as they appear: mailing lists may add their own.
SIGNED = (b"sender", b"content-transfer-encoding", b"auto-submitted", b"resent-from", b"resent-to", b"resent-date")

_LEAST_RSA_BITS = 2048
_LONGEST_HEADER = 1 << 20
_WIDTH = 72


class UnfitKey(ValueError):
    """The key is neither RSA of at least 2048 bits nor Ed25519, or no PEM at all."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the selector under which its public half stands in DNS."""

    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey

    @classmethod
    def from_pem(cls, selector: str, pem: bytes) -> SigningKey:
        """Read an unencrypted PKCS #8 key. Raises UnfitKey."""
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError) as fault:
            raise UnfitKey(str(fault)) from fault
        if isinstance(key, RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS:
            return cls(selector, key)
        if isinstance(key, Ed25519PrivateKey):
            return cls(selector, key)
        raise UnfitKey("RSA of at least 2048 bits or Ed25519 is needed")

    @property
    def algorithm(self) -> str:
        return "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"

    @property
    def record(self) -> str:
        """The TXT record for <selector>._domainkey.<domain>."""
        if isinstance(self.key, RSAPrivateKey):
            public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"

    def sign(self, header: bytes) -> bytes:
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(header, PKCS1v15(), SHA256())
        return self.key.sign(hashlib.sha256(header).digest())  # RFC 8463 section 3: over the hash


class Signer:
    """Signs for one domain with each of its keys."""

    def __init__(self, domain: str, keys: Sequence[SigningKey], *, now: Callable[[], datetime] = utc_now) -> None:
        self._domain = domain
        self._keys = tuple(keys)
        self._now = now

    def sign(self, mail: Path | bytes, rendering: Rendering | None = None) -> bytes:
        """Return the DKIM-Signature fields (CRLF each) for a mail as `rendering` sends it on: they go in front of its prefix.

        Reads the file once in blocks; blocking, about 3 ms a megabyte. Raises OSError when the file cannot be read.
        """
        header, body = _split(blocks(mail, rendering) if isinstance(mail, Path) else blocks_of(mail, rendering))
        fields = fields_of(header)
        moment = int(self._now().timestamp())
        return b"".join(self._field(key, fields, body, moment) for key in self._keys)

    def _field(self, key: SigningKey, fields: Sequence[tuple[bytes, bytes]], body: bytes, moment: int) -> bytes:
        names = _names(fields)
        start = _folded(
            [
                f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed;",
                f"d={self._domain}; s={key.selector}; t={moment};",
                *_list_of_names(names),
                f"bh={base64.b64encode(body).decode()};",
                "b=",
            ]
        )
        signed = [relaxed_field(field) + b"\r\n" for field in _chosen(fields, names)]
        signature = base64.b64encode(key.sign(b"".join(signed) + relaxed_field(start)))
        lines = [signature[at : at + _WIDTH] for at in range(0, len(signature), _WIDTH)]
        return start + b"\r\n\t".join(lines) + b"\r\n"


def _split(pieces: Iterator[bytes]) -> tuple[bytes, bytes]:
    """The header without its empty line, and the hash of the body."""
    header = b""
    body = RelaxedBody()
    for piece in pieces:
        header += piece
        end = header.find(b"\r\n\r\n")
        if end >= 0 or len(header) > _LONGEST_HEADER:
            break
    else:
        return header.removesuffix(b"\r\n"), body.digest()
    if end < 0:
        raise ValueError("the header has no end")
    for piece in chain([header[end + 4 :]], pieces):
        body.update(piece)
    return header[:end], body.digest()


def _names(fields: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    seen = Counter(name for name, _ in fields)
    names = [name for name in OVERSIGNED for _ in range(seen[name] + 1)]
    return names + [name for name in SIGNED for _ in range(seen[name])]


def _chosen(fields: Sequence[tuple[bytes, bytes]], names: Sequence[bytes]) -> list[bytes]:
    """The fields that a list of names stands for: of several with one name the last comes first (section 5.4.2)."""
    stacks: dict[bytes, list[bytes]] = {}
    for name, field in fields:
        stacks.setdefault(name, []).append(field)
    return [stacks[name].pop() for name in names if stacks.get(name)]


def _list_of_names(names: Sequence[bytes]) -> list[str]:
    lines = ["h="]
    for position, name in enumerate(names):
        word = name.decode() + (":" if position < len(names) - 1 else ";")
        if len(lines[-1]) + len(word) > _WIDTH:
            lines.append("")
        lines[-1] += word
    return lines


def _folded(lines: Sequence[str]) -> bytes:
    return "\r\n\t".join(lines).encode("ascii")
