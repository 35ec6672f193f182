"""What rules mean: matchers, decision lists over files, shadow rules, tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.model.decision import Action
from mailrelay.model.fact import FACTS, Form, Value
from mailrelay.model.rule import Matcher, Rule, RuleBook, RuleTest, Text
from mailrelay.model.ruling import may_match, rule_on, run_tests

SENTENCE = Text("Vì thế.", "Because.")


def a_rule(
    rule_id: str,
    action: Action | None,
    *when: Matcher,
    file: str = "policies/10-a.yaml",
    shadow: bool = False,
    enabled: bool = True,
    obligations: tuple[str, ...] = (),
) -> Rule:
    return Rule(rule_id, file, 1, when, action, SENTENCE, shadow=shadow, enabled=enabled, obligations=obligations)


def holds(matcher: Matcher, value: Value) -> bool:
    return rule_on([a_rule("r", Action.RELAY, matcher)], {matcher.fact: value}).decided


@pytest.mark.parametrize(
    ("fact", "comparison", "values", "value", "expected"),
    [
        ("class", "in", ("letter", "exchange"), "exchange", True),
        ("class", "in", ("letter",), "document", False),
        ("class", "not_in", ("letter",), "document", True),
        ("class", "not_in", ("letter",), "letter", False),
        ("authenticated", "in", (False,), False, True),
        ("authenticated", "in", (False,), True, False),
        ("recipient_count", "in", (1,), 1, True),
        ("recipient_count", "in", (1,), True, False),
        ("recipient_count", "at_least", (2,), 2, True),
        ("recipient_count", "at_least", (2,), 1, False),
        ("recipient_count", "at_most", (2,), 2, True),
        ("recipient_count", "at_most", (2,), 3, False),
        ("urgency", "at_least", ("urgent",), "flash", True),
        ("urgency", "at_least", ("urgent",), "normal", False),
        ("urgency", "at_most", ("urgent",), "normal", True),
        ("urgency", "at_least", ("urgent",), "unheard-of", False),
        ("finding", "in", ("name:path",), ("type:script", "name:path"), True),
        ("finding", "in", ("name:path",), (), False),
        ("finding", "not_in", ("name:path",), (), True),
        ("finding", "not_in", ("name:path",), ("name:path", "type:script"), False),
        ("sender", "matches", ("*@gmail.com",), "A@Gmail.com", True),
        ("sender", "matches", ("*@gmail.com",), "a@gmail.com.evil.vn", False),
        ("sender", "matches", ("a?@x.vn",), "ab@x.vn", True),
        ("sender", "matches", ("a.b@x.vn",), "acb@x.vn", False),
        ("finding", "matches", ("*:time-limit",), ("pdf:time-limit",), True),
        ("document_type", "in", ("QĐ",), "qđ", True),
        ("document_type", "in", ("QĐ",), "QyĐ", False),
    ],
)
def test_matchers(
    fact: str, comparison: str, values: tuple[str | int | bool, ...], value: Value, expected: bool
) -> None:
    assert holds(Matcher(fact, comparison, values), value) is expected


def test_true_and_one_are_not_mixed_up() -> None:
    assert holds(Matcher("authenticated", "in", (True,)), True)
    assert holds(Matcher("recipient_count", "in", (1,)), 1)
    assert holds(Matcher("authenticated", "in", (True,)), True)


def test_the_first_rule_of_a_file_decides_and_the_strongest_file_wins() -> None:
    ruling = rule_on(
        [
            a_rule("a1", Action.RELAY),
            a_rule("a2", Action.REJECT),
            a_rule("b1", Action.RETURN, file="b"),
            a_rule("c1", Action.HOLD, file="c"),
        ],
        {},
    )
    assert ruling.action is Action.RETURN
    assert [match.rule.rule_id for match in ruling.matches] == ["a1", "b1", "c1"]


def test_rules_without_action_go_on_and_shadow_rules_never_decide() -> None:
    ruling = rule_on(
        [
            a_rule("note", None, obligations=("warn:sender",)),
            a_rule("trial", Action.REJECT, shadow=True),
            a_rule("off", Action.REJECT, enabled=False),
            a_rule("yes", Action.RELAY),
            a_rule("later", None, obligations=("warn:sender",)),
        ],
        {},
    )
    assert ruling.action is Action.RELAY and ruling.decided
    assert [match.rule.rule_id for match in ruling.matches] == ["note", "yes"]
    assert [match.rule.rule_id for match in ruling.shadow] == ["trial"]


def test_when_nothing_decides_a_person_must() -> None:
    for rules in ([], [a_rule("note", None)], [a_rule("trial", Action.RELAY, shadow=True)]):
        ruling = rule_on(rules, {})
        assert ruling.action is Action.HOLD and not ruling.decided


def test_the_action_so_far_can_be_asked_for() -> None:
    receipt = a_rule("receipt", None, Matcher("action", "in", ("hold",)), file="b", obligations=("receipt:held",))
    assert [m.rule.rule_id for m in rule_on([a_rule("a", Action.HOLD), receipt], {}).matches] == ["a", "receipt"]
    assert [m.rule.rule_id for m in rule_on([a_rule("a", Action.RELAY), receipt], {}).matches] == ["a"]


def test_a_rule_is_out_as_soon_as_one_known_fact_speaks_against_it() -> None:
    rule = a_rule("r", Action.HOLD, Matcher("class", "in", ("letter",)), Matcher("recipient", "in", ("a@x.vn",)))
    assert may_match(rule, {"class": "letter"})
    assert not may_match(rule, {"class": "document"})
    assert may_match(rule, {})


def test_run_tests_says_what_was_different() -> None:
    book = RuleBook(
        (a_rule("r", Action.HOLD, Matcher("class", "in", ("letter",)), obligations=("receipt:held",)),),
        (
            RuleTest("good", "f", 1, (), Action.HOLD, "r", ("receipt:held",)),
            RuleTest("other action", "f", 2, (), Action.RELAY),
            RuleTest("other rule", "f", 3, (("class", "document"),), Action.HOLD, "r"),
            RuleTest("other duty", "f", 4, (), Action.HOLD, "r", ("receipt:sent",)),
        ),
    )
    results = run_tests(book)
    assert [result.passed for result in results] == [True, False, False, False]
    assert "mong đợi relay, kết quả hold" in results[1].detail
    assert "quy tắc r không khớp" in results[2].detail
    assert "thiếu nghĩa vụ: receipt:sent" in results[3].detail


_WORDS = st.sampled_from(["letter", "document", "a@x.vn", "name:path", "hold", "urgent", "", "QĐ", "(", "*", "É"])
_VALUES = st.one_of(st.booleans(), st.integers(-3, 10**9), _WORDS, st.lists(_WORDS, max_size=3).map(tuple))
_MATCHERS = st.builds(
    Matcher,
    st.sampled_from([*FACTS, "strange"]),
    st.sampled_from(["in", "not_in", "at_least", "at_most", "matches"]),
    st.lists(st.one_of(st.booleans(), st.integers(0, 9), _WORDS), min_size=1, max_size=3).map(tuple),
)
_RULES = st.builds(
    lambda number, file, when, action, shadow, enabled: a_rule(
        f"r{number}", action, *when, file=file, shadow=shadow, enabled=enabled
    ),
    st.integers(0, 99),
    st.just(""),
    st.lists(_MATCHERS, max_size=2),
    st.sampled_from([*Action, None]),
    st.booleans(),
    st.booleans(),
)


def _without_course(rules: list[Rule]) -> list[Rule]:
    """As the loader demands: a rule that asks for the action so far takes none."""
    return [r for r in rules if r.action is None or all(m.fact != "action" for m in r.when)]


def _in_file(rules: list[Rule], file: str) -> list[Rule]:
    return [a_rule(r.rule_id, r.action, *r.when, file=file, shadow=r.shadow, enabled=r.enabled) for r in rules]


_FILES = st.lists(st.lists(_RULES, max_size=3).map(_without_course), max_size=3)
_FACTS = st.dictionaries(st.sampled_from(list(FACTS)), _VALUES, max_size=6)


@given(_FILES, _FACTS)
def test_ruling_is_total(files: list[list[Rule]], facts: dict[str, Value]) -> None:
    rules = [rule for number, file in enumerate(files) for rule in _in_file(file, f"{number}")]
    ruling = rule_on(rules, facts)
    assert ruling.action in Action
    deciding = [match.rule.action for match in ruling.matches if match.rule.action is not None]
    assert ruling.decided is bool(deciding)
    assert ruling.action is max(deciding, key=lambda a: a.strength, default=Action.HOLD)
    assert not any(match.rule.shadow or not match.rule.enabled for match in ruling.matches)


@given(_FILES, st.lists(_RULES, max_size=3).map(_without_course), st.integers(0, 3), _FACTS)
def test_a_further_file_never_weakens(
    files: list[list[Rule]], further: list[Rule], place: int, facts: dict[str, Value]
) -> None:
    numbered = [_in_file(file, f"{number}") for number, file in enumerate(files)]
    before = rule_on([rule for file in numbered for rule in file], facts)
    numbered.insert(min(place, len(numbered)), _in_file(further, "further"))
    after = rule_on([rule for file in numbered for rule in file], facts)
    if before.decided:
        assert after.action.strength >= before.action.strength


def test_defaults_fit_their_forms() -> None:
    types = {Form.FLAG: bool, Form.NUMBER: int, Form.SIZE: int, Form.WORD: str, Form.WORDS: tuple}
    for fact in FACTS.values():
        assert isinstance(fact.default, types[fact.form]), fact.name
        words = fact.default if isinstance(fact.default, tuple) else (fact.default,)
        assert not fact.choices or all(word in fact.choices for word in words), fact.name
        assert fact.vi
