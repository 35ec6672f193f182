"""Groups and aliases: every mailbox once, with the wishes for reports that RFC 3461 section 5.2.7 leaves it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.model.agency import Group
from mailrelay.model.envelope import Notify, Recipient
from mailrelay.pipeline.expansion import expand, original
from mailrelay.receipts.report import from_xtext
from tests.province import DIRECTORY as PROVINCE
from tests.province import at

N, S, F, D = Notify.NEVER, Notify.SUCCESS, Notify.FAILURE, Notify.DELAY
DIRECTORY = replace(
    PROVINCE,
    groups=(Group(at("hai"), "Hai sở", (at("sotc"), at("sokhdt"))), Group(at("mot"), "Một sở", (at("sotc"),))),
)


def wishes(*notify: Notify) -> frozenset[Notify]:
    return frozenset(notify)


def test_every_address_once_in_order() -> None:
    expanded = expand((Recipient(at("sokhdt")), Recipient(at("hai")), Recipient("la@ngoai.example")), DIRECTORY)
    assert [r.address for r in expanded] == [at("sokhdt"), at("sotc"), "la@ngoai.example"]


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        (None, None),
        (wishes(N), wishes(N)),
        (wishes(S), wishes(N)),
        (wishes(F, D), wishes(F, D)),
        (wishes(S, F, D), wishes(F, D)),
    ],
)
def test_a_group_keeps_all_wishes_but_success_and_an_alias_keeps_all(
    asked: frozenset[Notify] | None, left: frozenset[Notify] | None
) -> None:
    members = expand((Recipient(at("hai"), asked, "rfc822;HAI@x"),), DIRECTORY)
    assert [(r.notify, r.orcpt) for r in members] == [(left, "rfc822;HAI@x")] * 2
    (member,) = expand((Recipient(at("mot"), asked, "rfc822;MOT@x"),), DIRECTORY)
    assert member == Recipient(at("sotc"), asked, "rfc822;MOT@x")


def test_who_is_named_keeps_the_wishes_that_go_with_the_name() -> None:
    named, group = Recipient(at("sotc"), wishes(S)), Recipient(at("hai"), wishes(F))
    for order in ((named, group), (group, named)):
        found = {r.address: r.notify for r in expand(order, DIRECTORY)}
        assert found == {at("sotc"): wishes(S), at("sokhdt"): wishes(F)}
    first, second = Recipient(at("sotc"), wishes(S)), Recipient(at("sotc").upper(), wishes(N))
    assert expand((first, second), DIRECTORY) == (first,)


def test_the_address_that_was_written_is_remembered_where_another_takes_its_place() -> None:
    assert {r.orcpt for r in expand((Recipient(at("hai")),), DIRECTORY)} == {f"rfc822;{at('hai')}"}
    assert expand((Recipient(at("sotc")), Recipient("a+b@ngoai.example")), DIRECTORY) == (
        Recipient(at("sotc")),
        Recipient("a+b@ngoai.example"),
    )


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_an_address_becomes_xtext_and_back(address: str) -> None:
    written = original(address)
    assert written is not None
    assert re.fullmatch(r"rfc822;[!-~]*", written) and "=" not in written
    if all(" " <= c <= "~" for c in address):
        assert from_xtext(written.removeprefix("rfc822;")) == address.strip()


def test_an_address_beyond_ascii_has_no_such_form() -> None:
    assert original("nguyễn@y.vn") is None
