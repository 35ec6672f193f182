"""Every detail slug that a finding may bear, with an English gloss. The one table; the words for people are made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailrelay.model.finding import Check, Finding, Verdict

_WORKERS = {
    "worker-killed": "the inspecting process died or ran out of time, memory or CPU",
    "time-limit": "not looked at: the time for this mail was used up",
    "check-error": "the check could not be carried out on this input",
}
_FILE_LIMITS = {
    "damaged": "the file is damaged and cannot be read as what it claims to be",
    "too-big": "too big to be looked into",
    "encrypted": "encrypted: cannot be looked into",
}

SLUGS: Mapping[Check, Mapping[str, str]] = {
    Check.STRUCTURE: {
        "duplicate-field": "a header field that may stand only once stands several times",
        "no-from": "no From field, or none with an address",
        "two-from": "more than one From field or more than one author address",
        "loop": "the mail has passed too many servers: it runs in a circle",
        "malformed": "the header or MIME structure breaks the rules of RFC 5322 or RFC 2046",
        "eight-bit-header": "a header field holds bytes beyond ASCII without SMTPUTF8",
        "no-message-id": "no Message-ID field",
        "too-deep": "nested deeper than is looked into",
        "too-many-parts": "more parts than are looked into",
        "long-line": "a header line or block longer than allowed",
        "empty": "no text and no attachment",
        **_WORKERS,
    },
    Check.NAME: {
        "double-extension": "a second extension hides the true one",
        "executable-extension": "an extension that a computer runs",
        "right-to-left-override": "invisible characters turn part of the name around",
        "zero-width": "invisible characters in the name",
        "trailing-dot": "the name ends in a dot or blank, which Windows drops",
        "device-name": "a name that Windows keeps for a device",
        "path": "the name holds a path",
        "variants-differ": "mail programs would show different names for this file",
        "null-byte": "a NUL character in the name",
    },
    Check.TYPE: {
        "executable": "a program",
        "script": "a script that a computer runs",
        "mismatch-name": "the content is not what the name says",
        "mismatch-declared": "the content is not what the declared type says",
        "polyglot": "one file that can be read as two types",
        **_WORKERS,
    },
    Check.ARCHIVE: {
        "nested": "archives packed in one another deeper than is looked into",
        "too-many": "more files in the archive than are looked into",
        "ratio": "unpacks to far more than its size (archive bomb)",
        "dangerous-member": "a dangerous file inside the archive",
        **_FILE_LIMITS,
        **_WORKERS,
    },
    Check.MACRO: {
        "macros": "holds macros (programs inside an office document)",
        "macros-hidden": "holds macros, though its name is that of a document without",
        "remote-template": "loads a template from elsewhere when opened",
        "active-content": "holds embedded programs, objects or external links",
        **_FILE_LIMITS,
        **_WORKERS,
    },
    Check.PDF_ACTIVE: {
        "javascript": "holds JavaScript",
        "launch": "starts a program",
        "open-action": "does something by itself when opened",
        "embedded-file": "holds other files inside",
        "rich-media": "holds media or 3D content",
        "submit-form": "sends data to an address",
        "xfa": "holds an XFA form",
        **_FILE_LIMITS,
        **_WORKERS,
    },
    Check.DKIM: {
        "good": "the signature is good",
        "weak-key": "the signature is good, the key is shorter than 2048 bits",
        "body-changed": "the body was changed after signing",
        "bad-signature": "the signature does not match the header",
        "partial-body": "only part of the body is signed (l=)",
        "duplicate-field": "the signature is good, but a field stands twice and the reader may see the unsigned one",
        "test-key": "the signing domain is only testing (t=y)",
        "short-key": "the key is shorter than 1024 bits",
        "weak-algorithm": "signed with SHA-1, which is no longer accepted",
        "expired": "the signature has expired",
        "future": "the signature is dated in the future",
        "no-key": "the signing domain publishes no such key",
        "key-revoked": "the signing domain has revoked the key",
        "key-unusable": "the published key cannot be used for this signature",
        "malformed-signature": "the signature field breaks the rules of RFC 6376",
        "too-many-signatures": "more signatures than are examined",
        "dns-failure": "the key could not be looked up now",
        **_WORKERS,
    },
    Check.OPENPGP: {
        "good": "a good signature by a key of the sender's agency",
        "bad-signature": "the signature does not match what was signed",
        "unknown-key": "signed with a key that is in no agency's keyring",
        "expired-key": "signed with a key that has expired",
        "revoked-key": "signed with a key that was revoked",
        "expired-signature": "the signature has expired",
        "other-agency": "signed with a key of another agency",
        "weak-algorithm": "signed with a hash weaker than SHA-256",
        "several-signatures": "more than one signature in one block: not judged",
        "partial-body": "the mail shows more than what was signed",
        "not-inspectable": "an OpenPGP block in a form that is not verified",
        "malformed-signature": "the signature block cannot be read",
        "unavailable": "the OpenPGP program or keyrings are not set up",
        "encrypted": "encrypted with OpenPGP: cannot be looked into",
        **_WORKERS,
    },
    Check.PDF: {
        "unsigned": "no digital signature",
        "person": "signed by a person",
        "agency": "signed by an agency",
        "both": "signed by a person and by an agency",
        "good": "this signature is good and trusted",
        "modified-after-signing": "changed after signing",
        "broken": "the signature does not match the file",
        "untrusted": "signed with a certificate that no trusted CA issued",
        "expired": "the certificate had expired when the file was signed or received",
        "revoked": "the certificate was revoked",
        "weak-algorithm": "signed with an old algorithm",
        "too-many": "more signatures than are examined",
        **_FILE_LIMITS,
        **_WORKERS,
    },
    Check.SENDER: {
        "from-differs": "the author address is not one that the sender may use",
        "display-name-imitates": "the display name is that of an agency, the address is not",
        "look-alike-domain": "the author's domain looks like ours",
    },
    Check.SECRECY: {
        "confidential": "bears the mark MẬT",
        "secret": "bears the mark TỐI MẬT",
        "top-secret": "bears the mark TUYỆT MẬT",
    },
}


def note(check: Check, verdict: Verdict, detail: str, subject: str = "", **facts: Any) -> Finding:
    """Make a finding; `subject` is cut to 255 characters."""
    return Finding(check, verdict, subject[:255], detail, facts)
