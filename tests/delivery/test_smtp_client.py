"""One connection: limits of the server, slow and hostile servers, big mails, other forms of transfer."""

from __future__ import annotations

import asyncio
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailrelay.delivery.courier import Courier
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.model.agency import Target, TargetKind
from mailrelay.model.dispatch import Result, Scope
from mailrelay.model.message import Rendering


async def one(courier, parcel, target):
    (outcome,) = await courier.deliver(parcel, target)
    return outcome


# What the server can take


@pytest.mark.parametrize("full", ["452 4.5.3 too many recipients", "552 too many recipients", "552 5.5.3 too many"])
async def test_recipients_put_off_go_in_the_next_transaction(serve, courier, parcel, full) -> None:
    named: list[str] = []

    def rcpt(command: str) -> str:
        named.append(command)
        return "250 ok" if len(named) % 4 in (1, 2, 3) else full

    peer = await serve(rcpt=rcpt)
    outcomes = await courier.deliver(parcel(*(f"r{n}@x.vn" for n in range(10))), peer.target())
    assert {o.result for o in outcomes} == {Result.RELAYED}
    taken = [recipient for mail in peer.taken for recipient in mail.recipients]
    assert sorted(taken) == sorted(f"RCPT TO:<r{n}@x.vn>" for n in range(10))
    assert peer.connections == 1


async def test_server_without_room_for_anybody(serve, courier, parcel) -> None:
    peer = await serve(rcpt="452 4.5.3 too many recipients")
    outcomes = await courier.deliver(parcel("a@x.vn", "b@x.vn"), peer.target())
    assert [(o.result, o.status) for o in outcomes] == [(Result.DEFERRED, "4.5.3")] * 2
    assert peer.commands.count("RSET") == 0 and len(peer.commands) == 5  # one transaction, not an endless row of them


async def test_announced_and_own_limit_of_recipients(serve, courier, parcel) -> None:
    peer = await serve(ehlo=["mx.test", "PIPELINING", "LIMITS RCPTMAX=3"])
    await courier.deliver(parcel(*(f"r{n}@x.vn" for n in range(8))), peer.target())
    assert [len(mail.recipients) for mail in peer.taken] == [3, 3, 2]


async def test_size_limit_is_seen_before_sending(serve, courier, parcel) -> None:
    peer = await serve(ehlo=["mx.test", "SIZE 100"])
    outcome = await one(courier, parcel(mail=b"x" * 200 + b"\r\n"), peer.target())
    assert (outcome.result, outcome.status, outcome.scope) == (Result.FAILED, "5.3.4", Scope.MAIL)
    assert not any(command.startswith("MAIL") for command in peer.commands)


async def test_smtputf8(serve, courier, parcel) -> None:
    old = await serve(ehlo=["mx.test", "PIPELINING", "8BITMIME"])
    outcomes = await courier.deliver(parcel("a@x.vn", "thử@x.vn", smtputf8=True), old.target())
    assert [(o.result, o.status) for o in outcomes] == [(Result.RELAYED, "2.0.0"), (Result.FAILED, "5.6.7")]
    assert "SMTPUTF8" not in old.taken[0].sender
    header = "Subject: thử\r\n\r\nx\r\n".encode()
    outcome = await one(courier, parcel(smtputf8=True, mail=header), old.target())
    assert (outcome.result, outcome.status) == (Result.FAILED, "5.6.9")
    new = await serve()
    outcomes = await courier.deliver(parcel("a@x.vn", "thử@x.vn", smtputf8=True, mail=header), new.target())
    assert {o.result for o in outcomes} == {Result.RELAYED}
    assert new.taken[0].recipients[1] == "RCPT TO:<thử@x.vn>"


async def test_without_pipelining(serve, courier, parcel) -> None:
    answers = {"RCPT TO:<b@x.vn>": "550 5.1.1 no"}
    peer = await serve(ehlo=["mx.test"], rcpt=lambda command: answers.get(command, "250 ok"))
    outcomes = await courier.deliver(parcel("a@x.vn", "b@x.vn"), peer.target())
    assert [o.result for o in outcomes] == [Result.RELAYED, Result.FAILED]
    assert (await one(courier, parcel("b@x.vn"), peer.target())).result is Result.FAILED
    assert (await one(courier, parcel("a@x.vn"), peer.target())).result is Result.RELAYED
    assert peer.commands[-4:] == ["RSET", "MAIL FROM:<a@hoabinh.gov.vn>", "RCPT TO:<a@x.vn>", "DATA"]
    assert peer.commands.count("DATA") == 2


