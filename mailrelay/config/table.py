"""Reads one mapping of a file key by key; every mistake becomes a problem at its place, never an exception."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from mailrelay.config import forms
from mailrelay.config.marks import Node
from mailrelay.config.problems import Problems, clipped, suggestion

T = TypeVar("T")
_LISTED = 12  # more choices than these are not listed in a message


class Table:
    """One mapping. Take every known key, then call `close`, which reports the keys that nobody took."""

    def __init__(self, node: Node, problems: Problems) -> None:
        self.node = node
        self.problems = problems
        self._taken: set[str] = set()
        if not isinstance(node.value, dict):
            self._note(node, forms.wrong_type(node, dict))

    def take(self, key: str, *, required: bool = False) -> Node | None:
        """The node of a key; None when it is absent or empty."""
        self._taken.add(key)
        entry = self.node.mapping.get(key)
        if entry is not None and entry[1].value is not None:
            return entry[1]
        if required and isinstance(self.node.value, dict):
            place = entry[0] if entry else self.node
            self.problems.add(place, f"thiếu “{key}”", f"“{key}” is missing")
        return None

    def read(self, key: str, form: Callable[[Node], T], default: T, *, required: bool = False) -> T:
        """The value of a key in a form, or the default."""
        node = self.take(key, required=required)
        return default if node is None else self._formed(node, form, default)

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        return self.read(key, forms.text, default, required=required)

    def flag(self, key: str, default: bool = False) -> bool:
        return self.read(key, forms.flag, default)

    def choice(self, key: str, choices: Collection[str], default: str, *, required: bool = False) -> str:
        """One word out of several."""
        node = self.take(key, required=required)
        return default if node is None else (self.chosen(node, choices) or default)

    def choices(self, key: str, choices: Collection[str]) -> tuple[str, ...]:
        """Several words out of a known set."""
        found = (self.chosen(node, choices) for node in self.several(key))
        return tuple(word for word in found if word is not None)

    def chosen(self, node: Node, choices: Collection[str]) -> str | None:
        word = self._formed(node, forms.text, None)
        if word is None or word in choices:
            return word
        near_vi, near_en = suggestion(word, choices)
        shown, known = clipped(word), ", ".join(choices)
        few = len(choices) <= _LISTED
        use_vi, use_en = (f" (dùng: {known})", f" (use: {known})") if few else ("", "")
        self.problems.add(node, f"không có “{shown}”{near_vi}{use_vi}", f"unknown “{shown}”{near_en}{use_en}")
        return None

    def values(self, key: str, form: Callable[[Node], T]) -> tuple[T, ...]:
        """A list of values of one form; a single value counts as a list of one."""
        values = (self._formed(node, form, None) for node in self.several(key))
        return tuple(value for value in values if value is not None)

    def several(self, key: str, *, required: bool = False) -> list[Node]:
        """The nodes of a list; a single value counts as a list of one."""
        node = self.take(key, required=required)
        if node is None:
            return []
        return node.items if isinstance(node.value, list) else [node]

    def table(self, key: str) -> Table | None:
        node = self.take(key)
        return None if node is None else Table(node, self.problems)

    def tables(self, key: str) -> Iterator[Table]:
        """The mappings in a list."""
        node = self.take(key)
        if node is None:
            return
        if not isinstance(node.value, list):
            self._note(node, forms.wrong_type(node, list))
            return
        for item in node.items:
            yield Table(item, self.problems)

    def close(self) -> None:
        """Report keys that are not known here."""
        for key, (place, _) in self.node.mapping.items():
            if key not in self._taken:
                near_vi, near_en = suggestion(key, self._taken)
                shown = clipped(key)
                self.problems.add(place, f"không có khóa “{shown}”{near_vi}", f"unknown key “{shown}”{near_en}")

    def _formed(self, node: Node, form: Callable[[Node], T], default: T) -> T:
        try:
            return form(node)
        except forms.Unreadable as unreadable:
            self._note(node, unreadable)
            return default

    def _note(self, node: Node, unreadable: forms.Unreadable) -> None:
        self.problems.add(node, unreadable.vi, unreadable.en)
