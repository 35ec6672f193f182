"""A decoded attachment as a seekable file for the libraries that want one. In memory while small, else an unlinked file."""

from __future__ import annotations

import tempfile
from typing import IO

from mailrelay.inspection.jobs import Job
from mailrelay.inspection.source import Source

_IN_MEMORY = 8 * 1024 * 1024


def decode_to_file(job: Job, source: Source, most: int) -> IO[bytes] | None:
    """Return the decoded file at its start, or None when it is longer than `most` bytes. The caller closes it."""
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - handed to the caller
    room = most
    for block in job.blocks(source):
        room -= len(block)
        if room < 0:
            file.close()
            return None
        file.write(block)
    file.seek(0)
    return file
