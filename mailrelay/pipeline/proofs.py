"""What the findings of a mail rest on is made durable before they are: by whoever is about to write them."""

from __future__ import annotations

import asyncio

from mailrelay.pipeline.judgement import Judgement
from mailrelay.pipeline.parts import Parts


async def keep_evidence(parts: Parts, judgement: Judgement) -> None:
    """Keep the pieces that the kept findings name; nearly always they are there already. Raises OSError or StoreUnhealthy."""
    missing = parts.evidence.missing(judgement.evidence)
    if missing:
        await asyncio.to_thread(parts.evidence.keep, missing)
