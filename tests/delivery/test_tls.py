"""STARTTLS by policy, REQUIRETLS, and what happens when TLS does not come about."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailrelay.delivery.courier import Courier
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.model.dispatch import Result

PLAIN = ["mx.test", "PIPELINING", "STARTTLS"]
SECURED = ["mx.test", "PIPELINING", "SIZE 100000", "REQUIRETLS"]


@dataclass(frozen=True)
class Identity:
    certificate: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identity]:
    """A self-made certificate for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    path = folder / "mx.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return Identity(path, context)


@pytest.fixture
async def trusting(identity: Identity, courier: Courier) -> AsyncIterator[Courier]:
    settings = DeliverySettings(hostname="relay.test", ca_file=str(identity.certificate), times=courier.settings.times)
    made = Courier(settings)
    yield made
    await made.close()


async def one(courier, parcel, target):
    (outcome,) = await courier.deliver(parcel, target)
    return outcome


@pytest.mark.parametrize("policy", ["may", "encrypt"])
async def test_uses_what_is_offered(serve, courier, parcel, identity, policy) -> None:
    peer = await serve(ehlo=PLAIN, ehlo_tls=SECURED, context=identity.server)
    outcome = await one(courier, parcel(), peer.target(policy))
    assert outcome.result is Result.RELAYED
    assert outcome.tls.startswith("TLSv1.3 TLS_") and "verified" not in outcome.tls
    assert peer.secured == [True]
    assert [command.split()[0] for command in peer.commands[:4]] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
    assert "SIZE=" in peer.taken[0].sender  # what was offered after TLS counts, not what was said before


async def test_none_stays_in_clear_text(serve, courier, parcel, identity) -> None:
    peer = await serve(ehlo=PLAIN, context=identity.server)
    outcome = await one(courier, parcel(), peer.target("none"))
    assert (outcome.result, outcome.tls, peer.secured) == (Result.RELAYED, "", [False])


async def test_verify(serve, trusting, courier, parcel, identity) -> None:
    peer = await serve(ehlo=PLAIN, ehlo_tls=SECURED, context=identity.server)
    assert (await one(trusting, parcel(), peer.target("verify"))).tls.endswith(" verified")
    outcome = await one(courier, parcel(), peer.target("verify"))
    assert (outcome.result, outcome.status, len(peer.taken)) == (Result.DEFERRED, "4.7.5", 1)
    assert "TLS" in outcome.text and "self-signed" in outcome.text


@pytest.mark.parametrize("policy", ["encrypt", "verify"])
async def test_mandatory_tls_is_not_offered(serve, courier, parcel, policy) -> None:
    peer = await serve()
    outcome = await one(courier, parcel(), peer.target(policy))
    assert (outcome.result, outcome.status, peer.taken) == (Result.DEFERRED, "4.7.4", [])


@pytest.mark.parametrize("broken", [{"starttls": "454 4.7.0 not now"}, {"starttls": "drop"}, {"context": None}])
async def test_failed_tls(serve, courier, parcel, identity, broken) -> None:
    fields = {"ehlo": PLAIN, "context": identity.server} | broken
    peer = await serve(**fields)
    assert (await one(courier, parcel(), peer.target("encrypt"))).result is Result.DEFERRED
    assert peer.taken == []
    outcome = await one(courier, parcel(), peer.target("may"))
    if broken != {"starttls": "drop"}:  # a server that hangs up is tried again later, not in clear text
        assert (outcome.result, peer.secured) == (Result.RELAYED, [False])


async def test_bytes_before_tls_are_not_taken_as_replies(serve, courier, parcel, identity) -> None:
    """A man in the middle may put replies behind the 220 of STARTTLS (CVE-2011-0411)."""
    injected = "220 2.0.0 ready\r\n250-mx.test\r\n250 SIZE 1"
    peer = await serve(ehlo=PLAIN, ehlo_tls=SECURED, context=identity.server, starttls=injected)
    outcome = await one(courier, parcel(), peer.target("encrypt"))
    assert (outcome.result, outcome.status, peer.taken) == (Result.DEFERRED, "4.7.5", [])


async def test_requiretls(serve, trusting, courier, parcel, identity) -> None:
    peer = await serve(ehlo=PLAIN, ehlo_tls=SECURED, context=identity.server)
    mail = parcel(requiretls=True)
    assert (await one(trusting, mail, peer.target("may"))).result is Result.RELAYED
    assert "REQUIRETLS" in peer.taken[0].sender
    # Not trusted: the way may become safe again, so the mail waits.
    assert (await one(courier, mail, peer.target("may"))).status == "4.7.5"
    lesser = await serve(ehlo=PLAIN, context=identity.server)
    outcome = await one(trusting, mail, lesser.target("may"))
    assert (outcome.result, outcome.status, lesser.taken) == (Result.FAILED, "5.7.30", [])
    clear = await serve()
    assert (await one(trusting, mail, clear.target("may"))).result is not Result.RELAYED
    assert clear.taken == []


async def test_requiretls_ends_at_the_own_machine(serve, courier, parcel) -> None:
    peer = await serve(lmtp=True)
    assert (await one(courier, parcel(requiretls=True), peer.target())).result is Result.DELIVERED
