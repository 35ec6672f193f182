"""How much a login may send to the outside: a stolen password shall not make a spam gun of the province. In memory, no I/O.

Only recipients outside the domain count: of mails that were accepted, and of those that are under way, since a login may work in
many sessions at a time. A login that goes on trying beyond its quota is suspended until the time is over or an administrator lifts
it. The daemon keeps suspensions and puts back what was spent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mailrelay.intake.smtp.limits import Limits


@dataclass(slots=True)
class _Account:
    spent: deque[tuple[float, int]] = field(default_factory=deque)  # (when, outside recipients)
    under_way: int = 0  # outside recipients of mails that are not yet accepted
    refused: deque[float] = field(default_factory=deque)
    suspended_until: float = 0.0


class Share:
    """What one mail holds of its login's quota, from its first outside recipient on until it is spent or given back."""

    def __init__(self, quota: Quota, login: str) -> None:
        self._quota = quota
        self._login = login
        self._number = 0

    def take(self, now: float) -> str:
        """Hold one more recipient: "" when it fits, else a name of the refusal table."""
        refusal = self._quota.refusal(self._login, 1, now)
        if not refusal:
            self._hold(1)
        return refusal

    def spend(self, now: float) -> None:
        """The mail was accepted."""
        self._quota.spend(self._login, self._number, now)
        self.give_back()

    def give_back(self) -> None:
        """The mail goes nowhere. Again, or after `spend`: nothing."""
        self._hold(-self._number)

    def _hold(self, more: int) -> None:
        self._number += more
        self._quota.hold(self._login, more)


class Quota:
    """`now` is seconds of a steady clock, given by the caller; logins in any case. `on_suspension` is told once each time."""

    def __init__(self, limits: Limits, on_suspension: Callable[[str], None] = lambda login: None) -> None:
        self._limits = limits
        self._on_suspension = on_suspension
        self._accounts: dict[str, _Account] = {}

    def refusal(self, login: str, more: int, now: float) -> str:
        """ "" when `more` outside recipients fit beside what was spent and is under way, else a name of the refusal table."""
        account = self._account(login)
        if account.suspended_until > now:
            return "login-suspended"
        window = now - self._limits.quota_time.total_seconds()
        while account.spent and account.spent[0][0] <= window:
            account.spent.popleft()
        if sum(number for _, number in account.spent) + account.under_way + more <= self._limits.quota_recipients:
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
            self._account(login).spent.append((now, number))

    def hold(self, login: str, more: int) -> None:
        """Count outside recipients of a mail that is under way; negative: no longer."""
        if more:
            self._account(login).under_way += more

    def share(self, login: str) -> Share:
        """The share of a new mail."""
        return Share(self, login)

    def suspend(self, login: str, until: float) -> None:
        """Put a suspension back that was known before a restart."""
        self._account(login).suspended_until = until

    def release(self, login: str) -> None:
        """Forget a login's past: it may send again at once."""
        account = self._account(login)
        account.spent.clear()
        account.refused.clear()
        account.suspended_until = 0.0

    def suspended(self, now: float) -> tuple[str, ...]:
        """The logins that are suspended at this moment."""
        return tuple(sorted(login for login, account in self._accounts.items() if account.suspended_until > now))

    def _account(self, login: str) -> _Account:
        return self._accounts.setdefault(login.lower(), _Account())
