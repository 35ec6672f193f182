"""The steps of inspection as a worker carries them out: read the mail, verify its DKIM signatures, look into one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailrelay.inspection import content, filetypes, mime, names, structure
from mailrelay.inspection.exchange import content_to_json, finding_to_json
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Finding


class Steps:
    """Holds nothing of one mail but the digests of signatures that wait for their keys."""

    def __init__(self, limits: Limits, setup: Mapping[str, Any]) -> None:
        self._limits = limits
        self._authserv_id = str(setup["authserv_id"])
        filetypes.type_of(b"")  # load libmagic's tables before the memory bound is set

    def carry_out(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._read(request)

    def _read(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with Source(Path(request["path"])) as source:
            tree = mime.walk(source, self._limits, header_only=bool(request.get("header_only")))
            reading = content.read(source, tree, self._limits, self._authserv_id, filetypes.type_of)
        findings: list[Finding] = structure.check(tree, reading, self._limits, smtputf8=bool(request.get("smtputf8")))
        for file in reading.files:
            findings += names.check(file.attachment.name, file.attachment.names, file.attachment.part)
            findings += filetypes.check(file)
        return {"content": content_to_json(reading.content), "findings": [finding_to_json(f) for f in findings]}
