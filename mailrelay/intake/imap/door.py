"""The IMAP door: one polling task for every account of the directory, switched on and off while the service runs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailrelay.intake.imap.connection import Connection
from mailrelay.intake.imap.login import Credential, Fixed, Renewable
from mailrelay.intake.imap.marked import Marked
from mailrelay.intake.imap.poller import AccountState, Pace, Poller
from mailrelay.intake.imap.source import MailSource, SourceRefused
from mailrelay.intake.imap.taking import Accept, Gates, House, Share, Unreadable
from mailrelay.intake.imap.tokens import Tokens
from mailrelay.model.agency import Directory, ImapAccount, SecretRef
from mailrelay.model.faults import NotFound
from mailrelay.spool import Draft
from mailrelay.store import Store, Transaction
from mailrelay.telemetry import log

SIZE_LIMIT = 150 * 1024 * 1024
_BLOCKS, _BLOCKS_OF_ONE = 32, 8  # of 512 KiB in memory at a time: all accounts together, those of one server
_START_GAP = 0.02  # seconds between two accounts at the start, up to two seconds for all


@dataclass(slots=True)
class _Running:
    account: ImapAccount
    poller: Poller
    task: asyncio.Task[None]


class ImapDoor:
    """All IMAP accounts. `tick` is for the schedule: it follows the directory, raises alarms and rings idle accounts.

    `accounts` and `directory` return the snapshot in force; `read_secret` is asked at every login, so that a password may be
    changed while the service runs. `delivered_by_us` says whether a mail that bears our mark was delivered by us to that address.
    `unreadable` writes the notice to the owner when the door itself could not take a mail. `context` is the TLS context of
    all accounts (default: the system's trust). `source` makes another MailSource than aioimaplib's. `tokens` are for accounts
    with `oauth`. `on_alarm` hears of an account that could not be read for `alarm`. `share` opens a login's quota for the mails of
    its drop folder.
    """

    def __init__(
        self,
        accounts: Callable[[], Sequence[ImapAccount]],
        read_secret: Callable[[SecretRef], str],
        draft: Callable[[], Draft],
        accept: Accept,
        store: Store,
        directory: Callable[[], Directory],
        interval: timedelta,
        now: Callable[[], datetime],
        *,
        delivered_by_us: Callable[[Marked, str], Awaitable[bool]],
        unreadable: Callable[[Transaction, Unreadable], None] | None = None,
        context: ssl.SSLContext | None = None,
        idle: bool = True,
        size_limit: int = SIZE_LIMIT,
        reconcile: timedelta = timedelta(minutes=10),
        alarm: timedelta = timedelta(minutes=15),
        source: Callable[[ImapAccount, Credential], MailSource] | None = None,
        tokens: Tokens | None = None,
        on_alarm: Callable[[ImapAccount, AccountState], None] | None = None,
        doubt: timedelta = timedelta(hours=1),
        share: Callable[[str], Share] | None = None,
    ) -> None:
        self._accounts = accounts
        self._read_secret = read_secret
        self._now = now
        self._pace = Pace(interval, reconcile, alarm, doubt)
        self._idle = idle
        self._tokens = tokens
        self._on_alarm = on_alarm
        self._told: set[str] = set()  # accounts whose present silence was told
        self._context = context
        self._source = source or self._connection
        self._house = House(
            store,
            draft,
            accept,
            directory,
            delivered_by_us,
            unreadable,
            size_limit,
            Gates(_BLOCKS, _BLOCKS_OF_ONE),
            share,
        )
        self._running: dict[str, _Running] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._open = False

    async def start(self) -> None:
        """Begin to poll every account that is switched on. Never waits for a server."""
        self._open = True
        self._follow()

    async def tick(self) -> None:
        """Follow changes of the directory, raise alarms, ring the accounts that wait for a bell. Quick."""
        if not self._open:
            return
        self._follow()
        for running in self._running.values():
            running.poller.check()
            self._tell(running.account, running.poller.state)
            if running.poller.state.connected and self._is_due(running.poller.state):
                running.poller.ring()

    def _tell(self, account: ImapAccount, state: AccountState) -> None:
        """Hand on an alarm, once for each silence."""
        if not state.alarmed:
            self._told.discard(account.name)
        elif account.name not in self._told:
            self._told.add(account.name)
            if self._on_alarm is not None:
                self._on_alarm(account, replace(state))

    async def poll(self, account_name: str) -> None:
        """Do one full pass over an account now and wait for its end. Raises NotFound, or the fault that ended it."""
        self._follow()
        running = self._running.get(account_name)
        if running is None:
            raise NotFound(f"no IMAP account {account_name!r} is switched on")
        await running.poller.poll()

    def states(self) -> tuple[AccountState, ...]:
        """What is known of each running account, by name."""
        return tuple(replace(self._running[name].poller.state) for name in sorted(self._running))

    async def close(self) -> None:
        """End all accounts. A mail that is being handed in is handed in to the end."""
        self._open = False
        for name in list(self._running):
            self._stop(name)
        if self._ending:
            await asyncio.wait(self._ending)

    def _is_due(self, state: AccountState) -> bool:
        return state.last_success is None or self._now() - state.last_success >= self._pace.interval

    def _follow(self) -> None:
        """Start what is new, stop what is gone or switched off, start anew what has changed or (our own fault) ended."""
        if not self._open:
            return
        wanted = {account.name: account for account in self._accounts() if account.enabled}
        for name, running in list(self._running.items()):
            if wanted.get(name) != running.account or running.task.done():
                self._stop(name)
        fresh = [account for name, account in wanted.items() if name not in self._running]
        for number, account in enumerate(fresh):
            self._begin(account, delay=min(number * _START_GAP, 2.0))

    def _begin(self, account: ImapAccount, delay: float) -> None:
        poller = Poller(account, self._house, self._pace, self._open_source, self._now)
        task = asyncio.create_task(poller.run(delay), name=f"imap-{account.name}")
        self._running[account.name] = _Running(account, poller, task)
        log.info("imap-account-on", account=account.name, purpose=account.purpose.value)

    def _stop(self, name: str) -> None:
        running = self._running.pop(name)
        running.task.cancel()
        self._ending.add(running.task)
        running.task.add_done_callback(self._ended)
        log.info("imap-account-off", account=name)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("imap-account-died", task=task.get_name(), exc_info=fault)

    def _open_source(self, account: ImapAccount) -> MailSource:
        return self._source(account, self._credential(account))

    def _credential(self, account: ImapAccount) -> Credential:
        if account.oauth is not None:
            if self._tokens is None:
                raise SourceRefused("no tokens can be fetched here")
            return Renewable(self._tokens, account.oauth)
        if account.password is None:
            raise SourceRefused("the account has no password")
        return Fixed(self._read_secret, account.password)

    def _connection(self, account: ImapAccount, credential: Credential) -> MailSource:
        if self._context is None:
            self._context = ssl.create_default_context()  # one for all: each holds a copy of the trusted roots
        return Connection(account, credential, self._context, idle=self._idle)
