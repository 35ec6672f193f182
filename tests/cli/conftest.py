"""One office that has lived through the demo's scenario, shared by the tests of the commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.commands import run


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The demo's own JSON, and the office that it leaves behind."""
    done = run("demo", "--once", "--json", "--dir", str(tmp_path_factory.mktemp("office")))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
