"""What every test may use: an authority for certificates, a PostgreSQL, and the engine on which whole services are tested.

`pytest --engine postgresql` (or ENGINE=postgresql) runs every service of the tests on PostgreSQL, `--engine sqlite` on SQLite.
Without it they run on SQLite, and those of modules marked `engines` on both, one after the other.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `from tests.servers…` also under a bare `pytest`
    sys.path.insert(0, str(ROOT))

from mailrelay import telemetry  # noqa: E402
from mailrelay.store import open_store  # noqa: E402
from tests.servers.certificates import Authority  # noqa: E402
from tests.servers.postgresql import Postgresql  # noqa: E402

ENGINES = ("sqlite", "postgresql")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=ENGINES,
        default=os.environ.get("ENGINE") or None,
        help="run the services of the tests on this engine only",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--engine")
        both = metafunc.definition.get_closest_marker("engines") is not None
        engines = (chosen,) if chosen else ENGINES if both else ENGINES[:1]
        metafunc.parametrize("engine", engines, indirect=True, scope="session")


@pytest.fixture(autouse=True)
def _log_lines_as_before() -> Iterator[None]:
    """A test that runs a command in its own process leaves no word of it to the next: where log lines go, and which."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        vars(telemetry.log).pop("bind", None)  # what the logger keeps after its first line


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that lives as long as the test run."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL server for the whole run."""
    with Postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """The engine of this test's service: see above."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="session")
def migrated(postgresql: Postgresql) -> str:
    """The name of an empty database whose schema is in place, to be copied."""
    name = "migrated"
    postgresql.sql(f"CREATE DATABASE {name}")

    async def migrate() -> None:
        await (await open_store(postgresql.url(name))).close()

    asyncio.run(migrate())
    return name


@pytest.fixture(scope="session")
def new_store(engine: str, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Give the address of an empty store on PostgreSQL, each time another; or "": the service's own SQLite file."""
    if engine == "sqlite":
        return str
    server: Postgresql = request.getfixturevalue("postgresql")
    template: str = request.getfixturevalue("migrated")
    numbers = itertools.count(1)

    def make() -> str:
        name = f"office{next(numbers)}"
        server.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return server.url(name)

    return make
