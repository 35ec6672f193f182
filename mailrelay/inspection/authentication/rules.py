"""What we take from dkimpy: the rules for tags and the names of canonical forms. Its name look-ups are kept out.

dkimpy loads a resolver when it is imported; here the parent looks names up, and a worker has no network: the resolver's place
is taken by a function that refuses, which also saves the worker a third of its memory.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NoReturn


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("keys are looked up by the parent, never here")


_plug = ModuleType("dkim.dnsplug")
_plug.get_txt = _refuse  # type: ignore[attr-defined]
sys.modules.setdefault("dkim.dnsplug", _plug)

from dkim import DKIMException, validate_signature_fields  # noqa: E402
from dkim.canonicalization import CanonicalizationPolicy, InvalidCanonicalizationPolicyError  # noqa: E402
from dkim.crypto import UnparsableKeyError, parse_public_key  # noqa: E402
from dkim.util import InvalidTagValueList, parse_tag_value  # noqa: E402

__all__ = [
    "CanonicalizationPolicy",
    "DKIMException",
    "InvalidCanonicalizationPolicyError",
    "InvalidTagValueList",
    "UnparsableKeyError",
    "parse_public_key",
    "parse_tag_value",
    "validate_signature_fields",
]
