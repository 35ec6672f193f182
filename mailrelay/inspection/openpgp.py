"""OpenPGP signatures (RFC 3156, and inside a text) by gpg through python-gnupg. In the worker only; no agent, no key server.

Pass is strict: exactly one signature, no problem of any kind reported, made by a key that the directory lists for the sender's
agency and that lies in that agency's keyring, with SHA-256 or better. User ids are never read: anyone may write them.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import gnupg

from mailrelay.inspection import cleartext
from mailrelay.inspection.exhibits import Exhibits, tools
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.finding import Check, Finding, Verdict

_OPTIONS = (
    "--no-options --no-autostart --disable-dirmngr --no-auto-key-retrieve --no-auto-key-locate --no-auto-check-trustdb "
    "--lock-never --no-permission-warning --trust-model always"
)
_HASHES = {"8": "sha256", "9": "sha384", "10": "sha512", "11": "sha224", "2": "sha1", "1": "md5", "3": "ripemd160"}
_STRONG = frozenset(("sha256", "sha384", "sha512"))
_ARMOR = re.compile(rb"\A\s*-----BEGIN PGP SIGNATURE-----\r?\n.*?-----END PGP SIGNATURE-----\s*\Z", re.DOTALL)
_LONGEST_BLOCK = 64 * 1024
_LONGEST_TEXT = 1024 * 1024  # of a text with a signature inside
_CLOCK_SLOP = 86_400  # seconds that a signer's clock may be ahead
_TEXT = "01"  # the class of signatures over texts (RFC 9580 section 5.2.1.2)
_FINGERPRINT = re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?\Z")

_VERDICTS = {
    "good": Verdict.PASS,
    "bad-signature": Verdict.FAIL,
    "several-signatures": Verdict.POLICY,
    "expired-key": Verdict.POLICY,
    "revoked-key": Verdict.POLICY,
    "expired-signature": Verdict.POLICY,
    "future": Verdict.POLICY,
    "other-agency": Verdict.POLICY,
    "weak-algorithm": Verdict.POLICY,
    "partial-body": Verdict.PARTIAL,
    "unknown-key": Verdict.NEUTRAL,
    "unavailable": Verdict.TEMPERROR,
}


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of one agency: its GnuPG home and the fingerprints (upper case) that the directory lists.

    `ended` are keys that the agency does not use any more, with the time since when (Unix seconds).
    """

    agency: str
    home: str
    fingerprints: frozenset[str]
    ended: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What gpg said: a slug, and the facts of the signature as far as it told them."""

    detail: str
    signing: str = ""
    primary: str = ""
    made_at: int = 0
    expires_at: int = 0
    digest: str = ""
    kind: str = ""  # the signature's class: "00" over bytes, "01" over a text
    key_ended_at: int = 0  # when the key expired, or when its agency put it out of use

    def facts(self) -> dict[str, Any]:
        values = {
            "fingerprint": self.primary or self.signing,
            "signing_key": self.signing,
            "made_at": self.made_at,
            "expires_at": self.expires_at,
            "hash": self.digest,
            "key_ended_at": self.key_ended_at,
        }
        return {name: value for name, value in values.items() if value}

    def validity(self) -> dict[str, bool]:
        """Valid now, and valid by the time that the signature itself tells: what was good until its key ran out."""
        if not self.made_at:
            return {}
        now = self.detail == "good"
        then = now or (self.detail == "expired-key" and 0 < self.made_at <= self.key_ended_at)
        return {"valid_now": now, "valid_when_signed": then}


def verify(
    job: Job, source: Source, context: Mapping[str, Any], limits: Limits, program: str, exhibits: Exhibits
) -> list[Finding]:
    """Judge one signed part, or a text with its signature inside.

    `context` has "own" (the sender's agency's keyring or None), "others", and "at", the time of receipt (Unix seconds).
    """
    if job.end - job.start > limits.file:
        return [_note("not-inspectable", "", {"part": job.part, "reason": "too-big"})]
    material = _inline(job, source) if job.kind == "openpgp-inline" else _detached(job, source)
    if material.fault:
        return [_note(material.fault, "", {"part": job.part, **_inside(job)})]
    own = _keyring(context.get("own"))
    signed, block = material.signed, material.signature
    ring, outcome = own, _by_keyring(own, signed, block, program)
    if outcome.detail == "unknown-key":
        others = [_keyring(other) for other in context.get("others", ())]
        ring, outcome = _by_others(outcome, others, signed, block, program)
    at = int(context.get("at", 0))
    outcome = _timely(outcome, ring, at)
    if job.kind == "openpgp-inline" and outcome.kind not in ("", _TEXT):
        outcome = replace(outcome, detail="malformed-signature")
    facts = {"part": job.part, "agency": own.agency if own else "", **_inside(job), **outcome.facts()}
    facts |= outcome.validity()
    facts["evidence"] = _evidence(ring, outcome, program, exhibits)
    reason = job.reason or material.beyond
    if outcome.detail == "good" and reason:
        return [
            _note("partial-body", outcome.primary or outcome.signing, {**facts, "reason": reason, "valid_now": False})
        ]
    return [_note(outcome.detail, outcome.primary or outcome.signing, facts)]


def _inside(job: Job) -> dict[str, str]:
    return {"form": "inline"} if job.kind == "openpgp-inline" else {}


def _detached(job: Job, source: Source) -> cleartext.Cleartext:
    block = _block(job, source)
    if block is None:
        return cleartext.Cleartext(fault="malformed-signature")
    return cleartext.Cleartext(source.read(job.start, job.end), block)


def _inline(job: Job, source: Source) -> cleartext.Cleartext:
    text = bytearray()
    for block in job.blocks(source):
        text += block
        if len(text) > _LONGEST_TEXT:
            return cleartext.Cleartext(fault="not-inspectable")
    found = cleartext.read(bytes(text), job.type, delsp=job.declared == "delsp")
    armored = _ARMOR.match(found.signature) and len(found.signature) <= _LONGEST_BLOCK
    return found if found.fault or armored else cleartext.Cleartext(fault="malformed-signature")


def _timely(outcome: _Outcome, ring: Keyring | None, at: int) -> _Outcome:
    """A signature from the future is none; a key that its agency has put out of use counts as expired since then."""
    if outcome.detail not in ("good", "other-agency"):
        return outcome
    if at and outcome.made_at > at + _CLOCK_SLOP:
        return replace(outcome, detail="future")
    ended = ring.ended.get(outcome.primary, 0) if ring is not None else 0
    return replace(outcome, detail="expired-key", key_ended_at=ended) if ended and ended <= at else outcome


def _evidence(ring: Keyring | None, outcome: _Outcome, program: str, exhibits: Exhibits) -> list[dict[str, str]]:
    """The key as it lies in the keyring at this moment, and what judged. User ids go along: they are part of the key."""
    found = [exhibits.add("tools", tools(gnupg=_version(program)))]
    fingerprint = outcome.primary
    if ring is not None and fingerprint and Path(ring.home).is_dir():
        key = _gpg(program, ring.home).export_keys(fingerprint, armor=False, minimal=True)
        if isinstance(key, bytes) and key:
            found.insert(0, exhibits.add("openpgp-key", key))
    return found


@lru_cache(maxsize=4)
def _version(program: str) -> str:
    with tempfile.TemporaryDirectory() as empty:
        return ".".join(map(str, _open(program, empty).version or ()))


def _note(detail: str, subject: str, facts: Mapping[str, Any]) -> Finding:
    return note(Check.OPENPGP, _VERDICTS.get(detail, Verdict.PERMERROR), detail, subject, **facts)


def _keyring(value: object) -> Keyring | None:
    if not isinstance(value, Mapping):
        return None
    listed = (str(fingerprint).upper().replace(" ", "") for fingerprint in value["fingerprints"])
    ended = {str(name): int(since) for name, since in dict(value.get("ended", {})).items()}
    return Keyring(str(value["agency"]), str(value["home"]), frozenset(listed), ended)


def _block(job: Job, source: Source) -> bytes | None:
    """The armored signature alone: anything else in its place could be a whole signed message of its own."""
    if job.signature_end - job.signature_start > _LONGEST_BLOCK:
        return None
    place = Job(job.kind, job.part, "", job.signature_start, job.signature_end, job.encoding)
    block = b"".join(place.blocks(source))
    return block if _ARMOR.match(block) and block.count(b"-----BEGIN ") == 1 else None


def _open(program: str, home: str) -> gnupg.GPG:
    return gnupg.GPG(gpgbinary=program, gnupghome=home, options=_OPTIONS.split())


_gpg = lru_cache(maxsize=64)(_open)


def _by_keyring(keyring: Keyring | None, signed: bytes, block: bytes, program: str) -> _Outcome:
    """Verify against one agency's keyring; without one, against an empty one."""
    if keyring is None or not Path(keyring.home).is_dir():
        with tempfile.TemporaryDirectory() as empty:
            return _judged(_run(_open(program, empty), signed, block), frozenset())
    return _judged(_run(_gpg(program, keyring.home), signed, block), keyring.fingerprints)


