"""Files written into the text of a mail (uuencode), which some readers show as attachments. Pure."""

from __future__ import annotations

import re

from mailrelay.inspection import names
from mailrelay.inspection.slugs import note
from mailrelay.model.finding import Check, Finding, Verdict

_BEGIN = re.compile(r"^begin(?:-base64)? [0-7]{3,4} (\S.{0,254})$", re.MULTILINE)
_MOST = 10


def check(text: str) -> list[Finding]:
    """Judge the names of such files; their bytes are not looked into, which is said too."""
    found: list[Finding] = []
    for match in list(_BEGIN.finditer(text))[:_MOST]:
        name = match.group(1).strip()
        found += names.check(names.shown(name), (name,), "1")
    if _BEGIN.search(text):
        found.append(note(Check.STRUCTURE, Verdict.POLICY, "malformed", "", reasons=["uuencode:1"]))
    return found
