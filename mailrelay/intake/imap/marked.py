"""A mail that bears our mark: what must be compared before anybody believes that we delivered it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mailrelay.intake.imap.heading import Heading
from mailrelay.model.identity import MailId

_STEP = 256 * 1024


@dataclass(frozen=True, slots=True)
class Marked:
    """`mail_ids` are claims. `body_digests`: SHA-256 (hex) of what follows the header, as it is and without its last CRLF,
    which a server adds where there was none.
    """

    mail_ids: tuple[MailId, ...]
    message_id: str
    body_digests: frozenset[str]


def read_marked(heading: Heading, path: Path) -> Marked | None:
    """What a fetched mail claims and holds; None when it claims nothing. Reads the whole file: not for the event loop."""
    if not heading.mail_ids or heading.body is None:
        return None
    rest = max(0, path.stat().st_size - heading.body - 2)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(heading.body)
        while rest and (block := file.read(min(_STEP, rest))):
            digest.update(block)
            rest -= len(block)
        end = file.read()
    shorter = digest.copy()
    digest.update(end)
    bodies = {digest.hexdigest()} | ({shorter.hexdigest()} if end == b"\r\n" else set())
    return Marked(heading.mail_ids, heading.message_id, frozenset(bodies))
