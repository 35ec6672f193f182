"""YAML and TOML as one tree of nodes with positions. Knows nothing of what the values mean.

YAML is read from the event stream of PyYAML's C parser: aliases, anchors, tags and several documents are refused, only
`true` and `false` are booleans, whole numbers are numbers, everything else is text (dates, `no`, `1.10`), in NFC.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from unicodedata import normalize

import yaml

from mailrelay.config.problems import Position, Problems, clipped

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 20

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WHOLE_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})\Z")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place: None, bool, int, float, str, a list of nodes, or a mapping from keys to (key, value) nodes."""

    file: str
    line: int
    column: int
    value: Any

    @property
    def mapping(self) -> dict[str, tuple[Node, Node]]:
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: value.plain() for key, (_, value) in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def walk(self) -> Iterator[Node]:
        """This node and every node below it, keys included."""
        yield self
        for key, value in self.mapping.values():
            yield key
            yield from value.walk()
        for item in self.items:
            yield from item.walk()


_TOO_DEEP = ("lồng nhau quá sâu", "nested too deeply")


class _Refused(Exception):
    """The text has a form that is not allowed; the problem has been noted."""


def read_text(path: Path, name: str, problems: Problems) -> str | None:
    """The text of a file, or None with the reason noted."""
    place = Position(name)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        problems.add(place, "không tìm thấy tệp", "file not found")
        return None
    except OSError as fault:
        problems.add(place, f"không đọc được tệp: {fault.strerror}", f"cannot read the file: {fault.strerror}")
        return None
    if len(raw) > MAX_BYTES:
        problems.add(place, "tệp quá lớn (giới hạn 8 MiB)", "file too large (limit 8 MiB)")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        column = fault.start - (raw.rfind(b"\n", 0, fault.start) + 1) + 1
        problems.add(Position(name, line, column), "tệp không ở bảng mã UTF-8", "the file is not UTF-8")
        return None


