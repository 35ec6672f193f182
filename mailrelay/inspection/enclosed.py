"""Files inside a mail that is itself a file (`.eml`): their names and bytes. Bounded; never raises for its input."""

from __future__ import annotations

from collections.abc import Iterator

from mailrelay.inspection import mime, names
from mailrelay.inspection.decoding import decoder
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.source import Memory

_SHOWN = ("text/plain", "text/html")


def files(data: bytes, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of each part that is no text of the mail; a name may be ""."""
    source = Memory(data)
    for part in mime.walk(source, limits).parts:
        preferred, _ = names.named(part)
        if part.children or (not preferred and part.type.token in _SHOWN):
            continue
        yield preferred, b"".join(part.content(source, decoder(part.encoding)))
