"""What the signatures of one PDF file amount to in an office: none, a person's, an agency's, both (Decree 30, articles 5 and 25).

Pure. An agency's certificate is told by its subject: its name is that of an agency of the directory. All else is a person's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mailrelay.inspection.of_directory import OfDirectory
from mailrelay.inspection.slugs import note
from mailrelay.model.agency import Agency, Directory
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.folding import fold

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
        "revoked-later",
        "weak-algorithm",
        "revocation-unknown",
    ),
)
_CUT_SHORT = frozenset(("encrypted", "too-big", "unsigned", "worker-killed", "time-limit", "check-error"))


def read(findings: Sequence[Finding], directory: Directory) -> list[Finding]:
    """Return the findings of one file with each signature's role and agency, followed by the reading of the file."""
    names = _NAMES.of(directory)
    signatures = [_with_role(finding, names) for finding in findings if finding.check is Check.PDF]
    signed = [finding for finding in signatures if "field" in finding.facts]
    if not signed or any(finding.detail in _CUT_SHORT for finding in signatures):
        return signatures
    return [*signatures, _reading(signed, signatures)]


def of_author(findings: Sequence[Finding], author: str, directory: Directory) -> list[Finding]:
    """Judge whether the S/MIME signatures of one block are the author's.

    Where there are several, all must be good and the author's: else none passes, for a reader shows one name.
    """
    judged = [_of_author(finding, author, directory) for finding in findings]
    if all(finding.verdict is Verdict.PASS for finding in judged):
        return judged
    return [
        note(one.check, Verdict.POLICY, "several-signatures", one.subject, **one.facts)
        if one.verdict is Verdict.PASS
        else one
        for one in judged
    ]


def _of_author(finding: Finding, author: str, directory: Directory) -> Finding:
    """By address, or by the name of the author's agency."""
    facts = {**finding.facts}
    own = _NAMES.of(directory).get(fold(str(facts.get("signer", ""))))
    house = directory.agency_of(author)
    is_author = bool(author) and author.lower() in facts.get("addresses", ())
    facts["agency"] = own.agency_id if own else ""
    if finding.detail != "good" or is_author or (own is not None and own is house):
        return Finding(finding.check, finding.verdict, finding.subject, finding.detail, facts)
    return note(finding.check, Verdict.POLICY, "other-signer", finding.subject, **facts)


def of_file(finding: Finding, directory: Directory) -> Finding:
    """Add to the signature of an XML file whose it is: an agency's of the directory, or a person's."""
    return _with_role(finding, _NAMES.of(directory))


def _names(directory: Directory) -> dict[str, Agency]:
    return {
        fold(name): agency for agency in directory.agencies for name in (*agency.aliases, agency.name) if len(name) > 5
    }


_NAMES = OfDirectory(_names)


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
    detail = worst or _kind(signed, roles)
    verdict = next((finding.verdict for finding in everything if finding.detail == worst), Verdict.PASS)
    facts: dict[str, Any] = {
        "part": signed[0].facts.get("part", ""),
        "reading": True,
        "signatures": len(signed),
        "signers": [finding.facts.get("signer", "") for finding in signed],
        "roles": sorted(str(role) for role in roles),
        "in_order": _is_in_order(signed),
        "valid_when_signed": all(finding.facts.get("valid_when_signed") is True for finding in signed),
        "valid_now": all(finding.facts.get("valid_now") is True for finding in signed),
        "agencies": sorted({str(finding.facts.get("agency")) for finding in signed} - {"", "None"}),
    }
    return note(Check.PDF, verdict, detail, signed[0].subject, **facts)


def _kind(signed: Sequence[Finding], roles: set[object]) -> str:
    """Whose signatures a sound file bears. An agency's alone on a scan, or one that says so, makes an electronic copy."""
    if len(roles) > 1:
        return "both"
    if roles != {"agency"}:
        return "person"
    return "copy" if any(finding.facts.get("copy") or finding.facts.get("scan") for finding in signed) else "agency"


def _is_in_order(signed: Sequence[Finding]) -> bool:
    """The person signs first, then the agency (Decree 30, article 32): False when an agency's signature came before a person's."""
    roles = [finding.facts.get("role") for finding in signed]
    return "agency" not in roles or "person" not in roles[roles.index("agency") :]
