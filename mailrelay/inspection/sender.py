"""Whether the author is who the mail pretends: address against login, display name against address, look-alike domains. Pure."""

from __future__ import annotations

import re
import unicodedata

from mailrelay.inspection.of_directory import OfDirectory
from mailrelay.inspection.slugs import note
from mailrelay.model.agency import Directory
from mailrelay.model.envelope import Door, Envelope
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.folding import fold
from mailrelay.model.identity import AgencyId
from mailrelay.model.message import Address, Content

# Letters of other scripts that look like Latin ones, and digits that do.
_LOOKS = str.maketrans(
    "авеиіјкмнорсԛѕтухѵԝαβεικνορτυχωıӏ0135|",
    "abeuijkmhopcqstyxvwabeikvoptuxwllolesl",
)
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_ADDRESS = re.compile(r"[^\s<>\"'(),;:@]+@[^\s<>\"'(),;:@]+\.[^\s<>\"'(),;:@]+")
_WORD = re.compile(r"\w+")
_SHORTEST_NAME = 6  # characters of an agency's name below which a match means nothing


def check(envelope: Envelope, content: Content, directory: Directory) -> list[Finding]:
    """Return what is odd about each author, at most ten."""
    found: list[Finding] = []
    for author in content.senders[:5]:
        if "@" in author.address:
            found += _differs(author, envelope, directory)
        if not directory.is_local(author.address):
            found += _imitates(author, directory)
            found += _looks_like(author, directory)
    return found


def _differs(author: Address, envelope: Envelope, directory: Directory) -> list[Finding]:
    """A login may write in its own names only; a stranger may not write in the name of our domain."""
    login = envelope.origin.login
    if envelope.origin.door is Door.IMAP and login is None:
        return []  # it lies in our own box already: the server that took it in has judged it
    wrong = author.address.lower() not in directory.owned_by(login) if login else directory.is_local(author.address)
    if not wrong:
        return []
    facts = {"login": login or "", "sender": envelope.sender}
    return [note(Check.SENDER, Verdict.POLICY, "from-differs", author.address, **facts)]


def _imitates(author: Address, directory: Directory) -> list[Finding]:
    """A display name with an address of ours in it, or with the name of one of our agencies."""
    facts = {"address": author.address}
    shown = [address for address in _ADDRESS.findall(author.name) if address.lower() != author.address.lower()]
    if any(directory.is_local(address) for address in shown):
        return [note(Check.SENDER, Verdict.POLICY, "display-name-imitates", author.name, **facts)]
    name = f" {_bare(author.name)} "
    agency = next((agency for own, agency in _NAMES.of(directory) if own in name), None)
    if agency is None:
        return []
    return [note(Check.SENDER, Verdict.POLICY, "display-name-imitates", author.name, **facts, agency=agency)]


def _names(directory: Directory) -> list[tuple[str, AgencyId]]:
    """The names of our agencies as they are looked for, in the order of the directory."""
    return [
        (f" {_bare(own)} ", agency.agency_id)
        for agency in directory.agencies
        for own in (agency.name, *agency.aliases)
        if len(own) >= _SHORTEST_NAME
    ]


_NAMES = OfDirectory(_names)


def _bare(name: str) -> str:
    """A name folded, with look-alike letters undone and only letters and digits left."""
    return " ".join(_WORD.findall(fold(unicodedata.normalize("NFKC", name)).translate(_LOOKS))) if name else ""


def _looks_like(author: Address, directory: Directory) -> list[Finding]:
    domain = author.address.rpartition("@")[2].lower().rstrip(".")
    own = directory.domain
    if not domain or domain == own or domain.endswith("." + own) or not _is_like(domain, _OWN.of(directory)):
        return []
    return [note(Check.SENDER, Verdict.POLICY, "look-alike-domain", domain, address=author.address)]


def _is_like(domain: str, ours: str) -> bool:
    """Whether a domain looks like ours, whose skeleton is given."""
    plain = _skeleton(domain)
    if plain == ours or _one_apart(plain, ours):
        return True
    # hoabinh.gov.vn.evil.com, hoabinh-gov-vn.com, xhoabinh.gov.vn.top
    if ours.replace(".", "-") in plain.replace(".", "-"):
        return True
    # hoabinh.gov.com, mail.hoabinh.gov.com.vn: all but the last label, where that is more than a name
    stem = ours.rpartition(".")[0]
    return "." in stem and f".{stem}." in f".{plain.replace('-', '.')}"


def _skeleton(domain: str) -> str:
    """What the eye makes of a domain."""
    domain = domain[:253]
    if not domain.isascii() or "xn--" in domain:
        domain = unicodedata.normalize("NFKC", ".".join(_decoded(label) for label in domain.split(".")))
    text = fold(domain).translate(_LOOKS)
    for pair, letter in _PAIRS:
        text = text.replace(pair, letter)
    return text


_OWN = OfDirectory(lambda directory: _skeleton(directory.domain))


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _one_apart(left: str, right: str) -> bool:
    """Whether one insertion, deletion, substitution or swap of neighbours makes one word of the other."""
    if abs(len(left) - len(right)) > 1 or left == right:
        return False
    start = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    a, b = left[start:], right[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
