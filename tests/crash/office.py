"""A whole office under load, made to be crashed: the service, its disk, the clients, a polled box and the next hop."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from mailrelay.delivery.queue import CRASHES
from tests.crash.check import Check
from tests.crash.clients import Clients
from tests.crash.disk import Disk
from tests.crash.evidence import (
    OPEN,
    POLLED,
    Copy,
    Evidence,
    Row,
    read_arrivals,
    read_blobs,
    read_maildirs,
    read_rows,
)
from tests.crash.mails import DOMAIN, compose
from tests.crash.truth import NextHop, Truth
from tests.servers.dns import DnsServer
from tests.servers.dovecot import Dovecot
from tests.servers.process import LOOPBACK, wait_until
from tests.servers.province import add_account, deliver_to
from tests.servers.relay import Relay

MUTANTS = Path(__file__).parent / "mutants"
POLLED_BOX = "yenthuy"
_POLLED_FROM = 1_000_000  # numbers of the mails that are put into the polled box

# Tries come quickly, so that a crash test ends; nothing else differs from what an office is given.
_SETTINGS = {
    "delivery": {"schedule": '["1s"]', "per_destination": "8"},
    "accept": {"deadline": '"50s"'},
    "imap": {"poll_interval": '"1s"'},
    "inspection": {"workers": "1"},
}


class Office:
    """`with Office(folder) as office:` builds it; `start` starts the service, `finish` brings it to rest and judges it.

    With a `disk` the whole data folder lies on it. `store` is the address of an empty PostgreSQL, "" for SQLite in the data
    folder. `mutant` names a promise that the service is made to break.
    """

    def __init__(
        self,
        folder: Path,
        *,
        disk: bool = False,
        disk_size: int = 0,
        reserve: str = "16 MiB",
        polled: bool = False,
        mutant: str = "",
        store: str = "",
    ) -> None:
        self.folder = folder
        self._store = store
        self.truth = Truth()
        self.next_hop = NextHop()
        self.disk: Disk | None = None
        self._wants_disk = disk
        self._disk_size = disk_size
        self._reserve = reserve
        self._wants_polled = polled
        self._mutant = mutant
        self._check = Check()
        self._known: dict[Path, Copy] = {}
        self._forgiven: dict[int, int] = {}  # tries that a crash met and that the queue counts no longer
        self._exits = ExitStack()

    def __enter__(self) -> Office:
        with ExitStack() as exits:
            names = exits.enter_context(DnsServer({}))
            self.relay = Relay(self.folder, name_server=names.port, store=self._store)
            exits.callback(self.next_hop.close)
            self.next_hop.start()
            limits = {"disk_reserve": f'"{self._reserve}"'}
            routes = f'{{"bo.example" = "smtp://{LOOPBACK}:{self.next_hop.port}"}}'
            delivery = {**_SETTINGS["delivery"], "routes": routes}
            self.relay.configure({**_SETTINGS, "delivery": delivery, "limits": limits})
            if self._wants_disk:
                place = self.folder / "data"
                self.disk = exits.enter_context(Disk(place, self._disk_size) if self._disk_size else Disk(place))
            if self._wants_polled:
                self._dovecot = exits.enter_context(Dovecot())
                self._add_polled_box()
            exits.callback(self.relay.close)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self, failpoint: str = "", limit: float = 60.0, *, env: Mapping[str, str] | None = None) -> None:
        self.relay.start(failpoint, limit, env={**self._environment(), **(env or {})})

    def _environment(self) -> Mapping[str, str]:
        if not self._mutant:
            return {}
        path = os.pathsep.join([str(MUTANTS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return {"MAILRELAY_MUTANT": self._mutant, "PYTHONPATH": path}

    def clients(self, numbers: Iterator[int], count: int = 4) -> Clients:
        return Clients(self.relay, self.truth, numbers, count)

    # ── crashes ──

    def kill(self) -> None:
        """kill -9."""
        self.relay.kill()

    def cut_power(self) -> None:
        """The power goes, while the service runs or has just ended; afterwards the disk is mounted again and nothing runs."""
        assert self.disk is not None
        self.disk.cut_power()
        self.relay.kill()
        self.disk.restore_power()

    # ── looking ──

    def after_crash(self) -> list[str]:
        """What is wrong with what the crash left behind, before the service is started again."""
        return self._check.after_crash(self.truth, self.evidence())

    def finish(self, limit: float = 120.0) -> list[str]:
        """Wait until the running service has nothing left to do; return all that is wrong.

        A mail in whose delivery the service ended again and again is held, as it must be: a person lets it go.
        """
        wait_until(self.is_at_rest, "the office to come to rest", limit)
        held = self._held_for_crashes()
        for mail_id in {row[1] for row in held}:
            done = self.relay.command("queue", "release", mail_id)
            assert done.returncode == 0, done.stderr
        wait_until(self.is_at_rest, "the office to come to rest", limit)
        self._known.clear()
        found = self._check.at_end(self.truth, self.evidence())
        if self._wants_polled:
            found += self._unmarked()
        return found

    def evidence(self) -> Evidence:
        rows = read_rows(self.relay.store)
        rows.dispatches = [(*row[:4], row[4] + self._forgiven.get(row[0], 0), row[5]) for row in rows.dispatches]
        sizes = {mail_id: row[4] for mail_id, row in rows.messages.items()}
        root = self.data / "maildir"
        return Evidence(
            rows=rows,
            blobs=read_blobs(self.data / "spool"),
            delivered=read_maildirs(root, sizes, self._known),
            relayed=read_arrivals(self.next_hop.arrivals, sizes),
            half_written=sorted(root.glob("*/tmp/*")),
        )

    def _held_for_crashes(self) -> list[Row]:
        """Dispatches that the service held because it ended in them; who releases one forgives all but one of those tries."""
        rows = read_rows(self.relay.store)
        held = [row for row in rows.dispatches if row[3] == "held" and row[4] - row[5] >= CRASHES]
        for dispatch_id, _, _, _, attempts, recorded in held:
            self._forgiven[dispatch_id] = self._forgiven.get(dispatch_id, 0) + attempts - recorded - 1
        return held

    def is_at_rest(self) -> bool:
        """Whether the running service has nothing left to do."""
        ((polled,),) = self.relay.rows(POLLED)
        return polled >= len(self.truth.placed) and self.relay.rows(OPEN) == [(0,)]

    # ── the polled box ──

    def _add_polled_box(self) -> None:
        self._dovecot.maildir(POLLED_BOX)
        address = f"{POLLED_BOX}@{DOMAIN}"
        deliver_to(self.folder, address, "in-place")
        account: dict[str, str | int] = {"name": "den", "host": LOOPBACK, "port": self._dovecot.port, "tls": "none"}
        account |= {"user": POLLED_BOX, "purpose": "incoming", "owner": address}
        add_account(self.folder, self._dovecot.password, **account)

    def place(self, number: int) -> None:
        """Put a mail into the polled box, as that box's own server would."""
        mail = compose(_POLLED_FROM + 4 * number)  # papers only
        self.truth.placed[mail.digest] = mail.number
        self._dovecot.place(POLLED_BOX, mail.raw)

    def place_steadily(self, stop: threading.Event, pause: float = 0.4) -> threading.Thread:
        """Go on putting mails into the polled box, in a thread, until `stop` is set."""

        def run() -> None:
            for number in itertools.count():
                if stop.wait(pause):
                    return
                self.place(number)

        thread = threading.Thread(target=run, name="polled-box", daemon=True)
        thread.start()
        return thread

    def _unmarked(self) -> list[str]:
        def marks() -> dict[int, frozenset[str]]:
            return self._dovecot.flags(POLLED_BOX)

        wait_until(lambda: all("$Registered" in flags for flags in marks().values()), "marks in the polled box", 30)
        return [
            f"mail {uid} of the polled box was marked as read" for uid, flags in marks().items() if "\\Seen" in flags
        ]
