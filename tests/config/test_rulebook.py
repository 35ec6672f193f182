"""policies/*.yaml: how rules are written, what is refused with its line, and tests that must pass to load."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mailrelay.config import load_rulebook, shipped_dir
from mailrelay.model.decision import Action
from mailrelay.model.faults import ConfigFault
from mailrelay.model.rule import Matcher, RuleBook, Text

RULE = """\
rules:
  - id: one
    when: {CONDITION}
    then: hold
    reason: {vi: "Giữ {attachment}.", en: "Held."}
"""


def book_of(folder: Path, **files: str) -> RuleBook:
    shutil.rmtree(folder / "policies", ignore_errors=True)
    (folder / "policies").mkdir()
    for name, text in files.items():
        (folder / "policies" / f"{name.lstrip('f').replace('_', '-')}.yaml").write_text(text, "utf-8")
    return load_rulebook(folder)


def problems_of(folder: Path, **files: str) -> tuple[str, ...]:
    with pytest.raises(ConfigFault) as fault:
        book_of(folder, **files)
    return fault.value.problems


def when(folder: Path, condition: str) -> tuple[Matcher, ...]:
    return book_of(folder, f10_a=RULE.replace("CONDITION", condition)).rules[0].when


@pytest.mark.parametrize(
    ("condition", "matchers"),
    [
        ("class: letter", [Matcher("class", "in", ("letter",))]),
        ("class: [letter, exchange]", [Matcher("class", "in", ("letter", "exchange"))]),
        ("authenticated: false", [Matcher("authenticated", "in", (False,))]),
        ("class: {not: letter}", [Matcher("class", "not_in", ("letter",))]),
        ("urgency: {at_least: urgent}", [Matcher("urgency", "at_least", ("urgent",))]),
        ("attachment_size: {at_least: 20 MiB}", [Matcher("attachment_size", "at_least", (20 * 1024 * 1024,))]),
        (
            "recipient_count: {at_least: 2, at_most: 9}",
            [Matcher("recipient_count", "at_least", (2,)), Matcher("recipient_count", "at_most", (9,))],
        ),
        ("sender: {matches: '*@gmail.com'}", [Matcher("sender", "matches", ("*@gmail.com",))]),
        (
            "finding: {all: ['type:executable', 'type:script'], not: 'name:path'}",
            [
                Matcher("finding", "in", ("type:executable",)),
                Matcher("finding", "in", ("type:script",)),
                Matcher("finding", "not_in", ("name:path",)),
            ],
        ),
        ("finding: {any: ['type:script']}", [Matcher("finding", "in", ("type:script",))]),
    ],
)
def test_conditions(tmp_path: Path, condition: str, matchers: list[Matcher]) -> None:
    assert when(tmp_path, condition) == tuple(matchers)


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("sender_domin: x", "3:12: không có dữ kiện “sender_domin”"),
        ("sender_is_locl: true", "3:12: không có dữ kiện “sender_is_locl” – có phải “sender_is_local”?"),
        ("class: leter", "3:19: “class” không có giá trị “leter” – có phải “letter”?"),
        ("finding: 'name:doubel-extension'", "3:21: “finding” không có giá trị “name:doubel-extension”"),
        ("authenticated: yes", "3:27: cần true/false, không phải chữ"),
        ("recipient_count: many", "3:29: cần số nguyên, không phải chữ"),
        ("class: {at_least: letter}", "3:30: “class” không so sánh hơn kém được"),
        ("authenticated: {matches: '*'}", "3:37: “authenticated” không phải chữ"),
        ("sender: {matches: '*a*b*c*d*e*'}", "3:30: mẫu trống hoặc có quá 4 dấu *"),
        ("class: []", "3:19: danh sách trống"),
        ("class: {nott: letter}", "3:20: không có khóa “nott” – có phải “not”?"),
        ("class: {}", "3:19: điều kiện trống"),
    ],
)
def test_a_misspelt_condition_does_not_load(tmp_path: Path, condition: str, problem: str) -> None:
    problems = problems_of(tmp_path, f10_a=RULE.replace("CONDITION", condition))
    assert any(line.startswith(f"policies/10-a.yaml:{problem}") for line in problems), problems


def rule_with(change: str, to: str) -> str:
    text = RULE.replace("CONDITION", "class: letter")
    assert change in text
    return text.replace(change, to)


@pytest.mark.parametrize(
    ("change", "to", "problem"),
    [
        ("then: hold", "then: discard", "4:11: không có “discard”"),
        ("then: hold", "then: reject", "2:5: thiếu “refusal”"),
        ("then: hold", "then: reject\n    refusal: secret", "5:14: không có “secret” – có phải “secret-document”?"),
        ("then: hold", "then: hold\n    refusal: policy", "2:5: refusal chỉ đi với then: reject hoặc return"),
        ("    then: hold\n", "", "2:5: quy tắc không làm gì"),
        (
            "then: hold",
            "then: hold\n    obligations: [receipt:sen]",
            "5:19: không có “receipt:sen” – có phải “receipt:sent”?",
        ),
        ("class: letter", "action: hold", "2:5: quy tắc xét “action” không được có then"),
        ("{attachment}", "{atachment}", "5:18: không có chỗ điền {atachment} – có phải {attachment}?"),
        (', en: "Held."', "", "5:13: thiếu “en”"),
        ("id: one", "id: Số một", "2:9: id phải viết bằng chữ thường không dấu"),
        ("id: one", "name: one", "2:5: thiếu “id”"),
        ("    reason", "    resaon", "5:5: không có khóa “resaon” – có phải “reason”?"),
    ],
)
def test_a_rule_without_sense_does_not_load(tmp_path: Path, change: str, to: str, problem: str) -> None:
    problems = problems_of(tmp_path, f10_a=rule_with(change, to))
    wanted = f"policies/10-a.yaml:{problem}".replace("{attachment}?", "“attachment”?")
    assert any(line.startswith(wanted) for line in problems), problems


def test_ids_are_unique_in_the_whole_book(tmp_path: Path) -> None:
    one = RULE.replace("CONDITION", "class: letter")
    problems = problems_of(tmp_path, f10_a=one, f20_b=one)
    assert problems == (
        "policies/20-b.yaml:2:9: id “one” đã có ở policies/10-a.yaml:2 [id “one” stands already at policies/10-a.yaml:2]",
    )


def test_a_rule_behind_one_for_every_mail_is_never_reached(tmp_path: Path) -> None:
    always = RULE.replace("    when: {CONDITION}\n", "")
    problems = problems_of(
        tmp_path, f10_a=always + RULE.partition("\n")[2].replace("one", "two").replace("CONDITION", "class: letter")
    )
    assert len(problems) == 1 and problems[0].startswith("policies/10-a.yaml:5:5: quy tắc này không bao giờ được dùng")


def test_a_failing_test_is_a_problem_at_its_line(tmp_path: Path) -> None:
    text = RULE.replace("CONDITION", "class: letter") + "tests:\n  - {name: Thư riêng, expect: relay}\n"
    (problem,) = problems_of(tmp_path, f10_a=text)
    assert problem == (
        "policies/10-a.yaml:7:1: phép thử “Thư riêng” không đạt: mong đợi relay, kết quả hold (quy tắc: one) "
        "[test “Thư riêng” fails: expected relay, got hold (rules: one)]"
    )
    assert len(load_rulebook(tmp_path, run_tests=False).tests) == 1


def test_tests_speak_of_known_facts_and_rules(tmp_path: Path) -> None:
    text = RULE.replace("CONDITION", "class: letter")
    text += "tests:\n  - {name: a, facts: {clas: letter, urgency: fast}, expect: hold, rule: oen}\n"
    problems = problems_of(tmp_path, f10_a=text)
    assert [problem.partition(" [")[0] for problem in problems] == [
        "policies/10-a.yaml:7:23: không có dữ kiện “clas” – có phải “class”?",
        "policies/10-a.yaml:7:46: “urgency” không có giá trị “fast” – có phải “flash”?",
        "policies/10-a.yaml:7:73: không có quy tắc “oen” – có phải “one”?",
    ]


def test_files_are_read_by_number_and_named_like_it(tmp_path: Path) -> None:
    one = RULE.replace("CONDITION", "class: letter")
    book = book_of(tmp_path, f20_b=one.replace("one", "second"), f10_a=one)
    assert [(rule.file, rule.rule_id, rule.line) for rule in book.rules] == [
        ("policies/10-a.yaml", "one", 2),
        ("policies/20-b.yaml", "second", 2),
    ]
    (tmp_path / "policies" / "extra.yml").write_text(one.replace("one", "third"))
    with pytest.raises(ConfigFault, match="tên tệp phải như 10-ten-tep"):
        load_rulebook(tmp_path)


def test_no_rules_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="không có thư mục policies"):
        load_rulebook(tmp_path)
    (tmp_path / "policies").mkdir()
    with pytest.raises(ConfigFault, match="không có quy tắc nào"):
        load_rulebook(tmp_path)


def test_the_digest_is_of_rules_alone(tmp_path: Path) -> None:
    one = RULE.replace("CONDITION", "class: letter")
    digest = book_of(tmp_path, f10_a=one).digest
    assert book_of(tmp_path, f10_a="# ghi chú\n" + one + "tests: [{name: x, expect: hold}]\n").digest == digest
    assert book_of(tmp_path, f10_a=one.replace("then: hold", "then: relay")).digest != digest
    assert book_of(tmp_path, f11_a=one).digest != digest


def test_the_shipped_book_loads_with_its_words() -> None:
    book = load_rulebook(shipped_dir())
    secret = next(rule for rule in book.rules if rule.rule_id == "secret-mark")
    assert secret.action is Action.REJECT and secret.refusal == "secret-document"
    assert "forget-content" in secret.obligations
    assert isinstance(secret.remedy, Text) and secret.basis
    assert len(book.digest) == 64


def test_a_file_name_that_is_no_text_is_a_problem_like_any_bad_name(tmp_path: Path) -> None:
    book_of(tmp_path, f10_a=RULE.replace("CONDITION", "class: letter"))
    Path(os.fsdecode(os.fsencode(tmp_path / "policies") + b"/20-\xff.yaml")).write_text("title: x\n", "utf-8")
    with pytest.raises(ConfigFault) as fault:
        load_rulebook(tmp_path)
    (problem,) = fault.value.problems
    assert problem.encode().startswith("policies/20-�.yaml:1:1: tên tệp phải như".encode())