async def test_refused_sender_without_and_with_pipelining(serve, courier, parcel) -> None:
    for ehlo in (["mx.test"], ["mx.test", "PIPELINING"]):
        peer = await serve(ehlo=ehlo, mail="550 5.7.1 not from you")
        outcomes = await courier.deliver(parcel("a@x.vn", "b@x.vn"), peer.target())
        assert {(o.result, o.status, o.scope) for o in outcomes} == {(Result.FAILED, "5.7.1", Scope.MAIL)}


async def test_old_server_that_knows_only_helo(serve, courier, parcel) -> None:
    peer = await serve(ehlo=[])
    assert (await one(courier, parcel(), peer.target())).result is Result.RELAYED
    assert peer.commands[:3] == ["EHLO relay.test", "HELO relay.test", "MAIL FROM:<a@hoabinh.gov.vn>"]


async def test_binarymime_goes_by_bdat(serve, courier, parcel) -> None:
    mail = parcel(mail=b"A: b\r\n\r\n.\r\nbare\nand\rnul\x00", body="BINARYMIME")
    peer = await serve(ehlo=["mx.test", "PIPELINING", "CHUNKING", "BINARYMIME"])
    for _ in range(2):
        assert (await one(courier, mail, peer.target())).result is Result.RELAYED
    expected = mail.rendering.prefix + mail.path.read_bytes()
    assert [taken.data for taken in peer.taken] == [expected] * 2
    assert f"BDAT {len(expected)} LAST" in peer.commands and "DATA" not in peer.commands
    plain = await serve()
    assert (await one(courier, mail, plain.target())).status == "5.6.3"


async def test_dsn_is_only_claimed_where_offered(serve, courier, parcel) -> None:
    assert (await one(courier, parcel(), (await serve()).target())).dsn is True
    assert (await one(courier, parcel(), (await serve(ehlo=["mx.test"])).target())).dsn is False


# The mail itself


async def test_bare_newlines_never_reach_the_next_hop(serve, courier, parcel) -> None:
    peer = await serve()
    outcome = await one(courier, parcel(mail=b"A: b\r\n\r\nx\n.\nMAIL FROM:<evil@x.vn>\r\n"), peer.target())
    assert (outcome.result, outcome.status, peer.taken) == (Result.FAILED, "5.6.0", [])
    assert "CR hoặc LF" in outcome.text


async def test_mail_that_cannot_be_read(serve, courier, parcel) -> None:
    peer = await serve()
    mail = parcel()
    mail.path.unlink()
    outcome = await one(courier, mail, peer.target())
    assert (outcome.result, outcome.status, peer.connections) == (Result.DEFERRED, "4.3.0", 0)


async def test_cuts_and_prefix(serve, courier, parcel) -> None:
    peer = await serve()
    mail = parcel(mail=b"A: 1\r\nB: 2\r\nC: 3\r\n\r\n.x\r\n", rendering=Rendering(b"Z: 0\r\n", ((0, 6), (12, 18))))
    await one(courier, mail, peer.target())
    assert peer.taken[0].data == b"Z: 0\r\nB: 2\r\n\r\n.x\r\n"


