"""What the signatures of one PDF file amount to in an office: none, a person's, an agency's, both (Decree 30, articles 5 and 25).

Pure. An agency's certificate is told by its subject: its name is that of an agency of the directory. All else is a person's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from mailrelay.inspection.slugs import note
from mailrelay.model.agency import Agency, Directory
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.folding import fold

_folded = lru_cache(maxsize=2048)(fold)  # the names of our agencies come back with every signature
# The worst signature speaks for the file.
_WORST_FIRST = (
    *(
        "encrypted",
        "damaged",
        "broken",
        "modified-after-signing",
        "too-many",
        "revoked",
        "expired",
        "untrusted",
        "weak-algorithm",
    ),
)
_CUT_SHORT = frozenset(("encrypted", "too-big", "unsigned", "worker-killed", "time-limit", "check-error"))


def read(findings: Sequence[Finding], directory: Directory) -> list[Finding]:
    """Return the findings of one file with each signature's role and agency, followed by the reading of the file."""
    names = _names(directory)
    signatures = [_with_role(finding, names) for finding in findings if finding.check is Check.PDF]
    signed = [finding for finding in signatures if "field" in finding.facts]
    if not signed or any(finding.detail in _CUT_SHORT for finding in signatures):
        return signatures
    return [*signatures, _reading(signed, signatures)]


def of_author(finding: Finding, author: str, directory: Directory) -> Finding:
    """Judge whether a good S/MIME signature is the author's: by address, or by the name of the author's agency."""
    facts = {**finding.facts}
    own = _names(directory).get(fold(str(facts.get("signer", ""))))
    house = directory.agency_of(author)
    is_author = bool(author) and author.lower() in facts.get("addresses", ())
    facts["agency"] = own.agency_id if own else ""
    if finding.detail != "good" or is_author or (own is not None and own is house):
        return Finding(finding.check, finding.verdict, finding.subject, finding.detail, facts)
    return note(finding.check, Verdict.POLICY, "other-signer", finding.subject, **facts)


def _names(directory: Directory) -> dict[str, Agency]:
    return {
        _folded(name): agency
        for agency in directory.agencies
        for name in (*agency.aliases, agency.name)
        if len(name) > 5
    }


def _with_role(finding: Finding, names: dict[str, Agency]) -> Finding:
    """Add `role` (agency or person) and the agency that the certificate names, as far as the directory knows it."""
    if "signer" not in finding.facts:
        return finding
    own = names.get(fold(str(finding.facts["signer"])))
    house = own or _first(names, (finding.facts.get("unit"), finding.facts.get("organisation")))
    facts = {**finding.facts, "role": "agency" if own else "person", "agency": house.agency_id if house else ""}
    return Finding(finding.check, finding.verdict, finding.subject, finding.detail, facts)


def _first(names: dict[str, Agency], words: Iterable[object]) -> Agency | None:
    return next((names[fold(str(word))] for word in words if word and fold(str(word)) in names), None)


def _reading(signed: Sequence[Finding], everything: Sequence[Finding]) -> Finding:
    worst = next((slug for slug in _WORST_FIRST for finding in everything if finding.detail == slug), "")
    roles = {finding.facts.get("role") for finding in signed}
    detail = worst or ("both" if len(roles) > 1 else "agency" if roles == {"agency"} else "person")
    verdict = next((finding.verdict for finding in everything if finding.detail == worst), Verdict.PASS)
    facts: dict[str, Any] = {
        "part": signed[0].facts.get("part", ""),
        "reading": True,
        "signatures": len(signed),
        "signers": [finding.facts.get("signer", "") for finding in signed],
        "roles": sorted(str(role) for role in roles),
        "agencies": sorted({str(finding.facts.get("agency")) for finding in signed} - {"", "None"}),
    }
    return note(Check.PDF, verdict, detail, signed[0].subject, **facts)
