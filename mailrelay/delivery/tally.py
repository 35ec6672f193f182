"""The outcomes of one mail's recipients as they come in, each settled once. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mailrelay.delivery.outcome import Hop, Trouble, of_refusal, of_success, of_trouble
from mailrelay.delivery.replies import Reply
from mailrelay.model.dispatch import Outcome, Result, Scope
from mailrelay.model.envelope import Recipient


class Tally:
    """Keeps recipients by their place in the parcel, so that the same address twice is two recipients."""

    def __init__(self, recipients: Sequence[Recipient], hop: Hop) -> None:
        self._recipients = tuple(recipients)
        self._hop = hop
        self._settled: dict[int, Outcome] = {}

    @property
    def pending(self) -> tuple[int, ...]:
        return tuple(index for index in range(len(self._recipients)) if index not in self._settled)

    def recipient(self, index: int) -> Recipient:
        return self._recipients[index]

    def outcome(self, index: int) -> Outcome | None:
        return self._settled.get(index)

    def refuse(self, indexes: Iterable[int], reply: Reply, scope: Scope) -> None:
        self._settle(indexes, lambda address: of_refusal(address, reply, hop=self._hop, scope=scope))

    def trouble(self, indexes: Iterable[int], trouble: Trouble, detail: str = "") -> None:
        self._settle(indexes, lambda address: of_trouble(address, trouble, hop=self._hop, detail=detail))

    def succeed(self, indexes: Iterable[int], result: Result, reply: Reply, *, dsn: bool) -> None:
        self._settle(indexes, lambda address: of_success(address, result, hop=self._hop, reply=reply, dsn=dsn))

    def reopen(self, indexes: Iterable[int]) -> None:
        for index in indexes:
            del self._settled[index]

    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(self._settled[index] for index in range(len(self._recipients)))

    def _settle(self, indexes: Iterable[int], outcome: Callable[[str], Outcome]) -> None:
        for index in indexes:
            self._settled.setdefault(index, outcome(self._recipients[index].address))
