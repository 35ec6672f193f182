"""What shall become of a mail: one action per recipient, with reasons. There is no discard."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """Weakest first; the strongest of the recipients' actions is the mail's."""

    RELAY = "relay"
    HOLD = "hold"
    RETURN = "return"
    REJECT = "reject"

    @property
    def strength(self) -> int:
        return list(Action).index(self)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: the rule that spoke, its sentence in both languages, what to do, and the facts that matched as text."""

    rule_id: str
    vi: str
    en: str
    remedy_vi: str = ""
    remedy_en: str = ""
    matched: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RecipientDecision:
    """The judgement for one recipient. `rules` lists every rule that matched, in order; `shadow` those not enforced."""

    recipient: str
    action: Action
    rules: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    shadow: tuple[str, ...] = ()
    refusal: str = ""
    obligations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The judgement for one mail, with the digests of the rule book and directory in force."""

    recipients: tuple[RecipientDecision, ...]
    rulebook_digest: str = ""
    directory_digest: str = ""

    @property
    def action(self) -> Action:
        return max((r.action for r in self.recipients), key=lambda a: a.strength, default=Action.RELAY)

    def with_action(self, action: Action) -> tuple[RecipientDecision, ...]:
        return tuple(r for r in self.recipients if r.action is action)
