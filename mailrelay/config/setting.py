"""How one setting is described, and the values that settings are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class HostPort:
    """A place to listen at or to connect to; port 0 lets the system choose (tests, demo)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def setting(default: Any, form: str, vi: str, en: str, choices: tuple[str, ...] = ()) -> Any:
    """Describe one setting: its default value, how it is written, and what it does."""
    return field(default=default, metadata={"form": form, "vi": vi, "en": en, "choices": choices})
