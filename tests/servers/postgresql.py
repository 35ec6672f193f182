"""A real PostgreSQL of its own: own cluster, a Unix socket only, run by an ordinary user even when the tests are root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from tests.servers.process import Child, descendants, is_alive, open_folder, wait_until

_SUPERUSER = "mailrelay"
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "logging_collector": "off",
    "log_min_messages": "error",
    "log_min_error_statement": "panic",
}


def _program(name: str) -> Path:
    """A program of the newest PostgreSQL that Debian installed; its programs lie outside the search path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if not found:
        raise FileNotFoundError(f"PostgreSQL's {name} is not installed: run `make setup`")
    return found[-1]


class Postgresql:
    """`with Postgresql() as server:` starts it; leaving ends it and removes its folder. `settings` go to the server."""

    def __init__(self, **settings: str) -> None:
        self._settings = _SETTINGS | settings
        self._folder = open_folder("postgresql")
        self._data = self._folder / "data"
        self._child: Child | None = None
        self._as_user: list[str] = []
        if os.geteuid() == 0:  # the server refuses to run as root
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._as_user = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]

    def url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self._folder}&user={_SUPERUSER}"

    def __enter__(self) -> Self:
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", f"--username={_SUPERUSER}"]
        initdb = [*self._as_user, str(_program("initdb")), *options, "-D", str(self._data)]
        subprocess.run(initdb, cwd=self._folder, check=True, capture_output=True)
        self.start()
        return self

    def start(self) -> None:
        """Start the server and wait until it answers."""
        words = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        command = [*self._as_user, str(_program("postgres")), "-D", str(self._data), "-k", str(self._folder), *words]
        child = self._child = Child(command, self._folder / "log", cwd=self._folder)

        def answers() -> bool:
            if child.returncode is not None:
                raise RuntimeError(f"PostgreSQL ended:\n{child.output()[-2000:]}")
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                return False
            return True

        wait_until(answers, "PostgreSQL")

    def crash(self) -> None:
        """Immediate shutdown: what is not on the disk is lost, as when every process is killed."""
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGQUIT)
        self._child.wait()

    def kill(self) -> None:
        """kill -9 of every process of the server."""
        assert self._child is not None
        below = descendants(self._child.pid)
        self._child.kill()
        for pid, _ in below:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid, _ in below), "the end of PostgreSQL")

    def kill_backend(self) -> None:
        """kill -9 of one process that serves a client, a busy one if there is any: the server ends all sessions and recovers."""
        sql = "SELECT pid FROM pg_stat_activity WHERE datname <> 'postgres' ORDER BY state = 'idle', random() LIMIT 1"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute(sql).fetchone()
        assert found, "nobody is connected"
        os.kill(found[0], signal.SIGKILL)

    def sql(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as the superuser, outside a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            if self._child.returncode is None:
                self.crash()  # nothing is wanted of it any more
            self._child.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
