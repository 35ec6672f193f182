"""A mail comes in: examined, judged, entered, durable – then acknowledged.

The reply is given after the commit. Everything up to the commit can be done again: a mail that could not be judged in time
is acknowledged as pending (authenticated senders) and `carry` finishes it from the spool by the same functions.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from mailrelay.failpoint import failpoint
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.decision import Action
from mailrelay.model.dispatch import DispatchState
from mailrelay.model.document import Secrecy
from mailrelay.model.envelope import Door, Envelope
from mailrelay.model.faults import StoreFault, StoreNotNow
from mailrelay.model.finding import Check, Findings, Verdict
from mailrelay.model.identity import MailId
from mailrelay.model.message import Message, MessageState
from mailrelay.model.record import MailRecord
from mailrelay.pipeline import entry
from mailrelay.pipeline.judgement import Judgement, examine_and_judge, judge_findings, without_refusal
from mailrelay.pipeline.parts import Parts
from mailrelay.pipeline.proofs import keep_evidence
from mailrelay.pipeline.rescan import awaits_scan
from mailrelay.spool import Draft
from mailrelay.store import messages
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import count, log

T = TypeVar("T")
Alongside = Callable[[Transaction, Acceptance], None]

_REMEMBERED = 256  # findings kept for a peer that was told to come back


class Pipeline:
    """What the doors see of the house: `draft` to write a mail into, `accept` to hand it in."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._late: OrderedDict[tuple[str, str, str], asyncio.Task[Findings]] = OrderedDict()
        self._carrying: set[MailId] = set()
        self._entering: set[asyncio.Task[entry.Entered]] = set()

    def draft(self) -> Draft:
        return self._parts.spool.draft()

    async def accept(self, envelope: Envelope, draft: Draft, *, alongside: Alongside | None = None) -> Acceptance:
        """Take one mail under the deadline, or refuse it by a name of the refusal table.

        `alongside` writes the door's own rows in the same transaction. Faults of the house are raised (451 at the door).
        Once a transaction was begun the file is removed only when it surely was not committed; else the commit may be on
        the way, and a file without a row is dropped at the next start.
        """
        try:
            message = Message(draft.mail_id, envelope, draft.finish(), draft.size, self._parts.now())
            findings = await self._examine_in_time(message, draft)
        except BaseException:
            with suppress(OSError):
                draft.give_up()
            raise
        if findings is not None and not _may_wait(envelope) and awaits_scan(findings.findings):
            await asyncio.to_thread(draft.discard)  # a peer keeps it in its queue until the scanner is back
            return Acceptance(None, "scanner-away")
        if findings is not None:
            return await self._settle(judge_findings(message, findings, self._parts.office()), draft, alongside)
        if _may_wait(envelope):
            return await self._postpone(message, draft, alongside)
        return Acceptance(None, "busy")

    async def carry(self, mail_id: MailId) -> None:
        """Finish a pending mail from the spool. Idempotent: what is no longer pending is left alone."""
        parts = self._parts
        record = await parts.store.read(lambda tx: messages.get(tx, mail_id))
        if record is None or record.state is not MessageState.PENDING or mail_id in self._carrying:
            return
        self._carrying.add(mail_id)
        try:
            path = parts.spool.path(mail_id)
            judgement = await examine_and_judge(record.message, path, parts.office(), parts.inspector)
            judgement = without_refusal(judgement)
            now = parts.now()
            if judgement.secrecy is not Secrecy.NONE:
                await parts.store.write(
                    lambda tx: entry.refuse(tx, judgement, parts.office().directory, now, known=True)
                )
                # A crash between the two: at the next start the bytes of a refused mail are dropped like those without a row.
                await asyncio.to_thread(parts.spool.remove, mail_id)
            else:
                await keep_evidence(self._parts, judgement)
                await parts.store.write(lambda tx: entry.enter(tx, judgement, parts.office(), now, known=True))
            self._parts.bells.ring()
        finally:
            self._carrying.discard(mail_id)

    async def carry_pending(self) -> int:
        """Carry every pending mail; return how many there were. One mail's fault never stops the next."""
        waiting = await self._parts.store.read(lambda tx: messages.in_state(tx, MessageState.PENDING))
        for mail_id in waiting:
            try:
                await self.carry(mail_id)
            except Exception as fault:
                log.error("carry-failed", mail_id=mail_id, fault=type(fault).__name__, exc_info=True)
        return len(waiting)

    async def _examine_in_time(self, message: Message, draft: Draft) -> Findings | None:
        """Findings, or None when the deadline passed. A peer's mail is looked at to the end for its next try."""
        parts = self._parts
        key = (message.digest, message.envelope.sender, message.envelope.origin.peer)
        task = self._late.pop(key, None)
        if task is None:
            looking = parts.inspector.examine(message, draft.path, parts.office().directory)
            task = asyncio.create_task(looking, name=f"examine-{message.mail_id}")
        try:
            async with asyncio.timeout(parts.office().settings.accept.deadline.total_seconds()):
                return await asyncio.shield(task)
        except TimeoutError:
            count("accept_deadline_passed")
            if _may_wait(message.envelope):
                task.cancel()
            else:
                self._remember(key, task, draft)
            return None
        except asyncio.CancelledError:
            task.cancel()
            raise

    def _remember(self, key: tuple[str, str, str], task: asyncio.Task[Findings], draft: Draft) -> None:
        def finished(done: asyncio.Task[Findings]) -> None:
            with suppress(OSError):
                draft.give_up()
            if not done.cancelled():
                done.exception()

        self._late[key] = task
        task.add_done_callback(finished)
        while len(self._late) > _REMEMBERED:
            self._late.popitem(last=False)[1].cancel()

    async def _settle(self, judgement: Judgement, draft: Draft, alongside: Alongside | None) -> Acceptance:
        parts = self._parts
        office = parts.office()
        now = parts.now()
        mail_id = draft.mail_id
        if judgement.decision.action is Action.REJECT:
            refusal = _refusal(judgement)

            def refuse(tx: Transaction) -> None:
                entry.refuse(tx, judgement, office.directory, now)
                if alongside is not None:
                    alongside(tx, refusal)

            # The file goes, and its folder is synced, before anybody hears of it: nothing of a refused secret stays.
            await asyncio.to_thread(draft.discard)
            await parts.store.write(refuse)
            self._parts.bells.ring()
            return refusal

        try:
            await keep_evidence(self._parts, judgement)
        except BaseException:
            with suppress(OSError, StoreFault):
                await asyncio.to_thread(draft.discard)
            raise
        failpoint("accept.before-commit")
        entering = asyncio.create_task(self._enter(judgement, draft, alongside), name=f"enter-{mail_id}")
        self._entering.add(entering)
        entering.add_done_callback(self._entered)
        entered = await asyncio.shield(entering)
        if entered.repeated:
            await asyncio.to_thread(draft.discard)
            log.info("repeated", mail_id=entered.mail_id)
            return Acceptance(entered.mail_id, repeated=True)
        log.info("accepted", mail_id=mail_id, door=judgement.record.message.envelope.origin.door.value)
        failpoint("accept.before-reply")
        return Acceptance(mail_id)

    async def _enter(self, judgement: Judgement, draft: Draft, alongside: Alongside | None) -> entry.Entered:
        """Enter a mail and see it off. A task of its own: when the door goes away meanwhile, the commit stands, and it is sent."""
        parts = self._parts
        office = parts.office()
        now = parts.now()

        def enter(tx: Transaction) -> entry.Entered:
            entered = entry.enter(tx, judgement, office, now, claim=claim)
            if alongside is not None:
                alongside(tx, Acceptance(entered.mail_id, repeated=entered.repeated))
            return entered

        with parts.active.claim(draft.mail_id, entry.destinations(judgement, office)) as claim:
            entered = await self._write(enter, draft)
            failpoint("accept.after-commit")
            parts.active.admit(judgement.kept, entered.dispatches)
        parts.bells.receipts.set()
        if any(dispatch.state is DispatchState.QUEUED for dispatch in entered.dispatches):
            parts.bells.dispatches.set()
        return entered

    def _entered(self, entering: asyncio.Task[entry.Entered]) -> None:
        self._entering.discard(entering)
        if not entering.cancelled():
            entering.exception()  # told to the door, if it still listens

    async def _write(self, closure: Callable[[Transaction], T], draft: Draft) -> T:
        """Commit with the mail's bytes. A full disk is not filled further by what the client sends again and again."""
        try:
            return await self._parts.store.write(closure, durable=[draft.path])
        except StoreNotNow:
            with suppress(OSError, StoreFault):
                await asyncio.to_thread(draft.discard)
            raise

    async def _postpone(self, message: Message, draft: Draft, alongside: Alongside | None) -> Acceptance:
        record = MailRecord(message, MessageState.PENDING)
        accepted = Acceptance(message.mail_id, pending=True)
        now = self._parts.now()

        def postpone(tx: Transaction) -> None:
            entry.postpone(tx, record, now)
            if alongside is not None:
                alongside(tx, accepted)

        await self._write(postpone, draft)
        self._parts.bells.pending.set()
        log.warning("pending", mail_id=message.mail_id)
        return accepted


def _may_wait(envelope: Envelope) -> bool:
    """Whether a mail may be acknowledged before it was judged: its sender is known and can be told by mail."""
    return envelope.origin.is_authenticated or envelope.origin.door is Door.IMAP


def _refusal(judgement: Judgement) -> Acceptance:
    decided = judgement.decision.recipients[0]
    reason = decided.reasons[-1] if decided.reasons else None
    envelope = judgement.record.message.envelope
    broken = [
        f.detail for f in judgement.record.findings if f.check is Check.STRUCTURE and f.verdict is not Verdict.NONE
    ]
    values = {
        "recipient": decided.recipient,
        "login": envelope.origin.login or "",
        # The door has let the envelope's sender in already: who is refused now is whom the From field names.
        "sender": next((author.address for author in judgement.content.senders), envelope.sender),
        "detail": ", ".join(broken),
        "reason": reason.vi if reason else "",
        "reason_en": reason.en if reason else "",
    }
    return Acceptance(judgement.record.message.mail_id, decided.refusal or "policy", values)
