"""What an XML signature says that it covers, and whether that is all that the file says. In the worker only; computes nothing.

A reference may name this document or an element of it by a unique id, nothing else; only the transforms of the standard that
leave the text as it is are followed. Whatever was moved, added or copied in (signature wrapping) lies outside of what is signed.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from lxml import etree

DS = "http://www.w3.org/2000/09/xmldsig#"
SIGNATURE = f"{{{DS}}}Signature"
_C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_WITH_COMMENTS = "WithComments"
_ENVELOPED = f"{DS}enveloped-signature"
_TRANSFORMS = frozenset(
    base + more
    for base in (_C14N, "http://www.w3.org/2006/12/xml-c14n11", "http://www.w3.org/2001/10/xml-exc-c14n#")
    for more in ("", f"#{_WITH_COMMENTS}", _WITH_COMMENTS)
) | {_ENVELOPED}
# What makes up a signature, and what is added to one afterwards; an Object that holds anything else is a text of the file.
_OWN_PARTS = frozenset(
    (
        *(f"{{{DS}}}{name}" for name in ("SignedInfo", "SignatureValue", "KeyInfo", "SignatureProperties")),
        "{http://uri.etsi.org/01903/v1.3.2#}QualifyingProperties",
    )
)
_OLD = ("sha1", "SHA1", "md5", "MD5")
_ID = re.compile(r"#([A-Za-z_][\w.\-]{0,254})\Z")
_ID_NAMES = ("Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id")
_SIGNING_TIME = ("SigningTime", "TimeStamp")
_MOST_REFERENCES = 16


class Foul(Exception):
    """The signature is not followed; the argument is the slug."""


@dataclass(slots=True)
class Claim:
    """What a signature says that it signs: the elements, by `count` references; `old` algorithms."""

    covered: list[etree._Element] = field(default_factory=list)
    old: bool = False
    count: int = 0


def claim_of(root: etree._Element, signature: etree._Element) -> Claim:
    """Read what a signature says that it covers. Raises Foul for what we do not follow."""
    info = signature.find(f"{{{DS}}}SignedInfo")
    if info is None or len(signature.findall(f"{{{DS}}}SignedInfo")) != 1:
        raise Foul("malformed-signature")
    method = info.find(f"{{{DS}}}CanonicalizationMethod")
    if method is None or method.get("Algorithm", "") not in _TRANSFORMS - {_ENVELOPED}:
        raise Foul("forbidden-transform")
    references = info.findall(f"{{{DS}}}Reference")
    if not 0 < len(references) <= _MOST_REFERENCES:
        raise Foul("malformed-signature")
    claim = Claim(count=len(references), old=any(word in algorithms(signature) for word in _OLD))
    for reference in references:
        _check_transforms(reference)
        claim.covered.append(_target(root, reference))
    return claim


def _check_transforms(reference: etree._Element) -> None:
    names = [one.get("Algorithm", "") for one in reference.iter(f"{{{DS}}}Transform")]
    if any(name not in _TRANSFORMS for name in names) or len(names) > 3:
        raise Foul("forbidden-transform")
    forms = [name for name in names if name != _ENVELOPED]
    if len(forms) > 1:
        raise Foul("forbidden-transform")


def _target(root: etree._Element, reference: etree._Element) -> etree._Element:
    """The one element that a reference means; never anything outside of the file."""
    uri = reference.get("URI")
    if uri == "":
        return root
    match = _ID.match(uri or "")
    if match is None:
        raise Foul("external-reference")
    wanted = match.group(1)
    found = [one for one in root.iter(etree.Element) if any(one.get(name) == wanted for name in _ID_NAMES)]
    if not found:
        raise Foul("malformed-signature")
    if len(found) > 1:
        raise Foul("ambiguous-reference")
    return found[0]


def outside(root: etree._Element, claim: Claim) -> str:
    """Why not everything in the file is signed: "unsigned-text", "comments", "instructions", or "" when it is."""
    for sibling in (*root.itersiblings(), *root.itersiblings(preceding=True)):
        if sibling.tag is etree.ProcessingInstruction:
            return "instructions"  # such as a style sheet: it lies outside of every element
    reason = _uncovered(root, {id(one) for one in claim.covered})
    if reason:
        return reason
    # A reference within the document drops comments (XMLDSig section 4.4.3.3), so that anybody may put some in.
    if any(True for one in claim.covered for _ in one.iter(etree.Comment)):
        return "comments"
    return ""


def _uncovered(root: etree._Element, covered: set[int]) -> str:
    """Walk what is not signed: only elements without a word of their own may lie there, and signatures."""
    stack = [(root, False)]
    while stack:
        element, within = stack.pop()
        if id(element) in covered or (within and element.tag in _OWN_PARTS) or element.tag is etree.Comment:
            continue
        if element.tag is etree.ProcessingInstruction:
            return "instructions"
        if (element.text or "").strip() or any((child.tail or "").strip() for child in element) or _has_words(element):
            return "unsigned-text"
        within = within or element.tag == SIGNATURE
        stack.extend((child, within) for child in element)
    return ""


def _has_words(element: etree._Element) -> bool:
    """Attributes of an unsigned element that say anything; names of schemas do not."""
    schema = "{http://www.w3.org/2001/XMLSchema-instance}"
    return any(name not in _ID_NAMES and not name.startswith(schema) for name in element.attrib)


def algorithms(signature: etree._Element) -> str:
    """The methods of signature and digests, by the last words of their names: "rsa-sha256 sha256"."""
    found = [
        one.get("Algorithm", "").rpartition("#")[2]
        for name in ("SignatureMethod", "DigestMethod")
        for one in signature.iter(f"{{{DS}}}{name}")
    ]
    return " ".join(dict.fromkeys(found))[:200]


def certificates(signature: etree._Element) -> list[bytes]:
    """The certificates that a signature brings, the signer's first: the one that issued no other of them."""
    found: list[bytes] = []
    for one in signature.iterfind(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate"):
        try:
            found.append(base64.b64decode("".join((one.text or "").split()), validate=True))
            x509.load_der_x509_certificate(found[-1])
        except (binascii.Error, ValueError):
            raise Foul("malformed-signature") from None
    if len(found) > 10:
        raise Foul("malformed-signature")
    parsed = [x509.load_der_x509_certificate(der) for der in found]
    issuers = [one.issuer for one in parsed]
    ends = [der for der, one in zip(found, parsed, strict=True) if one.subject not in issuers or len(parsed) == 1]
    signer = ends[0] if ends else None
    return [signer, *(der for der in found if der != signer)] if signer is not None else found


def signing_time(signature: etree._Element) -> datetime | None:
    """When it was signed by the signer's own words (XAdES, or the property that invoices carry)."""
    for element in signature.iter():
        if isinstance(element.tag, str) and etree.QName(element).localname in _SIGNING_TIME:
            for text in _texts(element):
                try:
                    value = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
                except ValueError:
                    continue
                return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return None


def _texts(element: etree._Element) -> Iterator[str]:
    if element.text:
        yield element.text
