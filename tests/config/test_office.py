"""All files together: the shipped office is good and quick to load; problems of all files come in one go."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from mailrelay.config import load_directory, load_office, secrets_of, write_sample_office
from mailrelay.model.faults import ConfigFault


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """A configuration folder with the shipped files and a file for every secret."""
    write_sample_office(tmp_path, {"domain": "hoabinh.gov.vn", "listen.mx": ["127.0.0.1:0"]})
    for ref in secrets_of(load_directory(tmp_path)):
        path = tmp_path / "secrets" / ref.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("$argon2id$v=19$m=1024,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAA\n")
        path.chmod(0o600)
    return tmp_path


def problems_of(folder: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigFault) as fault:
        load_office(folder)
    return fault.value.problems


def test_the_shipped_office_is_good_and_loads_within_a_second_of_cpu(office: Path) -> None:
    started = time.process_time()
    loaded = load_office(office)
    assert time.process_time() - started < 1
    assert len(loaded.directory.agencies) == 34
    assert loaded.settings.domain == loaded.directory.domain
    assert loaded.rulebook.tests


def test_problems_of_all_files_come_sorted_together(office: Path) -> None:
    for name, wrong in (
        ("mailrelay.toml", "[listn]\n"),
        ("mailboxes.yaml", "box: 1\n"),
        ("policies/20-secrets.yaml", "rule: 1\n"),
    ):
        path = office / name
        path.write_text(path.read_text("utf-8") + wrong, "utf-8")
    problems = problems_of(office)
    assert [line.partition(":")[0] for line in problems] == [
        "mailboxes.yaml",
        "mailrelay.toml",
        "policies/20-secrets.yaml",
    ]
    assert all("không có khóa" in line for line in problems)


def test_a_login_without_its_password_file_is_a_problem_at_the_login(office: Path) -> None:
    (office / "secrets" / "logins" / "sotc").unlink()
    (problem,) = problems_of(office)
    line = 1 + (office / "mailboxes.yaml").read_text("utf-8").partition("login: sotc,")[0].count("\n")
    assert problem.startswith(f"mailboxes.yaml:{line}:") and "file:logins/sotc: không có bí mật này" in problem


def test_a_password_in_the_clear_is_a_problem(office: Path) -> None:
    (office / "secrets" / "logins" / "sotc").write_text("matkhau123\n")
    (problem,) = problems_of(office)
    assert "argon2id" in problem and "matkhau123" not in problem


def test_the_domain_must_be_one(office: Path) -> None:
    path = office / "mailrelay.toml"
    path.write_text(path.read_text("utf-8").replace("hoabinh.gov.vn", "phutho.gov.vn"), "utf-8")
    (problem,) = problems_of(office)
    assert "tên miền khác với mailrelay.toml (phutho.gov.vn)" in problem


def test_replies_to_receipts_must_reach_a_box(office: Path) -> None:
    path = office / "mailboxes.yaml"
    path.write_text(path.read_text("utf-8").replace("address: bien-nhan@", "address: bien-ban@"), "utf-8")
    (problem,) = problems_of(office)
    assert (
        problem.startswith("mailrelay.toml:") and "“bien-nhan@hoabinh.gov.vn” không có trong mailboxes.yaml" in problem
    )


def test_an_empty_folder_has_a_problem_for_each_file(tmp_path: Path) -> None:
    assert [line.partition(":")[0] for line in problems_of(tmp_path)] == [
        "mailboxes.yaml",
        "mailrelay.toml",
        "policies",
    ]


@pytest.mark.parametrize("backend", ["dovecot", "imap"])
def test_a_password_server_must_be_named(office: Path, backend: str) -> None:
    write_sample_office(office, {"domain": "hoabinh.gov.vn", "auth.backend": backend})
    assert [problem for problem in problems_of(office) if f"auth.{backend}" in problem]


@pytest.mark.parametrize(
    "backend",
    [
        {"auth.backend": "dovecot", "auth.dovecot": "/run/dovecot/auth-client"},
        {"auth.backend": "imap", "auth.imap": ["mail.hoabinh.gov.vn:993"]},
        {"auth.backend": "ldap", "ldap.servers": ["ldap.vn:636"], "ldap.bind": "{login}@hoabinh.local"},
    ],
)
def test_where_another_server_knows_the_passwords_no_hashes_are_asked_for(
    office: Path, backend: dict[str, object]
) -> None:
    shutil.rmtree(office / "secrets" / "logins")
    write_sample_office(office, {"domain": "hoabinh.gov.vn", **backend})
    assert load_office(office).settings.auth.backend == backend["auth.backend"]


@pytest.mark.parametrize(("server", "good"), [("10.0.0.7:143", False), ("127.0.0.1:143", True), ("[::1]:143", True)])
def test_no_password_goes_to_another_machine_in_the_clear(office: Path, server: str, good: bool) -> None:
    chosen = {"domain": "hoabinh.gov.vn", "auth.backend": "imap", "auth.imap": [server], "auth.imap_tls": "none"}
    write_sample_office(office, chosen)
    if good:
        assert load_office(office).settings.auth.imap_tls == "none"
    else:
        (problem,) = problems_of(office)
        assert problem.startswith("mailrelay.toml:") and "auth.imap_tls" in problem and "không mã hóa" in problem


@pytest.mark.parametrize(
    ("ldap", "missing"),
    [
        ({}, "ldap.servers"),
        ({"ldap.servers": ["ldap.hoabinh.gov.vn:636"]}, "ldap.bind, ldap.base + ldap.filter"),
        ({"ldap.servers": ["ldap.hoabinh.gov.vn:636"], "ldap.base": "dc=vn"}, "ldap.base + ldap.filter"),
        ({"ldap.servers": ["10.0.0.7:389"], "ldap.bind": "uid={login}", "ldap.tls": "none"}, "ldap.tls"),
        ({"ldap.servers": ["10.0.0.7:389"], "ldap.bind": "uid=nam"}, "{login}"),
        ({"ldap.servers": ["10.0.0.7:389"], "ldap.base": "dc=vn", "ldap.filter": "(uid={login}"}, "bộ lọc LDAP sai"),
    ],
)
def test_a_directory_server_must_be_described(office: Path, ldap: dict[str, object], missing: str) -> None:
    write_sample_office(office, {"domain": "hoabinh.gov.vn", "auth.backend": "ldap", **ldap})
    assert [problem for problem in problems_of(office) if missing in problem]


@pytest.mark.parametrize(
    "ldap",
    [
        {"ldap.servers": ["127.0.0.1:389"], "ldap.bind": "{login}@hoabinh.local", "ldap.tls": "none"},
        {"ldap.servers": ["a.vn:636", "b.vn:636"], "ldap.base": "dc=vn", "ldap.filter": "(uid={login})"},
    ],
)
def test_a_directory_server_that_is_described(office: Path, ldap: dict[str, object]) -> None:
    write_sample_office(office, {"domain": "hoabinh.gov.vn", "auth.backend": "ldap", **ldap})
    assert load_office(office).settings.ldap.servers


@pytest.mark.parametrize("change", ["missing", "shadow: true", "enabled: false"])
def test_no_office_opens_with_rules_that_let_secrets_pass(office: Path, change: str) -> None:
    book = office / "policies" / "20-secrets.yaml"
    text = book.read_text("utf-8").partition("tests:")[0]
    if change == "missing":
        book.unlink()
    else:
        book.write_text(text.replace("- id: secret-mark\n", f"- id: secret-mark\n    {change}\n"), "utf-8")
    (problem,) = problems_of(office)
    assert problem.startswith("policies:") and "dấu chỉ độ mật" in problem


def test_a_settings_file_that_cannot_be_read_is_one_problem(office: Path) -> None:
    (office / "mailrelay.toml").write_text("[listen\n")
    (problem,) = problems_of(office)
    assert problem.startswith("mailrelay.toml:1:")


@pytest.mark.parametrize(
    "gap",
    [
        "sender_role: [clerk]",
        "recipient_is_local: true",
        "class: [document, exchange, letter]",  # a receipt may bear a mark, too
        "sender: {not: [chutich@hoabinh.gov.vn]}",
    ],
)
def test_a_rule_against_secrets_has_no_exceptions(office: Path, gap: str) -> None:
    book = office / "policies" / "20-secrets.yaml"
    rule = "when: {secrecy: {at_least: confidential}"
    book.write_text(book.read_text("utf-8").replace(rule, f"{rule}, {gap}"), "utf-8")
    (problem,) = problems_of(office)
    assert problem.startswith("policies:") and "dấu chỉ độ mật" in problem


def test_no_rule_before_it_takes_secrets_out_of_the_rule_against_them(office: Path) -> None:
    book = office / "policies" / "20-secrets.yaml"
    way_out = "rules:\n  - {id: way-out, when: {urgency: flash}, then: relay, reason: {vi: a, en: b}}\n"
    book.write_text(book.read_text("utf-8").replace("rules:\n", way_out), "utf-8")
    (problem,) = problems_of(office)
    assert problem.startswith("policies:") and "dấu chỉ độ mật" in problem


def test_the_rule_against_secrets_may_be_written_in_pieces_and_after_stricter_ones(office: Path) -> None:
    book = office / "policies" / "20-secrets.yaml"
    text = book.read_text("utf-8").partition("tests:")[0]
    pieces = (
        "  - {id: from-strangers, when: {authenticated: false, secrecy: secret}, then: reject, refusal: policy,"
        " reason: {vi: a, en: b}}\n"
        "  - {id: not-of-secrets, when: {secrecy: none, urgency: flash}, then: hold, reason: {vi: a, en: b}}\n"
        "  - {id: highest, when: {secrecy: top_secret}, then: reject, refusal: secret-document, reason: {vi: a, en: b}}\n"
    )
    book.write_text(text.replace("rules:\n", f"rules:\n{pieces}"), "utf-8")
    assert load_office(office).rulebook.rules
