"""Evidence on its way from a worker to the parent: gathered while a signature is judged, named in findings by digest."""

from __future__ import annotations

import base64
import json
import platform
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from typing import Any

from mailrelay.model.evidence import KINDS, Exhibit, exhibit

_MOST_BYTES = 8 * 1024 * 1024  # of one answer: it has to fit into a line
_MOST = 200
_TOOLS = ("cryptography", "dkimpy", "lxml", "mailrelay", "pyhanko", "pyhanko-certvalidator", "python-gnupg", "signxml")


class Exhibits:
    """The evidence of one step of one mail."""

    def __init__(self) -> None:
        self._found: dict[str, Exhibit] = {}
        self._room = _MOST_BYTES

    def add(self, kind: str, data: bytes) -> dict[str, str]:
        """Keep a piece and return how a finding names it. What does not fit any more is named all the same."""
        piece = exhibit(kind, data)
        if piece.digest not in self._found and len(data) <= self._room and len(self._found) < _MOST:
            self._found[piece.digest] = piece
            self._room -= len(data)
        return {"kind": kind, "sha256": piece.digest}

    def as_json(self) -> list[list[str]]:
        return [[one.kind, base64.b64encode(one.data).decode("ascii")] for one in self._found.values()]


def from_json(value: object) -> tuple[Exhibit, ...]:
    """Return what a worker sent. The digests are taken anew here. Raises ValueError on anything unexpected."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _MOST:
        raise ValueError("not a list of exhibits")
    found = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2 or pair[0] not in KINDS or not isinstance(pair[1], str):
            raise ValueError("not an exhibit")
        found.append(exhibit(pair[0], base64.b64decode(pair[1], validate=True)))
    return tuple(found)


@lru_cache(maxsize=4)
def tools(**programs: str) -> bytes:
    """What judged, with versions, in a form that is the same for the same tools; `programs` are those outside Python."""
    versions: dict[str, Any] = {"python": platform.python_version(), **programs}
    for name in _TOOLS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return json.dumps(versions, sort_keys=True, separators=(",", ":")).encode()


def names_in(facts: Mapping[str, Any]) -> Iterable[str]:
    """The digests of the evidence that a finding names."""
    pieces = facts.get("evidence", ())
    return [str(piece["sha256"]) for piece in pieces if isinstance(piece, Mapping) and "sha256" in piece]
