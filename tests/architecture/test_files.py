"""The files of the working copy: their length, names and words."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LONGEST = 400
VAGUE = {
    "base",
    "common",
    "core",
    "helper",
    "helpers",
    "info",
    "manager",
    "managers",
    "misc",
    "processor",
    "service",
    "util",
    "utils",
}
VAGUE_ALLOWED = {"mailrelay/cli/service.py"}  # what systemd calls a service: the command that runs as one

# Written in pieces, or this file would find itself.
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")
MACHINE = re.compile(
    r"(?<![\w.])(?:/wo"
    + r"rk/|/ro"
    + r"ot/|/ho"
    + r"me/)|/\.py"
    + r"env\b|(?:py"
    + r"pi\.org|python"
    + r"hosted|deb"
    + r"ian\.org|npm"
    + r"js\.)"
)


def tracked() -> list[Path]:
    """Every file under version control that exists and is text."""
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [
        path for path in paths if path.is_file() and path.name != "LICENSE" and b"\0" not in path.read_bytes()[:4096]
    ]


FILES = tracked()
SOURCES = [path for path in FILES if path.suffix == ".py"]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_are_files_to_look_at() -> None:
    assert len(SOURCES) > 30


def test_no_file_is_long() -> None:
    assert {name(path): length for path in SOURCES if (length := len(path.read_text().splitlines())) > LONGEST} == {}


def test_files_are_named_by_what_is_in_them() -> None:
    vague = [name(path) for path in SOURCES if VAGUE & set(path.relative_to(ROOT).with_suffix("").parts)]
    assert set(vague) - VAGUE_ALLOWED == set()


def test_every_file_begins_by_saying_what_it_is() -> None:
    told = (path for path in SOURCES if not path.name.startswith("test_"))  # a test file is named after what it tests
    silent = [
        name(path) for path in told if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_text_is_finished_and_speaks_of_no_machine() -> None:
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if UNFINISHED.search(line) or MACHINE.search(line)
    ]
    assert found == []


def test_scripts_can_be_started() -> None:
    for path in FILES:
        if path.read_bytes().startswith(b"#!"):
            assert path.stat().st_mode & 0o111, f"{name(path)} has #! and no x"
