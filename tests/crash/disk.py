"""A file system of its own in an image file: its power can be cut, it can be small, it can become read-only. Root only.

The cut is the FS_IOC_SHUTDOWN ioctl without flushing the journal: what was neither fsynced nor written back is gone after the
next mount, as after a real power cut. It does not model a disk that lies or that reorders writes.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.servers.process import program

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN, _IOR('X', 125, __u32)
_NO_LOG_FLUSH = 2
# Nothing is committed by a timer while we look: only what the service syncs is on the disk.
_OPTIONS = "loop,errors=remount-ro,commit=600,noauto_da_alloc,nodev,nosuid"
KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class NoDisk(Exception):
    """This machine lets us mount nothing; the text says why."""


class Disk:
    """An ext4 file system of `size` bytes, mounted at `place` while the `with` block lasts. Raises NoDisk."""

    def __init__(self, place: Path, size: int = 2 * GIB) -> None:
        self.place = place
        self._size = size
        self._folder = Path()
        self._mounted = False

    def __enter__(self) -> Disk:
        if os.geteuid() != 0:
            raise NoDisk("a loop mount needs root")
        self._folder = Path(tempfile.mkdtemp(prefix="mailrelay-disk-"))
        try:
            image = self._image
            with image.open("wb") as file:
                file.truncate(self._size)
            journal = [] if self._size >= 256 * MIB else ["-J", "size=4"]
            _run(
                "mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", *journal, str(image)
            )
            self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._mount()
        except BaseException as fault:
            self.__exit__(None, None, None)
            if isinstance(fault, subprocess.CalledProcessError | FileNotFoundError):
                raise NoDisk(f"no loop mount here: {getattr(fault, 'stderr', '') or fault}") from fault
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mounted:
            try:
                self._unmount()
            except subprocess.CalledProcessError:
                subprocess.run([program("umount"), "-l", str(self.place)], check=False, capture_output=True)
        for path in (self._image, self._folder):
            if path.is_file():
                path.unlink()
            elif path.is_dir():
                path.rmdir()

    def cut_power(self) -> None:
        """Stop the file system dead. From now on every read and write of a living process fails."""
        descriptor = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def restore_power(self) -> None:
        """Mount anew, which replays the journal. Nobody may hold a file of it open any more."""
        self._unmount()
        self._mount()

    def fail(self) -> None:
        """Have the file system meet an error, after which it lets itself be read only."""
        device = Path(_run("findmnt", "-n", "-o", "SOURCE", str(self.place)).strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("crash test\n")

    def free(self) -> int:
        status = os.statvfs(self.place)
        return status.f_bavail * status.f_frsize

    @property
    def _image(self) -> Path:
        return self._folder / "disk.img"

    def _mount(self) -> None:
        _run("mount", "-o", _OPTIONS, str(self._image), str(self.place))
        self.place.chmod(0o700)
        self._mounted = True

    def _unmount(self) -> None:
        """Workers of a killed service may need a moment to end."""
        for attempt in range(100):
            try:
                _run("umount", str(self.place))
            except subprocess.CalledProcessError:
                if attempt == 99:
                    raise
                time.sleep(0.1)
            else:
                self._mounted = False
                return


def _run(*command: str) -> str:
    words = [program(command[0]), *command[1:]]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=120).stdout
