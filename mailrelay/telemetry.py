"""Structured log lines and counters. Knows nothing of mail; never given contents or secrets."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from contextlib import suppress
from typing import Any

import structlog

log: Any = structlog.get_logger("mailrelay")

counters: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()


class _Stderr:
    """Standard error for log lines: one that cannot be written (a full disk) never stops the work that it tells of."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


_STDERR: Any = _Stderr()


def configure(level: str = "info", *, as_json: bool = True) -> None:
    """Send log lines to standard error as JSON (for the journal) or as readable text (for a terminal)."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(_STDERR),
        cache_logger_on_first_use=True,
    )


def count(name: str, **labels: str) -> None:
    """Add one to a counter; labels must have few values (never an address or an agency)."""
    counters[(name, tuple(sorted(labels.items())))] += 1
