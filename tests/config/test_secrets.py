"""Secrets come from files that only we can read, from systemd, or from the environment."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from mailrelay.config import Secrets
from mailrelay.model.agency import SecretRef
from mailrelay.model.faults import ConfigFault


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_a_file_below_the_folder_without_its_line_end(tmp_path: Path) -> None:
    write(tmp_path / "logins" / "sotc", "$argon2id$v=19$…\n")
    assert Secrets(tmp_path).read(SecretRef("file", "logins/sotc")) == "$argon2id$v=19$…"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    write(tmp_path / "k", "secret-value", mode)
    with pytest.raises(ConfigFault) as fault:
        Secrets(tmp_path).read(SecretRef("file", "k"))
    assert f"{mode:04o}" in str(fault.value) and "chmod 600" in str(fault.value)
    assert "secret-value" not in str(fault.value)


@pytest.mark.parametrize("content", ["", "x" * 70_000])
def test_empty_and_huge_files_are_refused(tmp_path: Path, content: str) -> None:
    write(tmp_path / "k", content)
    assert Secrets(tmp_path).fault(SecretRef("file", "k")) is not None


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    for name in ("missing", "folder"):
        with pytest.raises(ConfigFault):
            Secrets(tmp_path).read(SecretRef("file", name))


def test_credentials_of_systemd_are_flat_and_may_show_group_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    write(credentials / "logins_sotc", "hash", 0o440)
    secrets = Secrets(tmp_path / "none")
    assert secrets.read(SecretRef("file", "logins/sotc")) == "hash"
    write(credentials / "open", "hash", 0o444)
    assert secrets.fault(SecretRef("file", "open")) is not None


def test_a_folder_that_is_closed_to_us_is_no_hindrance_for_a_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is under the shipped unit: root's folder of secrets, and a user that exists while the service runs."""
    secrets, credentials = tmp_path / "secrets", tmp_path / "credentials"
    write(credentials / "logins_sotc", "given", 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    stat = os.stat

    def closed(path: Any, *arguments: Any, **named: Any) -> os.stat_result:
        if str(path).startswith(f"{secrets}/"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, *arguments, **named)

    monkeypatch.setattr(os, "stat", closed)
    assert Secrets(secrets).read(SecretRef("file", "logins/sotc")) == "given"
    fault = Secrets(secrets).fault(SecretRef("file", "logins/other"))
    assert fault is not None and "No such file" in fault[1]
    assert Secrets(secrets).find(secrets / "logins" / "sotc")[0] == credentials / "logins_sotc"


def test_a_file_elsewhere_is_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert Secrets(tmp_path / "secrets").find(tmp_path / "tls" / "key") == (tmp_path / "tls" / "key", 0o077)
    assert Secrets(tmp_path / "secrets").find(credentials / "key") == (credentials / "key", 0o007)


def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAILRELAY_SEAL", "key")
    assert Secrets(tmp_path).read(SecretRef("env", "MAILRELAY_SEAL")) == "key"
    monkeypatch.delenv("MAILRELAY_SEAL")
    with pytest.raises(ConfigFault, match="MAILRELAY_SEAL"):
        Secrets(tmp_path).read(SecretRef("env", "MAILRELAY_SEAL"))


def test_a_secret_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(b"\xff\xfe secret-value")
    (tmp_path / "k").chmod(0o600)
    with pytest.raises(ConfigFault) as fault:
        Secrets(tmp_path).read(SecretRef("file", "k"))
    assert "UTF-8" in str(fault.value) and "secret-value" not in str(fault.value)
