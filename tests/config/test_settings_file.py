"""mailrelay.toml: values, defaults that follow from others, every mistake at its line, the sample file."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from mailrelay.config import load_settings, sample_settings, settings_table
from mailrelay.config.door_settings import Peer
from mailrelay.config.setting import HostPort
from mailrelay.config.settings import SECTIONS, Route, Settings
from mailrelay.config.settings_file import bears_password
from mailrelay.model.agency import SecretRef, Target, TargetKind
from mailrelay.model.faults import ConfigFault


def settings_of(folder: Path, text: str) -> Settings:
    (folder / "mailrelay.toml").write_text(text, "utf-8")
    return load_settings(folder)


def problems_of(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigFault) as fault:
        settings_of(folder, text)
    return fault.value.problems


def test_little_is_needed_and_the_rest_follows(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, 'domain = "hoabinh.gov.vn"\nhostname = "mail.hoabinh.gov.vn"\n')
    assert settings.store.url == f"sqlite:///{tmp_path}/data/mailrelay.db"
    assert settings.spool_dir == tmp_path / "data" / "spool"
    assert settings.listen.control == tmp_path / "data" / "control.sock"
    assert settings.inspection.authserv_id == settings.delivery.helo == "mail.hoabinh.gov.vn"
    assert settings.receipts.sender == "bien-nhan@hoabinh.gov.vn"
    assert settings.limits.message_size == 50 * 1024 * 1024
    assert settings.accept.deadline == timedelta(seconds=20)


def test_everything_can_be_set(tmp_path: Path) -> None:
    secret = tmp_path / "khoa" / "seal.pem"
    secret.parent.mkdir()
    secret.write_text("key")
    secret.chmod(0o600)
    (tmp_path / "cert.pem").write_text("certificate")
    settings = settings_of(
        tmp_path,
        """
domain = "hoabinh.gov.vn"
data_dir = "kho"
secrets_dir = "khoa"
[listen]
mx = ["127.0.0.1:0", "[::1]:25"]
[limits]
message_size = "10 MiB"
[dns]
servers = ["127.0.0.1:5353"]
[delivery]
schedule = ["1m", "5m", "1h"]
source = "10.0.0.7"
[delivery.routes]
"*" = "smtp://smtp.example.vn?tls=encrypt"
"*.mic.gov.vn" = "mx"
[receipts]
key = "file:seal.pem"
certificate = "cert.pem"
[smtp]
reply_charset = "utf-8"
[[smtp.peers]]
network = "10.1.0.0/16"
rights = ["xclient", "login"]
[[smtp.peers]]
network = "10.1.2.3"
rights = "proxy"
""",
    )
    assert settings.listen.mx == (HostPort("127.0.0.1", 0), HostPort("::1", 25))
    assert settings.delivery.schedule == (timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1))
    assert settings.delivery.routes == (
        Route("*", Target(TargetKind.SMTP, host="smtp.example.vn", port=25, tls="encrypt")),
        Route(".mic.gov.vn", Target(TargetKind.SMTP)),
    )
    assert settings.receipts.key == SecretRef("file", "seal.pem")
    assert settings.receipts.certificate == tmp_path / "cert.pem"
    assert settings.smtp.peers[0] == Peer(ip_network("10.1.0.0/16"), frozenset({"xclient", "login"}))
    assert settings.rights_of("10.1.2.3") == {"xclient", "login", "proxy"}
    assert settings.rights_of("10.2.0.1") == settings.rights_of("khong-phai-ip") == frozenset()


def test_every_mistake_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("key")
    (tmp_path / "key.pem").chmod(0o644)
    problems = problems_of(
        tmp_path,
        """\
