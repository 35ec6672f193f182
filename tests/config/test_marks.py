"""YAML and TOML as trees with positions: what is read, what is refused, and that nothing raises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.config.marks import MAX_BYTES, MAX_DEPTH, Node, read_toml, read_yaml
from mailrelay.config.problems import Problems


def yaml_of(folder: Path, text: str | bytes) -> tuple[Node | None, tuple[str, ...]]:
    path = folder / "a.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    problems = Problems()
    return read_yaml(path, "a.yaml", problems), problems.lines()


def toml_of(folder: Path, text: str) -> tuple[Node | None, tuple[str, ...]]:
    path = folder / "a.toml"
    path.write_text(text, "utf-8")
    problems = Problems()
    return read_toml(path, "a.toml", problems), problems.lines()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("yes", "yes"),
        ("no", "no"),
        ("On", "On"),
        ("True", "True"),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("007", "007"),
        ("1.10", "1.10"),
        ("0x1f", "0x1f"),
        ("2013-10-28", "2013-10-28"),
        ("22:30", "22:30"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("Ho\u0300a Bi\u0300nh", "Hòa Bình"),  # decomposed comes out composed
    ],
)
def test_only_true_false_and_whole_numbers_are_not_text(tmp_path: Path, written: str, value: object) -> None:
    tree, problems = yaml_of(tmp_path, f"a: {written}\n")
    assert problems == ()
    assert tree is not None and tree.plain() == {"a": value}
    assert type(tree.mapping["a"][1].value) is type(value)


def test_positions_count_from_one(tmp_path: Path) -> None:
    tree, _ = yaml_of(tmp_path, "a:\n  - x\n  - {Đơn vị: y}\n")
    assert tree is not None
    second = tree.mapping["a"][1].items[1]
    key, value = second.mapping["Đơn vị"]
    assert (second.line, second.column) == (3, 5)
    assert (key.line, key.column) == (3, 6)
    assert (value.line, value.column) == (3, 14)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x 1\nb: *x\n", "a.yaml:1:4: không dùng &neo"),
        ("b: *x\n", "a.yaml:1:4: không dùng &neo"),
        ("a: !!python/object:os.system x\n", "a.yaml:1:4: không dùng thẻ"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: chỉ được có một tài liệu"),
        ("? [a, b]\n: 1\n", "a.yaml:1:3: khóa phải là một từ"),
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3:1: khóa “a” bị lặp, đã có ở dòng 1"),
        ("a: [1, 2\nb: 3\n", "a.yaml:2:2: sai cú pháp YAML"),
        ("a: 1\n\tb: 2\n", "a.yaml:2:1: sai cú pháp YAML"),
        ("[" * 200, "a.yaml:1:22: lồng nhau quá sâu"),
        ("a: 1\nb: đ \x01\n", "a.yaml:2:6: sai cú pháp YAML"),
    ],
)
def test_what_is_refused_has_its_place(tmp_path: Path, text: str, problem: str) -> None:
    _, problems = yaml_of(tmp_path, text)
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_a_file_that_is_not_utf8_names_the_byte(tmp_path: Path) -> None:
    tree, problems = yaml_of(tmp_path, b"a: 1\nb: \xff\n")
    assert tree is None
    assert problems == ("a.yaml:2:4: tệp không ở bảng mã UTF-8 [the file is not UTF-8]",)


def test_missing_and_huge_files_are_problems(tmp_path: Path) -> None:
    problems = Problems()
    assert read_yaml(tmp_path / "none.yaml", "none.yaml", problems) is None
    assert problems.lines() == ("none.yaml:1:1: không tìm thấy tệp [file not found]",)
    _, found = yaml_of(tmp_path, b"#" * (MAX_BYTES + 1))
    assert found == ("a.yaml:1:1: tệp quá lớn (giới hạn 8 MiB) [file too large (limit 8 MiB)]",)


def test_depth_up_to_the_limit_is_read(tmp_path: Path) -> None:
    tree, problems = yaml_of(tmp_path, "[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert tree is not None and problems == ()


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@, \n\t\x00é", max_size=60))
def test_no_text_makes_the_yaml_reader_raise(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    tree, problems = yaml_of(folder, text)
    assert tree is not None or problems


@given(st.text(alphabet="ab=[]{}'\"#., \n\t1é", max_size=60))
def test_no_text_makes_the_toml_reader_raise(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    tree, problems = toml_of(folder, text)
    assert tree is not None or problems


def test_toml_keys_stand_at_their_lines(tmp_path: Path) -> None:
    tree, problems = toml_of(
        tmp_path,
        'domain = "x.vn"\n[a.b]\nc = """\nd = 1\n"""\n[[p]]\nn = 1\n[[p]]\n  n = 2\n[r]\n"*" = "smtp://h"\n',
    )
    assert problems == () and tree is not None
    places = {
        "domain": tree.mapping["domain"][0],
        "c": tree.mapping["a"][1].mapping["b"][1].mapping["c"][0],
        "first n": tree.mapping["p"][1].items[0].mapping["n"][0],
        "second n": tree.mapping["p"][1].items[1].mapping["n"][0],
        "star": tree.mapping["r"][1].mapping["*"][0],
    }
    assert {name: (node.line, node.column) for name, node in places.items()} == {
        "domain": (1, 1),
        "c": (3, 1),
        "first n": (7, 1),
        "second n": (9, 3),
        "star": (11, 1),
    }


def test_toml_syntax_has_line_and_column(tmp_path: Path) -> None:
    tree, problems = toml_of(tmp_path, "a = 1\nb = = 2\n")
    assert tree is None
    assert len(problems) == 1 and problems[0].startswith("a.toml:2:5: sai cú pháp TOML")
