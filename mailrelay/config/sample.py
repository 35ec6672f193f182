"""The sample office that is shipped: its mailboxes.yaml and policies/, and a mailrelay.toml with every setting explained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from mailrelay.config.directory import DIRECTORY_FILE
from mailrelay.config.rulebook import POLICIES
from mailrelay.config.setting import MIB
from mailrelay.config.settings import SettingRow, settings_table
from mailrelay.config.settings_file import SETTINGS_FILE

_HEAD = """\
# Cấu hình của mailrelay. Đường dẫn tương đối tính từ thư mục chứa tệp này. Kiểm tra sau khi sửa: mailrelay check
# Thời gian viết như "20s", "5m", "4h", "2d"; kích thước như "50 MiB"; cổng lắng nghe như "0.0.0.0:25" hoặc "[::]:25".
# Dòng có dấu # ở đầu là giá trị mặc định. Mật khẩu và khóa chỉ ghi nơi cất: file:TÊN (trong secrets_dir) hoặc env:TÊN.
"""
_EXAMPLES = {
    "delivery.routes": '{ "*" = "smtp://smtp.example.vn:25?tls=may" }',
    "smtp.peers": '[{ network = "10.1.2.0/24", rights = ["xclient", "xforward", "login"] }]',
}


def shipped_dir() -> Path:
    """The folder that holds the shipped mailboxes.yaml and policies/: inside the installed package, or the source tree."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "office"
    return inside if (inside / DIRECTORY_FILE).is_file() else package.parent


def write_sample_office(folder: Path, overrides: Mapping[str, Any]) -> None:
    """Fill a configuration folder with the shipped directory and rules and a mailrelay.toml; see `sample_settings`.

    Secrets are not made here: `secrets_of` names those that the directory refers to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shipped = shipped_dir()
    shutil.copyfile(shipped / DIRECTORY_FILE, folder / DIRECTORY_FILE)
    (folder / POLICIES).mkdir(exist_ok=True)
    for path in sorted((shipped / POLICIES).glob("*.yaml")):
        shutil.copyfile(path, folder / POLICIES / path.name)
    (folder / SETTINGS_FILE).write_text(sample_settings(overrides), "utf-8")


def sample_settings(overrides: Mapping[str, Any]) -> str:
    """The text of a mailrelay.toml. `overrides` gives values by full name as they stand in the file:
    {"domain": "…", "listen.mx": ["127.0.0.1:0"], "delivery.routes": {"*": "smtp://…"}}; everything else is a commented default.

    Raises KeyError for a name that is no setting.
    """
    known = {row.name for row in settings_table()}
    unknown = sorted(set(overrides) - known)
    if unknown:
        raise KeyError(f"no such setting: {', '.join(unknown)}")
    return _HEAD + "".join(_lines(overrides))


def _lines(overrides: Mapping[str, Any]) -> Iterator[str]:
    section = ""
    for row in settings_table():
        head, _, name = row.name.rpartition(".")
        if head != section:
            section = head
            yield f"\n[{section}]\n"
        yield f"# {row.vi} – {row.en}\n"
        if row.name in overrides:
            yield f"{name} = {_toml(overrides[row.name])}\n"
        else:
            yield f"# {name} = {_EXAMPLES.get(row.name) or _toml(_as_written(row))}\n"


def _as_written(row: SettingRow) -> Any:
    """A default as it stands in the file."""
    value = row.default
    if isinstance(value, timedelta):
        return _duration(value)
    if row.form == "size":
        return f"{value // MIB} MiB" if value % MIB == 0 else value
    if value is None or value == ():
        return "" if value is None else []
    return value


def _duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    for unit, letter in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % unit == 0:
            return f"{seconds // unit}{letter}"
    return f"{seconds}s"


def _toml(value: Any) -> str:
    """A value in TOML's notation; JSON strings are TOML strings when nothing but the usual escapes is in them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_quoted(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
