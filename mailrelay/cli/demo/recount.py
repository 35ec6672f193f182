"""The recount: what lies in the mailboxes, found by digest in the files themselves, never by asking the service."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from email import message_from_binary_file
from pathlib import Path

from mailrelay.cli.demo.scenario import Sent
from mailrelay.model.message import MessageState
from mailrelay.reports.trace import Life


def digests(maildir: Path, sizes: Iterable[int]) -> set[str]:
    """SHA-256 of the last N bytes of every mail in a Maildir, for each size N asked for.

    The service only puts trace fields above a mail, so a mail arrived unchanged when its bytes are the tail of a file.
    """
    wanted = sorted(set(sizes))
    found: set[str] = set()
    for path in mails(maildir):
        data = path.read_bytes()
        found.update(hashlib.sha256(data[-size:]).hexdigest() for size in wanted if size <= len(data))
    return found


def notices(maildir: Path) -> list[str]:
    """The kinds of our receipts in a Maildir, one for each notice that lies there."""
    kinds = []
    for path in mails(maildir):
        with path.open("rb") as file:
            kind = message_from_binary_file(file)["X-Mailrelay-Receipt"]
        if kind:
            kinds.append(str(kind))
    return kinds


def mails(maildir: Path) -> list[Path]:
    return sorted(path for part in ("new", "cur") for path in (maildir / part).glob("*") if path.is_file())


def compare(
    sent: Sequence[Sent],
    lives: Sequence[Life | None],
    found: Mapping[str, set[str]],
    owners: Mapping[str, str],
) -> tuple[dict[str, int], list[str]]:
    """Count outcomes and name every difference from what the scenario expects.

    `lost` counts accepted copies that lie in no mailbox although the scenario says that they must; `lives` give only the
    classes. `owners` maps an address to the one under which its mailbox was counted. A copy where none may be is a problem too.
    """
    counts = dict.fromkeys(
        (
            "sent",
            "accepted",
            "document",
            "exchange",
            "letter",
            "delivered",
            "held",
            "returned",
            "rejected",
            "receipts",
            "lost",
        ),
        0,
    )
    problems: list[str] = []
    for one, life in zip(sent, lives, strict=True):
        piece = one.piece
        digest = hashlib.sha256(piece.raw).hexdigest()
        accepted = one.code == 250 and not one.refused
        counts["sent"] += 1
        counts["accepted"] += accepted
        judged = life.record.message_class if life is not None else None
        if judged is not None and judged.value in counts and piece.expected != "rejected":
            counts[judged.value] += 1
            if judged.value != piece.message_class:
                problems.append(f"{piece.title}: {judged.value} ≠ {piece.message_class}")
        lying = [address for address in found if digest in found[address]]
        outcome = _outcome(accepted, lying, life)
        counts[outcome] += 1
        if outcome != piece.expected:
            problems.append(f"{piece.title}: {outcome} ≠ {piece.expected} ({one.code} {one.reply})")
        wanted = {owners.get(address, address) for address in piece.receivers}
        if piece.expected == "delivered" and accepted:
            counts["lost"] += len(wanted - set(lying))
        problems += [f"{piece.title}: nằm nhầm ở {address}" for address in set(lying) - wanted]
    return counts, problems


def _outcome(accepted: bool, lying: Sequence[str], life: Life | None) -> str:
    if not accepted:
        return "rejected"
    if lying:
        return "delivered"
    state = life.record.state if life is not None else None
    return "held" if state is MessageState.HELD else "returned"