async def test_big_mail_in_flat_memory(serve, courier, parcel, tmp_path: Path) -> None:
    line = b"." * 75 + b"\r\n"
    mail = parcel()
    with mail.path.open("wb") as file:
        for _ in range(200):
            file.write(line * 1000)
    received = 0

    async def drain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        writer.write(b"220 mx\r\n")
        for reply in (b"250-mx\r\n250 PIPELINING\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n"):
            await reader.readline()
            writer.write(reply)
        await reader.readline()
        await reader.readline()
        last = b""
        while not last.endswith(b"\r\n.\r\n"):
            block = await reader.read(1 << 16)
            received += len(block)
            last = (last + block)[-8:]
        writer.write(b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(drain, "127.0.0.1", 0)
    target = Target(TargetKind.SMTP, host="127.0.0.1", port=server.sockets[0].getsockname()[1], tls="none")
    tracemalloc.start()
    try:
        outcome = await one(courier, mail, target)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        server.close()
    assert outcome.result is Result.RELAYED
    assert received == 200_000 * (len(line) + 1) + len(mail.rendering.prefix) + 3
    assert peak < 4 << 20


# Slow and hostile servers


async def test_peer_that_does_not_read(serve, courier, parcel) -> None:
    peer = await serve(reads_data=False, ehlo=["mx.test", "PIPELINING"])
    outcome = await one(courier, parcel(mail=(b"x" * 998 + b"\r\n") * 20_000), peer.target())
    assert (outcome.result, outcome.uncertain, outcome.status) == (Result.DEFERRED, False, "4.4.2")
    assert "quá chậm" in outcome.text


async def test_tarpit_is_left_after_the_time_for_the_dialogue(serve, parcel, courier) -> None:
    async def drip(command: str) -> str:
        await asyncio.sleep(0.1)
        return "250 ok"

    peer = await serve(rcpt=drip)
    times = replace(courier.settings.times, dialogue=timedelta(seconds=0.5))
    patient = Courier(replace(courier.settings, times=times))
    begun = asyncio.get_running_loop().time()
    outcomes = await patient.deliver(parcel(*(f"r{n}@x.vn" for n in range(50))), peer.target())
    await patient.close()
    assert {(o.result, o.uncertain) for o in outcomes} == {(Result.DEFERRED, False)}
    assert asyncio.get_running_loop().time() - begun < 1.5
    assert peer.taken == []


@pytest.mark.parametrize(
    "noise", ["250-" + "x" * 10_000, "\r\n".join(["250-x"] * 500), "x" * 100_000, "\x00\xff", "999 what", ""]
)
async def test_floods_and_rubbish(serve, courier, parcel, noise) -> None:
    for place in ("greeting", "mail", "final"):
        peer = await serve(**{place: noise})
        outcome = await one(courier, parcel(), peer.target())
        assert outcome.result is Result.DEFERRED
        assert outcome.text.isprintable() and len(outcome.text) <= 400


async def test_a_reason_given_in_the_middle_of_the_mail_is_the_outcome(courier, parcel) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        for reply in (b"250-mx\r\n250 PIPELINING\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n"):
            await reader.readline()
            writer.write(reply)
        for _ in range(1000):
            await reader.readline()
        writer.write(b"552 5.3.4 too big for me\r\n")
        await writer.drain()
        writer.write_eof()
        await asyncio.sleep(0.2)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    target = Target(TargetKind.SMTP, host="127.0.0.1", port=server.sockets[0].getsockname()[1], tls="none")
    outcome = await one(courier, parcel(mail=(b"x" * 998 + b"\r\n") * 30_000), target)
    server.close()
    assert (outcome.result, outcome.code, outcome.status) == (Result.FAILED, 552, "5.3.4")


async def test_twenty_recipients_and_a_server_that_hangs_in_the_middle(serve, courier, parcel) -> None:
    answers = {3: "450 4.2.1 later", 5: "550 5.1.1 no", 7: "552 5.2.2 full", 12: "hang"}
    peer = await serve(lmtp=True, final=lambda to: answers.get(int(to[10:-6]), "250 2.1.5 stored"))
    outcomes = await courier.deliver(parcel(*(f"r{n}@x.vn" for n in range(20))), peer.target())
    delivered, deferred, failed = (
        [n for n, o in enumerate(outcomes) if o.result is result]
        for result in (Result.DELIVERED, Result.DEFERRED, Result.FAILED)
    )
    assert (delivered, failed) == ([0, 1, 2, 4, 6, 8, 9, 10, 11], [5, 7])
    assert [n for n in deferred if outcomes[n].uncertain] == list(range(12, 20))
    assert not outcomes[3].uncertain


async def test_lmtp_over_a_unix_socket(courier, parcel, serve, tmp_path: Path) -> None:
    peer = await serve(lmtp=True)

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.serve(reader, writer)

    server = await asyncio.start_unix_server(session, tmp_path / "lmtp")
    target = Target(TargetKind.LMTP, path=str(tmp_path / "lmtp"), tls="none")
    outcome = await one(courier, parcel(), target)
    assert (outcome.result, outcome.remote) == (Result.DELIVERED, str(tmp_path / "lmtp"))
    await courier.close()
    server.close()


async def test_a_fault_of_our_own_is_put_off_and_logged(courier, parcel) -> None:
    outcome = await one(courier, parcel(), Target(TargetKind.SMTP, host="127.0.0.1", port=25, tls="perhaps"))
    assert (outcome.result, outcome.status) == (Result.DEFERRED, "4.3.0")


async def test_a_maildir_without_a_folder_is_not_the_working_folder(courier, parcel) -> None:
    outcome = await one(courier, parcel(), Target(TargetKind.MAILDIR))
    assert (outcome.result, outcome.status) == (Result.DEFERRED, "4.3.0")
    assert not Path("new").exists()


def test_names_of_this_service() -> None:
    settings = DeliverySettings(hostname="Relay.VN", own_names=frozenset({"MX.vn", "localhost"}))
    assert settings.names == {"relay.vn", "mx.vn"}
