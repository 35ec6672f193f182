"""Expands the members of groups: addresses, agencies, levels, roles. Groups may hold groups, but never themselves."""

from __future__ import annotations

from collections.abc import Iterable

from mailrelay.config import forms
from mailrelay.config.marks import Node
from mailrelay.config.problems import Problems, clipped, suggestion
from mailrelay.config.rows import Row, Rows
from mailrelay.config.table import Table
from mailrelay.model.agency import Agency, Group, Level, Role


def expand_groups(rows: Rows, problems: Problems) -> dict[str, tuple[str, ...]]:
    """The members of each group by its address: mailboxes' addresses in order, each once, disabled ones left out."""
    expansion = _Expansion(rows, problems)
    return {row.value.address: expansion.members(row, ()) for row in rows.groups}


class _Expansion:
    """Remembers what was expanded, so that every problem is noted once and cycles are seen."""

    def __init__(self, rows: Rows, problems: Problems) -> None:
        self._rows = rows
        self._problems = problems
        self._boxes = rows.boxes()
        self._groups = {row.value.address: row for row in rows.groups}
        self._agencies = {row.value.agency_id: row.value for row in rows.agencies}
        self._done: dict[str, tuple[str, ...]] = {}

    def members(self, row: Row[Group], above: tuple[str, ...]) -> tuple[str, ...]:
        address = row.value.address
        if address in self._done:
            return self._done[address]
        found: dict[str, None] = {}
        for node in row.places("members"):
            found.update(dict.fromkeys(self._of(node, (*above, address))))
        # A box whose address could not be read is told of where it stands.
        members = tuple(a for a in found if a in self._boxes and self._boxes[a].enabled)
        if not members and not self._problems:
            self._problems.add(row.node, "nhóm không có thành viên nào", "the group has no members")
        self._done[address] = members
        return members

    def _of(self, node: Node, above: tuple[str, ...]) -> Iterable[str]:
        if isinstance(node.value, dict):
            return self._chosen(Table(node, self._problems))
        try:
            address = forms.address(node, self._rows.domain)
        except forms.Unreadable as unreadable:
            self._problems.add(node, unreadable.vi, unreadable.en)
            return ()
        if address in above:
            path = " → ".join((*above[above.index(address) :], address))
            self._problems.add(node, f"nhóm chứa chính nó: {path}", f"a group contains itself: {path}")
            return ()
        if address in self._groups:
            return self.members(self._groups[address], above)
        box = self._boxes.get(address)
        if box is None:
            near_vi, near_en = suggestion(address, (*self._boxes, *self._groups))
            shown = clipped(address)
            self._problems.add(
                node, f"không có hộp thư hay nhóm “{shown}”{near_vi}", f"no mailbox or group “{shown}”{near_en}"
            )
            return ()
        return (box.address,)

    def _chosen(self, table: Table) -> Iterable[str]:
        """Members by agency, level and role: the official box of each agency, or its boxes of a role."""
        ids = table.choices("agency", tuple(self._agencies))
        levels = table.choices("level", tuple(Level))
        role = table.choice("role", tuple(Role), "")
        left_out = table.choices("except", tuple(self._agencies))
        table.close()
        if not {"agency", "level"} & set(table.node.mapping):
            self._problems.add(table.node, "cần “agency” hoặc “level”", "needs “agency” or “level”")
        for agency in self._agencies.values():
            if agency.agency_id not in left_out and (agency.agency_id in ids or agency.level in levels):
                yield from self._with_role(agency, Role(role)) if role else self._official(agency)

    def _with_role(self, agency: Agency, role: Role) -> Iterable[str]:
        return (
            r.value.address
            for r in self._rows.mailboxes
            if r.value.agency == agency.agency_id and role in r.value.roles
        )

    def _official(self, agency: Agency) -> Iterable[str]:
        own = tuple(self._with_role(agency, Role.CLERK))
        return own[:1] or ((agency.clerk,) if agency.clerk in self._boxes else ())
