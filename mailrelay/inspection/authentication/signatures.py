"""DKIM signatures (RFC 6376, 8301, 8463) under dkimpy's rules for header fields, with `cryptography`'s arithmetic.

In two steps, so that the names of the keys can be looked up in between: `prepare` hashes header and body, `verify` judges.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailrelay.inspection.authentication import body, canonical, keys
from mailrelay.inspection.authentication.domains import aligned, ascii_domain
from mailrelay.inspection.authentication.rules import (
    CanonicalizationPolicy,
    DKIMException,
    InvalidCanonicalizationPolicyError,
    validate_signature_fields,
)
from mailrelay.inspection.fields import Block, Field
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict

_NEEDED = (b"v", b"a", b"b", b"bh", b"d", b"h", b"s")
ALGORITHMS = {b"rsa-sha256": "rsa", b"ed25519-sha256": "ed25519"}
_SHOWN = (
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "content-type",
    "content-transfer-encoding",
)
MUCH_WHITE = re.compile(rb"\s{200}")
_SLOP = 36_000  # seconds that a signer's clock may be wrong, as dkimpy has it
DOMAIN = re.compile(rb"[A-Za-z0-9_.-]{1,253}\Z")


@dataclass(slots=True)
class Signature:
    """One DKIM-Signature field, ready to be verified. `fault` is a slug once the outcome is known without the key."""

    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    fault: str = ""
    value: bytes = b""
    header_digest: bytes = b""
    identity: str = ""
    partial: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The name of the key record, or "" when none is needed."""
        return "" if self.fault else f"{self.selector}._domainkey.{self.domain}"


class Foul(Exception):
    """The field breaks a rule; the argument is the slug."""


def prepare(source: Source, block: Block, limits: Limits, at: float) -> list[Signature]:
    """Hash what each signature covers: at most `limits.signatures`, in order. `at` is the time of receipt (Unix seconds)."""
    fields = block.all("dkim-signature")
    crowded = len(block.fields) >= limits.fields or block.broken
    forms = {relaxed: body.Canonical(relaxed=relaxed) for relaxed in (False, True)}
    waiting: list[tuple[Signature, body.Digest, bytes]] = []
    found: list[Signature] = []
    for item in fields[: limits.signatures]:
        signature = Signature()
        found.append(signature)
        try:
            if crowded:
                raise Foul("malformed-signature")
            tags = _tags(item, limits, signature)
            _judge_times(tags, at)
            policy = _policy(tags)
            hash_header(signature, tags, policy, block, item)
            length = int(tags[b"l"]) if b"l" in tags else None
            digest = forms[policy.body_algorithm.name == b"relaxed"].digest(length)
            waiting.append((signature, digest, decoded(tags[b"bh"])))
        except Foul as foul:
            signature.fault = str(foul)
    if waiting:
        used = [form for form in forms.values() if form.is_asked]
        body.run(used, source.steps(block.end, source.size))
    for signature, digest, claimed in waiting:
        judge_body(signature, digest, claimed)
    return found


def judge_body(signature: Signature, digest: body.Digest, claimed: bytes) -> None:
    length = signature.facts.get("length")
    if digest.digest() != claimed:
        signature.fault = "body-changed"
    elif length is not None and length > digest.total:
        signature.fault = "malformed-signature"  # RFC 6376 section 3.5: l= must not exceed the body
    elif length is not None and length < digest.total:
        signature.partial = True


def _tags(item: Field, limits: Limits, signature: Signature) -> dict[bytes, bytes]:
    """Read the tag list and note its facts. Raises Foul."""
    if len(item.value) > limits.signature_field or MUCH_WHITE.search(item.value):
        raise Foul("malformed-signature")
    try:
        tags = canonical.tag_list(item.value)
    except ValueError:
        raise Foul("malformed-signature") from None
    _note_facts(signature, tags)
    if tags.get(b"a") == b"rsa-sha1":
        raise Foul("weak-algorithm")
    checked = {name: b"".join(value.split()) if name in (b"b", b"bh") else value for name, value in tags.items()}
    try:
        validate_signature_fields({name: value for name, value in checked.items() if name not in (b"x", b"t")})
    except (DKIMException, IndexError, ValueError):
        raise Foul("malformed-signature") from None
    if tags[b"a"] not in ALGORITHMS or not DOMAIN.match(tags[b"d"]) or not DOMAIN.match(tags[b"s"]):
        raise Foul("malformed-signature")
    return tags


def _note_facts(signature: Signature, tags: Mapping[bytes, bytes]) -> None:
    def text(name: bytes) -> str:
        return b"".join(tags.get(name, b"").split()).decode("ascii", "replace")[:253]

    signature.domain = ascii_domain(text(b"d")) or text(b"d").lower()
    signature.selector = text(b"s").lower()
    signature.algorithm = text(b"a").lower()
    signature.identity = text(b"i")
    signature.facts = {"domain": signature.domain, "selector": signature.selector, "algorithm": signature.algorithm}
    signature.facts["b"] = text(b"b")[:12]
    if signature.identity:
        signature.facts["identity"] = signature.identity
    if tags.get(b"l", b"").isdigit():
        signature.facts["length"] = int(tags[b"l"])


