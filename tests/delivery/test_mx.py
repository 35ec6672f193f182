"""Mail exchangers: order, null MX, loops, addresses of both families, and which host is tried next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from mailrelay.delivery.courier import Courier
from mailrelay.delivery.mx import Exchanger, Exchangers, NoExchanger, exchangers
from mailrelay.delivery.outcome import Trouble
from mailrelay.delivery.settings import DeliverySettings
from mailrelay.model.agency import Target, TargetKind
from mailrelay.model.dispatch import Result, Scope


@dataclass(frozen=True)
class Hosts:
    hosts: tuple[tuple[int, str], ...] = ()
    state: str = "ok"
    secure: bool = False


@dataclass(frozen=True)
class Addresses:
    addresses: tuple[str, ...] = ()
    state: str = "ok"


@dataclass
class Zone:
    """DNS of a small world; what is not in it does not exist."""

    mail: dict[str, Hosts] = field(default_factory=dict)
    places: dict[str, Addresses] = field(default_factory=dict)

    async def mx(self, domain: str) -> Hosts:
        return self.mail.get(domain, Hosts(state="none"))

    async def addresses(self, host: str) -> Addresses:
        return self.places.get(host, Addresses(state="none"))


V4, V6 = Addresses(("192.0.2.1",)), Addresses(("2001:db8::1", "2001:db8::2", "192.0.2.9"))


def in_order(names: list[str]) -> None:
    names.sort()


async def ask(domain: str, own: frozenset[str] = frozenset(), **zone: dict) -> Exchangers | NoExchanger:
    return await exchangers(domain, Zone(**zone), own, shuffle=in_order)


async def test_order_and_families() -> None:
    mail = {"x.vn": Hosts(((20, "c.x.vn"), (10, "b.x.vn"), (10, "a.x.vn")), secure=True)}
    found = await ask("x.vn", mail=mail, places={"a.x.vn": V4, "b.x.vn": V6, "c.x.vn": V4})
    mixed = ("2001:db8::1", "192.0.2.9", "2001:db8::2")
    assert found == Exchangers(
        (Exchanger("a.x.vn", V4.addresses), Exchanger("b.x.vn", mixed), Exchanger("c.x.vn", V4.addresses)), True
    )


async def test_equal_hosts_are_shuffled() -> None:
    mail = {"x.vn": Hosts(((10, "a.x.vn"), (10, "b.x.vn")))}
    found = await exchangers("x.vn", Zone(mail, {"a.x.vn": V4, "b.x.vn": V4}), shuffle=lambda names: names.reverse())
    assert isinstance(found, Exchangers)
    assert [host.name for host in found.hosts] == ["b.x.vn", "a.x.vn"]


async def test_domain_without_mx_is_its_own_exchanger() -> None:
    found = await ask("x.vn", places={"x.vn": V4})
    assert found == Exchangers((Exchanger("x.vn", ("192.0.2.1",)),), False)


@pytest.mark.parametrize(
    ("mail", "places", "trouble"),
    [
        (Hosts(state="none"), {}, Trouble.NO_DOMAIN),
        (Hosts(state="temperror"), {}, Trouble.DNS),
        (Hosts(((0, ""),)), {"x.vn": V4}, Trouble.NULL_MX),
        (Hosts(((10, "a.x.vn"),)), {"x.vn": V4}, Trouble.NO_MX_ADDRESS),
        (Hosts(((10, "a.x.vn"),)), {"a.x.vn": Addresses(state="temperror")}, Trouble.DNS),
        (Hosts(((10, "us.vn"), (20, "a.x.vn"))), {"a.x.vn": V4}, Trouble.LOOP),
        (Hosts(((10, "us.vn"), (10, "a.x.vn"))), {"a.x.vn": V4}, Trouble.LOOP),
    ],
)
async def test_no_exchanger(mail: Hosts, places: dict[str, Addresses], trouble: Trouble) -> None:
    found = await ask("x.vn", frozenset({"us.vn"}), mail={"x.vn": mail}, places=places)
    assert isinstance(found, NoExchanger)
    assert found.trouble is trouble


async def test_hosts_before_ourselves_remain() -> None:
    mail = {"x.vn": Hosts(((5, "a.x.vn"), (10, "us.vn"), (20, "b.x.vn")))}
    found = await ask("x.vn", frozenset({"us.vn"}), mail=mail, places={"a.x.vn": V4, "b.x.vn": V4})
    assert isinstance(found, Exchangers)
    assert [host.name for host in found.hosts] == ["a.x.vn"]


async def test_a_null_mx_beside_others_is_no_null_mx() -> None:
    found = await ask("x.vn", mail={"x.vn": Hosts(((0, ""), (10, "a.x.vn")))}, places={"a.x.vn": V4})
    assert isinstance(found, Exchangers)


BY_MX = Target(TargetKind.SMTP, host="x.vn", tls="none")


@pytest.fixture
async def by_mx(courier) -> AsyncIterator:
    made: list[Courier] = []

    def make(zone: Zone, port: int, **times: timedelta) -> Courier:
        times = replace(courier.settings.times, **times)
        settings = replace(courier.settings, mx_port=port, own_names=frozenset({"us.vn"}), times=times)
        made.append(Courier(settings, resolver=zone))
        return made[-1]

    yield make
    for one in made:
        await one.close()


def zone_of(*addresses: str) -> Zone:
    names = [f"mx{n}.x.vn" for n in range(len(addresses))]
    hosts = Hosts(tuple((n, name) for n, name in enumerate(names)))
    return Zone({"x.vn": hosts}, {name: Addresses((a,)) for name, a in zip(names, addresses, strict=True)})


async def test_next_host_when_the_first_is_down(serve, by_mx, parcel) -> None:
    peer = await serve(host="127.0.0.3")
    (outcome,) = await by_mx(zone_of("127.0.0.2", "127.0.0.3"), peer.port).deliver(parcel(), BY_MX)
    assert (outcome.result, outcome.remote) == (Result.RELAYED, f"mx1.x.vn[127.0.0.3]:{peer.port}")


@pytest.mark.parametrize(
    "first",
    [
        {"greeting": "421 4.3.2 busy"},
        {"greeting": "554 5.3.2 no service"},
        {"greeting": "drop"},
        {"greeting": "hang"},
        {"mail": "421 4.7.0 slow down"},
        {"rcpt": "drop"},
        {"data": "hang"},
        {"ehlo": ["us.vn"]},
    ],
)
async def test_next_host_when_the_first_as_a_whole_cannot(serve, by_mx, parcel, first) -> None:
    bad = await serve(host="127.0.0.2", **first)
    good = await serve(host="127.0.0.3", port=bad.port)
    (outcome,) = await by_mx(zone_of("127.0.0.2", "127.0.0.3"), bad.port).deliver(parcel(), BY_MX)
    assert (outcome.result, len(good.taken), bad.taken) == (Result.RELAYED, 1, [])


@pytest.mark.parametrize(
    "first", [{"rcpt": "450 4.2.1 later"}, {"final": "drop"}, {"final": "450 4.3.0 later"}, {"rcpt": "550 5.1.1 no"}]
)
async def test_no_next_host_for_the_mail_itself_or_after_the_dot(serve, by_mx, parcel, first) -> None:
    bad = await serve(host="127.0.0.2", **first)
    good = await serve(host="127.0.0.3", port=bad.port)
    (outcome,) = await by_mx(zone_of("127.0.0.2", "127.0.0.3"), bad.port).deliver(parcel(), BY_MX)
    assert outcome.result is not Result.RELAYED
    assert good.taken == []


async def test_only_those_who_need_it_go_to_the_next_host(serve, by_mx, parcel) -> None:
    answers = {"RCPT TO:<b@x.vn>": "550 5.1.1 no", "RCPT TO:<c@x.vn>": "421 4.7.0 enough"}
    first = await serve(host="127.0.0.2", rcpt=lambda command: answers.get(command, "250 ok"))
    second = await serve(host="127.0.0.3", port=first.port)
    courier = by_mx(zone_of("127.0.0.2", "127.0.0.3"), first.port)
    outcomes = await courier.deliver(parcel("a@x.vn", "b@x.vn", "c@x.vn", "d@x.vn"), BY_MX)
    assert [o.result for o in outcomes] == [Result.RELAYED, Result.FAILED, Result.RELAYED, Result.RELAYED]
    assert second.taken[0].recipients == ["RCPT TO:<a@x.vn>", "RCPT TO:<c@x.vn>", "RCPT TO:<d@x.vn>"]


async def test_no_further_host_when_the_time_is_over(serve, by_mx, parcel) -> None:
    bad = await serve(host="127.0.0.2", greeting="hang")
    good = await serve(host="127.0.0.3", port=bad.port)
    courier = by_mx(zone_of("127.0.0.2", "127.0.0.3"), bad.port, hosts=timedelta(seconds=0.1))
    (outcome,) = await courier.deliver(parcel(), BY_MX)
    assert (outcome.result, good.connections) == (Result.DEFERRED, 0)


async def test_final_word_of_one_host_waits_for_the_other(serve, by_mx, parcel) -> None:
    peer = await serve(host="127.0.0.3", greeting="521 5.3.2 takes no mail")
    (outcome,) = await by_mx(zone_of("127.0.0.2", "127.0.0.3"), peer.port).deliver(parcel(), BY_MX)
    assert (outcome.result, outcome.status) == (Result.DEFERRED, "4.4.1")
    (outcome,) = await by_mx(zone_of("127.0.0.3"), peer.port).deliver(parcel(), BY_MX)
    assert (outcome.result, outcome.code, outcome.scope) == (Result.FAILED, 521, Scope.DESTINATION)


async def test_host_that_calls_itself_by_our_name_is_a_loop(serve, by_mx, parcel) -> None:
    peer = await serve(host="127.0.0.2", ehlo=["US.vn"])
    (outcome,) = await by_mx(zone_of("127.0.0.2"), peer.port).deliver(parcel(), BY_MX)
    assert (outcome.result, outcome.status, peer.taken) == (Result.FAILED, "5.4.6", [])


async def test_requiretls_needs_dns_beyond_doubt(serve, by_mx, parcel) -> None:
    peer = await serve(host="127.0.0.2")
    (outcome,) = await by_mx(zone_of("127.0.0.2"), peer.port).deliver(parcel(requiretls=True), BY_MX)
    assert (outcome.result, outcome.status, peer.connections) == (Result.FAILED, "5.7.30", 0)


async def test_address_literal(serve, by_mx, parcel) -> None:
    peer = await serve(host="127.0.0.2")
    target = Target(TargetKind.SMTP, host="[127.0.0.2]", tls="none")
    (outcome,) = await by_mx(Zone(), peer.port).deliver(parcel("b@[127.0.0.2]"), target)
    assert outcome.result is Result.RELAYED


async def test_ipv6_literal(serve, by_mx, parcel) -> None:
    try:
        peer = await serve(host="::1")
    except OSError:
        pytest.skip("no IPv6 loopback")
    target = Target(TargetKind.SMTP, host="[IPv6:::1]", tls="none")
    (outcome,) = await by_mx(Zone(), peer.port).deliver(parcel("b@[IPv6:::1]"), target)
    assert (outcome.result, outcome.remote) == (Result.RELAYED, f"::1:{peer.port}")


async def test_without_a_resolver_mx_targets_wait(parcel) -> None:
    courier = Courier(DeliverySettings())
    (outcome,) = await courier.deliver(parcel(), BY_MX)
    await courier.close()
    assert (outcome.result, outcome.status) == (Result.DEFERRED, "4.4.3")
