"""CMS wrappers of S/MIME (RFC 8551): what kind a block is, and the mail inside an opaque signature. In the worker only."""

from __future__ import annotations

from dataclasses import dataclass

from asn1crypto import cms

TYPES = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
_ENCRYPTED = frozenset(("enveloped_data", "encrypted_data", "authenticated_enveloped_data"))


@dataclass(frozen=True, slots=True)
class Wrapper:
    """`kind` is signed, encrypted, other or foul; `content` the bytes inside a signature, when they are in it."""

    kind: str
    signed_data: cms.SignedData | None = None
    content: bytes | None = None


def read(data: bytes) -> Wrapper:
    """Read one DER or BER block. Never raises for its input."""
    try:
        info = cms.ContentInfo.load(data)
        kind = info["content_type"].native
        if kind in _ENCRYPTED:
            return Wrapper("encrypted")
        if kind != "signed_data":
            return Wrapper("other")
        signed_data = info["content"]
        inside = signed_data["encap_content_info"]["content"].native
        len(signed_data["signer_infos"])
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
        return Wrapper("foul")
    return Wrapper("signed", signed_data, inside if isinstance(inside, bytes) else None)
