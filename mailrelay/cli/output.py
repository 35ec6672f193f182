"""What a terminal shows: JSON, tables, problems. Vietnamese by default, English where LANG asks for it; honours NO_COLOR."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

_CONTROL = {code: None for code in (*range(32), *range(127, 160))} | {code: None for code in range(0x202A, 0x202F)}


def english() -> bool:
    """Whether the user's LANG (LC_ALL, LC_MESSAGES) asks for English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return value.startswith("en")
    return False


def say(vi: str, en: str) -> str:
    return en if english() else vi


def harmless(text: str) -> str:
    """Text from outside without control and bidirectional override characters: a terminal obeys nobody's mail."""
    return text.translate(_CONTROL)


def console(*, error: bool = False) -> Console:
    stream: Any = sys.stderr if error else sys.stdout
    if hasattr(stream, "reconfigure") and (stream.encoding or "").lower() not in ("utf-8", "utf8"):
        stream.reconfigure(encoding="utf-8")
    return Console(file=stream, highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output, UTF-8."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    sys.stdout.buffer.write(text.encode() + b"\n")
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title or None, title_justify="left", header_style="bold", expand=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(harmless(cell)) for cell in row))
    console().print(table)


def print_line(text: str = "", style: str = "") -> None:
    console().print(Text(text, style=style))


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong on standard error and end with an exit code."""
    console(error=True).print(Text(harmless(message), style="bold red"), soft_wrap=True)
    raise SystemExit(code)
