"""The worker's process: takes one request a line over its Unix socket, answers one line. Started by `workers`, never by hand.

A fault of a step is answered as {"fault": name}; only a kill, a crash of a C library or the end of the parent ends the process.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from typing import Any

from mailrelay.inspection import confinement
from mailrelay.inspection.limits import Limits

_ENCODER = json.JSONEncoder(separators=(",", ":"), default=str)


def main() -> None:
    """Serve until the parent closes the socket. Arguments: descriptor of the socket, pid of the parent."""
    standing = confinement.confine(int(sys.argv[2]))
    logging.disable(logging.CRITICAL)  # libraries log parts of what they parse
    with socket.socket(fileno=int(sys.argv[1])) as line, line.makefile("rb") as requests:
        first = requests.readline()
        if not first:
            return
        setup = json.loads(first)
        from mailrelay.inspection.steps import Steps

        steps = Steps(Limits.from_json(setup["limits"]), setup)
        bounds = confinement.Bounds(setup["memory"], setup["cpu"])
        _answer(line, {"walls": standing, "pid": os.getpid()})
        for request in requests:
            _answer(line, _carry_out(steps, json.loads(request), bounds))


def _carry_out(steps: Any, request: dict[str, Any], bounds: confinement.Bounds) -> dict[str, Any]:
    try:
        bounds.arm()
        return dict(steps.carry_out(request))
    except MemoryError:
        return {"fault": "memory"}
    except RecursionError:
        return {"fault": "recursion"}
    except Exception as fault:  # whatever a library raises on hostile input is an answer, not an end
        return {"fault": type(fault).__name__}


def _answer(line: socket.socket, reply: dict[str, Any]) -> None:
    line.sendall(_ENCODER.encode(reply).encode() + b"\n")


if __name__ == "__main__":
    main()
