"""Secrets written where references belong are found, and never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailrelay.config.inline import refuse_inline_secrets
from mailrelay.config.marks import read_yaml
from mailrelay.config.problems import Problems


def problems_of(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "a.yaml").write_text(text, "utf-8")
    problems = Problems()
    tree = read_yaml(folder / "a.yaml", "a.yaml", problems)
    assert tree is not None
    refuse_inline_secrets(tree, problems)
    return problems.lines()


@pytest.mark.parametrize(
    "text",
    [
        "password: Hoa@2013",
        "password: 20131028",
        "imap: {Password: x}",
        "smtp_passwd: x",
        "mat_khau: x",
        "api-key: x",
        "deep: [{client.secret: x}]",
        "note: $argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
        "note: $2b$12$abcdefghijklmnopqrstuv",
        "note: |\n  -----BEGIN OPENSSH PRIVATE KEY-----\n  b3BlbnNza",
        "note: '{SSHA}abc'",
        "$6$salt$hash: note",
    ],
)
def test_found_and_not_repeated(tmp_path: Path, text: str) -> None:
    (problem,) = problems_of(tmp_path, text + "\n")
    assert "không ghi bí mật vào tệp này" in problem
    assert not any(word in problem for word in ("Hoa@2013", "20131028", "b3Blb", "$argon2id$v", "hash"))


@pytest.mark.parametrize(
    "text",
    [
        "password: file:logins/sotc",
        "password: env:IMAP_PASSWORD",
        "password:",
        "secrets_dir: khoa",
        "secrecy: top_secret",
        "refusal: secret-document",
        "name: Quy chế bảo mật, mật khẩu",
        "price: 5$ và 6$",
        "passwords_kept: here",
    ],
)
def test_references_and_ordinary_words_are_left_alone(tmp_path: Path, text: str) -> None:
    assert problems_of(tmp_path, text + "\n") == ()
