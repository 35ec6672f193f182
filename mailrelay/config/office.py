"""The whole configuration as one snapshot: settings, directory, rule book. All problems of all files come together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import groupby
from pathlib import Path
from typing import Any

from mailrelay.config.accounts import MISSING
from mailrelay.config.directory import read_directory
from mailrelay.config.marks import Node
from mailrelay.config.problems import Position, Problems
from mailrelay.config.rows import Rows
from mailrelay.config.rulebook import POLICIES, read_rulebook
from mailrelay.config.secrets import Secrets
from mailrelay.config.settings import Settings
from mailrelay.config.settings_file import SETTINGS_FILE, read_settings
from mailrelay.model.agency import Directory, SecretRef
from mailrelay.model.decision import Action
from mailrelay.model.document import Secrecy
from mailrelay.model.rule import Rule, RuleBook
from mailrelay.model.ruling import may_match


@dataclass(frozen=True, slots=True)
class Office:
    """What is in force. Swapped whole on reload; the old one stays when the new one has a problem."""

    settings: Settings
    directory: Directory
    rulebook: RuleBook


def load_office(config_dir: Path) -> Office:
    """Settings, directory and rule book; ConfigFault with the problems of all files, failing rule tests among them."""
    problems = Problems()
    settings = read_settings(config_dir, problems)
    rows = read_directory(config_dir, problems, settings.maildir_root)
    rulebook = read_rulebook(config_dir, problems)
    if settings.domain:  # else the settings could not be read, and where secrets lie is not known
        _fit_together(settings, rows, problems)
    if not problems:
        _must_refuse_secrets(rulebook, problems)
    problems.raise_any()
    return Office(settings, rows.directory, rulebook)


def secrets_of(directory: Directory) -> tuple[SecretRef, ...]:
    """Every secret that the directory refers to, each once: passwords of logins and IMAP accounts."""
    boxes = (box.password for box in directory.mailboxes if box.enabled)
    accounts = (ref for account in directory.imap_accounts if account.enabled for ref in account.secrets)
    return tuple(dict.fromkeys(ref for ref in (*boxes, *accounts) if ref is not None))


def _must_refuse_secrets(rulebook: RuleBook, problems: Problems) -> None:
    """No province may loosen this (Law 29/2018/QH14): a book that lets a marked paper pass is not a rule book for us.

    The strongest action over all files wins, so that one file without a way round its refusal is enough.
    """
    files = [tuple(rules) for _, rules in groupby(rulebook.rules, lambda rule: rule.file)]
    for mark in (Secrecy.CONFIDENTIAL, Secrecy.SECRET, Secrecy.TOP_SECRET):
        if not any(_always_rejects(rules, {"secrecy": mark.value}) for rules in files):
            problems.add(
                Position(POLICIES),
                "các quy tắc không từ chối văn bản có dấu chỉ độ mật (xem 20-secrets.yaml kèm theo hệ thống)",
                "the rules do not reject documents that bear a secrecy mark (see the shipped 20-secrets.yaml)",
            )
            return


def _always_rejects(rules: Iterable[Rule], known: Mapping[str, str]) -> bool:
    """Whether one file's list ends in a refusal of whatever has these facts, be the others what they may."""
    for rule in rules:
        if rule.action is None or not rule.enabled or rule.shadow or not may_match(rule, known):
            continue
        if rule.action is not Action.REJECT:
            return False
        if all(matcher.fact in known for matcher in rule.when):
            return True
    return False


def _fit_together(settings: Settings, rows: Rows, problems: Problems) -> None:
    if settings.domain and rows.domain and settings.domain != rows.domain:
        problems.add(
            rows.node.mapping["domain"][1],
            f"tên miền khác với {SETTINGS_FILE} ({settings.domain})",
            f"not the domain of {SETTINGS_FILE} ({settings.domain})",
        )
    sender = settings.receipts.sender
    if rows.mailboxes and rows.domain == settings.domain and sender not in rows.boxes():
        problems.add(
            Position(SETTINGS_FILE),
            f"địa chỉ gửi biên nhận “{sender}” không có trong mailboxes.yaml, trả lời sẽ bị mất",
            f"the receipts' sender “{sender}” is not in mailboxes.yaml, replies would be lost",
        )
    for missing, vi, en in _password_server(settings):
        backend = settings.auth.backend
        problems.add(
            Position(SETTINGS_FILE),
            f"auth.backend = “{backend}” cần {missing}: {vi}",
            f"auth.backend = “{backend}” needs {missing}, {en}",
        )
    secrets = Secrets(settings.secrets_dir)
    for ref, place, is_login in _references(rows):
        if is_login and settings.auth.backend != "local":
            continue  # another server knows the passwords
        fault = secrets.fault(ref)
        if fault is not None:
            problems.add(place, f"{ref.scheme}:{ref.name}: {fault[0]}", f"{ref.scheme}:{ref.name}: {fault[1]}")
        elif is_login and not secrets.read(ref).startswith("$argon2id$"):
            problems.add(
                place,
                f"{ref.scheme}:{ref.name}: mật khẩu đăng nhập phải được cất dưới dạng băm argon2id",
                f"{ref.scheme}:{ref.name}: passwords of logins are kept as argon2id hashes",
            )


def _password_server(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What is missing for the chosen backend: names of settings and why, in both languages."""
    backend, ldap = settings.auth.backend, settings.ldap
    servers: dict[str, Any] = {"dovecot": settings.auth.dovecot, "imap": settings.auth.imap, "ldap": ldap.servers}
    if not servers.get(backend, True):
        name = "ldap.servers" if backend == "ldap" else f"auth.{backend}"
        yield name, "máy chủ kiểm tra mật khẩu", "the server that checks passwords"
    if backend == "ldap" and not ldap.bind and (not ldap.base or ldap.filter is None):
        yield "ldap.bind, ldap.base + ldap.filter", "cách tìm ra tài khoản", "the way to an account"
    tls = {"imap": ("auth.imap_tls", settings.auth.imap_tls), "ldap": ("ldap.tls", ldap.tls)}
    name, chosen = tls.get(backend, ("", ""))
    if chosen == "none" and not all(_is_loopback(place.host) for place in servers[backend]):
        yield name, "mật khẩu không được đi qua mạng mà không mã hóa", "no password may cross a network in clear text"


def _is_loopback(host: str) -> bool:
    """Whether a host of the settings is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _references(rows: Rows) -> Iterator[tuple[SecretRef, Node, bool]]:
    """Secret, place, and whether it is the password of a login (kept as a hash) or one that we show to others."""
    for box in rows.mailboxes:
        if box.value.enabled and box.value.password is not None:
            yield box.value.password, box.place("password" if "password" in box.node.mapping else "login"), True
    for account in rows.accounts:
        if account.value.enabled:
            place = account.place("password" if account.value.password else "oauth")
            yield from ((ref, place, False) for ref in account.value.secrets if ref != MISSING)
