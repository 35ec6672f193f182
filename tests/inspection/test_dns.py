"""The resolver against a loopback name server."""

from __future__ import annotations

import asyncio
import time

from mailrelay.inspection.dns import AddressAnswer, MxAnswer, Resolver, TxtAnswer
from tests.servers.dns import DnsServer


def resolver(server: DnsServer, timeout: float = 2.0, **more: object) -> Resolver:
    return Resolver([f"127.0.0.1:{server.port}"], timeout, **more)  # type: ignore[arg-type]


async def test_records() -> None:
    zone = {
        "a.test": {
            "TXT": ["v=spf1 -all", "x" * 600],
            "MX": ["20 two.a.test.", "10 One.a.test."],
            "A": ["192.0.2.1"],
            "AAAA": ["2001:db8::1"],
        },
        "null.test": {"MX": ["0 ."]},
    }
    with DnsServer(zone) as server:
        ask = resolver(server)
        txt = await ask.txt("A.test.")
        assert (sorted(txt.records), txt.state) == ([b"v=spf1 -all", b"x" * 600], "ok")
        mx = await ask.mx("a.test")
        assert (mx.hosts, mx.state) == (((10, "one.a.test"), (20, "two.a.test")), "ok")
        assert (await ask.mx("null.test")).hosts == ((0, ""),)
        addresses = await ask.addresses("a.test")
        assert (sorted(addresses.addresses), addresses.state) == (["192.0.2.1", "2001:db8::1"], "ok")


async def test_what_does_not_exist_and_what_cannot_be_known() -> None:
    with DnsServer(
        {"a.test": {"A": ["192.0.2.1"]}, "ill.test": {"SERVFAIL": []}, "mute.test": {"SILENCE": []}}
    ) as server:
        ask = resolver(server, timeout=0.6)
        assert await ask.txt("a.test") == TxtAnswer((), "none")
        assert await ask.txt("nowhere.test") == TxtAnswer((), "none")
        assert (await ask.txt("ill.test")).state == "temperror"
        assert await ask.mx("ill.test") == MxAnswer((), "temperror")
        assert await ask.addresses("nowhere.test") == AddressAnswer((), "none")
        began = time.monotonic()
        assert (await ask.txt("mute.test")).state == "temperror"
        assert time.monotonic() - began < 2


async def test_foul_names_do_not_exist() -> None:
    with DnsServer({}) as server:
        ask = resolver(server)
        for name in (
            "a..test",
            "x" * 64 + ".test",
            ".".join("x" * 60 for _ in range(6)),
            "",
            "a\x00b.test",
            "\udcff.test",
        ):
            assert (await ask.txt(name)).state in ("none", "temperror")


async def test_a_closed_port_is_a_temporary_fault() -> None:
    with DnsServer({}) as server:
        port = server.port
    ask = Resolver([f"127.0.0.1:{port}"], 0.5)
    assert (await ask.txt("a.test")).state == "temperror"


async def test_answers_are_kept_for_their_time_and_asked_once() -> None:
    now = 1000.0
    with DnsServer({"a.test": {"TXT": ["one"]}}) as server:
        ask = resolver(server, clock=lambda: now)
        answers = await asyncio.gather(*(ask.txt("a.test") for _ in range(20)))
        assert {answer.records for answer in answers} == {(b"one",)}
        assert server.questions.count(("a.test.", "TXT")) == 1 or len(server.questions) == 1
        server.put("a.test", "TXT", "two")
        assert (await ask.txt("a.test")).records == (b"one",)
        now += 3601
        assert (await ask.txt("a.test")).records == (b"two",)


async def test_a_cancelled_asker_does_not_take_the_answer_from_the_others() -> None:
    with DnsServer({"a.test": {"TXT": ["one"]}}) as server:
        ask = resolver(server)
        first = asyncio.create_task(ask.txt("a.test"))
        second = asyncio.create_task(ask.txt("a.test"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).records == (b"one",)
