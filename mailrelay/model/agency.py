"""The directory of the province: agencies, mailboxes, groups, accounts. One frozen snapshot per version of mailboxes.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property

from mailrelay.model.identity import AgencyId


class Level(StrEnum):
    PROVINCE = "province"
    DISTRICT = "district"
    COMMUNE = "commune"
    OUTSIDE = "outside"


class Role(StrEnum):
    """What a mailbox is for."""

    CLERK = "clerk"  # văn thư: keeps the books
    LEADER = "leader"
    SPECIALIST = "specialist"
    IT_OFFICER = "it_officer"
    SECURITY_OFFICER = "security_officer"
    SYSTEM = "system"


class TargetKind(StrEnum):
    MAILDIR = "maildir"
    LMTP = "lmtp"
    SMTP = "smtp"
    IN_PLACE = "in_place"  # the mail already lies there (incoming IMAP account)


@dataclass(frozen=True, slots=True)
class Target:
    """Where mail for an address goes. `path` for a Maildir; host and port else; `tls` is none, may, encrypt or verify.

    A slow link (an ADSL district) has limits of its own: `connections` at once, `rate` in bytes per second; 0 means none.
    """

    kind: TargetKind
    path: str = ""
    host: str = ""
    port: int = 0
    tls: str = "may"
    connections: int = 0
    rate: int = 0

    @property
    def destination(self) -> str:
        """The name under which the queue counts connections and back-off."""
        return self.path if self.kind is TargetKind.MAILDIR else f"{self.kind}:{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret by reference, never by value: `file:NAME` (below the secrets folder) or `env:NAME`."""

    scheme: str
    name: str


@dataclass(frozen=True, slots=True)
class OrganCode:
    """A national identification code (mã định danh), dated, since both forms of the code are in use."""

    code: str
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class HeadCount:
    """Officials of a category on a date: the denominator of the plan's indicators."""

    on: date
    category: str
    count: int


