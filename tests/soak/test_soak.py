"""The bounded form of `make soak`: some hundreds of mutants, and the harness itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from tests.inspection.conftest import Records, province
from tests.soak.campaign import Campaign, died, made
from tests.soak.corpus import Seed, seeds

MUTANTS = 400
SECONDS = 60.0  # after which no further one is begun
SEED = 59


@pytest.fixture(scope="module")
def corpus() -> Iterator[list[Seed]]:
    with TemporaryDirectory(prefix="soak") as name:  # short: gpg-agent's socket lies below
        yield seeds(Path(name))


@pytest.fixture
async def inspector(tmp_path: Path) -> AsyncIterator[Inspector]:
    opened = Inspector(InspectionSettings(workers=2, work_dir=tmp_path, dns_timeout=2.0), txt=Records())
    await opened.start()
    yield opened
    await opened.close()


def test_the_corpus_is_broad(corpus: list[Seed]) -> None:
    families = {seed.origin for seed in corpus}
    assert (len(corpus) > 450, len(families) > 80) == (True, True)
    assert {origin.split(":")[0] for origin in families} >= {
        "composition",
        "hiding",
        "names",
        "files",
        "PDF",
        "S/MIME",
        "PGP",
    }


def test_a_mutant_is_made_again_by_its_number(corpus: list[Seed]) -> None:
    assert [made(corpus, SEED, n) for n in range(50)] == [made(corpus, SEED, n) for n in range(50)]
    assert len({made(corpus, SEED, n).data for n in range(50)}) > 45


@pytest.mark.timeout(300)
async def test_workers_survive_mutants(corpus: list[Seed], inspector: Inspector, tmp_path: Path) -> None:
    campaign = Campaign(inspector, province(), tmp_path, corpus, SEED)
    report = await campaign.run(range(MUTANTS), until=time.monotonic() + SECONDS)
    assert report.mails > 20
    assert (dict(report.raised), died(report)) == ({}, 0)
    assert set(report.errors) == set(), report.lines()
