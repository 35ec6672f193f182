"""Trying the rule book: the tests written beside the rules, and the rules that no test reaches. Pure."""

from __future__ import annotations

from mailrelay.model.fact import FACTS
from mailrelay.model.rule import Rule, RuleBook
from mailrelay.model.ruling import TrialResult, rule_on, run_tests

__all__ = ["TrialResult", "run_tests", "untested"]


def untested(rulebook: RuleBook) -> tuple[Rule, ...]:
    """The enforced rules that match in none of the book's tests."""
    defaults = {fact.name: fact.default for fact in FACTS.values()}
    reached: set[str] = set()
    for test in rulebook.tests:
        ruling = rule_on(rulebook.rules, {**defaults, **dict(test.facts)})
        reached.update(match.rule.rule_id for match in (*ruling.matches, *ruling.shadow))
    return tuple(rule for rule in rulebook.rules if rule.enabled and rule.rule_id not in reached)
