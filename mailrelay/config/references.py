"""Checks that the parts of mailboxes.yaml fit together: nothing twice, nothing that points nowhere, no circles."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mailrelay.config.marks import Node
from mailrelay.config.problems import Problems, clipped, suggestion
from mailrelay.config.rows import Row, Rows
from mailrelay.model.agency import Agency, Role, TargetKind

REQUIRED_ADDRESSES = ("postmaster", "abuse")  # RFC 5321 section 4.5.1, RFC 2142


def check_references(rows: Rows, problems: Problems) -> None:
    """Note everything that does not fit."""
    _Check(rows, problems).all()


class _Check:
    """One pass over the rows; look-ups are made once."""

    def __init__(self, rows: Rows, problems: Problems) -> None:
        self._rows = rows
        self._problems = problems
        self._boxes = rows.boxes()
        self._agencies = {row.value.agency_id: row for row in rows.agencies}

    def all(self) -> None:
        self._unique()
        for agency in self._rows.agencies:
            self._agency(agency)
        for box in self._rows.mailboxes:
            self._known(box.value.agency, self._agencies, box.place("agency"), "cơ quan", "agency")
        self._accounts()
        self._offices()

    def _unique(self) -> None:
        agencies, boxes = self._rows.agencies, self._rows.mailboxes
        self._once(((r.value.agency_id, r.place("id")) for r in agencies), "mã cơ quan", "agency id")
        self._once(((r.value.name, r.place("name")) for r in agencies), "tên cơ quan", "agency name")
        codes = (
            (code.code, place) for r in agencies for code, place in zip(r.value.codes, r.places("codes"), strict=False)
        )
        self._once(codes, "mã định danh", "organ code")
        self._once(self._rows.addresses(), "địa chỉ", "address")
        self._once(((r.value.login, r.place("login")) for r in boxes), "tên đăng nhập", "login")
        self._once(((r.value.name, r.place("name")) for r in self._rows.accounts), "tài khoản IMAP", "IMAP account")

    def _once(self, names: Iterable[tuple[str, Node]], vi: str, en: str) -> None:
        first: dict[str, Node] = {}
        for name, place in names:
            if name and first.setdefault(name.lower(), place) is not place:
                line, shown = first[name.lower()].line, clipped(name)
                self._problems.add(
                    place,
                    f"{vi} “{shown}” bị lặp, đã có ở dòng {line}",
                    f"duplicate {en} “{shown}”, first on line {line}",
                )

    def _known(self, name: str, known: Collection[str], place: Node, vi: str, en: str) -> bool:
        if not name or name in known:
            return bool(name)
        near_vi, near_en = suggestion(name, known)
        shown = clipped(name)
        self._problems.add(place, f"không có {vi} “{shown}”{near_vi}", f"no {en} “{shown}”{near_en}")
        return False

    def _agency(self, row: Row[Agency]) -> None:
        agency = row.value
        if self._known(agency.clerk, self._boxes, row.place("clerk"), "hộp thư", "mailbox"):
            box = self._boxes[agency.clerk]
            if Role.CLERK not in box.roles or not box.enabled:
                self._problems.add(
                    row.place("clerk"),
                    f"“{agency.clerk}” phải là hộp văn thư (clerk) đang dùng",
                    f"“{agency.clerk}” must be an enabled box with the role clerk",
                )
        self._known(agency.it_officer, self._boxes, row.place("it_officer"), "hộp thư", "mailbox")
        for key, other in (("parent", agency.parent), ("successor", agency.successor)):
            if other and self._known(other, self._agencies, row.place(key), "cơ quan", "agency"):
                self._no_circle(row, key)
        if agency.valid_from and agency.valid_to and agency.valid_to < agency.valid_from:
            self._problems.add(
                row.place("valid_to"), "ngày kết thúc trước ngày bắt đầu", "the end lies before the beginning"
            )
        counted = [(c.on, c.category) for c in agency.head_counts]
        if len(set(counted)) != len(counted):
            self._problems.add(
                row.place("head_counts"),
                "hai số biên chế cho cùng ngày và loại",
                "two counts for one date and category",
            )

    def _no_circle(self, row: Row[Agency], key: str) -> None:
        path = [row.value.agency_id]
        while (following := getattr(self._agencies[path[-1]].value, key)) in self._agencies:
            if following == row.value.agency_id:
                circle = " → ".join((*path, following))
                self._problems.add(row.place(key), f"“{key}” đi vòng: {circle}", f"“{key}” goes in a circle: {circle}")
                return
            if following in path:
                return  # a circle further up, noted at its own rows
            path.append(following)

    def _accounts(self) -> None:
        for row in self._rows.accounts:
            account = row.value
            if not self._known(account.owner, self._boxes, row.place("owner"), "hộp thư", "mailbox"):
                continue
            if account.enabled and not self._boxes[account.owner].enabled:
                self._problems.add(
                    row.place("owner"),
                    f"tài khoản đang bật nhưng hộp thư “{account.owner}” đã tắt",
                    f"the account is on, but its box “{account.owner}” is disabled",
                )
            if not 0 < account.port < 65536:
                self._problems.add(row.place("port"), "cổng phải từ 1 đến 65535", "a port is 1 to 65535")

    def _offices(self) -> None:
        """What a working office cannot do without."""
        for local in REQUIRED_ADDRESSES:
            if f"{local}@{self._rows.domain}" not in self._boxes and local not in self._rows.system_addresses:
                self._problems.add(
                    self._rows.node,
                    f"thiếu địa chỉ “{local}” trong system_addresses",
                    f"“{local}” is missing in system_addresses",
                )
        for local, address in self._rows.system_addresses.items():
            self._known(address, self._boxes, self._rows.system_places[local], "hộp thư", "mailbox")
        officers = (r.value for r in self._rows.mailboxes if Role.SECURITY_OFFICER in r.value.roles)
        if not any(box.enabled for box in officers):
            self._problems.add(
                self._rows.node,
                "chưa có hộp thư nào mang vai trò security_officer",
                "no mailbox has the role security_officer",
            )
        for row in self._rows.mailboxes:
            if row.value.target.kind is TargetKind.IN_PLACE and not any(
                account.value.owner == row.value.address for account in self._rows.accounts
            ):
                self._problems.add(
                    row.place("deliver"),
                    "“in-place” cần một tài khoản IMAP của hộp thư này",
                    "“in-place” needs an IMAP account of this box",
                )
