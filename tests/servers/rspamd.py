"""A real Rspamd on a loopback port, as an ordinary user and with its own folder. It knows the GTUBE test words and little else."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"  # what every spam filter calls spam; harmless
_NOBODY = 65534
_CONFIG = """
options {{
  filters = "";
  pidfile = "{folder}/pid";
  cache_file = "{folder}/cache";
  hs_cache_dir = "{folder}";
  stats_file = "{folder}/stats";
  temp_dir = "{folder}";
  control_socket = "{folder}/control mode=0600";
  dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
}}
logging {{ type = "file"; filename = "{folder}/log"; level = "warning"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
metric {{ name = "default"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
"""


class RspamdServer:
    """`with RspamdServer(folder) as server:` listens on 127.0.0.1:`server.port`. Its start takes some seconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def __enter__(self) -> RspamdServer:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "rspamd.conf"
        config.write_text(_CONFIG.format(folder=self._folder, port=self.port))
        command = ["rspamd", "-f", "-c", str(config)]
        if os.geteuid() == 0:  # Rspamd does not work as root
            os.chown(self._folder, _NOBODY, _NOBODY)
            command = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", *command]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 200
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"Rspamd does not start: {(self._folder / 'log').read_text()}")
            time.sleep(0.2)
        return self

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=2) as answer:
                return bool(answer.read(4) == b"pong")
        except (OSError, urllib.error.URLError):
            return False

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(30)
