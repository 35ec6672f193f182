"""DMARC (RFC 7489): whether the author's domain vouches for a mail. Our own alignment, on the public suffix list.

The function that finds the organisational domain is an argument: the revised standard walks the tree of DNS instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mailrelay.inspection.authentication.domains import ascii_domain, organisational_domain
from mailrelay.inspection.dns import TxtAnswer
from mailrelay.inspection.slugs import note
from mailrelay.model.finding import Check, Finding, Verdict

Organisation = Callable[[str], str]
Txt = Callable[[str], Awaitable[TxtAnswer]]


@dataclass(frozen=True, slots=True)
class Policy:
    """What the author's domain asks for. `p` is none, quarantine or reject; the alignments are strict or relaxed."""

    p: str
    strict_dkim: bool
    strict_spf: bool
    domain: str  # where the record stands


async def check(
    authors: Sequence[str],
    dkim: Sequence[Finding],
    spf: Finding | None,
    txt: Txt,
    organisation: Organisation = organisational_domain,
) -> Finding | None:
    """Judge a mail by its author's address; None without any. `dkim` and `spf` are the findings on the same mail."""
    domains = {ascii_domain(author.rpartition("@")[2]) for author in authors if "@" in author} - {""}
    if not domains:
        return None
    if len(authors) > 1:
        return note(Check.DMARC, Verdict.PERMERROR, "several-authors", domains=sorted(domains)[:5])
    domain = domains.pop()
    found = await _policy(domain, txt, organisation)
    if isinstance(found, str):
        return note(Check.DMARC, _STATES[found], found, domain)
    return _judge(domain, found, dkim, spf, organisation)


_STATES = {"no-record": Verdict.NONE, "malformed-record": Verdict.PERMERROR, "dns-failure": Verdict.TEMPERROR}


async def _policy(domain: str, txt: Txt, organisation: Organisation) -> Policy | str:
    """Look at the domain, then at its organisation (section 6.6.3). A slug when there is no usable policy."""
    above = organisation(domain)
    for place in dict.fromkeys((domain, above)):
        answer = await txt(f"_dmarc.{place}")
        if answer.state == "temperror":
            return "dns-failure"
        records = [
            record for record in answer.records if record.split(b";")[0].replace(b" ", b"").lower() == b"v=dmarc1"
        ]
        if len(records) == 1:
            return _read(records[0].decode("ascii", "replace"), place, below=place != domain)
        if len(records) > 1:
            return "no-record"  # section 6.6.3: several records are none
    return "no-record"


@lru_cache(maxsize=128)  # a domain's record is the same for many mails, and what it says depends on nothing else
def _read(record: str, place: str, *, below: bool) -> Policy | str:
    tags: dict[str, str] = {}
    for item in record.split(";"):
        name, equals, value = item.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip().lower())
    asked = tags.get("sp", tags.get("p", "")) if below else tags.get("p", "")
    if asked not in ("none", "quarantine", "reject"):
        if "rua" not in tags:
            return "malformed-record"
        asked = "none"  # section 6.6.3 step 6
    return Policy(asked, tags.get("adkim") == "s", tags.get("aspf") == "s", place)


def _judge(
    domain: str, policy: Policy, dkim: Sequence[Finding], spf: Finding | None, organisation: Organisation
) -> Finding:
    facts = {"p": policy.p, "record": policy.domain}
    for finding in dkim:
        signer = str(finding.facts.get("domain", ""))
        if finding.verdict is Verdict.PASS and _aligned(domain, signer, organisation, strict=policy.strict_dkim):
            return note(Check.DMARC, Verdict.PASS, "aligned", domain, **facts, by="dkim")
    mail_from = spf is not None and spf.verdict is Verdict.PASS and spf.facts.get("identity") in ("mailfrom", "helo")
    if spf is not None and mail_from and _aligned(domain, spf.subject, organisation, strict=policy.strict_spf):
        return note(Check.DMARC, Verdict.PASS, "aligned", domain, **facts, by="spf")
    if any(finding.verdict is Verdict.TEMPERROR for finding in (*dkim, *((spf,) if spf else ()))):
        return note(Check.DMARC, Verdict.TEMPERROR, "dns-failure", domain, **facts)
    # A domain that only watches (p=none) asks nobody to act on it.
    verdict = Verdict.SOFTFAIL if policy.p == "none" else Verdict.FAIL
    return note(Check.DMARC, verdict, "not-aligned", domain, **facts)


def _aligned(author: str, other: str, organisation: Organisation, *, strict: bool) -> bool:
    other = ascii_domain(other)
    if not other:
        return False
    return author == other if strict else organisation(author) == organisation(other)
