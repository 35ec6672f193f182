"""ARC chains (RFC 8617): whether forwarders vouch, one after the other, for what they received. Under dkimpy's rules for fields.

In two steps like DKIM: `prepare` reads the sets and hashes what they cover, `verify` judges with the keys. A chain that passes says
only that its sealers said so; whether to believe them is for the rules to decide, by the sealing domains among the facts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailrelay.inspection.authentication import body, canonical, keys
from mailrelay.inspection.authentication.rules import (
    CanonicalizationPolicy,
    DKIMException,
    validate_signature_fields,
)
from mailrelay.inspection.authentication.signatures import (
    ALGORITHMS,
    DOMAIN,
    MUCH_WHITE,
    Answer,
    Foul,
    Signature,
    decoded,
    hash_header,
    judge_body,
    record_of,
)
from mailrelay.inspection.fields import Block, Field
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict

_RESULTS, _MESSAGE, _SEAL = "arc-authentication-results", "arc-message-signature", "arc-seal"
_KINDS = (_RESULTS, _MESSAGE, _SEAL)
_INSTANCE = re.compile(rb"[\s;]*i\s*=\s*(\d{1,3})\s*(?:;|\Z)")
_MOST_SETS = 10  # RFC 8617 allows 50; a chain of more than ten forwarders is none that we follow
_RELAXED = b"relaxed/relaxed"


@dataclass(slots=True)
class Chain:
    """The newest message signature and every seal, newest first. `fault` is a slug once the outcome is known."""

    fault: str = ""
    message: Signature = field(default_factory=Signature)
    seals: list[Signature] = field(default_factory=list)

    @property
    def questions(self) -> set[str]:
        return set() if self.fault else {s.question for s in (self.message, *self.seals)} - {""}


def prepare(source: Source, block: Block, limits: Limits) -> Chain | None:
    """Read the chain of a mail; None without one."""
    if not any(map(block.all, _KINDS)):
        return None
    fields = [item for item in block.fields if item.name in _KINDS]
    chain = Chain()
    try:
        sets = _sets(fields, limits)
        _prepare_message(chain, sets[-1][_MESSAGE], source, block)
        for number in range(len(sets), 0, -1):
            chain.seals.append(_seal(sets, number))
    except Foul as foul:
        chain.fault = "broken" if str(foul) == "broken" else "malformed"
    return chain


def _sets(fields: list[Field], limits: Limits) -> list[dict[str, Field]]:
    """Return the sets in order: exactly one field of each kind in each (RFC 8617 section 4.2.1)."""
    sets: dict[int, dict[str, Field]] = {}
    for item in fields:
        match = _INSTANCE.match(b" " + item.value.strip())
        number = int(match.group(1)) if match else 0
        found = sets.setdefault(number, {})
        if (
            not number
            or item.name in found
            or len(item.value) > limits.signature_field
            or MUCH_WHITE.search(item.value)
        ):
            raise Foul("malformed")
        found[item.name] = item
    if (
        sorted(sets) != list(range(1, len(sets) + 1))
        or len(sets) > _MOST_SETS
        or any(len(one) != 3 for one in sets.values())
    ):
        raise Foul("malformed")
    return [sets[number] for number in sorted(sets)]


def _tags(item: Field, needed: tuple[bytes, ...]) -> dict[bytes, bytes]:
    try:
        tags = canonical.tag_list(item.value)
        checked = {name: b"".join(value.split()) if name in (b"b", b"bh") else value for name, value in tags.items()}
        validate_signature_fields({k: v for k, v in checked.items() if k not in (b"x", b"t")}, list(needed), True)
    except (DKIMException, IndexError, ValueError):
        raise Foul("malformed") from None
    if tags[b"a"] not in ALGORITHMS or not DOMAIN.match(tags[b"d"]) or not DOMAIN.match(tags[b"s"]):
        raise Foul("malformed")
    return tags


def _named(tags: Mapping[bytes, bytes]) -> Signature:
    return Signature(
        tags[b"d"].decode().lower(), tags[b"s"].decode().lower(), tags[b"a"].decode(), value=decoded(tags[b"b"])
    )


def _prepare_message(chain: Chain, item: Field, source: Source, block: Block) -> None:
    tags = _tags(item, (b"i", b"a", b"b", b"bh", b"d", b"h", b"s"))
    names = [name.strip().lower() for name in tags[b"h"].split(b":")]
    if _SEAL.encode() in names:
        raise Foul("malformed")
    chain.message = _named(tags)
    try:
        policy = CanonicalizationPolicy.from_c_value(tags.get(b"c", _RELAXED))
    except Exception:
        raise Foul("malformed") from None
    hash_header(chain.message, tags, policy, block, item)
    form = body.Canonical(relaxed=policy.body_algorithm.name == b"relaxed")
    digest = form.digest(int(tags[b"l"]) if tags.get(b"l", b"").isdigit() else None)
    body.run([form], source.steps(block.end, source.size))
    judge_body(chain.message, digest, decoded(tags[b"bh"]))


def _seal(sets: list[dict[str, Field]], number: int) -> Signature:
    """Hash what one seal covers: every set up to its own, its own seal without b= (section 5.1.1)."""
    item = sets[number - 1][_SEAL]
    tags = _tags(item, (b"i", b"a", b"b", b"cv", b"d", b"s"))
    if b"h" in tags or tags[b"cv"].lower() != (b"none" if number == 1 else b"pass"):
        raise Foul("broken")  # the sealer itself says so, or says what cannot be
    covered = [one[kind] for one in sets[:number] for kind in (_RESULTS, _MESSAGE, _SEAL)]
    before = b"".join(canonical.relaxed_field(one) for one in covered[:-1])
    seal = _named(tags)
    seal.header_digest = hashlib.sha256(before + canonical.signed(item, relaxed=True)).digest()
    return seal


def verify(chain: Chain, answers: Mapping[str, Answer]) -> Finding:
    """Judge the whole chain: the newest message signature and all seals must be good."""
    sealers = [seal.domain for seal in reversed(chain.seals)]
    fault = chain.fault or _fault(chain, answers)
    verdict = {"": Verdict.PASS, "dns-failure": Verdict.TEMPERROR}.get(fault, Verdict.FAIL)
    facts = {"sealers": sealers, "keys": sorted(chain.questions)}
    return note(Check.ARC, verdict, fault or "good", sealers[-1] if sealers else "", **facts)


def _fault(chain: Chain, answers: Mapping[str, Answer]) -> str:
    signatures = (chain.message, *chain.seals)
    if chain.message.fault or chain.message.partial:
        return "broken"
    records = [record_of(answers.get(signature.question), {}) for signature in signatures]
    if any(record.fault == "dns-failure" for record in records):
        return "dns-failure"
    good = all(_fits(signature, record) for signature, record in zip(signatures, records, strict=True))
    return "" if good else "broken"


def _fits(signature: Signature, record: keys.KeyRecord) -> bool:
    usable = not record.fault and not record.testing and record.kind == ALGORITHMS[signature.algorithm.encode()]
    return usable and record.verifies(signature.value, signature.header_digest)
