"""Structured log lines and counters. Knows nothing of mail; never given contents or secrets."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from typing import Any

import structlog

log: Any = structlog.get_logger("mailrelay")

counters: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()


def configure(level: str = "info", *, as_json: bool = True) -> None:
    """Send log lines to standard error as JSON (for the journal) or as readable text (for a terminal)."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else structlog.dev.ConsoleRenderer(colors=False)
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def count(name: str, **labels: str) -> None:
    """Add one to a counter; labels must have few values (never an address or an agency)."""
    counters[(name, tuple(sorted(labels.items())))] += 1
