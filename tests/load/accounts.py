"""Polled boxes: memory of an idle account, and how long after the server's own push a new mail stands in the log."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.load.machine import pss_mib
from tests.load.mails import RECEIVERS
from tests.servers.dovecot import Dovecot
from tests.servers.process import LOOPBACK, wait_until
from tests.servers.province import add_account
from tests.servers.relay import Relay

_ACCOUNTS = 300
_MAILS = 20


def run(accounts: int = _ACCOUNTS, mails: int = _MAILS) -> Iterator[str]:
    """Lines for the table of steps: the whole service beside a real Dovecot, first without and then with the accounts."""
    with tempfile.TemporaryDirectory(prefix="mailrelay-load-") as folder, Dovecot() as dovecot:
        without = _service(Path(folder) / "none", dovecot, 0)
        try:
            bare = _settled(without)
        finally:
            without.close()
        service = _service(Path(folder) / "many", dovecot, accounts)
        try:
            with sqlite3.connect(f"file:{service.folder}/data/mailrelay.db?mode=ro", uri=True) as store:
                wait_until(lambda: _rows(store, "SELECT count(*) FROM poll_cursor") == accounts, "all accounts", 300)
                each = (_settled(service) - bare) * 1024 / accounts
                yield f"| one idle IMAP account, {accounts} of them | {each:.0f} KiB | 64 KiB, aim 25 |"
                waits = sorted(_wait(store, dovecot, f"load{number % accounts}", number) for number in range(mails))
            median, worst = statistics.median(waits), waits[-1]
            figure = f"median {median * 1000:.0f} ms, worst of {mails} {worst * 1000:.0f} ms"
            yield f"| new mail in a polled box to log row, after the push | {figure} | 1 s, aim 0.3 |"
        finally:
            service.close()


def _service(folder: Path, dovecot: Dovecot, accounts: int) -> Relay:
    service = Relay(folder)
    for number in range(accounts):
        name = f"load{number}"
        add_account(
            service.folder,
            dovecot.password,
            **{"name": name, "host": LOOPBACK, "port": dovecot.port, "tls": "none", "user": name},
            **{"purpose": "incoming", "owner": RECEIVERS[number % len(RECEIVERS)]},
        )
    service.start(limit=120)
    return service


def _settled(service: Relay) -> float:
    """MiB of the service's whole tree once it has stopped growing."""
    last, now = 0.0, pss_mib([service.child.pid])
    while abs(now - last) > 0.3:
        time.sleep(2)
        last, now = now, pss_mib([service.child.pid])
    return now


def _wait(store: sqlite3.Connection, dovecot: Dovecot, user: str, number: int) -> float:
    """Seconds from Dovecot's push to another client of the box until the mail's row can be read."""
    client = dovecot.session(user)
    try:
        client.select("INBOX")
        client.send(b"X1 IDLE\r\n")
        client.readline()
        before = _rows(store, "SELECT count(*) FROM poll_outcome WHERE uid > 0")
        head = f"From: a@load.example\r\nMessage-ID: <{number}@load>\r\nSubject: {number}\r\n\r\n".encode()
        dovecot.deliver(user, head + b"x" * 4000 + b"\r\n")
        while b"EXISTS" not in client.readline():
            pass
        pushed = time.monotonic()
        while _rows(store, "SELECT count(*) FROM poll_outcome WHERE uid > 0") == before:
            time.sleep(0.002)
        return time.monotonic() - pushed
    finally:
        client.shutdown()


def _rows(store: sqlite3.Connection, sql: str) -> int:
    return int(store.execute(sql).fetchone()[0])
