"""What becomes of a mail that a neighbour has promised to deliver: nothing is refused, nothing ends in silence."""

from __future__ import annotations

import pytest

from mailrelay.model.decision import Action, Decision, RecipientDecision
from mailrelay.model.envelope import Door, Envelope, Origin
from mailrelay.model.finding import Check, Finding, Findings, Verdict
from mailrelay.model.message import Content
from mailrelay.pipeline.promise import kept, looped
from tests.province import DOMAIN

H, R, J, P = Action.HOLD, Action.RETURN, Action.REJECT, Action.RELAY
PROOF = Finding(Check.SPF, Verdict.PASS, "b.example", "authorised", {"domain": "b.example"})


def fitted(promise: Action, *actions: Action, sender: str = "a@b.example", proved: bool = True) -> list[Action]:
    decision = Decision(tuple(RecipientDecision(f"r{n}@{DOMAIN}", action) for n, action in enumerate(actions)))
    envelope = Envelope(sender, (), Origin(Door.MX, peer="192.0.2.7", promise=promise))
    findings = Findings(Content(), (PROOF,) if proved else ())
    return [r.action for r in kept(decision, envelope, findings, lambda address: True, promise).recipients]


@pytest.mark.parametrize(
    ("promise", "proved", "expected"),
    [
        (H, True, [P, H, R, H]),
        (H, False, [P, H, H, H]),
        (R, True, [P, H, R, R]),
        (R, False, [P, H, H, H]),  # nobody may be told, so a person must see it
    ],
)
def test_a_refusal_becomes_what_the_settings_say(promise: Action, proved: bool, expected: list[Action]) -> None:
    assert fitted(promise, P, H, R, J, proved=proved) == expected
    assert fitted(promise, J, proved=proved) == expected[3:]


def test_a_bounce_is_never_returned() -> None:
    assert fitted(R, J, R, sender="") == [H, H]


def test_mail_without_a_way_waits_for_a_person() -> None:
    decision = Decision((RecipientDecision("khong-co@x", P), RecipientDecision("co@x", P)))
    envelope = Envelope("a@b.example", (), Origin(Door.MX, promise=H))
    one, other = kept(decision, envelope, Findings(Content(), ()), lambda address: address == "co@x", H).recipients
    assert (one.action, one.refusal, one.rules) == (H, "no-such-recipient", ("door.no-way",))
    assert "khong-co@x" in one.reasons[-1].vi and other.action is P


def test_what_came_back_waits_with_the_reason() -> None:
    (one,) = looped(Decision((RecipientDecision("co@x", P),))).recipients
    assert (one.action, one.refusal) == (H, "loop")
