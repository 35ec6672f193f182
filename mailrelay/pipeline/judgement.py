"""From received bytes to a judged mail: expand, examine, recognise, judge. Writes nothing; used live, pending and dry.

`explain` runs exactly this, so that what it tells is what would happen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from mailrelay.config.office import Office
from mailrelay.delivery.route import route
from mailrelay.inspection.authentication import results_field
from mailrelay.inspection.document import recognise, secrecy_mark
from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.exhibits import names_in
from mailrelay.model.decision import Action, Decision
from mailrelay.model.document import MessageClass, Recognition, Secrecy
from mailrelay.model.envelope import Door, Envelope, Recipient
from mailrelay.model.evidence import Exhibit
from mailrelay.model.finding import Check, Finding, Findings, Verdict
from mailrelay.model.message import Attachment, Content, Message, MessageState, Rendering
from mailrelay.model.record import MailRecord, veiled
from mailrelay.pipeline import promise, trace_fields
from mailrelay.pipeline.expansion import expand
from mailrelay.policy.judge import judge
from mailrelay.receipts.audience import voucher

_MARKS = {secrecy.value.replace("_", "-"): secrecy for secrecy in Secrecy}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judged mail, not yet written anywhere. `recipients` are the final addresses, groups and aliases resolved.

    `record` says everything, for the notices that go to the parties themselves; `kept` is what the log may keep.
    """

    record: MailRecord
    content: Content
    recognition: Recognition
    recipients: tuple[Recipient, ...]
    secrecy: Secrecy
    exhibits: tuple[Exhibit, ...] = ()

    @property
    def evidence(self) -> tuple[Exhibit, ...]:
        """The pieces that the findings which the log keeps rest on: of a letter none, for its findings lose their facts."""
        named = {digest for finding in self.kept.findings for digest in names_in(finding.facts)}
        return tuple(piece for piece in self.exhibits if piece.digest in named)

    @property
    def kept(self) -> MailRecord:
        return discreet(self.record) if self.record.message_class is MessageClass.LETTER else self.record

    @property
    def decision(self) -> Decision:
        assert self.record.decision is not None
        return self.record.decision


async def examine_and_judge(message: Message, path: Path, office: Office, inspector: Inspector) -> Judgement:
    """Look at a mail and say what shall become of it. Never raises for anything that the mail contains."""
    return judge_findings(message, await inspector.examine(message, path, office.directory), office)


def judge_findings(message: Message, findings: Findings, office: Office) -> Judgement:
    """The pure half: recognise the document and judge it by the rules in force."""
    content = findings.content
    written = secrecy_mark(content)
    inside = [_MARKS.get(f.detail, Secrecy.NONE) for f in findings.of(Check.SECRECY)]  # in files, seen by the workers
    secrecy = max((written, *inside), key=list(Secrecy).index)
    added = []
    if written is not Secrecy.NONE:
        added.append(Finding(Check.SECRECY, Verdict.FAIL, "", written.value.replace("_", "-")))
    if content.received_count > office.settings.limits.received_count:
        added.append(Finding(Check.STRUCTURE, Verdict.FAIL, "", "loop", {"received": content.received_count}))
    findings = replace(findings, findings=(*findings.findings, *added))
    envelope = message.envelope
    recognition = recognise(content, envelope, office.directory, message.received_at)
    recipients = expand(envelope.recipients, office.directory)
    addresses = [recipient.address for recipient in recipients]
    decision = judge(office.rulebook, office.directory, envelope, addresses, findings, recognition)
    if secrecy is Secrecy.NONE:  # a secret paper is refused whoever sends it: it must never lie in our spool
        decision = _fitted(decision, envelope, findings, office)
    elif decision.action is not Action.REJECT:
        decision = _barred(decision)
    record = MailRecord(
        message=message,
        state=_state(decision),
        message_id=content.message_id or trace_fields.made_message_id(message, office.settings.domain),
        subject=content.subject,
        message_class=recognition.message_class,
        findings=findings.findings,
        attachments=content.attachments,
        document=recognition.document,
        warnings=recognition.warnings,
        decision=decision,
        rendering=_rendering(message, findings, office),
        repeat_key=repeat_key(envelope, content, message.digest),
    )
    return Judgement(record, content, recognition, recipients, secrecy, findings.exhibits)


def _fitted(decision: Decision, envelope: Envelope, findings: Findings, office: Office) -> Decision:
    if envelope.origin.promise is None:
        return enforceable(decision, envelope)
    delivery = office.settings.delivery

    def has_way(address: str) -> bool:
        return route(address, office.directory, delivery.routes, delivery.back) is not None

    return promise.kept(decision, envelope, findings, has_way, envelope.origin.promise)


