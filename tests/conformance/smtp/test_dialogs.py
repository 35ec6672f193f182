"""Every dialog with every listener that it names, and the table of clauses that is made from their heads."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from mailrelay.intake.smtp.limits import Limits
from mailrelay.model.envelope import Door
from tests.conformance.smtp.dialog import Dialog, Stage, dialogs
from tests.conformance.smtp.table import ELSEWHERE, PAGE, page

DIALOGS = dialogs()
LIMITS = Limits(
    error_delay=datetime.timedelta(0),
    auth_delay=datetime.timedelta(0),
    size=1_000_000,
    recipients=100,
    errors=8,
    idle_commands=30,
)


@pytest.mark.parametrize(
    ("dialog", "door"), [pytest.param(d, door, id=f"{d.name}-{door}") for d in DIALOGS for door in d.doors]
)
async def test_dialog(open_office: Any, dialog: Dialog, door: Door) -> None:
    async with open_office(limits=LIMITS, doors=(door,)) as office:
        client = await office.connect(door, greet=False)
        await Stage(client, door, office.recorder).play(dialog)
        await client.close()


def test_the_table_is_made_from_the_dialogs() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.conformance.smtp.table"


@pytest.mark.parametrize(("file", "test"), sorted({(file, test) for _, _, file, test in ELSEWHERE}))
def test_what_the_table_names_elsewhere_is_there(file: str, test: str) -> None:
    assert f"def {test or 'test_'}" in (PAGE.parents[1] / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "clause",
    [
        "RFC 5321 2.3.8", "RFC 5321 3.6.1", "RFC 5321 4.1.1.3", "RFC 5321 4.5.1", "RFC 5321 4.5.2", "RFC 5321 4.5.3.1",
        "RFC 5321 4.5.5", "RFC 2920", "RFC 3030", "RFC 1870", "RFC 2034", "RFC 3461", "RFC 6409", "RFC 8314", "RFC 4954",
        "RFC 3207", "RFC 6531", "RFC 8689", "RFC 2033", "RFC 6152",
    ],
)  # fmt: skip
def test_every_clause_has_a_dialog(clause: str) -> None:
    assert any(dialog.clause.startswith(clause) for dialog in DIALOGS)
