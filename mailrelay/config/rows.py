"""The parts of mailboxes.yaml with their places, between reading and checking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mailrelay.config.marks import Node
from mailrelay.config.table import Table
from mailrelay.model.agency import Agency, Directory, Group, ImapAccount, Mailbox

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """A value and the mapping that it was read from."""

    value: T
    node: Node

    def place(self, key: str) -> Node:
        """Where a key's value stands; the row itself when it is absent."""
        entry = self.node.mapping.get(key)
        return entry[1] if entry else self.node

    def places(self, key: str) -> list[Node]:
        """Where the items of a list stand; a single value counts as a list of one."""
        node = self.place(key)
        return node.items or [node]


@dataclass(slots=True)
class Rows:
    """All parts. `directory` is made of them last, when the groups have been expanded."""

    node: Node
    directory: Directory
    domain: str = ""
    agencies: list[Row[Agency]] = field(default_factory=list)
    mailboxes: list[Row[Mailbox]] = field(default_factory=list)
    groups: list[Row[Group]] = field(default_factory=list)
    accounts: list[Row[ImapAccount]] = field(default_factory=list)
    system_addresses: dict[str, str] = field(default_factory=dict)
    system_places: dict[str, Node] = field(default_factory=dict)

    @staticmethod
    def group(table: Table, address: Callable[[Node], str]) -> Group:
        """A group without its members, which are expanded when everything is known."""
        group = Group(table.read("address", address, "", required=True), table.text("name", required=True), ())
        table.take("members", required=True)
        table.close()
        return group

    def boxes(self) -> dict[str, Mailbox]:
        """Mailboxes by address and alias."""
        found: dict[str, Mailbox] = {}
        for row in self.mailboxes:
            for address in (row.value.address, *row.value.aliases):
                found.setdefault(address, row.value)  # of two that claim an address the first has it
        found.pop("", None)
        return found

    def addresses(self) -> Iterator[tuple[str, Node]]:
        """Every address of the directory with its place, aliases and groups included."""
        for box in self.mailboxes:
            yield box.value.address, box.place("address")
            yield from zip(box.value.aliases, box.places("aliases"), strict=False)
        for group in self.groups:
            yield group.value.address, group.place("address")
        for local, place in self.system_places.items():
            yield f"{local}@{self.domain}", place
