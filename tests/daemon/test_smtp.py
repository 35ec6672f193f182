"""Every limit of the doors has a setting, and the setting reaches the door."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from mailrelay.config.settings import Settings
from mailrelay.daemon.smtp import limits
from mailrelay.intake.smtp.limits import Limits


def _other(value: Any) -> Any:
    return value + timedelta(seconds=7) if isinstance(value, timedelta) else value + 7


def test_every_limit_can_be_set() -> None:
    settings = Settings(Path("/"))
    chosen = {f.name: _other(getattr(settings.limits, f.name)) for f in fields(settings.limits)}
    quota = {f.name: _other(getattr(settings.quota, f.name)) for f in fields(settings.quota)}
    changed = replace(settings, limits=replace(settings.limits, **chosen), quota=replace(settings.quota, **quota))
    before, after = limits(settings), limits(changed)
    same = [f.name for f in fields(Limits) if getattr(before, f.name) == getattr(after, f.name)]
    assert same == []
