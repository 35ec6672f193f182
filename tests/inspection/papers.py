"""PDF files, certificates and signatures for tests, made on the spot."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from unittest.mock import patch

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.writer import PdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

NOW = datetime.now(UTC)


def subject(common: str, organisation: str = "", email: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    if email:
        parts.append(x509.NameAttribute(NameOID.EMAIL_ADDRESS, email))
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass
class Identity:
    """A certificate with its key; `chain` goes along in signatures."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    chain: list[x509.Certificate] = field(default_factory=list)

    def signer(self) -> signers.SimpleSigner:
        store = SimpleCertificateStore()
        for certificate in self.chain:
            store.register(_asn1(certificate))
        der = self.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return signers.SimpleSigner(_asn1(self.certificate), asn1_keys.PrivateKeyInfo.load(der), store)


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))


class Ca:
    """A certification authority that issues, revokes and lists."""

    def __init__(self, name: str = "Ban Cơ yếu Chính phủ") -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.name = subject(name)
        since, until = NOW - timedelta(days=7000), NOW + timedelta(days=7000)
        self.certificate = self._build(self.name, self.key, since, until, authority=True)
        self.revoked: list[tuple[int, datetime]] = []

    def _build(
        self,
        name: x509.Name,
        key: rsa.RSAPrivateKey,
        since: datetime,
        until: datetime,
        *,
        authority: bool = False,
        email: str = "",
        stamping: bool = False,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(
                x509.KeyUsage(not authority, not authority, False, False, False, authority, authority, False, False),
                critical=True,
            )
        )
        if email:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(email)]), critical=False)
        if stamping:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        return builder.sign(self.key, hashes.SHA256())

    def issue(
        self,
        common: str,
        organisation: str = "",
        *,
        email: str = "",
        since: datetime = NOW - timedelta(days=300),
        until: datetime = NOW + timedelta(days=300),
        bits: int = 2048,
        stamping: bool = False,
    ) -> Identity:
        key = rsa.generate_private_key(65537, bits)
        name = subject(common, organisation, email)
        certificate = self._build(name, key, since, until, email=email, stamping=stamping)
        return Identity(certificate, key, [self.certificate])

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def crl(
        self,
        *revoked: tuple[Identity, datetime],
        made: datetime = NOW - timedelta(days=1),
        until: datetime = NOW + timedelta(days=30),
        reason: x509.ReasonFlags | None = None,
        der: bool = False,
    ) -> bytes:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(made).next_update(until)
        for identity, at in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(identity.certificate.serial_number)
            entry = entry.revocation_date(at)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        encoding = serialization.Encoding.DER if der else serialization.Encoding.PEM
        return builder.sign(self.key, hashes.SHA256()).public_bytes(encoding)

    def ocsp(
        self,
        identity: Identity,
        *,
        revoked: datetime | None = None,
        made: datetime = NOW - timedelta(hours=1),
        until: datetime = NOW + timedelta(days=7),
        by: Identity | None = None,
    ) -> bytes:
        """An answer of this CA's responder about one certificate; `by` signs it in the CA's place."""
        status = ocsp.OCSPCertStatus.GOOD if revoked is None else ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            identity.certificate, self.certificate, hashes.SHA1(), status, made, until, revoked, None
        )
        responder = by.certificate if by is not None else self.certificate
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder).certificates([responder])
        answer = builder.sign(by.key if by is not None else self.key, hashes.SHA256())
        return answer.public_bytes(serialization.Encoding.DER)

    def delegate(self, *, usage: bool = True) -> Identity:
        """A certificate that may answer for the CA, or with `usage` False one that may not."""
        key = rsa.generate_private_key(65537, 2048)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject("OCSP"))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=9))
            .not_valid_after(NOW + timedelta(days=90))
            .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
        )
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
            builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
        return Identity(builder.sign(self.key, hashes.SHA256()), key)

    def trusted_in(self, folder: Path, header: str = "") -> None:
        (folder / "root.pem").write_bytes(header.encode() + self.pem())


def blank(text: str = "Kế hoạch") -> bytes:
    """A PDF of one page."""
    writer = PdfFileWriter()
    content = generic.StreamObject(
        stream_data=f"BT /F1 12 Tf 72 720 Td ({text.encode('ascii', 'replace').decode()}) Tj ET".encode()
    )
    page = generic.DictionaryObject(
        {
            generic.pdf_name("/Type"): generic.pdf_name("/Page"),
            generic.pdf_name("/MediaBox"): generic.ArrayObject(map(generic.NumberObject, (0, 0, 595, 842))),
            generic.pdf_name("/Resources"): generic.DictionaryObject(),
            generic.pdf_name("/Contents"): writer.add_object(content),
        }
    )
    writer.insert_page(page)  # type: ignore[no-untyped-call]
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def sign(
    pdf: bytes,
    who: Identity,
    name: str = "Signature1",
    *,
    md: str = "sha256",
    at: datetime | None = None,
    certify: bool = False,
    reason: str | None = None,
    stamp: Identity | None = None,
) -> bytes:
    """Sign a PDF in an incremental update; `at` is the time that the signer's clock shows, `stamp` a time stamping authority."""
    metadata = signers.PdfSignatureMetadata(
        field_name=name,
        md_algorithm=md,
        certify=certify,
        reason=reason,
        docmdp_permissions=fields.MDPPerm.NO_CHANGES if certify else fields.MDPPerm.FILL_FORMS,
    )
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    program = signers.PdfSigner(metadata, who.signer(), timestamper=_stamper(stamp, at) if stamp is not None else None)
    with _clock(at) if at is not None else nullcontext(), ThreadPoolExecutor(1) as thread:  # it runs a loop of its own
        out = thread.submit(program.sign_pdf, writer, output=io.BytesIO()).result()
    return bytes(out.getbuffer())


def _stamper(authority: Identity, at: datetime | None) -> DummyTimeStamper:
    signer = authority.signer()
    store = SimpleCertificateStore()
    for certificate in authority.chain:
        store.register(_asn1(certificate))
    return DummyTimeStamper(signer.signing_cert, signer.signing_key, store, fixed_dt=at)


def _clock(at: datetime) -> AbstractContextManager[object]:
    """Make the signing program's clock show a time of ours."""

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return at.astimezone(tz)

    return patch("pyhanko.sign.signers.pdf_signer.datetime", Frozen)
