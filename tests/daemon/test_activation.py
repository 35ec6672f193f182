"""Sockets from systemd: taken by name, by the process that they were meant for, once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from mailrelay.daemon.activation import inherited_sockets

_CHILD = """
import os
from mailrelay.daemon.activation import inherited_sockets
os.environ["LISTEN_PID"] = str(os.getpid())
found = inherited_sockets()
print({name: [s.getsockname()[1] for s in sockets] for name, sockets in sorted(found.items())}, "LISTEN_FDS" in os.environ)
"""


def test_sockets_of_another_process_are_left_alone() -> None:
    assert inherited_sockets({"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}) == {}
    assert inherited_sockets({}) == {}


def test_sockets_are_taken_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mx, socket.create_server(("127.0.0.1", 0)) as submission:
        ports = [mx.getsockname()[1], submission.getsockname()[1]]
        copies = [os.dup(mx.fileno()), os.dup(submission.fileno())]

        def place() -> None:
            # As systemd does it: the sockets are descriptors 3 and 4 of the new process.
            high = [os.dup(copy) for copy in copies]
            for number, descriptor in enumerate(high, 3):
                os.dup2(descriptor, number, inheritable=True)

        environment = {**os.environ, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "mx:submission"}
        done = subprocess.run(
            [sys.executable, "-c", _CHILD],
            env=environment,
            preexec_fn=place,
            close_fds=False,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        for copy in copies:
            os.close(copy)
    assert done.stdout.strip() == f"{{'mx': [{ports[0]}], 'submission': [{ports[1]}]}} False"
