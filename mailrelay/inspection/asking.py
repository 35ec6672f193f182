"""Name look-ups that leave a trace: what was asked for one check and what came back, kept as a piece of evidence."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from mailrelay.inspection.authentication.spf import Names
from mailrelay.inspection.dns import AddressAnswer, MxAnswer, PtrAnswer, TxtAnswer
from mailrelay.model.evidence import Exhibit, exhibit

_MOST = 60

Txt = Callable[[str], Awaitable[TxtAnswer]]


Answer = TxtAnswer | MxAnswer | AddressAnswer | PtrAnswer
_Asked = tuple[str, str, Answer]  # name, type, what came back


class Asking:
    """Passes questions on and remembers the answers. `names` is asked for what is not TXT."""

    def __init__(self, txt: Txt, names: Names | None = None) -> None:
        self._txt = txt
        self._names = names
        self._asked: dict[tuple[str, str], _Asked] = {}

    async def txt(self, name: str) -> TxtAnswer:
        answer = await self._txt(name)
        self._keep(name, "TXT", answer)
        return answer

    async def mx(self, domain: str) -> MxAnswer:
        answer = await self._must().mx(domain)
        self._keep(domain, "MX", answer)
        return answer

    async def host(self, name: str, version: int) -> AddressAnswer:
        answer = await self._must().host(name, version)
        self._keep(name, "A" if version == 4 else "AAAA", answer)
        return answer

    async def ptr(self, address: str) -> PtrAnswer:
        answer = await self._must().ptr(address)
        self._keep(address, "PTR", answer)
        return answer

    def exhibit(self) -> Exhibit | None:
        """All questions of this check in order, with their answers; None when nothing was asked."""
        return _exhibit(tuple(self._asked.values())) if self._asked else None

    def _must(self) -> Names:
        assert self._names is not None
        return self._names

    def _keep(self, name: str, kind: str, answer: Answer) -> None:
        if len(self._asked) < _MOST:
            name = name.lower()
            self._asked[(name, kind)] = (name[:300], kind, answer)


def of_record(name: str, answer: TxtAnswer) -> Exhibit:
    """One TXT answer as a piece of evidence: a DKIM key as it was seen. The same answer is the same piece."""
    return _exhibit(((name.lower(), "TXT", answer),))


@lru_cache(maxsize=256)  # the same names answer for many mails; an entry is found only by all that it says
def _exhibit(asked: tuple[_Asked, ...]) -> Exhibit:
    answers = [_said(*one) for one in asked]
    return exhibit("dns", json.dumps(answers, sort_keys=True, separators=(",", ":")).encode())


def _said(name: str, kind: str, answer: Answer) -> dict[str, Any]:
    secure = not isinstance(answer, PtrAnswer) and bool(answer.secure)
    said = {"name": name, "type": kind, "state": answer.state, "secure": secure}
    if isinstance(answer, TxtAnswer):  # octets as letters of the same numbers, so that nothing is lost
        records = [record.decode("latin-1") for record in answer.records]
        return {**said, "records": records, "signatures": list(answer.signatures)}
    if isinstance(answer, MxAnswer):
        return {**said, "records": [list(host) for host in answer.hosts]}
    return {**said, "records": list(answer.addresses if isinstance(answer, AddressAnswer) else answer.names)}
