"""The judge of the crash tests is itself judged: every kind of fault, put into sound evidence by hand, is named."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.check import Check
from tests.crash.evidence import Copy, Evidence, Rows
from tests.crash.mails import Mail
from tests.crash.truth import Truth

PAPER, LETTER, SECRET, NOTICE = "P" * 26, "L" * 26, "S" * 26, "N" * 26
RECEIVER, OUTSIDE, CLERK = "songv@hoabinh.gov.vn", "vanthu@bo.example", "sotc@hoabinh.gov.vn"
BOOK = ("sotc", "outgoing", 2026)


def digest(mail_id: str) -> str:
    return hashlib.sha256(mail_id.encode()).hexdigest()


def compose(number: int) -> Mail:
    mail_id, recipients, secret = {
        1: (PAPER, (RECEIVER, OUTSIDE), False),
        2: (LETTER, (RECEIVER,), False),
        3: (SECRET, (RECEIVER,), True),
    }[number]
    return Mail(number, "sotc", recipients, mail_id.encode(), digest(mail_id), mail_id == PAPER, secret)


class Scene:
    """A paper to two places with its notice, a letter that was delivered, a secret paper that was refused: nothing wrong."""

    def __init__(self, folder: Path) -> None:
        self.truth = Truth(begun={1, 2, 3}, acknowledged={1: PAPER, 2: LETTER}, refused={3: 550})
        self.files = folder
        messages = {
            PAPER: ("done", "document", "submission", digest(PAPER), 26),
            LETTER: ("done", "letter", "submission", digest(LETTER), 26),
            SECRET: ("rejected", "document", "submission", digest(SECRET), 26),
            NOTICE: ("done", "receipt", "submission", digest(NOTICE), 26),
        }
        dispatches = [
            (1, PAPER, RECEIVER, "delivered", 1, 1),
            (2, PAPER, OUTSIDE, "relayed", 1, 1),
            (3, LETTER, RECEIVER, "delivered", 1, 1),
            (4, NOTICE, CLERK, "delivered", 1, 1),
        ]
        events = {(PAPER, "received"): 1, (PAPER, "delivered"): 1, (PAPER, "relayed"): 1, (LETTER, "received"): 1}
        events |= {(LETTER, "delivered"): 1, (SECRET, "refused"): 1, (NOTICE, "delivered"): 1}
        rows = Rows([], messages, dispatches, [(*BOOK, 1)], {BOOK: 1}, [("sent", "sent", NOTICE)], Counter(events), [])
        delivered = [(PAPER, "songv"), (LETTER, "songv"), (NOTICE, "sotc")]
        self.evidence = Evidence(
            rows,
            {mail_id: self.blob(mail_id) for mail_id in (PAPER, NOTICE)},
            [Copy(mail_id, box, digest(mail_id)) for mail_id, box in delivered],
            [Copy(PAPER, OUTSIDE, digest(PAPER))],
        )

    def blob(self, mail_id: str, data: bytes | None = None) -> Path:
        path = self.files / f"{mail_id}.eml"
        path.write_bytes(mail_id.encode() if data is None else data)
        return path

    def change(self, mail_id: str, **values: str) -> None:
        names = ("state", "kind", "door", "digest", "size")
        row = self.evidence.rows.messages[mail_id]
        self.evidence.rows.messages[mail_id] = tuple(values.get(n, old) for n, old in zip(names, row, strict=True))

    def dispatch(self, number: int, **values: object) -> None:
        names = ("id", "mail_id", "recipient", "state", "attempts", "recorded")
        rows = self.evidence.rows.dispatches
        rows[number - 1] = tuple(values.get(n, old) for n, old in zip(names, rows[number - 1], strict=True))

    def at_end(self) -> list[str]:
        return Check(compose).at_end(self.truth, self.evidence)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_sound_evidence_is_sound(scene: Scene) -> None:
    assert scene.at_end() == []
    assert Check(compose).after_crash(scene.truth, scene.evidence) == []


def _unstored(scene: Scene) -> None:
    del scene.evidence.rows.messages[LETTER]
    del scene.evidence.rows.dispatches[2]


def _numbers(*numbers: int, last: int) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        scene.evidence.rows.entries[:] = [(*BOOK, number) for number in numbers]
        scene.evidence.rows.counters[BOOK] = last

    return change


def _twice_in_the_box(scene: Scene) -> None:
    scene.evidence.delivered.append(Copy(PAPER, "songv", digest(PAPER)))


def _twice_at_the_next_hop(scene: Scene) -> None:
    scene.evidence.relayed.append(Copy(PAPER, OUTSIDE, digest(PAPER)))


def _stored_twice(scene: Scene) -> None:
    scene.evidence.rows.messages["Q" * 26] = scene.evidence.rows.messages[PAPER]


FAULTS: dict[str, tuple[Callable[[Scene], object], str]] = {
    "acknowledged, not stored": (_unstored, "lost: mail 2 was acknowledged"),
    "acknowledged as another mail": (lambda s: s.truth.acknowledged.update({2: PAPER}), "holds other bytes"),
    "stored twice": (_stored_twice, "mail 1 stands 2 times in the store"),
    "a secret taken": (lambda s: s.change(SECRET, state="done"), "mail 3 stands 1 times"),
    "a secret acknowledged": (lambda s: s.truth.refused.clear(), "mail 3: wrong answer"),
    "a secret kept": (lambda s: s.evidence.blobs.update({SECRET: s.blob(SECRET)}), "still has its bytes"),
    "a letter kept": (lambda s: s.evidence.blobs.update({LETTER: s.blob(LETTER)}), "was delivered and still has"),
    "no bytes": (lambda s: s.evidence.blobs.pop(PAPER), f"the mail {PAPER} (document, done) has no bytes"),
    "empty bytes": (lambda s: s.blob(PAPER, b""), "has 0 bytes, not 26"),
    "other bytes": (lambda s: s.blob(PAPER, b"x" * 26), f"the file of {PAPER} holds other bytes"),
    "a file of nobody": (lambda s: s.evidence.blobs.update({"X" * 26: s.blob("X" * 26)}), "belongs to no mail"),
    "half a mail": (lambda s: s.evidence.half_written.append(Path("tmp/half")), "half a mail left"),
    "a hole": (_numbers(1, 3, last=3), "a hole or a twin"),
    "a twin": (_numbers(1, 1, last=1), "a hole or a twin"),
    "a number given to nobody": (_numbers(1, last=2), "the counter of"),
    "a mail that moves on": (lambda s: s.change(PAPER, state="moving"), f"the mail {PAPER} (document) is still moving"),
    "a dispatch that waits": (lambda s: s.dispatch(2, state="deferred"), "dispatch 2 of"),
    "a dispatch that failed": (lambda s: s.dispatch(2, state="failed"), "is failed"),
    "a recipient forgotten": (lambda s: s.evidence.rows.dispatches.pop(1), "has dispatches to"),
    "a notice not sent": (
        lambda s: s.evidence.rows.receipts.append(("sent", "due", None)),
        "a receipt (sent, None) is due",
    ),
    "a notice twice": (lambda s: s.evidence.rows.receipts.append(("sent", "sent", NOTICE)), "belongs to 2 receipts"),
    "delivered, not there": (lambda s: s.evidence.delivered.pop(0), "noted as delivered to songv@hoabinh.gov.vn"),
    "relayed, not there": (lambda s: s.evidence.relayed.clear(), "noted as relayed to vanthu@bo.example"),
    "relayed with other bytes": (
        lambda s: s.evidence.relayed.__setitem__(0, Copy(PAPER, OUTSIDE, "0" * 64)),
        "vanthu@bo.example has other bytes",
    ),
    "twice in a box": (_twice_in_the_box, f"songv has {PAPER} 2 times"),
    "twice at the next hop": (_twice_at_the_next_hop, "dispatch 2: 1 copies too many"),
    "delivered to a stranger": (
        lambda s: s.evidence.delivered.append(Copy(PAPER, "sotp", digest(PAPER))),
        "sotp received",
    ),
    "delivered without a row": (
        lambda s: s.evidence.relayed.append(Copy("?", OUTSIDE, digest(PAPER))),
        "which was not accepted for it",
    ),
    "not in the log": (lambda s: s.evidence.rows.events.pop((LETTER, "received")), "the log tells 0 times"),
    "twice in the log": (
        lambda s: s.evidence.rows.events.update({(PAPER, "delivered"): 1}),
        "the log tells 3 times of 2",
    ),
    "polled and not stored": (lambda s: s.truth.placed.update({"0" * 64: 9}), "the polled mail 9 stands 0 times"),
    "a broken store": (lambda s: s.evidence.rows.faults.append("row 3 missing from index"), "missing from index"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_named(scene: Scene, name: str) -> None:
    change, words = FAULTS[name]
    change(scene)
    found = scene.at_end()
    assert any(words in fault for fault in found), found


def test_a_second_copy_of_a_try_that_a_crash_met_is_no_fault(scene: Scene) -> None:
    _twice_at_the_next_hop(scene)
    scene.dispatch(2, attempts=2)
    assert scene.at_end() == []


def test_after_a_crash_what_is_on_its_way_is_no_fault(scene: Scene) -> None:
    """A file that has no row yet, a dispatch under way and a mail that was sent and not answered."""
    scene.evidence.blobs["X" * 26] = scene.blob("X" * 26)
    scene.dispatch(2, state="sending")
    scene.evidence.relayed.clear()
    scene.truth.acknowledged.pop(2)
    assert Check(compose).after_crash(scene.truth, scene.evidence) == []
