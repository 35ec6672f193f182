"""Reads policies/*.yaml into the rule book, and runs the tests that are written beside the rules."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mailrelay.config import forms
from mailrelay.config.digest import digest
from mailrelay.config.inline import refuse_inline_secrets
from mailrelay.config.marks import Node, read_yaml
from mailrelay.config.matchers import fact_node, fact_value, matchers
from mailrelay.config.problems import Position, Problems, clipped, suggestion
from mailrelay.config.table import Table
from mailrelay.model import ruling
from mailrelay.model.decision import Action
from mailrelay.model.fact import ACTION_FACT, OBLIGATIONS, PLACEHOLDERS, Value
from mailrelay.model.refusal import REFUSALS
from mailrelay.model.rule import Rule, RuleBook, RuleTest, Text

POLICIES = "policies"
_FILE_NAME = re.compile(r"[0-9]{2}-[a-z0-9-]+\.yaml\Z")
_RULE_ID = re.compile(r"[a-z][a-z0-9-]{1,60}\Z")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def load_rulebook(config_dir: Path, *, run_tests: bool = True) -> RuleBook:
    """The rule book of a configuration folder; ConfigFault with every problem, failing tests among them."""
    problems = Problems()
    rulebook = read_rulebook(config_dir, problems, run_tests=run_tests)
    problems.raise_any()
    return rulebook


def read_rulebook(config_dir: Path, problems: Problems, *, run_tests: bool = True) -> RuleBook:
    """The rule book as far as it can be read; mistakes go to `problems`."""
    reader = _BookReader(problems)
    contents: dict[str, object] = {}
    for path in _files(config_dir / POLICIES, problems):
        name = f"{POLICIES}/{_shown(path)}"
        tree = read_yaml(path, name, problems)
        if tree is not None:
            refuse_inline_secrets(tree, problems)
            reader.file(name, tree)
            rules = tree.mapping.get("rules")
            contents[_shown(path)] = rules[1].plain() if rules else None
    reader.check_references()
    rulebook = RuleBook(tuple(reader.rules), tuple(reader.tests), digest(contents))
    if run_tests and not problems:
        _note_failures(rulebook, problems)
    return rulebook


def _files(folder: Path, problems: Problems) -> list[Path]:
    place = Position(POLICIES)
    if not folder.is_dir():
        problems.add(place, "không có thư mục policies", "there is no folder policies")
        return []
    found = sorted(
        path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and not path.name.startswith(".")
    )
    for path in found:
        if not _FILE_NAME.match(path.name):
            problems.add(
                Position(f"{POLICIES}/{_shown(path)}"),
                "tên tệp phải như 10-ten-tep.yaml: số quyết định thứ tự đọc",
                "name the file like 10-some-name.yaml: the number gives the order of reading",
            )
    if not found:
        problems.add(place, "thư mục policies không có quy tắc nào", "the folder policies holds no rules")
    return found


def _shown(path: Path) -> str:
    """A file's name as text, whatever its octets are."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def _note_failures(rulebook: RuleBook, problems: Problems) -> None:
    for result in ruling.run_tests(rulebook):
        if not result.passed:
            name = clipped(result.test.name)
            problems.add(
                Position(result.test.file, result.test.line),
                f"phép thử “{name}” không đạt: {result.detail}",
                f"test “{name}” fails: {result.detail_en}",
            )


