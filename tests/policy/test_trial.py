"""The shipped rule book tests itself: every test passes and every rule is reached."""

from __future__ import annotations

from dataclasses import replace

from mailrelay.config import load_rulebook, shipped_dir
from mailrelay.model.decision import Action
from mailrelay.model.document import MessageClass
from mailrelay.model.fact import FACTS
from mailrelay.model.rule import RuleBook
from mailrelay.model.ruling import rule_on
from mailrelay.policy.trial import run_tests, untested

BOOK = load_rulebook(shipped_dir(), run_tests=False)


def test_every_shipped_test_passes() -> None:
    results = run_tests(BOOK)
    assert len(results) > 60
    assert [(result.test.name, result.detail) for result in results if not result.passed] == []


def test_every_shipped_rule_is_reached_by_a_test() -> None:
    assert [rule.rule_id for rule in untested(BOOK)] == []
    assert [rule.rule_id for rule in untested(RuleBook(BOOK.rules, BOOK.tests[:1]))] != []


def test_a_changed_rule_fails_its_test() -> None:
    rules = tuple(replace(r, action=Action.RELAY) if r.rule_id == "malware" else r for r in BOOK.rules)
    failed = [result.test.name for result in run_tests(RuleBook(rules, BOOK.tests)) if not result.passed]
    assert failed == ["Mã độc của cán bộ cũng bị từ chối"]


def test_only_the_routing_file_says_relay_for_whole_classes() -> None:
    """So that a mail which no routing rule knows is held, and not let through by a mere warning's file."""
    defaults = {fact.name: fact.default for fact in FACTS.values()}
    for message_class in MessageClass:
        ruling = rule_on(BOOK.rules, {**defaults, "class": message_class.value})
        deciding = [match.rule.file for match in ruling.matches if match.rule.action is not None]
        assert deciding == ["policies/50-routing.yaml"]


def test_every_deciding_rule_explains_itself() -> None:
    for rule in BOOK.rules:
        if rule.action is None:
            continue
        assert rule.reason.vi.endswith((".", "?", "!")) and rule.reason.en.endswith("."), rule.rule_id
        assert rule.action is not Action.RETURN or rule.remedy, rule.rule_id
        assert rule.action is not Action.HOLD or rule.remedy, rule.rule_id
