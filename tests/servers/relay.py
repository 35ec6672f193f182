"""mailrelay itself as a child process with an office folder of its own: started, killed, started again."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg

from mailrelay.cli.demo import stage
from mailrelay.failpoint import EXIT_STATUS
from tests.servers.maildir import letters
from tests.servers.process import Child, wait_until

COMMAND = (sys.executable, "-m", "mailrelay.cli.main")


class Relay:
    """`start` waits until the doors are open; `kill` is kill -9; `stop` is SIGTERM and the exit status."""

    def __init__(self, folder: Path, *, name_server: int = 9, settings: str = "", store: str = "") -> None:
        """`settings` are whole sections; `store` is the address of its store, "" for the SQLite file of its own."""
        self.folder = folder
        self.store = store or f"sqlite:///{folder}/data/mailrelay.db"
        self.stage = stage.build(folder, name_server, store)
        self._settings = folder / "mailrelay.toml"
        if settings:
            self.add_settings(settings)
        self._listeners = folder / "data" / "listeners.json"
        self._addresses: dict[str, str] = {}
        self._child: Child | None = None
        self._trust = ssl.create_default_context(cafile=str(self.stage.authority))
        self.log = folder / "service.log"

    def add_settings(self, text: str) -> None:
        """Append whole sections to mailrelay.toml."""
        with self._settings.open("a", encoding="utf-8") as file:
            file.write(text)

    def configure(self, sections: Mapping[str, Mapping[str, str]]) -> None:
        """Set values (as TOML) in mailrelay.toml, which names every setting, in force or as a comment."""
        text = self._settings.read_text(encoding="utf-8")
        for section, values in sections.items():
            head, mark, body = text.partition(f"\n[{section}]\n")
            assert mark, f"no section {section}"
            for key, value in values.items():
                line = f"{key} = {value}".replace("\\", r"\\")
                body, changed = re.subn(rf"^(?:# )?{key} = .*$", line, body, count=1, flags=re.M)
                assert changed, f"no setting {section}.{key}"
            text = head + mark + body
        self._settings.write_text(text, encoding="utf-8")

    def start(self, failpoint: str = "", limit: float = 30.0, *, env: Mapping[str, str] | None = None) -> None:
        self._listeners.unlink(missing_ok=True)
        command = [*COMMAND, "serve", "--config", str(self.folder)]
        self._child = Child(command, self.log, env={"MAILRELAY_FAILPOINT": failpoint, **(env or {})})

        def ready() -> bool:
            if failpoint and self.child.returncode == EXIT_STATUS:
                return True  # what was left over from before reached the failpoint before anybody could connect
            if self.child.returncode is not None:
                raise RuntimeError(f"mailrelay did not start: {self.child.output()[-3000:]}")
            with suppress(FileNotFoundError, ValueError):  # not there, or not written to its end
                self._addresses = json.loads(self._listeners.read_text())
                return True
            return False

        wait_until(ready, "mailrelay's doors", limit)

    @property
    def child(self) -> Child:
        assert self._child is not None
        return self._child

    def kill(self) -> None:
        """kill -9 of the service; its workers die with it."""
        self.child.kill()

    def stop(self, limit: float = 30.0) -> int:
        """SIGTERM and the exit status."""
        if self.child.returncode is None:
            os.kill(self.child.pid, signal.SIGTERM)
        return self.child.wait(limit)

    def reload(self, limit: float = 20.0) -> str:
        """SIGHUP, and what the service says of it: "reloaded" or "reload-refused"."""
        before = len(self._said("reload"))
        os.kill(self.child.pid, signal.SIGHUP)
        wait_until(lambda: len(self._said("reload")) > before, "the answer to SIGHUP", limit)
        return self._said("reload")[-1]

    def _said(self, start: str) -> list[str]:
        """The names of events in the service's log that begin so."""
        return re.findall(rf'"event": "({start}[a-z-]*)"', self.child.output())

    def close(self) -> None:
        if self._child is not None:
            self._child.stop()

    def address(self, door: str) -> tuple[str, int]:
        host, _, port = str(self._addresses[door]).rpartition(":")
        return host.strip("[]"), int(port)

    def client(self, login: str = "", timeout: float = 30.0) -> smtplib.SMTP:
        """A connected client: on port 587 with STARTTLS and AUTH for a login, else on port 25."""
        host, port = self.address("submission" if login else "mx")
        client = smtplib.SMTP(host, port, timeout=timeout, local_hostname="may-tram.example")
        if login:
            client.starttls(context=self._trust)
            client.login(login, self.stage.password)
        return client

    def command(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of mailrelay on this office."""
        return subprocess.run(
            [*COMMAND, *arguments, "--config", str(self.folder)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **(env or {})},
        )

    def json(self, *arguments: str) -> Any:
        """The JSON output of a command that must succeed."""
        done = self.command(*arguments, "--json")
        if done.returncode != 0:
            raise RuntimeError(f"mailrelay {' '.join(arguments)}: {done.returncode} {done.stderr}")
        return json.loads(done.stdout)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the store, read beside the service."""
        if self.store.startswith("postgresql:"):
            with psycopg.connect(self.store) as server:
                return server.execute(sql.encode()).fetchall()
        with closing(sqlite3.connect(f"file:{self.store.removeprefix('sqlite:///')}?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()

    def mails(self, local: str) -> list[bytes]:
        """The bytes of every mail in a mailbox, oldest first."""
        return letters(self.folder / "data" / "maildir" / local)
