"""Name look-ups that leave a trace: what was asked for one check and what came back, kept as a piece of evidence."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from mailrelay.inspection.authentication.spf import Names
from mailrelay.inspection.dns import AddressAnswer, MxAnswer, PtrAnswer, TxtAnswer
from mailrelay.model.evidence import Exhibit, exhibit

_MOST = 60

Txt = Callable[[str], Awaitable[TxtAnswer]]


class Asking:
    """Passes questions on and remembers the answers. `names` is asked for what is not TXT."""

    def __init__(self, txt: Txt, names: Names | None = None) -> None:
        self._txt = txt
        self._names = names
        self._answers: dict[tuple[str, str], dict[str, Any]] = {}

    async def txt(self, name: str) -> TxtAnswer:
        answer = await self._txt(name)
        self._keep(name, "TXT", answer, records=_texts(answer.records), signatures=list(answer.signatures))
        return answer

    async def mx(self, domain: str) -> MxAnswer:
        answer = await self._must().mx(domain)
        self._keep(domain, "MX", answer, records=[list(host) for host in answer.hosts])
        return answer

    async def host(self, name: str, version: int) -> AddressAnswer:
        answer = await self._must().host(name, version)
        self._keep(name, "A" if version == 4 else "AAAA", answer, records=list(answer.addresses))
        return answer

    async def ptr(self, address: str) -> PtrAnswer:
        answer = await self._must().ptr(address)
        self._keep(address, "PTR", answer, records=list(answer.names))
        return answer

    def exhibit(self) -> Exhibit | None:
        """All questions of this check in order, with their answers; None when nothing was asked."""
        return _exhibit(self._answers.values()) if self._answers else None

    def _must(self) -> Names:
        assert self._names is not None
        return self._names

    def _keep(self, name: str, kind: str, answer: Any, **more: Any) -> None:
        if len(self._answers) < _MOST:
            said = {"state": answer.state, "secure": bool(getattr(answer, "secure", False)), **more}
            self._answers[(name.lower(), kind)] = {"name": name.lower()[:300], "type": kind, **said}


def of_record(name: str, answer: TxtAnswer) -> Exhibit:
    """One TXT answer as a piece of evidence: a DKIM key as it was seen. The same answer is the same piece."""
    said = {"records": _texts(answer.records), "secure": answer.secure, "signatures": list(answer.signatures)}
    return _exhibit([{"name": name.lower(), "type": "TXT", "state": answer.state, **said}])


def _exhibit(answers: Iterable[dict[str, Any]]) -> Exhibit:
    return exhibit("dns", json.dumps(list(answers), sort_keys=True, separators=(",", ":")).encode())


def _texts(records: Iterable[bytes]) -> list[str]:
    """Octets as letters of the same numbers, so that nothing is lost."""
    return [record.decode("latin-1") for record in records]
