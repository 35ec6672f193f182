"""The locks hold every dependency, with hashes, from nowhere in particular."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
PINNED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^ ;]+)(?: ; (?P<marker>.+?))? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text())

LOCKS: dict[str, list[str]] = {
    "requirements.lock": CONFIGURATION["project"]["dependencies"],
    "requirements-dev.lock": [*CONFIGURATION["project"]["dependencies"], *CONFIGURATION["dependency-groups"]["dev"]],
    "requirements-build.lock": [
        *CONFIGURATION["build-system"]["requires"],
        *CONFIGURATION["dependency-groups"]["build"],
    ],
}


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text().splitlines()
    found = (PINNED.fullmatch(line) for line in lines)
    return {canonicalize_name(pin["name"]): pin["version"] for pin in found if pin}


def test_every_lock_is_known() -> None:
    assert {path.name for path in ROOT.glob("requirements*")} == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_names_versions_hashes_and_nothing_else(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    strange = [line for line in lines if not PINNED.fullmatch(line) and not HASH.fullmatch(line)]
    assert strange == []
    for line, after in itertools.pairwise(lines):
        assert not PINNED.fullmatch(line) or HASH.fullmatch(after), f"{line} has no hash"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_covers_what_pyproject_asks_for(lock: str) -> None:
    pinned = pins(lock)
    for text in LOCKS[lock]:
        wish = Requirement(text)
        version = pinned.get(canonicalize_name(wish.name))
        assert version is not None, f"{wish.name} is not locked"
        assert wish.specifier.contains(version), f"{wish} is locked at {version}"


def test_the_locks_agree() -> None:
    run, dev, build = (pins(lock) for lock in LOCKS)
    assert {name: dev.get(name) for name in run} == run
    assert {name: dev[name] for name in build if name in dev} == {name: build[name] for name in build if name in dev}
