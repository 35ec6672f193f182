"""What a verdict rests on, kept so that it can be judged again years later: keys as they were seen, certificates, lists."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

# dns: the records that were looked up, with their signatures and whether the resolver had them validated; tools: the programs
# and libraries that judged, with their versions. The others are DER.
KINDS = ("certificate", "crl", "ocsp", "dns", "openpgp-key", "tools")


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One piece of evidence, named by the SHA-256 (hex) of its bytes. Findings refer to it as {kind, sha256}."""

    kind: str
    digest: str
    data: bytes = field(repr=False)


def exhibit(kind: str, data: bytes) -> Exhibit:
    """Name a piece of evidence by its digest."""
    return Exhibit(kind, hashlib.sha256(data).hexdigest(), data)
