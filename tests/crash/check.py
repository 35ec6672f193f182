"""The judge of a crash test: truth against evidence, as sentences about what is wrong. Pure; no sentence, no fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.crash.evidence import Evidence, Rows, digest_of, numbers_of
from tests.crash.mails import Mail, compose
from tests.crash.truth import Truth

_FINAL = frozenset({"delivered", "relayed"})  # nothing in these tests has a reason to fail or to wait for a person
_GONE = frozenset({"rejected"})


class Check:
    """`after_crash` looks at what must hold on the dead disk, `at_end` at a service that has come to rest."""

    def __init__(self, compose: Callable[[int], Mail] = compose) -> None:
        self._compose = compose
        self._seen: set[str] = set()  # blobs that were right; they are hashed again at the end only

    def after_crash(self, truth: Truth, evidence: Evidence) -> list[str]:
        rows = evidence.rows
        found = list(rows.faults)
        found += self._promises(truth, rows)
        found += self._blobs(evidence, strict=False)
        found += _numbers(rows)
        found += _copies_of_the_delivered(evidence)
        return found

    def at_end(self, truth: Truth, evidence: Evidence) -> list[str]:
        rows = evidence.rows
        self._seen.clear()
        found = list(rows.faults)
        found += self._promises(truth, rows)
        found += self._once(truth, rows)
        found += self._blobs(evidence, strict=True)
        found += _numbers(rows)
        found += _rest(rows)
        found += self._recipients(truth, rows)
        found += _copies_of_the_delivered(evidence)
        found += _nothing_invented(evidence)
        found += _doubles(evidence)
        found += _events(rows)
        found += _polled(truth, rows)
        found += [f"half a mail left in a Maildir: {path.name}" for path in evidence.half_written]
        return found

    def _promises(self, truth: Truth, rows: Rows) -> Iterator[str]:
        """Acknowledged is stored: under the mail id of the 250, with the bytes that were sent."""
        for number, mail_id in sorted(truth.acknowledged.items()):
            row = rows.messages.get(mail_id)
            if row is None:
                yield f"lost: mail {number} was acknowledged as {mail_id} and is not in the store"
            elif row[3] != self._compose(number).digest:
                yield f"mail {number} was acknowledged as {mail_id}, which holds other bytes"

    def _once(self, truth: Truth, rows: Rows) -> Iterator[str]:
        held = Counter(row[3] for row in rows.messages.values() if row[0] not in _GONE)
        for number in sorted(truth.begun):
            mail = self._compose(number)
            expected = 0 if mail.secret else 1
            if (number in truth.acknowledged or mail.secret) and held[mail.digest] != expected:
                yield f"mail {number} stands {held[mail.digest]} times in the store, not {expected}"
            if mail.secret != (number in truth.refused):
                yield f"mail {number}: wrong answer, refused={number in truth.refused}"

    def _blobs(self, evidence: Evidence, *, strict: bool) -> Iterator[str]:
        """Every row has its bytes, but for refused mails and letters that were delivered; at rest no file lacks a row."""
        for mail_id, (state, kind, door, digest, size) in evidence.rows.messages.items():
            path = evidence.blobs.get(mail_id)
            if state in _GONE:
                if path is not None:
                    yield f"the refused mail {mail_id} still has its bytes"
            elif path is None:
                if kind != "letter" or state != "done":
                    yield f"the mail {mail_id} ({kind}, {state}) has no bytes"
            elif strict and kind == "letter" and door != "imap":
                yield f"the letter {mail_id} was delivered and still has its bytes"
            elif mail_id not in self._seen:
                yield from self._blob(mail_id, path, digest, size)
        if strict:
            for mail_id in sorted(evidence.blobs.keys() - evidence.rows.messages.keys()):
                yield f"the file {mail_id} belongs to no mail"

    def _blob(self, mail_id: str, path: Path, digest: str, size: int) -> Iterator[str]:
        if path.stat().st_size != size:
            yield f"the file of {mail_id} has {path.stat().st_size} bytes, not {size}"
        elif digest_of(path) != digest:
            yield f"the file of {mail_id} holds other bytes"
        else:
            self._seen.add(mail_id)

    def _recipients(self, truth: Truth, rows: Rows) -> Iterator[str]:
        """Every recipient of an acknowledged mail has exactly one dispatch."""
        given: dict[str, list[str]] = {}
        for _, mail_id, recipient, *_ in rows.dispatches:
            given.setdefault(mail_id, []).append(recipient)
        for number, mail_id in sorted(truth.acknowledged.items()):
            wanted = sorted(self._compose(number).recipients)
            if sorted(given.get(mail_id, [])) != wanted:
                yield f"mail {number} has dispatches to {given.get(mail_id)}, not {wanted}"


def _numbers(rows: Rows) -> Iterator[str]:
    """seq is 1..n in every book, and the counter stands at n."""
    for book, numbers in sorted(numbers_of(rows.entries).items()):
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"the numbers of {book} have a hole or a twin: {len(numbers)} entries up to {numbers[-1]}"
        if rows.counters.get(book) != numbers[-1]:
            yield f"the counter of {book} stands at {rows.counters.get(book)}, the last number is {numbers[-1]}"


def _rest(rows: Rows) -> Iterator[str]:
    """Everything has come to its end: mails, dispatches, receipts."""
    for mail_id, (state, kind, *_) in rows.messages.items():
        if state not in {"done", "rejected"}:
            yield f"the mail {mail_id} ({kind}) is still {state}"
    for dispatch_id, mail_id, recipient, state, *_ in rows.dispatches:
        if state not in _FINAL:
            yield f"dispatch {dispatch_id} of {mail_id} to {recipient} is {state}"
    for kind, state, notice_id in rows.receipts:
        if state != "sent":
            yield f"a receipt ({kind}, {notice_id}) is {state}"
    notices = Counter(notice_id for _, _, notice_id in rows.receipts)
    for mail_id, (_, kind, *_) in rows.messages.items():
        if kind == "receipt" and notices[mail_id] != 1:
            yield f"the notice {mail_id} belongs to {notices[mail_id]} receipts"


def _box(recipient: str) -> str:
    return recipient.partition("@")[0]


def _copies_of_the_delivered(evidence: Evidence) -> Iterator[str]:
    """What is noted as delivered or relayed is really there, byte for byte."""
    delivered = {(copy.mail_id, copy.recipient): copy.digest for copy in evidence.delivered}
    relayed = {(copy.mail_id, copy.recipient): copy.digest for copy in evidence.relayed}
    for _, mail_id, recipient, state, *_ in evidence.rows.dispatches:
        if state not in _FINAL:
            continue
        digest = (
            delivered.get((mail_id, _box(recipient))) if state == "delivered" else relayed.get((mail_id, recipient))
        )
        if digest is None:
            yield f"lost: {mail_id} is noted as {state} to {recipient}, who does not have it"
        elif digest != evidence.rows.messages[mail_id][3]:
            yield f"{recipient} has other bytes of {mail_id}"


def _nothing_invented(evidence: Evidence) -> Iterator[str]:
    """Nobody received what the store does not hold for him."""
    known = {(row[1], row[2]) for row in evidence.rows.dispatches}
    known |= {(mail_id, _box(recipient)) for mail_id, recipient in known}
    for copy in (*evidence.delivered, *evidence.relayed):
        if (copy.mail_id, copy.recipient) not in known:
            yield f"{copy.recipient} received {copy.mail_id}, which was not accepted for it"


def _doubles(evidence: Evidence) -> Iterator[str]:
    """A Maildir never has a mail twice; a next hop only for each try of which no end was recorded: those that a crash met."""
    for (mail_id, box), count in Counter((copy.mail_id, copy.recipient) for copy in evidence.delivered).items():
        if count > 1:
            yield f"{box} has {mail_id} {count} times"
    relayed = Counter((copy.mail_id, copy.recipient) for copy in evidence.relayed)
    for dispatch_id, mail_id, recipient, _, attempts, recorded in evidence.rows.dispatches:
        extra = relayed[mail_id, recipient] - 1
        # One try is recorded twice when the answer to its commit was lost and it was written down again.
        in_flight = max(0, attempts - recorded)
        if extra > in_flight:
            yield f"dispatch {dispatch_id}: {extra} copies too many, {in_flight} tries were in flight at a crash"


def _events(rows: Rows) -> Iterator[str]:
    """The log tells of each mail once that it came, and of each dispatch once that it arrived."""
    ended = Counter(row[1] for row in rows.dispatches if row[3] in _FINAL)
    for mail_id, (state, kind, *_) in rows.messages.items():
        wanted = 0 if kind == "receipt" else 1
        came = rows.events[mail_id, "refused" if state == "rejected" else "received"]
        if came != wanted:
            yield f"the log tells {came} times that {mail_id} came"
        arrived = rows.events[mail_id, "delivered"] + rows.events[mail_id, "relayed"]
        if arrived != ended[mail_id]:
            yield f"the log tells {arrived} times of {ended[mail_id]} arrivals of {mail_id}"


def _polled(truth: Truth, rows: Rows) -> Iterator[str]:
    """Every mail of the polled box is registered once."""
    held = Counter(row[3] for row in rows.messages.values() if row[2] == "imap")
    for digest, number in sorted(truth.placed.items(), key=lambda item: item[1]):
        if held[digest] != 1:
            yield f"the polled mail {number} stands {held[digest]} times in the store"
    taken = sum(outcome == "taken" for outcome, _ in rows.polled)
    if taken != len(truth.placed) or len(rows.polled) != len(truth.placed):
        yield f"the ledger of the polled box has {len(rows.polled)} ends, {taken} taken, of {len(truth.placed)} mails"
