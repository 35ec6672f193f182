"""Finds secrets written where only references belong. What was found is never repeated in the message."""

from __future__ import annotations

import re

from mailrelay.config.marks import Node
from mailrelay.config.problems import Problems

_PRIVATE = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|\$argon2(id|i|d)\$|\$(2[aby]|5|6|y)\$|AGE-SECRET-KEY-1|\{(SSHA|SHA|CRYPT)"
)
_KEY_NAME = re.compile(
    r"(?:^|[._-])(passwo?r?d|passwd|pwd|passphrase|secret|token|api[_-]?key|matkhau|mat[_-]khau)(?:$|[._-])", re.I
)
_REFERENCE = re.compile(r"(file|env):\S+\Z")


def refuse_inline_secrets(tree: Node, problems: Problems) -> None:
    """Note every private key, password hash, and every value of a password-like key that is no reference."""
    for node in tree.walk():
        if isinstance(node.value, str) and _PRIVATE.search(node.value):
            _note(node, problems)
        for key, value in node.mapping.values():
            if _is_secret_name(key.value) and _is_inline(value):
                _note(value, problems)


def _is_secret_name(name: str) -> bool:
    return name not in ("secrets_dir",) and _KEY_NAME.search(name) is not None


def _is_inline(value: Node) -> bool:
    if isinstance(value.value, str):
        return bool(value.value) and not _REFERENCE.match(value.value)
    return isinstance(value.value, int | float) and not isinstance(value.value, bool)


def _note(node: Node, problems: Problems) -> None:
    problems.add(
        node,
        "không ghi bí mật vào tệp này; hãy ghi nơi cất nó: file:TÊN hoặc env:TÊN",
        "no secret in this file; write where it is kept: file:NAME or env:NAME",
    )
