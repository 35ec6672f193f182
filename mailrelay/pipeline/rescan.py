"""What was accepted while the virus scanner was away is scanned when it is back, and goes on its way without a person.

A held mail that no scanner has seen is examined and judged anew, like a pending one, and what follows is one transaction: each
recipient that still waits is let go, stays held for another reason, or gets nothing because of malware. Idempotent on the mail
id: a mail that was scanned meanwhile, or whose recipients somebody decided on, is left as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from mailrelay.config.office import Office
from mailrelay.model.agency import Directory
from mailrelay.model.decision import Action, RecipientDecision
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.model.document import Secrecy
from mailrelay.model.entry import EventKind, LogEvent
from mailrelay.model.faults import Fault
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.identity import MailId
from mailrelay.model.message import MessageState
from mailrelay.model.record import MailRecord
from mailrelay.pipeline import entry
from mailrelay.pipeline.judgement import Judgement, examine_and_judge, without_refusal
from mailrelay.pipeline.parts import Parts
from mailrelay.pipeline.proofs import keep_evidence
from mailrelay.pipeline.settle import close, give_up_entries
from mailrelay.receipts import drawer
from mailrelay.store import dispatches, entries, log, messages, receipts
from mailrelay.store.transaction import Transaction
from mailrelay.telemetry import count
from mailrelay.telemetry import log as telemetry

_PAGE = 50


def awaits_scan(findings: Sequence[Finding]) -> bool:
    """Whether the scanner gave no answer that a later try could not better."""
    return any(f.check is Check.ANTIVIRUS and f.verdict is Verdict.TEMPERROR for f in findings)


class Rescan:
    """`look` is a timed tick; `scan` does it for one mail."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def look(self) -> int:
        """Scan what waits, if the scanner is there again; return how many mails went on. One mail's fault never stops the next."""
        parts = self._parts
        if not await parts.inspector.can_scan():
            return 0
        done = 0
        after = MailId("")
        while waiting := await parts.store.read(lambda tx, after=after: messages.unscanned(tx, after, _PAGE)):  # type: ignore[misc]
            for mail_id in waiting:
                try:
                    done += await self.scan(mail_id)
                except (Fault, OSError) as fault:
                    telemetry.error("rescan-failed", mail_id=mail_id, fault=type(fault).__name__)
            after = waiting[-1]
        if done:
            telemetry.info("rescanned", mails=done)
        return done

    async def scan(self, mail_id: MailId) -> bool:
        """Have one held mail scanned; False when nothing came of it: not held for the scanner, or it is away again."""
        parts = self._parts
        record = await parts.store.read(lambda tx: messages.get(tx, mail_id))
        if not _waits(record):
            return False
        assert record is not None
        path = parts.spool.path(mail_id)
        judgement = without_refusal(await examine_and_judge(record.message, path, parts.office(), parts.inspector))
        if awaits_scan(judgement.record.findings):
            return False
        count("rescanned")
        now = parts.now()
        if judgement.secrecy is not Secrecy.NONE:  # seen only now, by a check that could not look the first time
            refused: bool = await parts.store.write(lambda tx: _refuse(tx, judgement, parts.office().directory, now))
            if refused:
                await asyncio.to_thread(parts.spool.remove, mail_id)
            parts.bells.ring()
            return refused
        await keep_evidence(parts, judgement)
        moved: bool = await parts.store.write(lambda tx: resume(tx, judgement, parts.office(), now))
        parts.bells.ring()
        return moved


def resume(tx: Transaction, judgement: Judgement, office: Office, now: datetime) -> bool:
    """Act on what a scanned mail was judged to be. False when there was nothing left to act on."""
    mail_id = judgement.record.message.mail_id
    before = messages.get(tx, mail_id)
    if before is None or not _waits(before):
        return False
    decided = {one.recipient.lower(): one for one in judgement.decision.recipients}
    waiting = [
        (dispatch, decided[dispatch.recipient.address.lower()])
        for dispatch in dispatches.of_mail(tx, mail_id)
        # One that was tried already is held for another reason: it made its sender die.
        if dispatch.state is DispatchState.HELD
        and not dispatch.attempts
        and dispatch.recipient.address.lower() in decided
    ]
    fresh = [one for _, one in waiting]
    _record(tx, before, judgement, fresh)
    going = [dispatch for dispatch, one in waiting if one.action is Action.RELAY]
    ending = [(dispatch, one) for dispatch, one in waiting if one.action in (Action.RETURN, Action.REJECT)]
    for dispatch in going:
        dispatches.release(tx, dispatch.dispatch_id, now)
    for dispatch, one in ending:
        dispatches.withdraw(tx, dispatch.dispatch_id, one.reasons[-1].vi if one.reasons else "")
    _log(tx, EventKind.RELEASED, mail_id, going, judgement, now)
    _log(tx, EventKind.RETURNED, mail_id, [dispatch for dispatch, _ in ending], judgement, now)
    told = replace(judgement.record, decision=replace(judgement.decision, recipients=tuple(fresh)))
    booked = entries.of_mail(tx, mail_id)
    for receipt in drawer.on_accept(told, judgement.content, judgement.recognition, office.directory, booked, now):
        receipts.insert(tx, receipt)  # what was told when the mail came in is not told again: one event, one key
    close(tx, mail_id)
    if ending:
        give_up_entries(tx, mail_id, office.directory, now)
        if all(d.state is DispatchState.WITHDRAWN for d in dispatches.of_mail(tx, mail_id)):
            messages.set_state(tx, mail_id, MessageState.RETURNED)
    return True


def _refuse(tx: Transaction, judgement: Judgement, directory: Directory, now: datetime) -> bool:
    mail_id = judgement.record.message.mail_id
    if not _waits(messages.get(tx, mail_id)):
        return False
    for dispatch in dispatches.of_mail(tx, mail_id):
        if dispatch.state is DispatchState.HELD:
            dispatches.withdraw(tx, dispatch.dispatch_id, "")
    give_up_entries(tx, mail_id, directory, now)
    entry.refuse(tx, judgement, directory, now, known=True)
    return True


def _waits(record: MailRecord | None) -> bool:
    return record is not None and record.state is MessageState.HELD and awaits_scan(record.findings)


def _record(tx: Transaction, before: MailRecord, judgement: Judgement, fresh: Sequence[RecipientDecision]) -> None:
    """Keep what is known now; of recipients that were decided on before, what was decided then."""
    new = {one.recipient.lower(): one for one in fresh}
    old = before.decision.recipients if before.decision else ()
    recipients = tuple(new.get(one.recipient.lower(), one) for one in old)
    decision = replace(judgement.decision, recipients=recipients)
    messages.update(tx, replace(judgement.kept, decision=decision, state=before.state))


def _log(
    tx: Transaction,
    kind: EventKind,
    mail_id: MailId,
    concerned: Sequence[Dispatch],
    judgement: Judgement,
    now: datetime,
) -> None:
    if concerned:
        scan = next((f.detail for f in judgement.record.findings if f.check is Check.ANTIVIRUS), "")
        detail = {"dispatches": [dispatch.dispatch_id for dispatch in concerned], "antivirus": scan}
        log.append(tx, LogEvent(now, kind, mail_id, actor="mailrelay", detail=detail))
