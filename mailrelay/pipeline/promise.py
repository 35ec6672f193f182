"""Mail from a listed neighbour that has promised delivery already, in the position of a content filter. Pure.

The neighbour has said 250 to its client, so a refusal of ours would become a bounce of its own, to whoever the mail names as
its sender. What would be refused is therefore taken and held for a person, or returned with our notice, as the settings say
for this neighbour; a notice goes only to a sender whose address is proved, else the mail is held. Nothing ends in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mailrelay.model.decision import Action, Decision, Reason, RecipientDecision
from mailrelay.model.envelope import Envelope
from mailrelay.model.finding import Findings
from mailrelay.model.refusal import REFUSALS
from mailrelay.receipts.audience import voucher


def kept(
    decision: Decision, envelope: Envelope, findings: Findings, has_way: Callable[[str], bool], promise: Action
) -> Decision:
    """Fit a decision to a promise: `promise` (hold or return) takes the place of a refusal, a hold that of an unproved return.

    `has_way` tells whether mail for an address can be delivered at all: one that cannot is as good as refused.
    """
    origin = envelope.origin
    proved = bool(envelope.sender) and (
        origin.is_authenticated or any(voucher(finding, envelope.sender) for finding in findings.findings)
    )
    returned = Action.RETURN if proved else Action.HOLD
    mapping = {Action.REJECT: returned if promise is Action.RETURN else Action.HOLD, Action.RETURN: returned}

    def fitted(one: RecipientDecision) -> RecipientDecision:
        if one.action is Action.RELAY and not has_way(one.recipient):
            one = refused(one, "no-such-recipient", "door.no-way")
        return replace(one, action=mapping.get(one.action, one.action))

    return replace(decision, recipients=tuple(fitted(one) for one in decision.recipients))


def looped(decision: Decision) -> Decision:
    """Our own mail came back from the neighbour that we gave it to: it waits until a person has mended the route."""
    recipients = (replace(refused(one, "loop", "door.loop"), action=Action.HOLD) for one in decision.recipients)
    return replace(decision, recipients=tuple(recipients))


def refused(one: RecipientDecision, refusal: str, rule: str) -> RecipientDecision:
    """What a recipient's mail is refused for, in the words of the refusal table."""
    row, values = REFUSALS[refusal], {"recipient": one.recipient}
    reason = Reason(
        rule,
        row.fill(row.vi, values),
        row.fill(row.en, values),
        row.fill(row.remedy_vi, values),
        row.fill(row.remedy_en, values),
    )
    return replace(one, action=Action.REJECT, rules=(*one.rules, rule), reasons=(*one.reasons, reason), refusal=refusal)
