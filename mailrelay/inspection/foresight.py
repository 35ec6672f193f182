"""Which key records the mails of a sender's domain asked for last time: they are sent along when the next one is read.

So a mail whose keys were seen before takes one question to a worker and not two. A wrong guess costs nothing but that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

_MOST_DOMAINS = 1024
_MOST_NAMES = 4  # honest mails bear one or two signatures


class Foresight:
    """Remembers names, never answers: those come from the resolver, which knows how long they are good."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def of(self, sender: str) -> tuple[str, ...]:
        """The names that a mail from this envelope sender will probably ask for."""
        return self._names.get(_domain(sender), ())

    def learn(self, sender: str, names: Sequence[str]) -> None:
        """Note what a mail has asked for."""
        if len(names) > _MOST_NAMES:
            return
        domain = _domain(sender)
        self._names[domain] = tuple(names)
        self._names.move_to_end(domain)
        while len(self._names) > _MOST_DOMAINS:
            self._names.popitem(last=False)


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2].lower()
