"""STARTTLS by policy, REQUIRETLS, and what happens when TLS does not come about."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest

from mailrelay.delivery.courier import Courier
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.model.dispatch import Result
from tests.servers.certificates import Authority

PLAIN = ["mx.test", "PIPELINING", "STARTTLS"]
SECURED = ["mx.test", "PIPELINING", "SIZE 100000", "REQUIRETLS"]


@pytest.fixture(scope="module")
def context(authority: Authority) -> ssl.SSLContext:
    """What a server with a good certificate for 127.0.0.1 uses."""
    return authority.issue("mx.test", "127.0.0.1").server_context()


@pytest.fixture
async def trusting(authority: Authority, courier: Courier) -> AsyncIterator[Courier]:
    settings = DeliverySettings(hostname="relay.test", ca_file=str(authority.certificate), times=courier.settings.times)
    made = Courier(settings)
    yield made
    await made.close()


async def one(courier, parcel, target):
    (outcome,) = await courier.deliver(parcel, target)
    return outcome


@pytest.mark.parametrize("policy", ["may", "encrypt"])
async def test_uses_what_is_offered(serve, courier, parcel, context, policy) -> None:
    peer = await serve(ehlo=PLAIN, ehlo_tls=SECURED, context=context)
    outcome = await one(courier, parcel(), peer.target(policy))
    assert outcome.result is Result.RELAYED
    assert outcome.tls.startswith("TLSv1.3 TLS_") and "verified" not in outcome.tls
    assert peer.secured == [True]
    assert [command.split()[0] for command in peer.commands[:4]] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
    assert "SIZE=" in peer.taken[0].sender  # what was offered after TLS counts, not what was said before


async def test_none_stays_in_clear_text(serve, courier, parcel, context) -> None:
    peer = await serve(ehlo=PLAIN, context=context)
    outcome = await one(courier, parcel(), peer.target("none"))
    assert (outcome.result, outcome.tls, peer.secured) == (Result.RELAYED, "", [False])


async def test_verify(serve, trusting, courier, parcel, context) -> None:
    peer = await serve(ehlo=PLAIN, ehlo_tls=SECURED, context=context)
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
async def test_failed_tls(serve, courier, parcel, context, broken) -> None:
    fields = {"ehlo": PLAIN, "context": context} | broken
    peer = await serve(**fields)
    assert (await one(courier, parcel(), peer.target("encrypt"))).result is Result.DEFERRED
    assert peer.taken == []
    outcome = await one(courier, parcel(), peer.target("may"))
    if broken != {"starttls": "drop"}:  # a server that hangs up is tried again later, not in clear text
        assert (outcome.result, peer.secured) == (Result.RELAYED, [False])


async def test_bytes_before_tls_are_not_taken_as_replies(serve, courier, parcel, context) -> None:
    """A man in the middle may put replies behind the 220 of STARTTLS (CVE-2011-0411)."""
    injected = "220 2.0.0 ready\r\n250-mx.test\r\n250 SIZE 1"
    peer = await serve(ehlo=PLAIN, ehlo_tls=SECURED, context=context, starttls=injected)
    outcome = await one(courier, parcel(), peer.target("encrypt"))
    assert (outcome.result, outcome.status, peer.taken) == (Result.DEFERRED, "4.7.5", [])


async def test_requiretls(serve, trusting, courier, parcel, context) -> None:
    peer = await serve(ehlo=PLAIN, ehlo_tls=SECURED, context=context)
    mail = parcel(requiretls=True)
    assert (await one(trusting, mail, peer.target("may"))).result is Result.RELAYED
    assert "REQUIRETLS" in peer.taken[0].sender
    # Not trusted: the way may become safe again, so the mail waits.
    assert (await one(courier, mail, peer.target("may"))).status == "4.7.5"
    lesser = await serve(ehlo=PLAIN, context=context)
    outcome = await one(trusting, mail, lesser.target("may"))
    assert (outcome.result, outcome.status, lesser.taken) == (Result.FAILED, "5.7.30", [])
    clear = await serve()
    assert (await one(trusting, mail, clear.target("may"))).result is not Result.RELAYED
    assert clear.taken == []


async def test_requiretls_ends_at_the_own_machine(serve, courier, parcel) -> None:
    peer = await serve(lmtp=True)
    assert (await one(courier, parcel(requiretls=True), peer.target())).result is Result.DELIVERED