domain = "Hòa Bình"
langauge = "vi"
password = "bí mật"
[listen]
mx = "127.0.0.1"
[limits]
recipients = "500"
[tls]
certificate = "none.pem"
key = "key.pem"
[store]
url = "postgresql://mailrelay:pw@localhost/mail"
[inspection]
workers = 5
[receipts]
key = "-----BEGIN PRIVATE KEY-----"
[[smtp.peers]]
network = "10.1.0.0/99"
rights = ["xclient"]
[delivery.routes]
"*" = "maildir"
"a b" = "mx"
""",
    )
    shown = [line.rpartition(" [")[0] for line in problems]
    assert shown == [
        "mailrelay.toml:1:1: “Hòa Bình” không phải tên miền (chữ thường)",
        "mailrelay.toml:2:1: không có khóa “langauge” – có phải “language”?",
        "mailrelay.toml:3:1: không có khóa “password”",
        "mailrelay.toml:3:1: không ghi bí mật vào tệp này; hãy ghi nơi cất nó: file:TÊN hoặc env:TÊN",
        "mailrelay.toml:5:1: phải viết như “127.0.0.1:25” hoặc “[::1]:25”",
        "mailrelay.toml:7:1: cần số nguyên, không phải chữ",
        "mailrelay.toml:9:1: không có tệp “none.pem”",
        "mailrelay.toml:10:1: tệp khóa mở cho người khác đọc; hãy chạy: chmod 600",
        "mailrelay.toml:12:1: không ghi mật khẩu vào tệp này; hãy dùng ~/.pgpass",
        "mailrelay.toml:14:1: chỉ dùng 1 hoặc 2 tiến trình",
        "mailrelay.toml:16:1: không ghi bí mật vào tệp này; hãy ghi nơi cất nó: file:TÊN hoặc env:TÊN",
        "mailrelay.toml:18:1: không phải dải địa chỉ IP như 10.1.0.0/16",
        "mailrelay.toml:21:1: đường đi phải là lmtp, smtp hoặc mx",
        "mailrelay.toml:22:1: “a b” không phải tên miền (chữ thường)",
    ]


def test_certificate_and_key_belong_together(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("certificate")
    problems = problems_of(tmp_path, 'domain = "hoabinh.gov.vn"\n[tls]\ncertificate = "cert.pem"\n')
    assert problems == (
        "mailrelay.toml:2:1: certificate và key phải đi cùng nhau [certificate and key belong together]",
    )


def test_a_control_socket_must_fit_its_address(tmp_path: Path) -> None:
    text = f'domain = "hoabinh.gov.vn"\ndata_dir = "{"kho" * 40}"\n[listen]\nmx = []\n'
    (problem,) = problems_of(tmp_path, text)
    assert problem.startswith("mailrelay.toml:3:1: đường dẫn ổ cắm điều khiển dài quá 107 byte")
    settings_of(tmp_path, text.replace("mx = []", 'control = "/run/mailrelay.sock"'))


def test_limits_of_nothing_are_refused(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, 'domain = "hoabinh.gov.vn"\n[limits]\nrecipients = 0\nerrors = -1\n')
    assert [line.partition(" [")[0] for line in problems] == [
        "mailrelay.toml:3:1: số phải từ 1 trở lên",
        "mailrelay.toml:4:1: số không được âm",
    ]


def test_times_of_nothing_are_refused_where_the_house_would_never_rest(tmp_path: Path) -> None:
    """No pause between tries or looks keeps the house busy for ever; no time for a step lets nothing pass."""
    positive = {"durations", "period"}
    names = [row.name for row in settings_table() if row.form in positive]
    for name in names:
        section, _, key = name.rpartition(".")
        value = '["1m", "0s"]' if name == "delivery.schedule" else '"0s"'
        (problem,) = problems_of(tmp_path, f'domain = "hoabinh.gov.vn"\n[{section}]\n{key} = {value}\n')
        assert problem.startswith("mailrelay.toml:3:1: thời gian phải dài hơn 0"), name
    assert {"imap.poll_interval", "delivery.schedule", "inspection.revocation_every", "accept.deadline"} <= set(names)
    assert settings_of(tmp_path, 'domain = "hoabinh.gov.vn"\n[limits]\nauth_delay = "0s"\nerror_delay = "0s"\n')


def test_a_missing_secret_is_a_problem(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, 'domain = "hoabinh.gov.vn"\n[dkim]\nrsa_key = "file:dkim.pem"\n')
    assert len(problems) == 1 and problems[0].startswith("mailrelay.toml:3:1: không có bí mật này")


def test_the_domain_cannot_be_left_out(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "") == ("mailrelay.toml:1:1: thiếu “domain” [“domain” is missing]",)


def test_the_table_holds_every_setting_with_words_in_both_languages() -> None:
    rows = list(settings_table())
    in_sections = sum(len(fields(kind)) for kind in SECTIONS.values())
    of_root = len(fields(Settings)) - len(SECTIONS) - 1  # the sections and config_dir stand apart
    assert len(rows) == len({row.name for row in rows}) == in_sections + of_root
    assert all(row.vi and row.en and row.form for row in rows)


def test_the_sample_file_reads_as_the_defaults(tmp_path: Path) -> None:
    bare = settings_of(tmp_path, 'domain = "hoabinh.gov.vn"\n')
    sample = sample_settings({"domain": "hoabinh.gov.vn"})
    assert settings_of(tmp_path, sample) == bare
    # Taking the comment sign from every default changes nothing either; the two examples are not defaults.
    active = re.sub(r"^# ([a-z0-9_]+ = )", r"\1", sample, flags=re.M)
    active = re.sub(r"^(routes|peers) = .*\n", "", active, flags=re.M)
    assert active.count("\n# ") < sample.count("\n# ")
    assert settings_of(tmp_path, active) == bare


def test_the_sample_file_takes_values_and_refuses_unknown_names(tmp_path: Path) -> None:
    text = sample_settings(
        {
            "domain": "hoabinh.gov.vn",
            "listen.mx": ["127.0.0.1:2525"],
            "delivery.routes": {"*": "lmtp://127.0.0.1:24"},
            "letters.keep": True,
            "receipts.name": 'Biên nhận "tỉnh" \\ 1',
        }
    )
    settings = settings_of(tmp_path, text)
    assert settings.listen.mx == (HostPort("127.0.0.1", 2525),)
    assert settings.delivery.routes[0].target.kind is TargetKind.LMTP
    assert settings.letters.keep is True
    assert settings.receipts.name == 'Biên nhận "tỉnh" \\ 1'
    with pytest.raises(KeyError, match=r"listen\.mxx"):
        sample_settings({"listen.mxx": []})


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("postgresql://mailrelay@db.example/mail", False),
        ("postgresql:///mail?host=/run/postgresql&user=mailrelay", False),
        ("sqlite:////var/lib/mail:relay@x/mailrelay.db", False),
        ("", False),
        ("postgresql://mailrelay:pw@db.example/mail", True),
        ("postgresql://mailrelay:p%40w@db.example/mail", True),
        ("postgresql://db.example/mail?user=x&password=pw", True),
        ("postgresql://x:pw@[::1/mail", True),
    ],
)
def test_a_password_in_the_stores_address_is_seen(url: str, given: bool) -> None:
    assert bears_password(url) is given


@pytest.mark.parametrize("value", ["[" * 5000 + "]" * 5000, "9" * 5000, "{a = " * 600 + "1" + "}" * 600])
def test_a_value_that_no_reader_takes_is_a_problem_of_the_file(tmp_path: Path, value: str) -> None:
    (problem,) = problems_of(tmp_path, f'domain = "hoabinh.gov.vn"\nx = {value}\n')
    assert problem.startswith("mailrelay.toml:") and len(problem) < 400


def test_a_key_of_endless_depth_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, f'domain = "hoabinh.gov.vn"\n{".".join("a" * 3000)} = 1\n')
    assert problem.startswith("mailrelay.toml:") and "lồng nhau quá sâu" in problem


def test_the_key_of_tls_may_lie_among_the_secrets_and_come_by_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An admin's `mailrelay check` reads the one, the service under its own user the other."""
    text = 'domain = "hoabinh.gov.vn"\n[tls]\ncertificate = "mx.pem"\nkey = "secrets/tls/mx.key"\n'
    (tmp_path / "mx.pem").write_text("certificate")
    credential, secret = tmp_path / "credentials" / "tls_mx.key", tmp_path / "secrets" / "tls" / "mx.key"
    credential.parent.mkdir()
    credential.write_text("key")
    credential.chmod(0o440)  # so it shows where systemd gives it to one user by an ACL
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credential.parent))
    assert settings_of(tmp_path, text).tls.key == credential
    credential.chmod(0o444)
    assert "mở cho người khác" in problems_of(tmp_path, text)[0]
    secret.parent.mkdir(parents=True)
    secret.write_text("key")
    secret.chmod(0o600)
    assert settings_of(tmp_path, text).tls.key == secret
