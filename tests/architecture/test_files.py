"""The files of the working copy: their length, names and words."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_source_is_short_named_well_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST
    if name(path) not in VAGUE_ALLOWED:
        assert not VAGUE & set(path.relative_to(ROOT).with_suffix("").parts)
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "the first lines say what the file is"


@pytest.mark.parametrize("path", [path for path in FILES if "locks" not in path.parts], ids=name)
def test_text_is_finished_and_speaks_of_no_machine(path: Path) -> None:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        assert not UNFINISHED.search(line), f"{number}: {line}"
        assert not MACHINE.search(line), f"{number}: {line}"


def test_scripts_can_be_started() -> None:
    for path in FILES:
        if path.read_bytes().startswith(b"#!"):
            assert path.stat().st_mode & 0o111, f"{name(path)} has #! and no x"
