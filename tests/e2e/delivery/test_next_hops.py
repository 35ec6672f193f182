"""Our own client against real servers: Dovecot by LMTP, Postfix by SMTP. What arrives is what was sent, byte for byte."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mailrelay.delivery.courier import Courier
from mailrelay.delivery.dkim import Signer, SigningKey
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.model.agency import Target, TargetKind
from mailrelay.model.dispatch import Result
from mailrelay.model.envelope import Notify, Recipient
from mailrelay.model.message import Rendering
from tests.servers.certificates import Authority
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import Postfix
from tests.servers.smtp_sink import SmtpSink

pytestmark = pytest.mark.e2e

HEAD = b"From: a@b.vn\r\nDate: Wed, 04 Mar 2026 10:00:00 +0700\r\nMessage-ID: <1@b.vn>\r\n"
MAILS = {
    "dots": HEAD + b"Subject: 59/KH-UBND\r\n\r\n.\r\n..\r\n.mot\r\n\r\n.\r\n",
    "8bit": HEAD + "Subject: Kế hoạch\r\n\r\nCộng hòa xã hội chủ nghĩa Việt Nam\r\n".encode(),
    "long": HEAD + b"\r\n" + b"".join(b".%d" % n + b"x" * 90 + b"\r\n" for n in range(30_000)),
    "empty": HEAD + b"\r\n",
}


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as running:
        yield running


def stored(dovecot: Dovecot, user: str) -> list[bytes]:
    """What a mail client sees, by IMAP."""
    with dovecot.session(user) as client:
        client.select("INBOX", readonly=True)
        uids = client.uid("SEARCH", "ALL")[1][0].split()
        return [client.uid("FETCH", uid.decode(), "(BODY.PEEK[])")[1][0][1] for uid in uids]


@pytest.mark.parametrize("name", MAILS)
async def test_dovecot_stores_what_was_sent(dovecot: Dovecot, courier, parcel, name: str) -> None:
    target = Target(TargetKind.LMTP, host="127.0.0.1", port=dovecot.lmtp_port, tls="none")
    users = [f"{name}{n}" for n in range(3)]
    outcomes = await courier.deliver(parcel(MAILS[name], *(Recipient(f"{u}@hoabinh.gov.vn") for u in users)), target)
    assert [o.result for o in outcomes] == [Result.DELIVERED] * 3
    for user in users:
        (mail,) = await asyncio.to_thread(stored, dovecot, user)
        added, _, rest = mail.partition(b"Received: from may-tram")
        assert b"Return-Path: <vanthu@hoabinh.gov.vn>" in added
        assert mail[-len(MAILS[name]) :] == MAILS[name]
        assert rest.endswith(MAILS[name])


async def test_dovecot_with_a_full_box(courier, parcel) -> None:
    extra = "plugin {\n  quota = maildir\n  quota_rule = *:storage=1k\n}\nprotocol lmtp {\n  mail_plugins = quota\n}\n"
    with Dovecot(extra=extra) as small:
        target = Target(TargetKind.LMTP, host="127.0.0.1", port=small.lmtp_port, tls="none")
        mail = parcel(MAILS["long"], Recipient("a@hoabinh.gov.vn"), Recipient("b@hoabinh.gov.vn"))
        full = await courier.deliver(mail, target)
        fine = await courier.deliver(parcel(MAILS["dots"], Recipient("a@hoabinh.gov.vn")), target)
    assert {(o.result, o.status) for o in full} <= {(Result.FAILED, "5.2.2"), (Result.DEFERRED, "4.2.2")}
    assert [o.result for o in fine] == [Result.DELIVERED]


async def test_dovecot_that_goes_away_and_comes_back(courier, parcel) -> None:
    with Dovecot() as own:
        target = Target(TargetKind.LMTP, host="127.0.0.1", port=own.lmtp_port, tls="none")
        to = Recipient("a@hoabinh.gov.vn")
        first = await courier.deliver(parcel(MAILS["dots"], to), target)
        await asyncio.to_thread(own.stop)
        second = await courier.deliver(parcel(MAILS["dots"], to), target)
        await asyncio.to_thread(own.start)
        third = await courier.deliver(parcel(MAILS["dots"], to), target)
        count = len(await asyncio.to_thread(stored, own, "a"))
    assert [o.result for o in (*first, *second, *third)] == [Result.DELIVERED, Result.DEFERRED, Result.DELIVERED]
    assert count == 2


@pytest.fixture(scope="module")
def signer() -> Signer:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Signer("hoabinh.gov.vn", [SigningKey("ed1", Ed25519PrivateKey.generate())])


async def test_postfix_passes_on_what_was_sent(courier, parcel, signer) -> None:
    async with SmtpSink() as sink:
        with Postfix(relay_to=sink.port) as postfix:
            target = Target(TargetKind.SMTP, host="127.0.0.1", port=postfix.port, tls="none")
            for name, mail in MAILS.items():
                unsigned = parcel(mail, Recipient(f"{name}@example.vn"), smtputf8=name == "8bit")
                prefix = signer.sign(unsigned.path, unsigned.rendering) + unsigned.rendering.prefix
                (outcome,) = await courier.deliver(replace(unsigned, rendering=Rendering(prefix)), target)
                assert (outcome.result, outcome.code, outcome.dsn) == (Result.RELAYED, 250, True)
                assert "queued as" in outcome.text
            arrived = {mail.recipients[0].partition("@")[0]: mail for mail in await sink.wait_mails(len(MAILS))}
    for name, mail in MAILS.items():
        assert arrived[name].data.endswith(mail)
        assert b"\r\nDKIM-Signature: v=1; a=ed25519-sha256;" in arrived[name].data
    assert courier.counts.opened == 1


async def test_postfix_answers_for_each_recipient(courier, parcel) -> None:
    with Postfix(mailboxes=("a@example.test", "b@example.test")) as postfix:
        target = Target(TargetKind.SMTP, host="127.0.0.1", port=postfix.port, tls="none")
        names = ("a@example.test", "nobody@example.test", "x@elsewhere.test", "b@example.test")
        outcomes = await courier.deliver(parcel(MAILS["dots"], *map(Recipient, names)), target)
        await asyncio.to_thread(postfix.wait_letters, "b@example.test", 1)
        (mail,) = await asyncio.to_thread(postfix.wait_letters, "a@example.test", 1)
    assert [(o.result, o.status) for o in outcomes] == [
        (Result.RELAYED, "2.0.0"),
        (Result.FAILED, "5.1.1"),
        (Result.FAILED, "5.7.1"),
        (Result.RELAYED, "2.0.0"),
    ]
    assert mail.endswith(MAILS["dots"].replace(b"\r\n", b"\n"))


async def test_postfix_takes_over_the_dsn(courier, parcel) -> None:
    """What the sender asked for comes back to it from the next hop, with its own ids letter for letter."""
    async with SmtpSink() as sink:
        with Postfix(mailboxes=("b@example.test",), relay_to=sink.port) as postfix:
            target = Target(TargetKind.SMTP, host="127.0.0.1", port=postfix.port, tls="none")
            notify = frozenset({Notify.SUCCESS, Notify.FAILURE})
            mail = parcel(
                MAILS["dots"],
                Recipient("b@example.test", notify, "rfc822;Van+2BThu@Example.TEST"),
                Recipient("x@example.test", frozenset({Notify.NEVER})),
                ret="HDRS",
                envid="QQ+2B59-kH",
            )
            outcomes = await courier.deliver(mail, target)
            (report,) = await sink.wait_mails(1)
    assert [(o.result, o.dsn) for o in outcomes] == [(Result.RELAYED, True), (Result.FAILED, False)]
    assert (report.sender, report.recipients) == ("", ["vanthu@hoabinh.gov.vn"])
    parsed = email.message_from_bytes(report.data, policy=email.policy.default)
    assert parsed.get_content_type() == "multipart/report"
    whole, each = next(p for p in parsed.walk() if p.get_content_type() == "message/delivery-status").get_payload()
    assert whole["Original-Envelope-Id"] == "QQ+59-kH"
    assert (each["Original-Recipient"], each["Action"]) == ("rfc822;Van+Thu@Example.TEST", "delivered")


async def test_postfix_with_tls(courier, parcel, authority: Authority) -> None:
    pair = authority.issue("mx.example.test", "127.0.0.1")
    settings = {
        "smtpd_tls_security_level": "encrypt",
        "smtpd_tls_cert_file": str(pair.certificate),
        "smtpd_tls_key_file": str(pair.key),
    }
    careful = Courier(DeliverySettings(hostname="relay.test", ca_file=str(authority.certificate)))
    with Postfix(mailboxes=("b@example.test",), settings=settings) as postfix:
        target = Target(TargetKind.SMTP, host="127.0.0.1", port=postfix.port, tls="verify")
        (good,) = await careful.deliver(parcel(MAILS["long"], Recipient("b@example.test")), target)
        (unknown,) = await courier.deliver(parcel(MAILS["dots"], Recipient("b@example.test")), target)
        (clear,) = await courier.deliver(
            parcel(MAILS["dots"], Recipient("b@example.test")), replace(target, tls="none")
        )
        (may,) = await courier.deliver(parcel(MAILS["dots"], Recipient("b@example.test")), replace(target, tls="may"))
        letters = await asyncio.to_thread(postfix.wait_letters, "b@example.test", 2)
    await careful.close()
    assert (good.result, good.tls.split()[0], good.tls.split()[-1]) == (Result.RELAYED, "TLSv1.3", "verified")
    assert (unknown.result, unknown.status) == (Result.DEFERRED, "4.7.5")
    assert (clear.result, clear.status) == (Result.FAILED, "5.7.0")
    assert may.result is Result.RELAYED and may.tls.startswith("TLSv1.3")
    assert letters[0].endswith(MAILS["long"].replace(b"\r\n", b"\n"))
