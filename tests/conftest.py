"""What every test may use: an authority for certificates, and the servers' own folder of modules on the path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `from tests.servers…` also under a bare `pytest`
    sys.path.insert(0, str(ROOT))

from tests.servers.certificates import Authority  # noqa: E402


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that lives as long as the test run."""
    return Authority(tmp_path_factory.mktemp("authority"))
