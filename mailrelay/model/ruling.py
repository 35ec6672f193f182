"""What a rule book says of one set of facts: the meaning of matchers, decision lists and rule tests. Pure.

Each file is a decision list: its first enforced rule with an action that matches decides for the file, and the strongest
action over all files wins. Rules without action add obligations and go on; shadow rules are noted and never decide. When no
file decides, a person must: the mail is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from mailrelay.model.decision import Action
from mailrelay.model.fact import ACTION_FACT, FACTS, Form, Value
from mailrelay.model.rule import Matcher, Rule, RuleBook, RuleTest, as_word

Facts = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that matched, and by what: (fact, the values of it that met the matcher)."""

    rule: Rule
    facts: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Ruling:
    """The outcome for one recipient. `decided` is False when no rule decided and the mail is held for a person."""

    action: Action
    matches: tuple[Match, ...]
    shadow: tuple[Match, ...]
    decided: bool


def rule_on(rules: Iterable[Rule], facts: Facts) -> Ruling:
    """Judge one set of facts by rules in the order of files and lines. Total: never raises, whatever the values are."""
    strongest: Action | None = None
    matches: list[Match] = []
    shadow: list[Match] = []
    decided_file = ""
    for rule in rules:
        if not rule.enabled or rule.file == decided_file:
            continue
        found = _matched(rule, facts, strongest or Action.RELAY)
        if found is None:
            continue
        if rule.shadow:
            shadow.append(found)
            continue
        matches.append(found)
        if rule.action is not None:
            decided_file = rule.file
            if strongest is None or rule.action.strength > strongest.strength:
                strongest = rule.action
    return Ruling(strongest or Action.HOLD, tuple(matches), tuple(shadow), strongest is not None)


def may_match(rule: Rule, known: Facts) -> bool:
    """Whether a rule can still match when only some facts are known: false when one of these speaks against it."""
    for matcher in rule.when:
        value = known.get(matcher.fact)
        if value is None:
            continue
        if type(value) is str and matcher.comparison == "in":  # most matchers, and every mail meets every rule
            if value.casefold() not in matcher.words:
                return False
        elif _hits(matcher, value) is None:
            return False
    return True


def _matched(rule: Rule, facts: Facts, so_far: Action) -> Match | None:
    found = []
    for matcher in rule.when:
        value = so_far.value if matcher.fact == ACTION_FACT else facts.get(matcher.fact, "")
        hits = _hits(matcher, value)
        if hits is None:
            return None
        found.append((matcher.fact, hits))
    return Match(rule, tuple(found))


def _hits(matcher: Matcher, value: Value) -> tuple[str, ...] | None:
    """The words of a value that meet a matcher, or None when it does not hold."""
    comparison = matcher.comparison
    if comparison == "in" and not isinstance(value, tuple):
        return (_shown(value),) if as_word(value) in matcher.words else None
    if comparison in ("at_least", "at_most"):
        return _compared(matcher, value)
    words = value if isinstance(value, tuple) else (_shown(value),)
    if comparison == "matches":
        pattern = _pattern(matcher)
        return tuple(word for word in words if pattern.match(word.casefold())) or None
    hits = tuple(word for word in words if word.casefold() in matcher.words)
    if comparison == "not_in":
        return words if not hits else None
    return hits or None


def _compared(matcher: Matcher, value: Value) -> tuple[str, ...] | None:
    fact = FACTS.get(matcher.fact)
    if fact is None or isinstance(value, tuple):
        return None
    limit = matcher.values[0]
    if fact.form is Form.WORD:
        left, right = fact.rank(str(value)), fact.rank(str(limit))
    elif isinstance(value, str) or isinstance(limit, str):
        return None
    else:
        left, right = int(value), int(limit)
    holds = left >= right if matcher.comparison == "at_least" else left <= right
    return (_shown(value),) if holds else None


def _shown(value: str | int | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()


@lru_cache(maxsize=1024)
def _pattern(matcher: Matcher) -> re.Pattern[str]:
    """Globs with * and ? as one expression over casefolded words."""
    globs = (re.escape(as_word(value)).replace(r"\*", ".*").replace(r"\?", ".") for value in matcher.values)
    return re.compile(f"(?:{'|'.join(globs)})\\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What came of one rule test; `detail` says in Vietnamese what was different, `detail_en` in English."""

    test: RuleTest
    passed: bool
    detail: str = ""
    detail_en: str = ""


def run_tests(rulebook: RuleBook) -> tuple[TrialResult, ...]:
    """Run every test of a rule book against the whole book."""
    defaults = {fact.name: fact.default for fact in FACTS.values()}
    return tuple(_tried(test, rule_on(rulebook.rules, {**defaults, **dict(test.facts)})) for test in rulebook.tests)


def _tried(test: RuleTest, ruling: Ruling) -> TrialResult:
    rules = tuple(match.rule for match in ruling.matches)
    names = tuple(rule.rule_id for rule in rules)
    if ruling.action is not test.action:
        by = ", ".join(names) or "-"
        return TrialResult(
            test,
            False,
            f"mong đợi {test.action}, kết quả {ruling.action} (quy tắc: {by})",
            f"expected {test.action}, got {ruling.action} (rules: {by})",
        )
    if test.rule_id and test.rule_id not in names:
        by = ", ".join(names) or "-"
        return TrialResult(
            test,
            False,
            f"quy tắc {test.rule_id} không khớp (đã khớp: {by})",
            f"rule {test.rule_id} did not match (matched: {by})",
        )
    missing = set(test.obligations) - {obligation for rule in rules for obligation in rule.obligations}
    if missing:
        words = ", ".join(sorted(missing))
        return TrialResult(test, False, f"thiếu nghĩa vụ: {words}", f"missing obligations: {words}")
    return TrialResult(test, True)
