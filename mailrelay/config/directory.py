"""Reads mailboxes.yaml into the directory: agencies, mailboxes, groups, IMAP accounts. Checks of meaning are `references`' work."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath

from mailrelay.config import forms
from mailrelay.config.accounts import read_account
from mailrelay.config.digest import digest
from mailrelay.config.groups import expand_groups
from mailrelay.config.inline import refuse_inline_secrets
from mailrelay.config.marks import Node, read_yaml
from mailrelay.config.problems import Problems
from mailrelay.config.references import check_references
from mailrelay.config.rows import Row, Rows
from mailrelay.config.settings_file import read_settings
from mailrelay.config.table import Table
from mailrelay.model.agency import (
    Agency,
    Directory,
    HeadCount,
    Level,
    Mailbox,
    OrganCode,
    Role,
    SecretRef,
    Target,
    TargetKind,
)
from mailrelay.model.identity import AgencyId

DIRECTORY_FILE = "mailboxes.yaml"
_IN_MAILDIR = Target(TargetKind.MAILDIR)
_AGENCY_ID = re.compile(r"[a-z][a-z0-9-]{1,40}\Z")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{0,99}\Z")
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})\Z")
_ORGAN_CODE = re.compile(r"[A-Z0-9]+(?:\.[A-Z0-9]+){0,9}\Z")


def load_directory(config_dir: Path) -> Directory:
    """The directory of a configuration folder; ConfigFault with every problem found. Maildirs lie below the data folder."""
    problems = Problems()
    maildir_root = read_settings(config_dir, Problems()).maildir_root
    directory = read_directory(config_dir, problems, maildir_root).directory
    problems.raise_any()
    return directory


def read_directory(config_dir: Path, problems: Problems, maildir_root: Path) -> Rows:
    """The directory as far as it can be read, with the places of its parts; mistakes go to `problems`."""
    tree = read_yaml(config_dir / DIRECTORY_FILE, DIRECTORY_FILE, problems)
    if tree is None:
        return Rows(Node(DIRECTORY_FILE, 1, 1, None), Directory("", (), ()))
    refuse_inline_secrets(tree, problems)
    rows = _DirectoryReader(Table(tree, problems), maildir_root).rows()
    check_references(rows, problems)
    members = expand_groups(rows, problems)
    groups = tuple(replace(row.value, members=members.get(row.value.address, ())) for row in rows.groups)
    rows.directory = Directory(
        domain=rows.domain,
        agencies=tuple(row.value for row in rows.agencies),
        mailboxes=tuple(row.value for row in rows.mailboxes),
        groups=groups,
        imap_accounts=tuple(row.value for row in rows.accounts),
        digest=digest(tree.plain()),
        system_addresses=rows.system_addresses,
    )
    return rows


class _DirectoryReader:
    """Reads section after section; defaults and agencies first, since mailboxes inherit their delivery."""

    def __init__(self, root: Table, maildir_root: Path) -> None:
        self._root = root
        self._maildir_root = maildir_root
        self._domain = root.read("domain", forms.domain, "", required=True)

    def rows(self) -> Rows:
        root = self._root
        version = root.take("version", required=True)
        if version is not None and version.value != 1:
            root.problems.add(version, "chỉ đọc được version: 1", "only version: 1 can be read")
        rows = Rows(root.node, Directory(self._domain, (), ()), domain=self._domain)
        deliver = self._default_target(root.table("defaults"))
        inherited: dict[str, Target] = {}
        for table in root.tables("agencies"):
            agency = self._agency(table)
            inherited[agency.agency_id] = table.read("deliver", forms.target, deliver)
            table.close()
            rows.agencies.append(Row(agency, table.node))
        for table in root.tables("mailboxes"):
            rows.mailboxes.append(Row(self._mailbox(table, inherited, deliver), table.node))
        rows.groups = [Row(rows.group(table, self._address), table.node) for table in root.tables("groups")]
        rows.accounts = [Row(read_account(table, self._address), table.node) for table in root.tables("imap_accounts")]
        self._system_addresses(root.table("system_addresses"), rows)
        root.close()
        return rows

    def _default_target(self, defaults: Table | None) -> Target:
        if defaults is None:
            return _IN_MAILDIR
        target = defaults.read("deliver", forms.target, _IN_MAILDIR)
        defaults.close()
        return target

    def _address(self, node: Node) -> str:
        return forms.address(node, self._domain)

    def _agency(self, table: Table) -> Agency:
        known = _form(
            _AGENCY_ID, "mã cơ quan: chữ thường không dấu, số, gạch nối", "agency ids: lower case, digits, hyphens"
        )
        finger = _form(
            _FINGERPRINT, "vân tay OpenPGP: 40 hoặc 64 chữ số hex viết hoa", "fingerprints: 40 or 64 hex digits"
        )
        level = table.choice("level", tuple(Level), Level.PROVINCE, required=True)
        parent = table.read("parent", known, "")
        successor = table.read("successor", known, "")
        return Agency(
            agency_id=AgencyId(table.read("id", known, "", required=True)),
            name=table.text("name", required=True),
            level=Level(level),
            symbol=table.text("symbol", required=True),
            parent=AgencyId(parent) if parent else None,
            aliases=table.values("aliases", forms.text),
            codes=tuple(_organ_code(code) for code in table.tables("codes")),
            head_counts=tuple(_head_count(counted) for counted in table.tables("head_counts")),
            clerk=table.read("clerk", self._address, "", required=True),
            it_officer=table.read("it_officer", self._address, ""),
            automatic_acceptance=table.flag("automatic_acceptance"),
            openpgp_keys=table.values("openpgp_keys", finger),
            valid_from=table.read("valid_from", _day_or_none, None),
            valid_to=table.read("valid_to", _day_or_none, None),
            successor=AgencyId(successor) if successor else None,
        )

    def _mailbox(self, table: Table, inherited: dict[str, Target], deliver: Target) -> Mailbox:
        agency = table.text("agency", required=True)
        address = table.read("address", self._address, "", required=True)
        named = _form(_LOGIN, "tên đăng nhập: chữ thường không dấu, số, . _ -", "logins: lower case, digits, . _ -")
        login = table.read("login", named, "")
        password = table.read("password", _secret_or_none, None)
        if password is not None and not login:
            table.problems.add(table.node, "có password mà không có login", "a password without a login")
        roles = table.choices("roles", tuple(Role))
        written_roles = table.take("roles", required=True)
        if written_roles is not None and not table.several("roles"):
            table.problems.add(written_roles, "cần ít nhất một vai trò", "needs at least one role")
        written = table.read("deliver", forms.target, inherited.get(agency, deliver))
        box = Mailbox(
            address=address,
            name=table.text("name", required=True),
            agency=AgencyId(agency),
            roles=frozenset(Role(role) for role in roles),
            target=self._resolved(written, address, table),
            aliases=table.values("aliases", self._address),
            login=login,
            password=password or (SecretRef("file", f"logins/{login}") if login else None),
            shared=table.flag("shared"),
            enabled=table.flag("enabled", True),
        )
        table.close()
        return box

    def _resolved(self, target: Target, address: str, table: Table) -> Target:
        """A Maildir's path made absolute; without a path it bears the local part of the address."""
        if target.kind is not TargetKind.MAILDIR:
            if target.kind is TargetKind.SMTP and not target.host:
                table.problems.add(
                    table.node, "hộp thư không thể giao bằng “mx”", "a mailbox cannot be delivered by “mx”"
                )
            return target
        path = PurePosixPath(target.path or address.partition("@")[0])
        if ".." in path.parts or path.is_absolute():
            table.problems.add(
                table.node, "thư mục Maildir phải nằm dưới thư mục chung", "a Maildir must lie below the common folder"
            )
        return replace(target, path=str(self._maildir_root / path))

    def _system_addresses(self, table: Table | None, rows: Rows) -> None:
        if table is None:
            return
        for local, (place, _) in table.node.mapping.items():
            rows.system_addresses[local] = table.read(local, self._address, "")
            rows.system_places[local] = place


def _day_or_none(node: Node) -> date | None:
    return forms.day(node)


def _secret_or_none(node: Node) -> SecretRef | None:
    return forms.secret(node)


def _form(pattern: re.Pattern[str], vi: str, en: str) -> Callable[[Node], str]:
    """A reader of words of one pattern."""

    def read(node: Node) -> str:
        word = forms.text(node)
        if not pattern.match(word):
            raise forms.Unreadable(vi, en)
        return word

    return read


def _organ_code(table: Table) -> OrganCode:
    form = _form(_ORGAN_CODE, "mã định danh viết như H28.12", "organ codes are written like H28.12")
    code = OrganCode(
        table.read("code", form, "", required=True),
        table.read("from", _day_or_none, None),
        table.read("to", _day_or_none, None),
    )
    table.close()
    return code


def _head_count(table: Table) -> HeadCount:
    on = table.read("on", _day_or_none, None, required=True)
    counted = HeadCount(
        on or forms.EPOCH, table.text("category", required=True), table.read("count", forms.count, 0, required=True)
    )
    table.close()
    return counted