class _BookReader:
    """Reads file after file; ids are unique in the whole book."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self.rules: list[Rule] = []
        self.tests: list[RuleTest] = []
        self._ids: dict[str, Node] = {}
        self._wanted: list[Node] = []  # rule ids that tests speak of

    def file(self, name: str, tree: Node) -> None:
        table = Table(tree, self._problems)
        table.text("title")
        closed_at: Node | None = None
        for entry in table.tables("rules"):
            rule = self._rule(name, entry)
            if closed_at is not None:
                self._problems.add(
                    entry.node,
                    f"quy tắc này không bao giờ được dùng: quy tắc ở dòng {closed_at.line} đã áp dụng cho mọi thư",
                    f"this rule is never reached: the rule on line {closed_at.line} holds for every mail",
                )
            elif rule is not None and rule.action and not rule.when and rule.enabled and not rule.shadow:
                closed_at = entry.node
        for entry in table.tables("tests"):
            self._test(name, entry)
        table.close()

    def check_references(self) -> None:
        for node in self._wanted:
            if node.value not in self._ids:
                near_vi, near_en = suggestion(str(node.value), self._ids)
                shown = clipped(node.value)
                self._problems.add(node, f"không có quy tắc “{shown}”{near_vi}", f"no rule “{shown}”{near_en}")

    def _rule(self, file: str, table: Table) -> Rule | None:
        rule_id = self._id(table)
        when = matchers(table.table("when"))
        action = self._action(table, "then")
        refusal = self._refusal(table, action)
        rule = Rule(
            rule_id=rule_id,
            file=file,
            line=table.node.line,
            when=when,
            action=action,
            reason=self._text(table, "reason", required=action is not None) or Text("", ""),
            remedy=self._text(table, "remedy"),
            refusal=refusal,
            basis=table.text("basis"),
            enabled=table.flag("enabled", True),
            shadow=table.flag("shadow"),
            obligations=table.choices("obligations", tuple(OBLIGATIONS)),
        )
        table.close()
        self._check_sense(rule, table)
        if rule_id:
            self.rules.append(rule)
        return rule

    def _id(self, table: Table) -> str:
        node = table.take("id", required=True)
        if node is None:
            return ""
        if not isinstance(node.value, str) or not _RULE_ID.match(node.value):
            self._problems.add(
                node,
                "id phải viết bằng chữ thường không dấu và gạch nối, ví dụ secret-mark",
                "write an id in lower-case letters and hyphens, like secret-mark",
            )
            return ""
        first = self._ids.setdefault(node.value, node)
        if first is not node:
            where = f"{first.file}:{first.line}"
            self._problems.add(
                node, f"id “{node.value}” đã có ở {where}", f"id “{node.value}” stands already at {where}"
            )
        return node.value

    def _action(self, table: Table, key: str) -> Action | None:
        word = table.choice(key, tuple(Action), "")
        return Action(word) if word else None

    def _refusal(self, table: Table, action: Action | None) -> str:
        name = table.choice("refusal", tuple(REFUSALS), "", required=action is Action.REJECT)
        if name and action not in (Action.REJECT, Action.RETURN):
            self._problems.add(
                table.node,
                "refusal chỉ đi với then: reject hoặc return",
                "refusal goes with then: reject or return only",
            )
        return name

    def _check_sense(self, rule: Rule, table: Table) -> None:
        if rule.action is None and not rule.obligations:
            self._problems.add(
                table.node,
                "quy tắc không làm gì: thiếu then hoặc obligations",
                "a rule without effect: no then, no obligations",
            )
        if rule.action is not None and any(matcher.fact == ACTION_FACT for matcher in rule.when):
            self._problems.add(
                table.node,
                "quy tắc xét “action” không được có then (nếu không, thêm một tệp chặt hơn có thể làm yếu kết quả)",
                "a rule on “action” may have no then (else a stricter file could weaken the outcome)",
            )

    def _text(self, table: Table, key: str, *, required: bool = False) -> Text | None:
        node = table.take(key, required=required)
        if node is None:
            return None
        sentences = Table(node, self._problems)
        text = Text(sentences.text("vi", required=True), sentences.text("en", required=True))
        sentences.close()
        for language in ("vi", "en"):
            sentence = sentences.take(language)
            if sentence is not None and isinstance(sentence.value, str):
                self._check_placeholders(sentence)
        return text

    def _check_placeholders(self, node: Node) -> None:
        for name in _PLACEHOLDER.findall(node.value):
            if name not in PLACEHOLDERS:
                near_vi, near_en = suggestion(name, PLACEHOLDERS)
                shown = clipped(name)
                self._problems.add(
                    node, f"không có chỗ điền {{{shown}}}{near_vi}", f"unknown placeholder {{{shown}}}{near_en}"
                )

    def _test(self, file: str, table: Table) -> None:
        name = table.text("name", required=True)
        facts = self._facts(table)
        expected = table.choice("expect", tuple(Action), "", required=True)
        rule = table.take("rule")
        if rule is not None:
            self._wanted.append(rule)
        obligations = table.choices("obligations", tuple(OBLIGATIONS))
        table.close()
        if expected:
            rule_id = str(rule.value) if rule else ""
            self.tests.append(RuleTest(name, file, table.node.line, facts, Action(expected), rule_id, obligations))

    def _facts(self, table: Table) -> tuple[tuple[str, Value], ...]:
        given = table.table("facts")
        if given is None:
            return ()
        values: list[tuple[str, Value]] = []
        for key, (place, node) in given.node.mapping.items():
            fact = fact_node(place, self._problems)
            if fact is not None:
                try:
                    values.append((key, fact_value(fact, node)))
                except forms.Unreadable as unreadable:
                    self._problems.add(node, unreadable.vi, unreadable.en)
        return tuple(values)
