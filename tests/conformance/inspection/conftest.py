"""Families of attacks on a whole inspection with real workers: no mutant may pass, no genuine mail may be called wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check, Finding, Findings, Verdict
from tests.inspection.conftest import Bench, Records, directory, settings
from tests.inspection.papers import Ca, Identity

__all__ = ["directory", "settings"]

AUTHOR = "vanthu.stc@hoabinh.gov.vn"
WRONG = frozenset((Verdict.FAIL, Verdict.POLICY, Verdict.PERMERROR, Verdict.PARTIAL))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if pytest_asyncio.is_async_test(item) and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


def wrong(found: Findings, *checks: Check) -> list[Finding]:
    """The findings that speak against a mail, of some checks or of all."""
    return [f for f in found.findings if f.verdict in WRONG and (not checks or f.check in checks)]


def passes(found: Findings, check: Check) -> list[Finding]:
    return [f for f in found.of(check) if f.verdict is Verdict.PASS]


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


@pytest.fixture(scope="module")
def author(ca: Ca) -> Identity:
    return ca.issue("Nguyễn Thị Lan", "Sở Tài chính", email=AUTHOR)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory, ca: Ca) -> Path:
    folder = tmp_path_factory.mktemp("roots")
    ca.trusted_in(folder)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    tmp_path_factory: pytest.TempPathFactory, settings: InspectionSettings, directory: Directory, roots: Path
) -> AsyncIterator[Bench]:
    records = Records()
    inspector = Inspector(replace(settings, trust_roots=roots), txt=records)
    await inspector.start()
    yield Bench(inspector, records, tmp_path_factory.mktemp("mails"), directory)
    await inspector.close()