@dataclass(frozen=True, slots=True)
class Agency:
    """One issuer of documents with its own books. `symbol` is what stands in its notations (UBND, STC)."""

    agency_id: AgencyId
    name: str
    level: Level
    symbol: str
    parent: AgencyId | None = None
    aliases: tuple[str, ...] = ()  # other symbols and names that people write
    codes: tuple[OrganCode, ...] = ()
    head_counts: tuple[HeadCount, ...] = ()
    clerk: str = ""  # the văn thư box that keeps its books
    it_officer: str = ""
    automatic_acceptance: bool = False
    openpgp_keys: tuple[str, ...] = ()  # fingerprints, upper case
    valid_from: date | None = None
    valid_to: date | None = None
    successor: AgencyId | None = None


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address `xxx@domain`. `login` is the account name for AUTH ("" = none); `password` refers to an argon2id hash."""

    address: str
    name: str
    agency: AgencyId
    roles: frozenset[Role]
    target: Target
    aliases: tuple[str, ...] = ()
    login: str = ""
    password: SecretRef | None = None
    shared: bool = False  # a role box (văn thư, lãnh đạo) that the agency's logins may send from
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """An address that stands for several; members are addresses of mailboxes, already expanded and in order."""

    address: str
    name: str
    members: tuple[str, ...]


class Purpose(StrEnum):
    INCOMING = "incoming"  # already delivered in place: register and notify
    OUTGOING = "outgoing"  # a drop folder; its owner is the sender


@dataclass(frozen=True, slots=True)
class OauthGrant:
    """How access tokens are fetched (RFC 6749 section 6), all of it by reference. The endpoint is an https address."""

    token_endpoint: SecretRef
    client_id: SecretRef
    refresh_token: SecretRef
    client_secret: SecretRef | None = None
    scope: str = ""

    @property
    def secrets(self) -> tuple[SecretRef, ...]:
        named = (self.token_endpoint, self.client_id, self.refresh_token, self.client_secret)
        return tuple(ref for ref in named if ref is not None)


@dataclass(frozen=True, slots=True)
class ImapAccount:
    """A box on another server that we poll. `owner` is the mailbox (address) it belongs to.

    Either `password` (with `auth` xoauth2 or oauthbearer: an access token that somebody else renews) or `oauth`.
    """

    name: str
    host: str
    port: int
    user: str
    password: SecretRef | None
    purpose: Purpose
    owner: str
    folder: str = "INBOX"
    done_folder: str = ""  # MOVE there after the commit; "" = set the keyword $Registered
    failed_folder: str = ""
    tls: str = "implicit"  # implicit | starttls | none
    enabled: bool = True
    auth: str = "login"  # login | xoauth2 | oauthbearer
    oauth: OauthGrant | None = None

    @property
    def secrets(self) -> tuple[SecretRef, ...]:
        return ((self.password,) if self.password else ()) + (self.oauth.secrets if self.oauth else ())


@dataclass(frozen=True)
class Directory:
    """The whole of mailboxes.yaml. Look-ups take addresses in any case; `digest` is the SHA-256 of the normalised content."""

    domain: str
    agencies: tuple[Agency, ...]
    mailboxes: tuple[Mailbox, ...]
    groups: tuple[Group, ...] = ()
    imap_accounts: tuple[ImapAccount, ...] = ()
    digest: str = ""
    system_addresses: Mapping[str, str] = field(default_factory=dict)  # local part -> address, e.g. postmaster

    @cached_property
    def _by_address(self) -> dict[str, Mailbox]:
        return {a.lower(): box for box in self.mailboxes for a in (*box.aliases, box.address)}

    @cached_property
    def _by_login(self) -> dict[str, Mailbox]:
        return {box.login.lower(): box for box in self.mailboxes if box.login}

    @cached_property
    def _by_agency(self) -> dict[AgencyId, Agency]:
        return {agency.agency_id: agency for agency in self.agencies}

    @cached_property
    def _by_group(self) -> dict[str, Group]:
        return {group.address.lower(): group for group in self.groups}

    @cached_property
    def _role_boxes(self) -> dict[AgencyId, list[Mailbox]]:
        found: dict[AgencyId, list[Mailbox]] = {}
        for box in self.mailboxes:
            if box.shared and box.enabled:
                found.setdefault(box.agency, []).append(box)
        return found

    @cached_property
    def _kept_by(self) -> dict[str, list[Agency]]:
        found: dict[str, list[Agency]] = {}
        for agency in self.agencies:
            found.setdefault(agency.clerk.lower(), []).append(agency)
        return found

    def is_local(self, address: str) -> bool:
        return address.rpartition("@")[2].lower() == self.domain

    def mailbox(self, address: str) -> Mailbox | None:
        """The enabled or disabled mailbox that answers to an address or alias."""
        return self._by_address.get(address.lower())

    def resolve(self, address: str) -> str:
        """The address of the mailbox behind an address, alias or system address (postmaster); unknown ones unchanged."""
        if not self.is_local(address):
            return address
        forward = self.system_addresses.get(address.rpartition("@")[0].lower(), "")
        box = self.mailbox(address) or self.mailbox(forward)
        return box.address if box else address

    def account(self, login: str) -> Mailbox | None:
        return self._by_login.get(login.lower())

    def agency(self, agency_id: AgencyId) -> Agency | None:
        return self._by_agency.get(agency_id)

    def group(self, address: str) -> Group | None:
        return self._by_group.get(address.lower())

    def agency_of(self, address: str) -> Agency | None:
        box = self.mailbox(address)
        return self.agency(box.agency) if box else None

    def kept_by(self, clerk: str) -> tuple[Agency, ...]:
        """The agencies whose books a văn thư box keeps (the VP UBND's keeps two)."""
        box = self.mailbox(clerk)
        return tuple(self._kept_by.get(box.address.lower(), ())) if box else ()

    def owned_by(self, login: str) -> frozenset[str]:
        """The addresses (lower case) that a login may send from: its own, and the role boxes of the agencies it serves."""
        box = self.account(login)
        if box is None or not box.enabled:
            return frozenset()
        agencies = {box.agency, *(agency.agency_id for agency in self.kept_by(box.address))}
        role_boxes = (b for agency in agencies for b in self._role_boxes.get(agency, ()))
        return frozenset(a.lower() for b in (box, *role_boxes) for a in (b.address, *b.aliases))
