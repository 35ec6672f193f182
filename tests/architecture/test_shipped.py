"""The province's files as they are shipped load without a complaint, and are the province of plan 59/KH-UBND."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from mailrelay.config.directory import load_directory
from mailrelay.config.rulebook import load_rulebook
from mailrelay.model.agency import Directory, Level
from mailrelay.model.ruling import run_tests

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Directory:
    folder = tmp_path_factory.mktemp("office")
    shutil.copy(ROOT / "mailboxes.yaml", folder)
    (folder / "mailrelay.toml").write_text('domain = "hoabinh.gov.vn"\n')
    return load_directory(folder)


def test_the_province_has_its_34_issuers(directory: Directory) -> None:
    counted = Counter(agency.level for agency in directory.agencies)
    assert counted == {Level.PROVINCE: 23, Level.DISTRICT: 11}  # UBND tỉnh and 22 bodies; 11 districts and the city
    kept = Counter(agency.clerk for agency in directory.agencies)
    assert [clerk for clerk, books in kept.items() if books > 1] == ["vpubnd@hoabinh.gov.vn"]
    assert kept["vpubnd@hoabinh.gov.vn"] == 2


def test_the_group_of_everyone_has_33_registries(directory: Directory) -> None:
    assert max(len(group.members) for group in directory.groups) == 33


def test_the_rules_load_and_pass_their_tests() -> None:
    book = load_rulebook(ROOT)
    assert [path.name for path in sorted((ROOT / "policies").glob("*.yaml"))] == [
        "10-admission.yaml",
        "20-secrets.yaml",
        "30-signatures.yaml",
        "40-attachments.yaml",
        "45-spam.yaml",
        "50-routing.yaml",
        "60-receipts.yaml",
    ]
    results = run_tests(book)
    assert len(results) >= len(book.rules)  # the book is tested, not only written
    assert [result.test.name for result in results if not result.passed] == []
