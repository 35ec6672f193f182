"""An open door for every test of this folder."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from mailrelay.intake.smtp.tls import server_context
from tests.intake.smtp.office import Office, opened
from tests.servers.certificates import Authority

OpenOffice = Callable[..., contextlib.AbstractAsyncContextManager[Office]]


@pytest.fixture(scope="session")
def tls(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("localhost", "127.0.0.1")
    return server_context(pair.certificate, pair.key)


@pytest.fixture
def open_office(tls: ssl.SSLContext, tmp_path: Path) -> OpenOffice:
    """`async with open_office(limits=…) as office`: every kind of listener on loopback."""

    def open_with(**settings: Any) -> contextlib.AbstractAsyncContextManager[Office]:
        return opened(tmp_path / "drafts", settings.pop("tls", tls), **settings)

    return open_with


@pytest.fixture
async def office(open_office: OpenOffice) -> AsyncIterator[Office]:
    async with open_office() as opened_office:
        yield opened_office
