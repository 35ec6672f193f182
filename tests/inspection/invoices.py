"""Signed XML files for tests, in the manner of electronic invoices, made on the spot by signxml."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from lxml import etree
from signxml import methods
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from tests.inspection.papers import Identity

DS = "http://www.w3.org/2000/09/xmldsig#"
INVOICE = (
    '<HDon><DLHDon Id="data"><So>59</So><NMua>Sở Tài chính</NMua><TgTTTBSo>1000000</TgTTTBSo></DLHDon>'
    "<DSCKS><NBan></NBan></DSCKS></HDon>"
)


class _Signer(XMLSigner):
    """signxml refuses to make SHA-1 signatures; papers of 2013 bear them."""

    def check_deprecated_methods(self) -> None:
        """Let them pass."""


def pem(who: Identity) -> tuple[bytes, str]:
    key = who.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = [who.certificate, *who.chain]
    return key, "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in chain)


def sign(
    text: str,
    who: Identity,
    *,
    reference: str = "",
    place: str = "",
    old: bool = False,
    c14n: CanonicalizationMethod = CanonicalizationMethod.CANONICAL_XML_1_0,
) -> bytes:
    """Sign a file: the whole of it, or the element that `reference` names; the signature goes to the element `place`.

    `old` makes it by RSA and SHA-1.
    """
    root = etree.fromstring(text)
    if place:
        target = root.find(place)
        assert target is not None
        etree.SubElement(target, f"{{{DS}}}Signature", Id="placeholder", nsmap={"ds": DS})
    signer = _Signer(
        method=methods.enveloped,
        signature_algorithm=SignatureMethod.RSA_SHA1 if old else SignatureMethod.RSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA1 if old else DigestAlgorithm.SHA256,
        c14n_algorithm=c14n,
    )
    key, certificates = pem(who)
    signed = signer.sign(root, key=key, cert=certificates, reference_uri=f"#{reference}" if reference else None)
    return bytes(etree.tostring(signed, xml_declaration=True, encoding="UTF-8"))


def enveloping(content: str, who: Identity) -> bytes:
    """A signature around the text that it signs."""
    signer = XMLSigner(method=methods.enveloping)
    key, certificates = pem(who)
    signed = signer.sign(etree.fromstring(content), key=key, cert=certificates)
    return bytes(etree.tostring(signed, xml_declaration=True, encoding="UTF-8"))


__all__ = ["DS", "INVOICE", "enveloping", "pem", "sign"]
