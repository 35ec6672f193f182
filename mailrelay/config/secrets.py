"""Secrets by reference: files below the secrets folder, systemd credentials, environment. Never logged, never shown."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mailrelay.model.agency import SecretRef
from mailrelay.model.faults import ConfigFault

MAX_BYTES = 64 * 1024


class Secrets:
    """`file:NAME` is looked for below the secrets folder, then among systemd's credentials; `env:NAME` in the environment."""

    def __init__(self, secrets_dir: Path) -> None:
        self._dir = secrets_dir

    def read(self, ref: SecretRef) -> str:
        """The secret without its last line end; ConfigFault when it is missing, empty, or open to others."""
        fault = self.fault(ref)
        if fault is not None:
            raise ConfigFault((f"{ref.scheme}:{ref.name}: {fault[0]} [{fault[1]}]",))
        if ref.scheme == "env":
            return os.environ[ref.name]
        path, _ = self.find(self._dir / ref.name)
        return path.read_text("utf-8").rstrip("\r\n")

    def fault(self, ref: SecretRef) -> tuple[str, str] | None:
        """Why a secret cannot be used, in Vietnamese and English; None when all is well."""
        if ref.scheme == "env":
            return (
                None
                if os.environ.get(ref.name)
                else ("biến môi trường này trống", "this environment variable is empty")
            )
        path, forbidden = self.find(self._dir / ref.name)
        try:
            status = path.stat()
        except OSError as fault:
            return f"không có bí mật này trong thư mục bí mật ({fault.strerror})", f"no such secret ({fault.strerror})"
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= MAX_BYTES:
            return "không phải tệp thường, hoặc trống, hoặc quá lớn", "not a regular file, or empty, or too large"
        if status.st_mode & forbidden:
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            return (
                f"tệp bí mật mở cho người khác đọc (quyền {mode}); hãy chạy: chmod 600",
                f"the secret is open to others (mode {mode}); run: chmod 600",
            )
        if not os.access(path, os.R_OK):
            return "không có quyền đọc", "no permission to read"
        try:
            path.read_text("utf-8")
        except UnicodeDecodeError:
            return "không phải chữ ở bảng mã UTF-8", "not text in UTF-8"
        return None

    def find(self, path: Path) -> tuple[Path, int]:
        """Where a file that should be ours alone lies, and the mode bits that it must not have.

        What belongs below the secrets folder and cannot be seen there is looked for among systemd's credentials.
        """
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        if credentials and path.is_relative_to(self._dir) and not _is_seen(path):
            # systemd flattens folders: logins/sotc becomes logins_sotc.
            path = Path(credentials, "_".join(path.relative_to(self._dir).parts))
        if credentials and path.is_relative_to(credentials):
            # It opens the file to us by an ACL, which shows as group rights in the mode.
            return path, stat.S_IRWXO
        return path, stat.S_IRWXG | stat.S_IRWXO


def _is_seen(path: Path) -> bool:
    """Whether a file is there for us; a folder that is closed to us shows nothing."""
    try:
        return path.exists()
    except PermissionError:
        return False
