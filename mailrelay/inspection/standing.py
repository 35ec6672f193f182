"""Who sends: an agency's box, an official, another authority, or a stranger; and which agency issued the paper. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mailrelay.inspection.document_types import plain
from mailrelay.inspection.letterhead import Page
from mailrelay.inspection.notation import Known, bodies_of
from mailrelay.model.agency import Agency, Directory, Mailbox, Role
from mailrelay.model.document import DocumentCode
from mailrelay.model.document_types import TYPES, DocumentType
from mailrelay.model.envelope import Envelope
from mailrelay.model.message import Content

# Second-level domains under which only bodies of the state and the Party write.
_AUTHORITIES = (".gov.vn", ".dcs.vn", ".chinhphu.vn", ".quochoi.vn")
_TAGS = {"moihop": "giay moi", "congvan": "cong van"}


@lru_cache(maxsize=4096)
def _plain_name(name: str) -> str:
    """The plain letters of a name in the directory: few, and asked for with every mail."""
    return plain(name)


@dataclass(frozen=True, slots=True)
class Standing:
    """The sender's place in the directory. `agencies` are those whose papers the sender may issue, the likeliest first."""

    box: Mailbox | None
    agencies: tuple[Agency, ...]
    is_agency_box: bool  # văn thư, a shared role box, or another authority's address
    is_official: bool
    within_agency: bool  # every recipient belongs to the sender's agency
    recipients: frozenset[str]  # lower case, groups expanded
    to_clerk: bool
    tag_type: DocumentType | None = None  # from a plus-address such as vanthu+baocao@
    unknown_tag: bool = False


def standing_of(content: Content, envelope: Envelope, directory: Directory) -> Standing:
    """Look up the envelope sender, else the author, in the directory."""
    author = content.senders[0].address if content.senders else ""
    box = directory.mailbox(envelope.sender) or (
        directory.mailbox(author) if envelope.origin.is_authenticated else None
    )
    sender = envelope.sender or author
    outside_authority = not directory.is_local(sender) and _is_authority(sender)
    agencies = _issuing_agencies(box, directory)
    recipients, tag_type, unknown_tag = _recipients(envelope, directory)
    boxes = [directory.mailbox(address) for address in recipients]
    return Standing(
        box=box,
        agencies=agencies,
        is_agency_box=outside_authority or (box is not None and (box.shared or Role.CLERK in box.roles)),
        is_official=outside_authority or box is not None,
        within_agency=box is not None and bool(boxes) and all(b is not None and b.agency == box.agency for b in boxes),
        recipients=recipients,
        to_clerk=any(b is not None and (b.shared or Role.CLERK in b.roles) for b in boxes),
        tag_type=tag_type,
        unknown_tag=unknown_tag,
    )


def _is_authority(address: str) -> bool:
    return f".{address.rpartition('@')[2].lower()}".endswith(_AUTHORITIES)


def _issuing_agencies(box: Mailbox | None, directory: Directory) -> tuple[Agency, ...]:
    if box is None:
        return ()
    own = directory.agency(box.agency)
    kept = directory.kept_by(box.address)
    return tuple(dict.fromkeys([*([own] if own else []), *kept]))


def _recipients(envelope: Envelope, directory: Directory) -> tuple[frozenset[str], DocumentType | None, bool]:
    addresses: set[str] = set()
    tag_type, unknown = None, False
    for recipient in envelope.recipients:
        local, _, domain = recipient.address.lower().rpartition("@")
        base, plus, tag = local.partition("+")
        address = f"{base}@{domain}"
        if plus and directory.is_local(address):
            found = _tagged_type(tag)
            tag_type, unknown = tag_type or found, unknown or found is None
        group = directory.group(address)
        for member in group.members if group else (address,):
            box = directory.mailbox(member)
            addresses.add((box.address if box else member).lower())
    return frozenset(addresses), tag_type, unknown


def _tagged_type(tag: str) -> DocumentType | None:
    wanted = _TAGS.get(tag, tag).replace(" ", "")
    return next((found for found in TYPES if plain(found.name).replace(" ", "") == wanted), None)


def known_body(directory: Directory) -> Known:
    """Return the look-up of a body's symbol as people write it ("stc", "SGDDT") to the symbol of the directory."""
    symbols: dict[str, str] = {}
    for agency in directory.agencies:
        for written in (agency.symbol, *agency.aliases):
            symbols.setdefault(_plain_name(written), agency.symbol)
    return lambda written: symbols.get(plain(written))


@dataclass(frozen=True, slots=True)
class Issuer:
    """The issuing agency, if the directory knows it. `agrees` is False when the notation bears another body's symbol."""

    agency: Agency | None
    agrees: bool
    source: str
    confidence: int


def find_issuer(code: DocumentCode | None, standing: Standing, directory: Directory, page: Page) -> Issuer:
    """Say who issued a paper: an agency of the sender whose symbol it bears, else the one that the symbol or letterhead names.

    The symbol alone never decides: all district committees and the province's write UBND.
    """
    if code is None or not standing.is_official:
        agency = standing.agencies[0] if standing.agencies else None
        return Issuer(agency, True, "sender", 70)
    symbols = {plain(symbol) for symbol in bodies_of(code)}
    for agency in standing.agencies:
        if _symbols_of(agency) & symbols:
            return Issuer(agency, True, "sender", 90)
    if standing.box is None:
        return Issuer(None, True, "sender", 50)
    bearers = [agency for agency in directory.agencies if _symbols_of(agency) & symbols]
    named = [agency for agency in bearers if _plain_name(agency.name) in _letterhead(page)]
    if len(named) == 1:
        return Issuer(named[0], False, "body", 80)
    if len(bearers) == 1:
        return Issuer(bearers[0], False, "subject", 70)
    own = standing.agencies[0] if standing.agencies else None
    parent = next((agency for agency in bearers if own and agency.agency_id == own.parent), None)
    return Issuer(parent or own, False, "sender", 50)


def _symbols_of(agency: Agency) -> set[str]:
    return {_plain_name(symbol) for symbol in (agency.symbol, *agency.aliases)}


def _letterhead(page: Page) -> str:
    head = " ".join(" ".join(page.plain[:20]).split())[:600]
    return head.replace("uy ban nhan dan", "ubnd") + " " + head


def leaves_out(standing: Standing, distribution: Sequence[str], directory: Directory) -> bool:
    """Tell whether Nơi nhận names an agency or group of the directory to which this mail is not addressed."""
    if not distribution:
        return False
    agencies = {_plain_name(name): agency for agency in directory.agencies for name in (agency.name, agency.symbol)}
    groups = {_plain_name(group.name): group for group in directory.groups}
    for entry in distribution:
        name = plain(entry)
        if group := groups.get(name):
            if not standing.recipients & {member.lower() for member in group.members}:
                return True
        elif (agency := agencies.get(name)) and not _reached(agency, standing, directory):
            return True
    return False


def _reached(agency: Agency, standing: Standing, directory: Directory) -> bool:
    if standing.box is not None and agency in standing.agencies:
        return True
    boxes = (directory.mailbox(address) for address in standing.recipients)
    return any(
        box is not None and (box.agency == agency.agency_id or box.address.lower() == agency.clerk.lower())
        for box in boxes
    )