def _judge_times(tags: Mapping[bytes, bytes], at: float) -> None:
    made, ends = (_moment(tags.get(name)) for name in (b"t", b"x"))
    if made is not None and made > at + _SLOP:
        raise Foul("future")
    if ends is not None and ends < at:
        raise Foul("expired")
    if made is not None and ends is not None and ends < made:
        raise Foul("malformed-signature")


def _moment(value: bytes | None) -> int | None:
    if value is None:
        return None
    if not value.isdigit() or len(value) > 12:
        raise Foul("malformed-signature")
    return int(value)


def _policy(tags: Mapping[bytes, bytes]) -> CanonicalizationPolicy:
    try:
        return CanonicalizationPolicy.from_c_value(tags.get(b"c"))
    except InvalidCanonicalizationPolicyError:
        raise Foul("malformed-signature") from None


def hash_header(
    signature: Signature, tags: Mapping[bytes, bytes], policy: CanonicalizationPolicy, block: Block, own: Field
) -> None:
    names = [name.strip().lower().decode("ascii", "replace") for name in tags[b"h"].split(b":")]
    if "from" not in names:
        raise Foul("malformed-signature")  # RFC 6376 section 5.4
    signature.facts["unsigned"] = [name for name in _SHOWN if name not in names and block.first(name)]
    # As dkimpy: From counts once more than named, so that a second one breaks the signature.
    relaxed = policy.header_algorithm.name == b"relaxed"
    signature.header_digest = hashlib.sha256(canonical.covered(block, [*names, "from"], own, relaxed=relaxed)).digest()
    signature.value = decoded(tags[b"b"])


def decoded(value: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(value.split()), validate=True)
    except binascii.Error:
        raise Foul("malformed-signature") from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the look-up of a key record gave: `state` is ok, none or temperror; `secure` that DNSSEC validated it."""

    records: tuple[bytes, ...]
    state: str
    secure: bool = False


def verify(
    signatures: Iterable[Signature], answers: Mapping[str, Answer], author: str, doubled: Sequence[str], more: bool
) -> list[Finding]:
    """Judge every signature. `author` is the From domain, `doubled` the fields that stand twice, `more` that some were left out."""
    findings = [_judge(signature, answers, author, doubled) for signature in signatures]
    if more:
        findings.append(note(Check.DKIM, Verdict.POLICY, "too-many-signatures"))
    return findings


_FAULTS = {
    "body-changed": Verdict.FAIL,
    "bad-signature": Verdict.FAIL,
    "expired": Verdict.POLICY,
    "future": Verdict.POLICY,
    "weak-algorithm": Verdict.POLICY,
    "short-key": Verdict.POLICY,
    "dns-failure": Verdict.TEMPERROR,
}


def _judge(signature: Signature, answers: Mapping[str, Answer], author: str, doubled: Sequence[str]) -> Finding:
    facts = dict(signature.facts, aligned=aligned(signature.domain, author))
    fault = signature.fault
    record = keys.KeyRecord(fault)
    if not fault:
        record = record_of(answers.get(signature.question), facts)
        fault = record.fault or _fault(signature, record)
    if record.bits:
        facts["key_bits"] = record.bits
    verdict, detail = (_FAULTS.get(fault, Verdict.PERMERROR), fault) if fault else _worth(signature, record, doubled)
    if detail == "duplicate-field":
        facts["fields"] = list(doubled)
    return note(Check.DKIM, verdict, detail, f"d={signature.domain}; s={signature.selector}", **facts)


def record_of(answer: Answer | None, facts: dict[str, Any]) -> keys.KeyRecord:
    if answer is None or answer.state == "temperror":
        return keys.KeyRecord("dns-failure")
    found = [record for record in answer.records if b"p=" in record]
    if not found:
        return keys.KeyRecord("no-key")
    facts["key"] = found[0].decode("ascii", "replace")[:2000]
    facts["secure"] = answer.secure
    if len(found) > 1:
        return keys.KeyRecord("key-unusable")  # RFC 6376 section 3.6.2.2: the results are undefined
    return keys.read(found[0])


def _fault(signature: Signature, record: keys.KeyRecord) -> str:
    if record.kind != ALGORITHMS[signature.algorithm.encode()]:
        return "key-unusable"
    identity = signature.identity.rpartition("@")[2].lower()
    if record.strict and identity and identity != signature.domain:
        return "key-unusable"
    return "" if record.verifies(signature.value, signature.header_digest) else "bad-signature"


def _worth(signature: Signature, record: keys.KeyRecord, doubled: Sequence[str]) -> tuple[Verdict, str]:
    """What a signature that fits is worth."""
    if doubled:
        return Verdict.POLICY, "duplicate-field"
    if record.testing:
        return Verdict.NEUTRAL, "test-key"
    if signature.partial:
        return Verdict.PARTIAL, "partial-body"
    if record.kind == "rsa" and record.bits < 2048:
        return Verdict.PASS, "weak-key"
    return Verdict.PASS, "good"
