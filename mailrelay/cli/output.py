"""What a terminal shows: JSON, tables, problems. Vietnamese by default, English where LANG asks for it; honours NO_COLOR."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mailrelay.model.calendar import VIETNAM, format_moment
from mailrelay.model.identity import is_mail_id

_WIDE = 4096  # columns where nobody looks: a line that grep reads is never cut in two
_CONTROL = dict.fromkeys((*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)))


def english() -> bool:
    """Whether the user's LANG (LC_ALL, LC_MESSAGES) asks for English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return value.startswith("en")
    return False


def say(vi: str, en: str) -> str:
    return en if english() else vi


def moment(at: datetime) -> str:
    """A moment as the user writes it, Vietnamese time."""
    return say(format_moment(at), f"{at.astimezone(VIETNAM):%Y-%m-%d %H:%M}")


def harmless(text: str) -> str:
    """Text from outside without control and bidirectional override characters: a terminal obeys nobody's mail."""
    return text.translate(_CONTROL)


def console(*, error: bool = False) -> Console:
    stream: Any = sys.stderr if error else sys.stdout
    if hasattr(stream, "reconfigure") and (stream.encoding or "").lower() not in ("utf-8", "utf8"):
        stream.reconfigure(encoding="utf-8")
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDE
    return Console(file=stream, highlight=False, soft_wrap=False, width=width)


def print_json(value: Any) -> None:
    """One JSON document on standard output, UTF-8."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    sys.stdout.buffer.write(text.encode() + b"\n")
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on standard output; an empty one is said in words. Mail ids stay whole, so that they can be copied."""
    title = harmless(title)
    table = Table(title=title or None, title_justify="left", header_style="bold", expand=False, pad_edge=False)
    shown = [[harmless(cell) for cell in row] for row in rows]
    if not shown:
        print_line(f"{title}: {say('không có gì.', 'nothing.')}")
        return
    for column, cells in zip(columns, zip(*shown, strict=True), strict=True):
        table.add_column(
            harmless(column), overflow="fold", no_wrap=all(is_mail_id(cell) for cell in cells if cell) and any(cells)
        )
    for row in shown:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def print_line(text: str = "", style: str = "") -> None:
    """One line on standard output."""
    console().print(Text(harmless(text), style=style))


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong on standard error and end with an exit code."""
    lines = "\n".join(harmless(line) for line in message.split("\n"))
    console(error=True).print(Text(lines, style="bold red"), soft_wrap=True)
    raise SystemExit(code)
