"""Clients that send without pause and never give a mail up: what was not answered is sent again, as every mail program does."""

from __future__ import annotations

import smtplib
import threading
import time
from collections.abc import Callable, Iterator

from tests.crash.mails import Mail, compose
from tests.crash.truth import Truth
from tests.servers.relay import Relay

_FINAL = 500


class Clients:
    """Threads that take numbers from one row; `finish` lets each end the mail it has begun."""

    def __init__(self, relay: Relay, truth: Truth, numbers: Iterator[int], count: int = 4) -> None:
        self._relay = relay
        self._truth = truth
        self._numbers = numbers
        self._no_more = threading.Event()
        self._give_up = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"client-{i}", daemon=True) for i in range(count)]
        self.faults: list[BaseException] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self, limit: float = 120.0) -> None:
        """Take no new numbers; wait until every mail that was begun has its answer. TimeoutError when one has none."""
        self._no_more.set()
        self._join(limit)

    def wait(self, limit: float) -> None:
        """Wait until the row of numbers has ended and every mail has its answer."""
        self._join(limit)

    def stop(self) -> None:
        """End at once, with or without an answer."""
        self._no_more.set()
        self._give_up.set()
        for thread in self._threads:
            thread.join(60)

    def _join(self, limit: float) -> None:
        end = time.monotonic() + limit
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            raise TimeoutError(f"mails without an answer after {limit:g} s: {self._open()}")
        if self.faults:
            raise self.faults[0]

    def _open(self) -> list[int]:
        truth = self._truth
        return sorted(truth.begun - truth.acknowledged.keys() - truth.refused.keys())

    def _run(self) -> None:
        try:
            lines = Lines(self._relay)
            while not self._no_more.is_set():
                with self._truth.lock:
                    number = next(self._numbers, None)
                    if number is None:
                        return
                    self._truth.begun.add(number)
                self._deliver(compose(number), lines)
        except BaseException as fault:
            self.faults.append(fault)

    def _deliver(self, mail: Mail, lines: Lines) -> None:
        while not self._give_up.is_set():
            code, text = lines.send(mail)
            if code == 250:
                with self._truth.lock:
                    self._truth.acknowledged[mail.number] = text.split()[1]
                return
            if code >= _FINAL:
                with self._truth.lock:
                    self._truth.refused[mail.number] = code
                return
            self._give_up.wait(0.1)


class Lines:
    """One kept connection for each login of one client."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._open: dict[str, smtplib.SMTP] = {}

    def send(self, mail: Mail) -> tuple[int, str]:
        """Hand a mail in; the final code and text, or (0, why) when no answer came."""
        try:
            client = self._open.get(mail.login) or self._relay.client(mail.login, timeout=60)
            self._open[mail.login] = client
            return _transaction(client, mail)
        except smtplib.SMTPDataError as refusal:  # instead of 354
            error = refusal.smtp_error
            return refusal.smtp_code, error.decode(errors="replace") if isinstance(error, bytes) else error
        except (OSError, smtplib.SMTPException, ValueError, KeyError) as fault:  # KeyError: never started
            self._drop(mail.login)
            return 0, str(fault)

    def close(self) -> None:
        for login in list(self._open):
            self._drop(login)

    def _drop(self, login: str) -> None:
        client = self._open.pop(login, None)
        if client is not None:
            client.close()


def _transaction(client: smtplib.SMTP, mail: Mail) -> tuple[int, str]:
    steps: list[Callable[[], tuple[int, bytes]]] = [lambda: client.mail(mail.sender, ["SMTPUTF8", "BODY=8BITMIME"])]
    steps += [lambda recipient=recipient: client.rcpt(recipient) for recipient in mail.recipients]  # type: ignore[misc]
    for step in steps:
        code, text = step()
        if code >= 400:
            client.rset()
            return code, text.decode(errors="replace")
    code, text = client.data(mail.raw)
    if code == 421:
        client.close()
    return code, text.decode(errors="replace")
