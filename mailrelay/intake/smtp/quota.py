"""How much a login may send to the outside: a stolen password shall not make a spam gun of the province. In memory, no I/O.

Only recipients outside the domain count, and only of mails that were accepted. A login that goes on trying beyond its quota is
suspended until the time is over or an administrator lifts it. The daemon keeps suspensions and puts back what was spent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mailrelay.intake.smtp.limits import Limits


@dataclass(slots=True)
class _Account:
    spent: deque[tuple[float, int]] = field(default_factory=deque)  # (when, outside recipients)
    refused: deque[float] = field(default_factory=deque)
    suspended_until: float = 0.0


class Quota:
    """`now` is seconds of a steady clock, given by the caller; logins in any case. `on_suspension` is told once each time."""

    def __init__(self, limits: Limits, on_suspension: Callable[[str], None] = lambda login: None) -> None:
        self._limits = limits
        self._on_suspension = on_suspension
        self._accounts: dict[str, _Account] = {}

    def refusal(self, login: str, more: int, now: float) -> str:
        """ "" when `more` outside recipients (with those of the same mail before) fit, else a name of the refusal table."""
        account = self._accounts.setdefault(login.lower(), _Account())
        if account.suspended_until > now:
            return "login-suspended"
        window = now - self._limits.quota_time.total_seconds()
        while account.spent and account.spent[0][0] <= window:
            account.spent.popleft()
        if sum(number for _, number in account.spent) + more <= self._limits.quota_recipients:
            return ""
        while account.refused and account.refused[0] <= window:
            account.refused.popleft()
        account.refused.append(now)
        if len(account.refused) < self._limits.suspend_after:
            return "quota-exceeded"
        account.refused.clear()
        account.suspended_until = now + self._limits.suspension_time.total_seconds()
        self._on_suspension(login)
        return "login-suspended"

    def spend(self, login: str, number: int, now: float) -> None:
        """Count the outside recipients of an accepted mail."""
        if number:
            self._accounts.setdefault(login.lower(), _Account()).spent.append((now, number))

    def suspend(self, login: str, until: float) -> None:
        """Put a suspension back that was known before a restart."""
        self._accounts.setdefault(login.lower(), _Account()).suspended_until = until

    def release(self, login: str) -> None:
        """Forget a login's past: it may send again at once."""
        self._accounts.pop(login.lower(), None)

    def suspended(self, now: float) -> tuple[str, ...]:
        """The logins that are suspended at this moment."""
        return tuple(sorted(login for login, account in self._accounts.items() if account.suspended_until > now))
