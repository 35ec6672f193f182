"""The SHA-256 under which a version of the rules or the directory stands in every decision. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(content: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of plain values: sorted keys, no spaces, UTF-8. Comments and layout do not count."""
    canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
