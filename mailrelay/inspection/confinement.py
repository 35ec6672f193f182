"""The walls around a worker process: no network, no core dumps, memory and CPU bounds, death with its parent. Linux only.

Two independent walls keep it off the network: an empty network namespace, and a seccomp filter that refuses every socket but
AF_UNIX. Either may be refused by the host (a container without rights); `confine` tells which stand.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import socket
import struct
import time
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_RET_ALLOW = 0x7FFF0000
_RET_ERRNO = 0x00050000
_EACCES = 13
# AUDIT_ARCH, the numbers of socket(2) and io_uring_setup(2)
_SYSCALLS = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}
_LOAD, _EQUAL, _LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_RET|K
_OTHER_ABI = 0x40000000  # x32 calls on x86_64 bear this bit


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def confine(parent: int) -> list[str]:
    """Put up the walls; call once, early, with no second thread running. Returns those that stand: "namespace", "filter".

    `parent` is the pid that this process must not outlive.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before the line above
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    standing = []
    if _leave_network(libc):
        standing.append("namespace")
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and _filter_sockets(libc):
        standing.append("filter")
    return standing


def _leave_network(libc: ctypes.CDLL) -> bool:
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    with contextlib.suppress(OSError):  # without the maps files are still read with the old rights
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    return True


def _filter_sockets(libc: ctypes.CDLL) -> bool:
    known = _SYSCALLS.get(platform.machine())
    if known is None:
        return False
    arch, socket_call, uring_call = known
    refuse = _RET_ERRNO | _EACCES
    steps = (
        (_LOAD, 0, 0, 4),  # architecture
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, refuse),
        (_LOAD, 0, 0, 0),  # system call number
        (_LEAST, 5, 0, _OTHER_ABI),
        (_EQUAL, 4, 0, uring_call),
        (_EQUAL, 0, 2, socket_call),
        (_LOAD, 0, 0, 16),  # first argument: the address family
        (_EQUAL, 0, 1, socket.AF_UNIX),
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, refuse),
    )
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


class Bounds:
    """What one piece of work may take: bytes of address space that it adds, and CPU seconds. Only the soft limits move."""

    def __init__(self, memory: int, cpu_seconds: int) -> None:
        self._memory = memory
        self._cpu_seconds = cpu_seconds
        self._page = resource.getpagesize()
        self._standing = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)  # opening costs more than reading
        self._hard = {kind: resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU)}

    def arm(self) -> None:
        """Bound the next piece of work. Call again for each."""
        pages = int(os.pread(self._standing, 64, 0).partition(b" ")[0])
        self._soft(resource.RLIMIT_AS, pages * self._page + self._memory)
        self._soft(resource.RLIMIT_CPU, int(time.process_time()) + self._cpu_seconds + 1)

    def _soft(self, kind: int, value: int) -> None:
        hard = self._hard[kind]
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
