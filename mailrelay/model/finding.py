"""Facts about a mail. A finding never says what to do; a check that errs is a finding too, never an exception."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mailrelay.model.evidence import Exhibit
from mailrelay.model.message import Content


class Check(StrEnum):
    """What was looked at (docs/schemas/trace.schema.json)."""

    SPF = "spf"
    DKIM = "dkim"
    ARC = "arc"
    DMARC = "dmarc"
    OPENPGP = "openpgp"
    SMIME = "smime"
    PDF = "pdf"
    XML = "xml"
    OOXML = "ooxml"
    TYPE = "type"
    NAME = "name"
    ARCHIVE = "archive"
    MACRO = "macro"
    PDF_ACTIVE = "pdf-active"
    ANTIVIRUS = "antivirus"
    SPAM = "spam"
    SIZE = "size"
    STRUCTURE = "structure"
    SECRECY = "secrecy"
    SENDER = "sender"


class Verdict(StrEnum):
    """The words of RFC 8601 section 2.7, and `partial`."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    PARTIAL = "partial"
    NEUTRAL = "neutral"
    SOFTFAIL = "softfail"
    POLICY = "policy"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check on one subject.

    `subject` names what was looked at (a file name, a signing domain, a key fingerprint); `detail` is a stable English
    slug of what was found ("double-extension", "body-changed"), from which people's sentences are made; `facts` holds
    separate JSON-able facts (intact, trusted, revoked, signed_at, …).
    """

    check: Check
    verdict: Verdict
    subject: str = ""
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Findings:
    """All that inspection learnt of one mail. The `exhibits` are what findings name in their fact `evidence`."""

    content: Content
    findings: tuple[Finding, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()

    def of(self, check: Check) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.check is check)
