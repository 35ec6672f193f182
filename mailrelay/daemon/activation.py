"""Sockets that systemd opened for us (sd_listen_fds(3)): a restart loses no connection, and no right to low ports is needed."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

_FIRST = 3  # SD_LISTEN_FDS_START


def inherited_sockets(environment: MutableMapping[str, str] | None = None) -> dict[str, tuple[socket.socket, ...]]:
    """Listening sockets by the name of their unit's FileDescriptorName: mx, submission, submissions, lmtp.

    Empty unless LISTEN_PID is this process. The variables are taken out of the environment, so that no child believes they
    are its own.
    """
    environment = os.environ if environment is None else environment
    pid = environment.pop("LISTEN_PID", "")
    number = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not number.isdigit():
        return {}
    found: dict[str, tuple[socket.socket, ...]] = {}
    for index in range(int(number)):
        name = names[index] if index < len(names) else ""
        os.set_inheritable(_FIRST + index, False)
        sock = socket.socket(fileno=_FIRST + index)
        sock.setblocking(False)
        found[name] = (*found.get(name, ()), sock)
    return found
