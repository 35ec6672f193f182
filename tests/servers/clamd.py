"""A real clamd on a Unix socket, with a signature database of one made-up word."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

WORD = b"mailrelay-test-malware-0123456789"  # what the database calls malware; harmless


class ClamdServer:
    """`with ClamdServer(folder) as server:` listens on `server.socket`; streams beyond `limit` bytes are refused."""

    def __init__(self, folder: Path, limit: int = 1024 * 1024) -> None:
        self._folder = folder
        self._limit = limit
        self.socket = folder / "clamd.sock"

    def __enter__(self) -> ClamdServer:
        database = self._folder / "db"
        database.mkdir(parents=True, exist_ok=True)  # it may be started again
        (database / "test.ndb").write_text(f"Test.Mailrelay:0:*:{WORD.hex()}\n")
        config = self._folder / "clamd.conf"
        config.write_text(
            f"LocalSocket {self.socket}\nDatabaseDirectory {database}\nForeground yes\nStreamMaxLength {self._limit}\n"
            f"TemporaryDirectory {self._folder}\nLogFile {self._folder / 'clamd.log'}\nOfficialDatabaseOnly no\n"
        )
        self._process = subprocess.Popen(
            ["clamd", "--config-file", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"clamd does not start: {(self._folder / 'clamd.log').read_text()}")
            time.sleep(0.1)
        return self

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(str(self.socket))
                sock.sendall(b"zPING\0")
                return sock.recv(16).startswith(b"PONG")
            except OSError:
                return False

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)
