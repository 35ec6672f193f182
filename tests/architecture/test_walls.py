"""The walls of docs/architecture.md stand, and something leaning against them falls: each contract is proved by a breach."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

# What may do no I/O, read no clock, roll no dice (house rule: everything of the kind comes in as an argument).
PURE = {
    "mailrelay.model",
    "mailrelay.policy",
    "mailrelay.inspection.document",
    "mailrelay.delivery.backoff",
    "mailrelay.delivery.outcome",
    "mailrelay.receipts.compose",
    "mailrelay.receipts.acknowledge",
    "mailrelay.register.merkle",
}


@cache
def contracts() -> list[dict[str, Any]]:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found: list[dict[str, Any]] = configuration["tool"]["importlinter"]["contracts"]
    return found


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("mailrelay", include_external_packages=True, cache_dir=None)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run lint-imports on the copy of the package in a folder."""
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run([program, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, timeout=100)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package, free to be damaged."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "mailrelay", tmp_path / "mailrelay", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def add(file: Path, line: str) -> None:
    assert file.exists(), file
    file.write_text(f"{file.read_text()}\n{line}\n")


def test_the_walls_stand(house: Path) -> None:
    done = lint(house)
    assert done.returncode == 0, done.stdout
    assert " 0 broken." in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("spool.py", "from mailrelay.pipeline import accept", "Floors"),
        ("model/identity.py", "from mailrelay.config import settings", "Floors"),
        ("store/codec.py", "from mailrelay.delivery import backoff", "Floors"),
        ("pipeline/accept.py", "import mailrelay.daemon", "Floors"),
        ("delivery/backoff.py", "from mailrelay.receipts import compose", "Floors"),  # a neighbour's room
        ("intake/admission.py", "import mailrelay.schedule", "Floors"),
        ("model/identity.py", "from mailrelay.model import envelope, message", "No circles"),
        ("model/decision.py", "import os", "Pure core"),
        ("model/decision.py", "from asyncio import sleep", "Pure core"),
        ("delivery/backoff.py", "import random", "Pure core"),
        ("telemetry.py", "from aiosmtpd.smtp import SMTP", "aiosmtpd"),
        ("spool.py", "from sqlalchemy import select", "SQLAlchemy"),
        ("pipeline/accept.py", "import yaml", "PyYAML"),
    ],
)
def test_a_breach_is_seen(house: Path, file: str, line: str, contract: str) -> None:
    add(house / "mailrelay" / file, line)
    done = lint(house)
    assert done.returncode == 1, done.stdout
    assert [text for text in done.stdout.splitlines() if text.startswith(contract) or f" {contract}" in text], (
        done.stdout
    )
    assert "BROKEN" in done.stdout


@pytest.mark.parametrize("name", ["utils.py", "helpers/__init__.py"])
def test_a_room_without_a_floor_is_seen(house: Path, name: str) -> None:
    planted = house / "mailrelay" / name
    planted.parent.mkdir(exist_ok=True)
    planted.write_text('"""Odds and ends."""\n')
    done = lint(house)
    assert done.returncode == 1, done.stdout
    assert "every child of every container" in done.stdout


def test_every_pure_file_is_held_pure() -> None:
    [pure] = [contract for contract in contracts() if contract["name"].startswith("Pure core")]
    standing = {name for name in PURE if name in graph().modules}
    assert standing <= set(pure["source_modules"])


def test_every_package_from_outside_has_one_home() -> None:
    protected = [
        name for contract in contracts() if contract["type"] == "protected" for name in contract["protected_modules"]
    ]
    outside = {name for name in graph().modules if graph().is_module_squashed(name)} - sys.stdlib_module_names
    assert sorted(protected) == sorted(set(protected)), "a package has two homes"
    assert outside - set(protected) == set(), "these packages have no home in pyproject.toml"


def test_the_pure_core_is_told_of_every_package_that_acts() -> None:
    [pure] = [contract for contract in contracts() if contract["name"].startswith("Pure core")]
    standard = {
        "asyncio",
        "concurrent",
        "logging",
        "os",
        "random",
        "secrets",
        "socket",
        "sqlite3",
        "subprocess",
        "threading",
        "time",
    }
    assert standard | {"mailrelay.telemetry", "mailrelay.store", "mailrelay.config", "sqlmodel", "pydantic"} <= set(
        pure["forbidden_modules"]
    )
