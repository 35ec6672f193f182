#!/usr/bin/env python3
"""Writes the reference pages of docs/ from the tables in the code. `--check` writes nothing and exits 1 when one is old."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import typer.main

from mailrelay.cli.main import app
from mailrelay.config.settings import settings_table
from mailrelay.model.fact import FACTS, OBLIGATIONS, PLACEHOLDERS, Fact
from mailrelay.model.refusal import REFUSALS

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTE = "<!-- Written by tools/write_docs.py from {source}: change the code, then run `make docs`. -->"


def cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + " --- |" * len(columns)
    for row in rows:
        yield "| " + " | ".join(cell(value) for value in row) + " |"


def span(value: timedelta) -> str:
    """As it is written in mailrelay.toml."""
    seconds = int(value.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def size(value: int) -> str:
    for unit, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value and value % factor == 0:
            return f"{value // factor} {unit}"
    return str(value)


def default(form: str, value: Any) -> str:
    match value:
        case None | "" | ():
            return "–"
        case bool():
            return f"`{str(value).lower()}`"
        case timedelta():
            return f"`{span(value)}`"
        case int():
            return f"`{size(value)}`" if form == "size" else f"`{value}`"
        case _:
            return f"`{value}`"


def settings() -> Iterator[str]:
    yield NOTE.format(source="mailrelay/config/settings.py and door_settings.py")
    yield "# mailrelay.toml"
    yield ""
    yield "Mọi thiết lập, giá trị mặc định và ý nghĩa. Đường dẫn tương đối tính từ thư mục cấu hình."
    yield "*Every setting, its default and meaning. Relative paths are relative to the configuration folder.*"
    yield ""
    rows = ((f"`{row.name}`", row.form, default(row.form, row.default), row.vi, row.en) for row in settings_table())
    yield from table(("Tên / name", "Dạng / form", "Mặc định / default", "Ý nghĩa", "Meaning"), rows)


def refusals() -> Iterator[str]:
    yield NOTE.format(source="mailrelay/model/refusal.py")
    yield "# Vì sao thư không được nhận / Why a mail was not accepted"
    yield ""
    yield "Mã trong ngoặc vuông ở cuối câu trả lời của máy chủ là tên ở cột đầu."
    yield "*The code in square brackets at the end of a reply is the name in the first column.*"
    for row in REFUSALS.values():
        yield ""
        yield f"## {row.name}"
        yield ""
        yield f"`{row.code} {row.status}` {row.vi} **{row.remedy_vi}**"
        yield ""
        yield f"*{row.en} {row.remedy_en}*"


def facts() -> Iterator[str]:
    yield NOTE.format(source="mailrelay/model/fact.py")
    yield "# Từ dùng trong quy tắc / The words of the rules"
    yield ""
    yield "## Dữ kiện trong `when` và trong phép thử / Facts"
    yield ""
    yield "Mặc định là giá trị khi phép thử không nêu. Từ có thứ tự (≤) so sánh được bằng `at_least`, `at_most`."
    yield ""
    rows = ((f"`{fact.name}`", fact.form, words(fact), f"`{shown(fact.default)}`", fact.vi) for fact in FACTS.values())
    yield from table(("Tên / name", "Dạng / form", "Giá trị / values", "Mặc định / default", "Ý nghĩa"), rows)
    yield ""
    yield "## Việc phải làm thêm (`obligations`) / Obligations"
    yield ""
    yield from table(("Tên / name", "Ý nghĩa"), ((f"`{name}`", vi) for name, vi in OBLIGATIONS.items()))
    yield ""
    yield "## Chỗ điền trong câu / Placeholders"
    yield ""
    yield from table(("Tên / name", "Ý nghĩa"), ((f"`{{{name}}}`", vi) for name, vi in PLACEHOLDERS.items()))


def words(fact: Fact) -> str:
    return (" ≤ " if fact.ordered else ", ").join(f"`{choice}`" if choice else '""' for choice in fact.choices) or "–"


def shown(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return "[" + ", ".join(value) + "]"
        case "":
            return '""'
        case _:
            return str(value)


COMMON = """\
Mọi lệnh, trừ `demo`, nhận `--config DIR` (hoặc biến `MAILRELAY_CONFIG`; không có thì `/etc/mailrelay`, rồi thư mục đang đứng). Dạng
của kết quả `--json` ở `docs/schemas/`. Tiếng Việt hay tiếng Anh theo `LANG`; không tô màu khi có `NO_COLOR`.
*Every command but `demo` takes `--config DIR` (or `MAILRELAY_CONFIG`; else `/etc/mailrelay`, then this folder). The shapes of
`--json` are in `docs/schemas/`. Vietnamese or English by `LANG`; no colours with `NO_COLOR`.*

| Mã thoát / exit code | Nghĩa / meaning |
| --- | --- |
| 0 | xong / done |
| 1 | không làm được, không có, hoặc cấu hình có lỗi / not possible, not there, or a configuration with problems |
| 2 | gọi sai: thiếu hoặc thừa tham số, tên không có / a mistake of the caller |"""


def commands() -> Iterator[str]:
    yield NOTE.format(source="mailrelay/cli/main.py")
    yield "# Lệnh / Commands"
    yield ""
    yield from COMMON.splitlines()
    for path, command in walk(typer.main.get_command(app), ("mailrelay",)):
        yield ""
        yield f"## {' '.join(path)}"
        yield ""
        yield " ".join((command.help or "").split())
        rows = [row for parameter in command.params if (row := parameter_row(parameter))]
        if rows:
            yield ""
            yield from table(("Tham số / parameter", "Ý nghĩa / meaning"), rows)


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, child in inner.items():
        yield from walk(child, (*path, name))


def parameter_row(parameter: click.Parameter) -> tuple[str, str] | None:
    name = parameter.human_readable_name if isinstance(parameter, click.Argument) else ", ".join(parameter.opts)
    if name == "--help":
        return None
    needed = " *" if parameter.required else ""
    return f"`{name}`{needed}", str(getattr(parameter, "help", None) or "–")


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "settings.md": settings,
    "refusals.md": refusals,
    "facts.md": facts,
    "commands.md": commands,
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is old")
    check = options.parse_args().check
    old = []
    for name, make in PAGES.items():
        page, text = DOCS / name, "\n".join(make()) + "\n"
        if not page.exists() or page.read_text() != text:
            old.append(name)
            if not check:
                page.write_text(text)
    for name in old:
        print(f"docs/{name} {'is old: run `make docs`' if check else 'written'}", file=sys.stderr)
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main())