def _by_others(
    outcome: _Outcome, others: list[Keyring | None], signed: bytes, block: bytes, program: str
) -> tuple[Keyring | None, _Outcome]:
    """A key that the sender's agency does not hold may be another's: a good signature by it is that agency's, not the sender's."""
    for other in others:
        if other is None:
            continue
        found = _by_keyring(other, signed, block, program)
        if found.detail == "good":
            return other, replace(found, detail="other-agency")
        if found.detail != "unknown-key":
            return other, found
    return None, outcome


def _run(gpg: gnupg.GPG, signed: bytes, block: bytes) -> Any:
    with tempfile.NamedTemporaryFile(suffix=".asc") as file:
        file.write(block)
        file.flush()
        return gpg.verify_data(file.name, signed)


def _judged(result: Any, allowed: frozenset[str]) -> _Outcome:
    """Turn what gpg reported into one outcome. Only the status lines count, and all of them."""
    status = [line.split() for line in str(result.stderr or "").splitlines() if line.startswith("[GNUPG:] ")]
    seen = [words[1] for words in status if len(words) > 1]
    valid = next((words[2:] for words in status if words[1:2] == ["VALIDSIG"]), [])
    ended = next((words[2] for words in status if words[1:2] == ["KEYEXPIRED"] and len(words) > 2), "")
    unknown = next((words[-1] for words in status if words[1:2] == ["ERRSIG"]), "")
    signing = valid[0] if valid else unknown
    outcome = _Outcome(
        _slug(seen, result, valid, allowed),
        signing=signing if _FINGERPRINT.match(signing) else "",
        primary=valid[9] if len(valid) > 9 else "",
        made_at=int(valid[2]) if len(valid) > 3 and valid[2].isdigit() else 0,
        expires_at=int(valid[3]) if len(valid) > 3 and valid[3].isdigit() else 0,
        digest=_HASHES.get(valid[7], valid[7]) if len(valid) > 7 else "",
        kind=valid[8] if len(valid) > 8 else "",
        key_ended_at=int(ended) if ended.isdigit() else 0,
    )
    return outcome


def _slug(seen: list[str], result: Any, valid: list[str], allowed: frozenset[str]) -> str:
    count = max(seen.count("NEWSIG"), sum(seen.count(word) for word in ("GOODSIG", "BADSIG", "ERRSIG", "EXPSIG")))
    if count > 1:
        return "several-signatures"
    for word, slug in (
        ("BADSIG", "bad-signature"),
        ("REVKEYSIG", "revoked-key"),
        ("EXPKEYSIG", "expired-key"),
        ("EXPSIG", "expired-signature"),
        ("NO_PUBKEY", "unknown-key"),
    ):
        if word in seen:
            return slug
    if count != 1 or not _is_clean(result) or len(valid) < 10:
        return "malformed-signature"
    if _HASHES.get(valid[7]) not in _STRONG:
        return "weak-algorithm"
    return "good" if {valid[0], valid[9]} & allowed else "unknown-key"


def _is_clean(result: Any) -> bool:
    """python-gnupg's own reading must agree in every point (its `valid` alone is not enough)."""
    infos = list(result.sig_info.values())
    return bool(
        result.valid
        and result.key_status is None
        and not result.problems
        and len(infos) == 1
        and infos[0].get("status") == "signature valid"
    )
