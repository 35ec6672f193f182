"""OpenPGP and S/MIME told by the form of a mail: encrypted, or signed in a way that is not verified. Pure."""

from __future__ import annotations

from mailrelay.inspection.content import Reading
from mailrelay.inspection.mime import Part, Tree
from mailrelay.inspection.slugs import note
from mailrelay.model.finding import Check, Finding, Verdict

_ENCRYPTED_TYPES = frozenset(("application/pgp-encrypted", "application/pgp"))


def check(tree: Tree, reading: Reading, *, inline: bool) -> list[Finding]:
    """Return at most one finding of each kind. `inline`: a signature inside the text is judged by a job of its own."""
    found: list[Finding] = []
    encrypted = next((part for part in tree.parts if _is_encrypted(part)), None)
    text = reading.content.text
    if encrypted is not None or "-----BEGIN PGP MESSAGE-----" in text:
        number = encrypted.number if encrypted is not None else "1"
        found.append(note(Check.OPENPGP, Verdict.NEUTRAL, "encrypted", part=number))
    malformed = next((part for part in tree.parts if _is_half_signed(part)), None)
    if malformed is not None:
        check = Check.SMIME if "pkcs7" in malformed.type.get("protocol").lower() else Check.OPENPGP
        found.append(note(check, Verdict.PERMERROR, "malformed-signature", part=malformed.number or "1"))
    if not inline and ("-----BEGIN PGP SIGNED MESSAGE-----" in text or "-----BEGIN PGP SIGNATURE-----" in text):
        found.append(note(Check.OPENPGP, Verdict.NEUTRAL, "not-inspectable", reason="inline"))
    return found


def _is_encrypted(part: Part) -> bool:
    if part.type.token == "multipart/encrypted":
        return part.type.get("protocol").strip().lower() == "application/pgp-encrypted"
    return part.type.token in _ENCRYPTED_TYPES


def _is_half_signed(part: Part) -> bool:
    """multipart/signed that has not exactly its two parts."""
    return part.type.token == "multipart/signed" and len(part.children) != 2
