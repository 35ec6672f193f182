"""Named places at which a crash test can stop, break or delay the process. Does nothing unless MAILRELAY_FAILPOINT is set.

MAILRELAY_FAILPOINT is a list separated by ";" of `name:exit` (end at once, as kill -9 does), `name:raise`, or
`name:sleep=SECONDS`; `name@N:…` acts at the Nth hit only, without it every hit acts.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

NAMES = frozenset(
    {
        "accept.before-commit",
        "accept.after-commit",
        "accept.before-reply",
        "deliver.before-send",
        "deliver.after-send",
        "deliver.after-settle",
        "durable.before-removal-sync",
        "imap.before-mark",
        "maildir.before-rename",
        "maildir.before-sync",
        "reply.after-commit",
        "spool.finish",
        "start.after-sweep",
        "writer.after-commit",
        "writer.before-commit",
        "writer.before-sync",
    }
)
EXIT_STATUS = 77


class FailpointReached(Exception):
    """Raised by a failpoint armed with `raise`."""


@dataclass(slots=True)
class _Charge:
    """What one failpoint does; `at` is the hit that acts, 0 for every hit."""

    effect: str
    seconds: float = 0.0
    at: int = 0
    hits: Iterator[int] = field(default_factory=lambda: itertools.count(1))


_charges: dict[str, _Charge] = {}


def arm(text: str) -> None:
    """Replace what is armed by a list in the form of MAILRELAY_FAILPOINT; "" disarms all. Raises ValueError."""
    charges = dict(_parse(part.strip()) for part in text.split(";") if part.strip())
    _charges.clear()
    _charges.update(charges)


def _parse(part: str) -> tuple[str, _Charge]:
    place, colon, effect = part.partition(":")
    name, _, nth = place.partition("@")
    effect, _, seconds = effect.partition("=")
    if name not in NAMES or not colon or effect not in {"exit", "raise", "sleep"}:
        raise ValueError(f"no such failpoint: {part}")
    return name, _Charge(effect, float(seconds or 0), int(nth or 0))


def failpoint(name: str) -> None:
    """Mark a place by a literal name of NAMES."""
    if _charges and (charge := _charges.get(name)) is not None:
        _act(name, charge)


def _act(name: str, charge: _Charge) -> None:
    hit = next(charge.hits)
    if charge.at not in (0, hit):
        return
    if charge.effect == "exit":
        os._exit(EXIT_STATUS)
    if charge.effect == "sleep":
        time.sleep(charge.seconds)
        return
    raise FailpointReached(name)


arm(os.environ.get("MAILRELAY_FAILPOINT", ""))
