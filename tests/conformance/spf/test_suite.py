"""The public test suite of RFC 7208 (openspf.org, release 2014.04) against our evaluation. Its licence lies beside it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailrelay.inspection.authentication import spf
from mailrelay.inspection.dns import AddressAnswer, MxAnswer, PtrAnswer, State, TxtAnswer

SUITE = Path(__file__).with_name("rfc7208-tests.yml")


class Zone:
    """The suite's zone data as a name server would answer from it."""

    def __init__(self, data: dict[str, list[Any]]) -> None:
        self._data = {name.lower().rstrip("."): records for name, records in data.items()}

    def _records(self, name: str, kind: str, aliases: int = 0) -> tuple[list[Any], State]:
        records = self._data.get(name.lower().rstrip("."), [])
        alias = next((record["CNAME"] for record in records if isinstance(record, dict) and "CNAME" in record), None)
        if alias is not None:
            return self._records(alias, kind, aliases + 1) if aliases < 8 else ([], "temperror")
        found = [record[kind] for record in records if isinstance(record, dict) and kind in record]
        if kind == "TXT" and not found:
            found = [record["SPF"] for record in records if isinstance(record, dict) and "SPF" in record]
        found = [value for value in found if value != "NONE"]
        if not found and "TIMEOUT" in records:
            return [], "temperror"
        if "TIMEOUT" in found:
            return [], "temperror"
        return found, "ok" if found else "none"

    async def txt(self, name: str) -> TxtAnswer:
        found, state = self._records(name, "TXT")
        texts = ("".join(value) if isinstance(value, list) else value for value in found)
        return TxtAnswer(tuple(text.encode("utf-8", "surrogateescape") for text in texts), state)

    async def mx(self, domain: str) -> MxAnswer:
        found, state = self._records(domain, "MX")
        return MxAnswer(tuple(sorted((preference, host) for preference, host in found)), state)

    async def host(self, name: str, version: int) -> AddressAnswer:
        found, state = self._records(name, "A" if version == 4 else "AAAA")
        return AddressAnswer(tuple(found), state)

    async def ptr(self, address: str) -> PtrAnswer:
        found, state = self._records(ipaddress.ip_address(address).reverse_pointer, "PTR")
        return PtrAnswer(tuple(found), state)


def cases() -> Iterator[Any]:
    for section in yaml.safe_load_all(SUITE.read_text(encoding="utf-8")):
        zone = Zone(section["zonedata"])
        for name, case in section["tests"].items():
            yield pytest.param(zone, case, id=f"{section['description']}: {name}")


@pytest.mark.parametrize(("zone", "case"), list(cases()))
async def test_case(zone: Zone, case: dict[str, Any]) -> None:
    expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
    result = await spf.evaluate(ipaddress.ip_address(case["host"]), case["mailfrom"], case["helo"], zone)
    assert {"limit": "permerror"}.get(result, result) in expected
