"""Reads mailrelay.toml into Settings. Relative paths are relative to the configuration folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import Field, replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mailrelay.config import forms
from mailrelay.config.door_settings import PEER_RIGHTS, Peer
from mailrelay.config.inline import refuse_inline_secrets
from mailrelay.config.ldap_filter import read_filter
from mailrelay.config.marks import Node, read_toml
from mailrelay.config.problems import Problems
from mailrelay.config.secrets import Secrets
from mailrelay.config.settings import SECTIONS, Route, Settings, described
from mailrelay.config.table import Table
from mailrelay.model.agency import Target, TargetKind

SETTINGS_FILE = "mailrelay.toml"
_SOCKET_PATH = 107  # sockaddr_un of Linux


def load_settings(config_dir: Path) -> Settings:
    """The settings of a configuration folder; ConfigFault with every problem found."""
    problems = Problems()
    settings = read_settings(config_dir, problems)
    problems.raise_any()
    return settings


def read_settings(config_dir: Path, problems: Problems) -> Settings:
    """The settings as far as they can be read; mistakes go to `problems`."""
    config_dir = config_dir.absolute()
    tree = read_toml(config_dir / SETTINGS_FILE, SETTINGS_FILE, problems)
    if tree is None:
        return Settings(config_dir)
    refuse_inline_secrets(tree, problems)
    return _SettingsReader(config_dir, Table(tree, problems)).settings()


class _SettingsReader:
    """Walks the sections; the form of each field decides how it is read."""

    def __init__(self, config_dir: Path, root: Table) -> None:
        self._config_dir = config_dir
        self._root = root
        self._data_dir = root.read("data_dir", self._path, config_dir / "data")
        self._secrets_dir = root.read("secrets_dir", self._path, config_dir / "secrets")
        self._forms: dict[str, Callable[[Node], Any]] = {
            "count": forms.positive,
            "workers": _workers,
            "size": forms.size,
            "duration": forms.duration,
            "period": forms.period,
            "flag": forms.flag,
            "word": forms.text,
            "url": forms.text,
            "domain": forms.domain,
            "ip": _ip,
            "place": forms.place,
            "store-url": _store_url,
            "secret": self._secret,
            "login-template": _login_template,
            "back-target": _back_target,
            "ldap-filter": lambda node: read_filter(forms.text(node)),
            "path": self._path,
            "file": self._file,
            "key-file": self._key_file,
            "data-path": lambda node: self._data_dir / forms.text(node),
        }

    def settings(self) -> Settings:
        values = self._section(self._root, Settings)
        for name, kind in SECTIONS.items():
            table = self._root.table(name)
            section = kind(**self._section(table, kind)) if table else kind()
            if table:
                table.close()
            values[name] = section
        self._root.take("domain", required=True)
        self._root.close()
        paths = {"config_dir": self._config_dir, "data_dir": self._data_dir, "secrets_dir": self._secrets_dir}
        return self._completed(Settings(**{**values, **paths}))

    def _section(self, table: Table, kind: type[Any]) -> dict[str, Any]:
        return {f.name: self._value(table, f) for f in described(kind)}

    def _value(self, table: Table, f: Field[Any]) -> Any:
        form = f.metadata["form"]
        node = table.take(f.name)
        if node is None or node.value == "":  # an empty value is the default, as in the sample file
            return f.default
        if form == "choice":
            return table.choice(f.name, f.metadata["choices"], str(f.default))
        if form == "places":
            return table.values(f.name, forms.place)
        if form == "durations":
            return table.values(f.name, forms.period)
        if form == "routes":
            return self._routes(table.table(f.name))
        if form == "peers":
            return self._peers(table)
        if form == "address":
            home = self._root.text("domain")
            return table.read(f.name, lambda node: forms.address(node, home), f.default)
        return table.read(f.name, self._forms[form], f.default)

    def _completed(self, settings: Settings) -> Settings:
        """Fill in what follows from other settings."""
        tls = self._root.node.mapping.get("tls")
        if tls is not None and len({"certificate", "key"} & set(tls[1].mapping)) == 1:
            self._root.problems.add(
                tls[0], "certificate và key phải đi cùng nhau", "certificate and key belong together"
            )
        control = settings.data_dir / settings.listen.control
        if len(os.fsencode(control)) > _SOCKET_PATH:
            self._root.problems.add(
                (self._root.take("listen") or self._root.node),
                f"đường dẫn ổ cắm điều khiển dài quá {_SOCKET_PATH} byte; hãy đặt listen.control ở chỗ ngắn hơn",
                f"the path of the control socket is longer than {_SOCKET_PATH} bytes; set listen.control to a shorter one",
            )
        data_dir, inspection, delivery = settings.data_dir, settings.inspection, settings.delivery
        return replace(
            settings,
            listen=replace(settings.listen, control=control),
            store=replace(settings.store, url=settings.store.url or f"sqlite:///{data_dir / 'mailrelay.db'}"),
            inspection=replace(inspection, authserv_id=inspection.authserv_id or settings.hostname),
            delivery=replace(delivery, helo=delivery.helo or settings.hostname),
            receipts=replace(settings.receipts, sender=settings.receipts.sender or f"bien-nhan@{settings.domain}"),
        )

    def _routes(self, table: Table | None) -> tuple[Route, ...]:
        if table is None:
            return ()
        routes = []
        for key, (place, _) in table.node.mapping.items():
            target = table.read(key, forms.target, None)
            domain = key.removeprefix("*") if key.startswith("*.") else key
            try:
                if domain != "*":
                    forms.domain(Node(place.file, place.line, place.column, domain.removeprefix(".")))
            except forms.Unreadable as unreadable:
                table.problems.add(place, unreadable.vi, unreadable.en)
                continue
            if target is not None and target.kind in (TargetKind.MAILDIR, TargetKind.IN_PLACE):
                table.problems.add(place, "đường đi phải là lmtp, smtp hoặc mx", "a route must be lmtp, smtp or mx")
            elif target is not None:
                routes.append(Route(domain, target))
        return tuple(routes)

    def _peers(self, section: Table) -> tuple[Peer, ...]:
        peers = []
        for table in section.tables("peers"):
            network = table.read("network", _network, None, required=True)
            rights = table.choices("rights", PEER_RIGHTS)
            if {"hold", "return"} <= set(rights):
                table.problems.add(
                    table.node, "chỉ chọn một trong hai: hold hoặc return", "choose one of hold and return"
                )
            table.close()
            if network is not None:
                peers.append(Peer(network, frozenset(rights)))
        return tuple(peers)

    def _path(self, node: Node) -> Path:
        written = forms.text(node)
        if not written:
            raise forms.Unreadable("đường dẫn trống", "empty path")
        if written.startswith("$CREDENTIALS_DIRECTORY"):
            written = os.environ.get("CREDENTIALS_DIRECTORY", "/run/credentials") + written[22:]
        return Path(os.path.normpath(self._config_dir / written))

    def _file(self, node: Node) -> Path:
        return self._readable(node, self._path(node))

    @staticmethod
    def _readable(node: Node, path: Path) -> Path:
        try:
            is_file = path.is_file()
        except PermissionError:  # a folder on the way is closed to us
            is_file = False
        if not is_file:
            raise forms.Unreadable(f"không có tệp “{node.value}”", f"no such file “{node.value}”")
        if not os.access(path, os.R_OK):
            raise forms.Unreadable(f"không đọc được tệp “{node.value}”", f"cannot read “{node.value}”")
        return path

    def _key_file(self, node: Node) -> Path:
        path, forbidden = Secrets(self._secrets_dir).find(self._path(node))
        if self._readable(node, path).stat().st_mode & forbidden:
            raise forms.Unreadable(
                "tệp khóa mở cho người khác đọc; hãy chạy: chmod 600", "the key file is open to others; run: chmod 600"
            )
        return path

    def _secret(self, node: Node) -> Any:
        ref = forms.secret(node)
        fault = Secrets(self._secrets_dir).fault(ref)
        if fault is not None:
            raise forms.Unreadable(*fault)
        return ref


def _workers(node: Node) -> int:
    if node.value not in (1, 2) or isinstance(node.value, bool):
        raise forms.Unreadable("chỉ dùng 1 hoặc 2 tiến trình", "use 1 or 2 workers")
    return forms.count(node)


def _back_target(node: Node) -> Target:
    found = forms.target(node)
    if found.kind is not TargetKind.SMTP or not found.host:
        raise forms.Unreadable("phải viết như smtp://127.0.0.1:10026", "must be written like smtp://127.0.0.1:10026")
    return found


def _login_template(node: Node) -> str:
    written = forms.text(node)
    if "{login}" not in written:
        raise forms.Unreadable("phải có {login} ở chỗ của tên đăng nhập", "must hold {login} where the login belongs")
    return written


def _ip(node: Node) -> str:
    written = forms.text(node)
    try:
        return str(ip_address(written)) if written else ""
    except ValueError:
        raise forms.Unreadable("không phải địa chỉ IP", "not an IP address") from None


def _network(node: Node) -> Any:
    try:
        return ip_network(forms.text(node))
    except ValueError as fault:
        if isinstance(fault, forms.Unreadable):
            raise
        raise forms.Unreadable(
            "không phải dải địa chỉ IP như 10.1.0.0/16", "not an IP network like 10.1.0.0/16"
        ) from None


def bears_password(url: str) -> bool:
    """Whether the address of a store gives a password away (RFC 3986 section 3.2.1; libpq takes it in the query as well)."""
    try:
        parts = urlsplit(url)
        return parts.scheme != "sqlite" and (parts.password is not None or "password" in parse_qs(parts.query))
    except ValueError:
        return True


def _store_url(node: Node) -> str:
    written = forms.text(node)
    if not written.startswith(("sqlite:///", "postgresql://")):
        raise forms.Unreadable(
            "kho phải là sqlite:///… hoặc postgresql://…", "the store must be sqlite:///… or postgresql://…"
        )
    if bears_password(written):
        raise forms.Unreadable(
            "không ghi mật khẩu vào tệp này; hãy dùng ~/.pgpass", "no password in this file; use ~/.pgpass"
        )
    return written
