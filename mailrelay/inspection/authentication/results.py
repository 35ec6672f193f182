"""The Authentication-Results field that we put in front of a relayed mail (RFC 8601). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mailrelay.model.finding import Check, Finding, Verdict

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+./^_`{|}~-]+\Z")
_LINE = 78
_MOST = 20

# RFC 8601 section 2.7.1 knows no "partial": to a reader who trusts the field such a signature is not acceptable.
_WORDS = {Verdict.PARTIAL: "policy"}
_DMARC_WORDS = {**_WORDS, Verdict.SOFTFAIL: "fail"}


def results_field(authserv_id: str, findings: Sequence[Finding]) -> bytes:
    """Return the whole field with its CRLF, folded. Without any result it says `none`, so that forged ones have no twin."""
    results = [_METHODS[finding.check](finding) for finding in findings if finding.check in _METHODS][:_MOST]
    return b"Authentication-Results: " + _folded(_quoted(authserv_id), results or ["none"]) + b"\r\n"


def _folded(authserv_id: str, results: list[str]) -> bytes:
    lines: list[str] = []
    line = f"Authentication-Results: {authserv_id};"
    for index, result in enumerate(results):
        last = index == len(results) - 1
        for word in (result + ("" if last else ";")).split(" "):
            if len(line) + 1 + len(word) > _LINE and line.strip():
                lines.append(line)
                line = "\t" + word
            else:
                line += " " + word
    lines.append(line)
    return "\r\n".join(lines).removeprefix("Authentication-Results: ").encode("utf-8")


def _quoted(value: str) -> str:
    """A pvalue: a token as it is, anything else as a quoted string without control characters."""
    if _TOKEN.match(value):
        return value
    clean = re.sub(r'[\x00-\x1f\x7f"\\]', "", value)[:200]
    return f'"{clean}"'


def _method(name: str, finding: Finding, *properties: tuple[str, object]) -> str:
    words = _DMARC_WORDS if finding.check is Check.DMARC else _WORDS
    said = f"{name}={words.get(finding.verdict, finding.verdict.value)}"
    reason = "" if finding.verdict is Verdict.PASS or not finding.detail else f" reason={_quoted(finding.detail)}"
    return said + reason + "".join(f" {key}={_quoted(str(value))}" for key, value in properties if value)


def _dkim(finding: Finding) -> str:
    facts = finding.facts
    return _method(
        "dkim",
        finding,
        ("header.d", facts.get("domain")),
        ("header.s", facts.get("selector")),
        ("header.a", facts.get("algorithm")),
        ("header.b", facts.get("b")),
    )


def _spf(finding: Finding) -> str:
    return _method("spf", finding, (f"smtp.{finding.facts.get('identity', 'mailfrom')}", finding.subject))


def _dmarc(finding: Finding) -> str:
    return _method(
        "dmarc", finding, ("header.from", finding.subject), ("policy.published-domain-policy", finding.facts.get("p"))
    )


def _arc(finding: Finding) -> str:
    return _method("arc", finding)


_METHODS: dict[Check, Callable[[Finding], str]] = {
    Check.DKIM: _dkim,
    Check.SPF: _spf,
    Check.DMARC: _dmarc,
    Check.ARC: _arc,
}
