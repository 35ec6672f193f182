"""Organisational domains by the public suffix list (DMARC alignment). Pure but for reading the packaged list once."""

from __future__ import annotations

from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList


@cache
def _list() -> PublicSuffixList:
    return PublicSuffixList()


def load() -> None:
    """Read the list now, so that no mail waits for it: it takes some 50 ms."""
    _list()


def ascii_domain(domain: str) -> str:
    """Return a domain in lower case and A-labels, without the last dot; "" when it is none."""
    domain = domain.strip().rstrip(".").lower()
    if not domain or len(domain) > 253:
        return ""
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


@lru_cache(maxsize=1024)
def organisational_domain(domain: str) -> str:
    """Return the domain one below the public suffix, or the domain itself where it is a public suffix."""
    domain = ascii_domain(domain)
    return str(_list().privatesuffix(domain) or domain) if domain else ""


def aligned(left: str, right: str) -> bool:
    """Tell whether two domains belong to the same organisation (relaxed alignment of RFC 7489 section 3.1)."""
    organisation = organisational_domain(left)
    return bool(organisation) and organisation == organisational_domain(right)
