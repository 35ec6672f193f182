"""The world outside the province for the demo: a name server on loopback that publishes a ministry's records."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailrelay.delivery.dkim import Signer, SigningKey

MINISTRY = "mic.example"
CITIZEN = "thu-dien-tu.example"
SELECTOR = "vb2026"


class NameServer(asyncio.DatagramProtocol):
    """Answers TXT questions from a table; everything else does not exist."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = {name.lower().rstrip(".") + ".": text for name, text in texts.items()}
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # some loops' transports do not inherit from it

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        try:
            question = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.AA | dns.flags.RA
        asked = question.question[0] if question.question else None
        text = self._texts.get(asked.name.to_text().lower()) if asked is not None else None
        if asked is not None and text is not None and asked.rdtype == dns.rdatatype.TXT:
            pieces = " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))
            reply.answer.append(dns.rrset.from_text(asked.name, 60, dns.rdataclass.IN, dns.rdatatype.TXT, pieces))
        elif text is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if self._transport is not None:
            self._transport.sendto(reply.to_wire(), address)


async def start_name_server(texts: Mapping[str, str]) -> tuple[asyncio.DatagramTransport, int]:
    """Start it on a loopback port chosen by the system; returns the transport (close it) and the port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(texts), local_addr=("127.0.0.1", 0))
    return transport, transport.get_extra_info("sockname")[1]


def dkim_signed(raw: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """The mail with the ministry's DKIM-Signature field on top (RFC 6376)."""
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Signer(MINISTRY, [SigningKey.from_pem(SELECTOR, pem)]).sign(raw) + raw


def ministry_records(key: rsa.RSAPrivateKey) -> dict[str, str]:
    """The TXT records of the ministry: its DKIM key, SPF and DMARC."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        f"{SELECTOR}._domainkey.{MINISTRY}": f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}",
        MINISTRY: "v=spf1 ip4:127.0.0.0/8 -all",
        f"_dmarc.{MINISTRY}": "v=DMARC1; p=reject",
    }
