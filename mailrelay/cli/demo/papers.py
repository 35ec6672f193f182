"""The papers of the scenario: small real PDF files, signed by person and agency, and the mails that carry them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.encoders import encode_base64
from email.header import Header
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime, formataddr, make_msgid, parseaddr

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigFieldSpec

from mailrelay.cli.demo.keys import Identity
from mailrelay.model.calendar import VIETNAM


@dataclass(frozen=True, slots=True)
class File:
    name: str
    mime: str  # "application/pdf"
    data: bytes


def pdf(lines: Sequence[str]) -> bytes:
    """A one-page A4 PDF with the standard font Helvetica; lines are Latin letters without diacritics."""
    text = " ".join(f"({_escape(line)}) Tj T*" for line in lines)
    stream = f"BT /F1 12 Tf 16 TL 72 770 Td {text} ET".encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = io.BytesIO(b"")
    out.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


async def signed_pdf(lines: Sequence[str], identities: Sequence[Identity]) -> bytes:
    """A PDF signed in turn by each identity: the person first, then the agency (Decree 30/2020 article 32)."""
    data = pdf(lines)
    for number, identity in enumerate(identities, 1):
        signer = signers.SimpleSigner.load(str(identity.key), str(identity.certificate))  # type: ignore[no-untyped-call]
        name = f"ChuKy{number}"
        metadata = signers.PdfSignatureMetadata(field_name=name, md_algorithm="sha256", reason="Phát hành văn bản")
        out = io.BytesIO()
        await signers.PdfSigner(metadata, signer=signer, new_field_spec=SigFieldSpec(name)).async_sign_pdf(
            IncrementalPdfFileWriter(io.BytesIO(data)), output=out
        )
        data = out.getvalue()
    return data


def mail(
    sender: str,
    to: str,
    subject: str,
    body: str,
    now: datetime,
    *,
    files: Sequence[File] = (),
    in_reply_to: str = "",
    fields: Sequence[tuple[str, str]] = (),
) -> tuple[str, bytes]:
    """A mail as an ordinary client writes it; returns its Message-ID and its bytes with CRLF."""
    text = MIMEText(body, "plain", "utf-8")
    message: MIMEMultipart | MIMEText = text
    if files:
        message = MIMEMultipart("mixed")
        message.attach(text)
        for file in files:
            message.attach(_attached(file))
    name, address = parseaddr(sender)
    message_id = make_msgid(domain=address.rpartition("@")[2])
    message["From"] = formataddr((name, address))
    message["To"] = to
    message["Subject"] = Header(subject, "utf-8").encode()
    message["Date"] = format_datetime(now.astimezone(VIETNAM))
    message["Message-ID"] = message_id
    if in_reply_to:
        message["In-Reply-To"] = in_reply_to
        message["References"] = in_reply_to
    for field, value in fields:
        message[field] = value
    return message_id, message.as_bytes(policy=compat32.clone(linesep="\r\n"))


def _attached(file: File) -> MIMEBase:
    maintype, _, subtype = file.mime.partition("/")
    part = MIMEBase(maintype, subtype)
    part.set_payload(file.data)
    encode_base64(part)
    part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", file.name))
    return part


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
