"""The province's written rules, read from `policies/*.yaml`. Data only; `policy/` knows how to read them."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailrelay.model.decision import Action


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence for people: Vietnamese with full diacritics first, then English."""

    vi: str
    en: str


def as_word(value: str | int | bool) -> str:
    """How values are compared: without regard to case, and never true with 1."""
    return value.casefold() if isinstance(value, str) else str(value).lower()


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one named fact: it holds when the fact is (not) among, or beyond, the given values."""

    fact: str
    comparison: str  # in | not_in | at_least | at_most | matches
    values: tuple[str | int | bool, ...]
    words: frozenset[str] = field(init=False, repr=False, compare=False)  # the values as `as_word` writes them

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", frozenset(as_word(value) for value in self.values))


@dataclass(frozen=True, slots=True)
class Rule:
    """If every matcher holds, `action` is taken for the recipient; the first rule that decides ends the list of its file."""

    rule_id: str
    file: str
    line: int
    when: tuple[Matcher, ...]
    action: Action | None  # None: the rule only adds obligations or goes on
    reason: Text
    remedy: Text | None = None
    refusal: str = ""  # name in the refusal table, for action reject
    basis: str = ""  # the decree or plan clause that the rule follows
    enabled: bool = True
    shadow: bool = False  # judged and recorded, never enforced
    obligations: tuple[str, ...] = ()  # receipts to issue and the like


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A sample of facts and what the book must decide, written beside the rules."""

    name: str
    file: str
    line: int
    facts: tuple[tuple[str, str | int | bool | tuple[str, ...]], ...]
    action: Action
    rule_id: str = ""
    obligations: tuple[str, ...] = ()  # all of these must be among those of the rules that match


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules in the order of files and lines; `digest` is the SHA-256 of their normalised content."""

    rules: tuple[Rule, ...]
    tests: tuple[RuleTest, ...] = ()
    digest: str = ""
