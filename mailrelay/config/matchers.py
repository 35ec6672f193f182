"""Reads the conditions of a rule: facts by name, values by the form of the fact. A misspelt fact or word does not load.

`fact: value` or `fact: [values]` (any of them), and `fact: {any: …, all: …, not: …, at_least: n, at_most: n, matches: globs}`,
where every part must hold.
"""

from __future__ import annotations

from mailrelay.config import forms
from mailrelay.config.marks import Node
from mailrelay.config.problems import Problems, clipped, suggestion
from mailrelay.config.table import Table
from mailrelay.model.fact import FACTS, Fact, Form, Value
from mailrelay.model.rule import Matcher

_COMPARISONS = ("any", "all", "not", "at_least", "at_most", "matches")
_MAX_STARS = 4  # a glob with many stars takes long on hostile names


def matchers(table: Table | None) -> tuple[Matcher, ...]:
    """The matchers of a `when`; none means that the rule holds for every mail."""
    if table is None:
        return ()
    found: list[Matcher] = []
    for place, node in table.node.mapping.values():
        fact = fact_node(place, table.problems)
        if fact is not None:
            found += _of_fact(fact, node, table.problems)
    return tuple(found)


def fact_node(place: Node, problems: Problems) -> Fact | None:
    """The fact that a key names; None with the problem noted."""
    fact = FACTS.get(str(place.value))
    if fact is None:
        near_vi, near_en = suggestion(str(place.value), FACTS)
        shown = clipped(place.value)
        problems.add(place, f"không có dữ kiện “{shown}”{near_vi}", f"unknown fact “{shown}”{near_en}")
    return fact


def fact_value(fact: Fact, node: Node) -> Value:
    """The value of a fact in a test; Unreadable when it has the wrong form."""
    if fact.form is Form.WORDS:
        items = node.items if isinstance(node.value, list) else [node]
        return tuple(str(_single(fact, item)) for item in items)
    return _single(fact, node)


def _of_fact(fact: Fact, node: Node, problems: Problems) -> list[Matcher]:
    if not isinstance(node.value, dict):
        values = _values(fact, node, problems)
        return [Matcher(fact.name, "in", values)] if values else []
    table = Table(node, problems)
    found = []
    for comparison in _COMPARISONS:
        wanted = table.take(comparison)
        if wanted is not None:
            found += _compared(fact, comparison, wanted, problems)
    table.close()
    if not node.mapping:
        problems.add(node, "điều kiện trống", "empty condition")
    return found


def _compared(fact: Fact, comparison: str, node: Node, problems: Problems) -> list[Matcher]:
    if comparison in ("any", "all", "not"):
        values = _values(fact, node, problems)
        if comparison == "all":
            return [Matcher(fact.name, "in", (value,)) for value in values]
        return [Matcher(fact.name, "in" if comparison == "any" else "not_in", values)] if values else []
    try:
        if comparison == "matches":
            return [Matcher(fact.name, "matches", _globs(fact, node))]
        return [Matcher(fact.name, comparison, (_limit(fact, node),))]
    except forms.Unreadable as unreadable:
        problems.add(node, unreadable.vi, unreadable.en)
        return []


def _values(fact: Fact, node: Node, problems: Problems) -> tuple[str | int | bool, ...]:
    items = node.items if isinstance(node.value, list) else [node]
    if not items:
        problems.add(node, "danh sách trống: điều kiện không bao giờ đúng", "empty list: the condition never holds")
    values: list[str | int | bool] = []
    for item in items:
        try:
            values.append(_single(fact, item))
        except forms.Unreadable as unreadable:
            problems.add(item, unreadable.vi, unreadable.en)
    return tuple(values)


def _single(fact: Fact, node: Node) -> str | int | bool:
    if fact.form is Form.FLAG:
        return forms.flag(node)
    if fact.form is Form.NUMBER:
        return forms.count(node)
    if fact.form is Form.SIZE:
        return forms.size(node)
    word = forms.text(node)
    if fact.choices and word not in fact.choices:
        near_vi, near_en = suggestion(word, fact.choices)
        shown = clipped(word)
        raise forms.Unreadable(
            f"“{fact.name}” không có giá trị “{shown}”{near_vi}", f"“{fact.name}” has no value “{shown}”{near_en}"
        )
    return word


def _limit(fact: Fact, node: Node) -> str | int | bool:
    if fact.form not in (Form.NUMBER, Form.SIZE) and not fact.ordered:
        raise forms.Unreadable(f"“{fact.name}” không so sánh hơn kém được", f"“{fact.name}” cannot be compared by size")
    return _single(fact, node)


def _globs(fact: Fact, node: Node) -> tuple[str, ...]:
    if fact.form not in (Form.WORD, Form.WORDS):
        raise forms.Unreadable(f"“{fact.name}” không phải chữ", f"“{fact.name}” is not text")
    globs = tuple(forms.text(item) for item in (node.items if isinstance(node.value, list) else [node]))
    if not globs or any(glob.count("*") > _MAX_STARS for glob in globs):
        raise forms.Unreadable("mẫu trống hoặc có quá 4 dấu *", "a pattern is empty or has more than 4 stars")
    return globs