def read_yaml(path: Path, name: str, problems: Problems) -> Node | None:
    """The tree of a YAML file, or None when it cannot be used; what is wrong is noted under `name`."""
    text = read_text(path, name, problems)
    if text is None:
        return None
    try:
        return _YamlTree(text, name, problems).document()
    except _Refused:
        return None
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = Position(name, mark.line + 1, mark.column + 1) if mark else Position(name)
        what = clipped(fault.problem or fault.context or "")
        problems.add(place, f"sai cú pháp YAML: {what}", f"YAML syntax: {what}")
    except yaml.YAMLError as fault:
        # A character that YAML does not allow; the C parser counts octets.
        before = text.encode()[: getattr(fault, "position", 0)].decode("utf-8", "ignore")
        place = Position(name, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
        what = clipped(getattr(fault, "reason", "") or fault)
        problems.add(place, f"sai cú pháp YAML: {what}", f"YAML syntax: {what}")
    return None


class _YamlTree:
    """Builds nodes from parser events, with a limit on depth."""

    def __init__(self, text: str, name: str, problems: Problems) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._name = name
        self._problems = problems

    def document(self) -> Node:
        tree: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if tree is not None:
                    self._refuse(event, "chỉ được có một tài liệu YAML trong tệp", "only one YAML document per file")
                tree = self._node(next(self._events), 0)
        return tree or Node(self._name, 1, 1, None)

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse(event, "không dùng &neo và *bí danh của YAML", "YAML anchors and aliases are not allowed")
        if event.tag is not None and event.tag != "!":
            self._refuse(event, "không dùng thẻ !kiểu của YAML", "YAML tags are not allowed")
        if depth > MAX_DEPTH:
            self._refuse(event, *_TOO_DEEP)
        if isinstance(event, yaml.MappingStartEvent):
            return self._at(event, self._mapping(depth))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._at(event, self._sequence(depth))
        return self._at(event, _scalar(event))

    def _sequence(self, depth: int) -> list[Node]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, tuple[Node, Node]]:
        entries: dict[str, tuple[Node, Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse(event, "khóa phải là một từ", "a key must be a plain word")
            written = normalize("NFC", event.value)
            key = Node(self._name, event.start_mark.line + 1, event.start_mark.column + 1, written)
            value = self._node(next(self._events), depth + 1)
            if written in entries:
                first = entries[written][0].line
                shown = clipped(written)
                self._problems.add(
                    key,
                    f"khóa “{shown}” bị lặp, đã có ở dòng {first}",
                    f"duplicate key “{shown}”, first on line {first}",
                )
            else:
                entries[written] = (key, value)
        return entries

    def _at(self, event: Any, value: Any) -> Node:
        return Node(self._name, event.start_mark.line + 1, event.start_mark.column + 1, value)

    def _refuse(self, event: Any, vi: str, en: str) -> None:
        self._problems.add(self._at(event, None), vi, en)
        raise _Refused


def _scalar(event: Any) -> bool | int | str | None:
    if event.implicit[0]:  # written without quotes
        if event.value in _WORDS:
            return _WORDS[event.value]
        if _WHOLE_NUMBER.match(event.value):
            return int(event.value)
    return normalize("NFC", event.value)


_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_TOML_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]")
_TOML_KEY = re.compile(r"""(\s*)("[^"]*"|'[^']*'|[A-Za-z0-9_.-]+)\s*=""")


def read_toml(path: Path, name: str, problems: Problems) -> Node | None:
    """The tree of a TOML file, or None; keys stand at their line, values inside one line at their key."""
    text = read_text(path, name, problems)
    if text is None:
        return None
    try:
        return _toml_tree(text, name, problems)
    except RecursionError:
        problems.add(Position(name), *_TOO_DEEP)
        return None


def _toml_tree(text: str, name: str, problems: Problems) -> Node | None:
    try:
        plain = tomllib.loads(text)
    except ValueError as fault:  # mostly TOMLDecodeError; a number of thousands of digits is none
        place = _TOML_PLACE.search(str(fault))
        at_end = len(text.splitlines()) or 1
        line, column = (int(place[1]), int(place[2])) if place and place[1] else (at_end, 1)
        what = clipped(_TOML_PLACE.sub("", str(fault)))
        problems.add(Position(name, line, column), f"sai cú pháp TOML: {what}", f"TOML syntax: {what}")
        return None
    return _toml_node(plain, name, (), _toml_places(text), (1, 1))


def _toml_places(text: str) -> dict[tuple[str, ...], tuple[int, int]]:
    """Where each key stands: full path (indices of tables in arrays included) -> (line, column)."""
    places: dict[tuple[str, ...], tuple[int, int]] = {}
    counts: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    quoted = False
    for number, line in enumerate(text.splitlines(), 1):
        starts_quoted = quoted
        quoted ^= (line.count('"""') + line.count("'''")) % 2 == 1
        if starts_quoted:
            continue
        if header := _TOML_HEADER.match(line):
            table = _toml_path(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, str(counts[table]))
            places.setdefault(table, (number, header.start(1) + 1))
        elif key := _TOML_KEY.match(line):
            places.setdefault((*table, *_toml_path(key[2])), (number, key.start(2) + 1))
    return places


def _toml_path(text: str) -> tuple[str, ...]:
    return tuple(a or b or c for a, b, c in re.findall(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\.?""", text))


def _toml_node(
    value: Any, name: str, path: tuple[str, ...], places: dict[tuple[str, ...], tuple[int, int]], above: tuple[int, int]
) -> Node:
    if len(path) > MAX_DEPTH:
        raise RecursionError(name)
    line, column = places.get(path, above)
    here = (line, column)
    if isinstance(value, dict):
        tree: dict[str, tuple[Node, Node]] = {}
        for key, below in value.items():
            node = _toml_node(below, name, (*path, key), places, here)
            tree[key] = (Node(name, node.line, node.column, key), node)
        return Node(name, line, column, tree)
    if isinstance(value, list):
        items = [_toml_node(item, name, (*path, str(i)), places, here) for i, item in enumerate(value)]
        return Node(name, line, column, items)
    if isinstance(value, str):
        value = normalize("NFC", value)
    elif isinstance(value, datetime | date | time):
        value = value.isoformat()
    return Node(name, line, column, value)
