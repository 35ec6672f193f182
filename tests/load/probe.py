"""How long a service makes a small question wait: NOOP after NOOP over a connection of its own. A process, so that it is awake.

    python -m tests.load.probe PORT

It asks until its input ends, then prints the waits in ms as JSON: {"n", "p50", "p99", "most"}. What the machine takes from both
sides is in them: on a quiet machine the longest wait is the longest stall of the service's event loop.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

_EVERY = 0.005  # seconds between questions


def ask(port: int) -> list[float]:
    waits = []
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line, line.makefile("rb") as replies:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies.readline()
        while not select.select([sys.stdin], [], [], _EVERY)[0]:
            began = time.monotonic()
            line.sendall(b"NOOP\r\n")
            if not replies.readline().startswith(b"250"):
                break
            waits.append((time.monotonic() - began) * 1000)
    return sorted(waits)


def main() -> None:
    waits = ask(int(sys.argv[1])) or [0.0]
    ranks = {"p50": waits[len(waits) // 2], "p99": waits[int(len(waits) * 0.99)], "most": waits[-1]}
    print(json.dumps({"n": len(waits), **ranks}))


if __name__ == "__main__":
    main()
