"""What a check makes of the directory, made once for every version of it and not for every mail. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from mailrelay.model.agency import Directory

T = TypeVar("T")


class OfDirectory(Generic[T]):
    """Holds what `make` gave for the directory that was asked for last. A directory is frozen: nothing of a mail gets in here."""

    def __init__(self, make: Callable[[Directory], T]) -> None:
        self._make = make
        self._kept: tuple[Directory, T] | None = None

    def of(self, directory: Directory) -> T:
        if self._kept is None or self._kept[0] is not directory:
            self._kept = (directory, self._make(directory))
        return self._kept[1]
