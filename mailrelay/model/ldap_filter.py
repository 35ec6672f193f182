"""A search filter of LDAP (RFC 4511 section 4.5.1.7) as a value: who among the entries of a directory server is meant.

Values are octets in which `{login}` stands for the login that is looked for. It is put in when the filter is sent, long after
the filter was read, so that no login can change what the filter asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Junctor(StrEnum):
    """How filters are joined; NOT has one filter."""

    AND = "&"
    OR = "|"
    NOT = "!"


class Relation(StrEnum):
    """How an attribute is compared with a value."""

    EQUAL = "="
    AT_LEAST = ">="
    AT_MOST = "<="
    SIMILAR = "~="


@dataclass(frozen=True, slots=True)
class Joined:
    """`(&(…)(…))`, `(|(…)(…))`, `(!(…))`."""

    junctor: Junctor
    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """`(mail={login}@hoabinh.gov.vn)`."""

    attribute: str
    relation: Relation
    value: bytes


@dataclass(frozen=True, slots=True)
class Present:
    """`(mail=*)`."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Pieces:
    """`(mail=a*b*c)`: the pieces between the stars; the first and the last may be empty."""

    attribute: str
    pieces: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Matched:
    """`(memberOf:1.2.840.113556.1.4.1941:=cn=…)`: an extensible match by a rule of the server; "" for what is not named."""

    attribute: str
    rule: str
    value: bytes
    with_dn: bool = False


Filter = Joined | Compared | Present | Pieces | Matched