def _barred(decision: Decision) -> Decision:
    """The rules in force do not refuse what the law keeps out (Law 29/2018/QH14): they are not asked."""
    recipients = tuple(promise.refused(one, "secret-document", "door.secret") for one in decision.recipients)
    return replace(decision, recipients=recipients)


def enforceable(decision: Decision, envelope: Envelope) -> Decision:
    """Fit the actions to what the door can do.

    A door gives one answer for the whole mail. An authenticated sender whose mail is refused for some recipients only gets
    a notice for those (return); a stranger gets no mail from us, ever (no backscatter): what would be returned is refused
    in the session if it concerns all recipients, and held for a person if it concerns some.
    """
    actions = {r.action for r in decision.recipients}
    drop_folder = envelope.origin.door is Door.IMAP and envelope.origin.is_authenticated  # nobody hears a 5xx there
    if actions <= {Action.RELAY, Action.HOLD} or (actions == {Action.REJECT} and not drop_folder):
        return decision
    if envelope.origin.is_authenticated or envelope.origin.in_place:
        mapping = {Action.REJECT: Action.RETURN}
    elif actions <= {Action.RETURN, Action.REJECT}:
        mapping = {Action.RETURN: Action.REJECT}
    else:
        mapping = {Action.RETURN: Action.HOLD, Action.REJECT: Action.HOLD}
    recipients = tuple(replace(r, action=mapping.get(r.action, r.action)) for r in decision.recipients)
    return replace(decision, recipients=recipients)


def without_refusal(judgement: Judgement) -> Judgement:
    """A pending mail was already acknowledged: what would have been refused in the session is returned by a notice.

    Not so a secret paper: it stays refused, so that its bytes go even if we are stopped before they are removed.
    """
    if judgement.secrecy is not Secrecy.NONE:
        return judgement
    recipients = tuple(
        replace(r, action=Action.RETURN if r.action is Action.REJECT else r.action)
        for r in judgement.decision.recipients
    )
    state = MessageState.RETURNED if judgement.record.state is MessageState.REJECTED else judgement.record.state
    decision = replace(judgement.decision, recipients=recipients)
    return replace(judgement, record=replace(judgement.record, decision=decision, state=state))


def repeat_key(envelope: Envelope, content: Content, digest: str) -> str:
    """What makes a mail the same as an earlier one: sender, Message-ID and body (two mails with one id stay two mails).

    Without a Message-ID only the same bytes are the same mail: a device may say "all is well" in the same words every day.
    """
    body = content.body_sha256 if content.message_id else ""
    marks = (envelope.sender.lower(), content.message_id, body or digest)
    return hashlib.sha256("\0".join(marks).encode()).hexdigest()


def discreet(record: MailRecord) -> MailRecord:
    """Of a letter the log keeps time, size, direction, outcome and digests; subject, ids in clear and names are dropped.

    The domain that proves the envelope sender stays: it is in the envelope, and decides who may be told of trouble.
    """
    sender = record.message.envelope.sender
    nameless = tuple(Attachment("", (), "", a.type, a.size, a.sha256, a.part) for a in record.attachments)
    proofs = ((f, voucher(f, sender)) for f in record.findings)
    kept = tuple(
        Finding(f.check, f.verdict, "", f.detail, {"domain": domain} if domain else {}) for f, domain in proofs
    )
    return replace(
        record, subject="", message_id=veiled(record.message_id), attachments=nameless, findings=kept, document=None
    )


def _state(decision: Decision) -> MessageState:
    actions = {r.action for r in decision.recipients}
    if Action.RELAY in actions:
        return MessageState.MOVING
    if Action.HOLD in actions:
        return MessageState.HELD
    return MessageState.REJECTED if decision.action is Action.REJECT else MessageState.RETURNED


def _rendering(message: Message, findings: Findings, office: Office) -> Rendering:
    settings = office.settings
    prefix = trace_fields.received(message, settings.hostname) + trace_fields.mark(message)
    if message.envelope.origin.door is Door.MX:
        prefix += results_field(settings.inspection.authserv_id, findings.findings)
    prefix += trace_fields.completed(message, findings.content, settings.domain)
    # Nobody but the blind recipients may know of them: a drop folder's Bcc fields are cut, as a mail client does itself.
    cuts = sorted({*findings.content.own_results, *message.envelope.cuts})
    return Rendering(prefix, tuple(cuts), findings.content.body_sha256)
