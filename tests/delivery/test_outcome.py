"""Replies and faults as outcomes."""

from __future__ import annotations

import re

import pytest

from mailrelay.delivery.outcome import (
    NOWHERE,
    Hop,
    Trouble,
    is_too_many,
    of_greeting,
    of_refusal,
    of_success,
    of_trouble,
)
from mailrelay.delivery.replies import Reply
from mailrelay.model.dispatch import Result, Scope


@pytest.mark.parametrize("trouble", Trouble)
def test_every_trouble_speaks_both_languages(trouble: Trouble) -> None:
    outcome = of_trouble("b@x.vn", trouble)
    assert re.fullmatch(r"[45]\.\d\.\d{1,2}", outcome.status)
    assert (outcome.result is Result.FAILED) == outcome.status.startswith("5")
    vietnamese, _, english = outcome.text.partition(" (")
    assert not vietnamese.isascii() and english.isascii() and outcome.text.endswith(")")
    assert outcome.uncertain == (trouble is Trouble.UNCERTAIN)


@pytest.mark.parametrize(
    ("reply", "result", "status"),
    [
        (Reply(450, ("busy",)), Result.DEFERRED, "4.0.0"),
        (Reply(550, ("5.1.1 no",)), Result.FAILED, "5.1.1"),
        (Reply(550, ("4.1.1 contradiction",)), Result.FAILED, "5.0.0"),
        (Reply(552, ("too many",)), Result.DEFERRED, "4.5.3"),
        (Reply(552, ("5.2.2 mailbox full",)), Result.FAILED, "5.2.2"),
        (Reply(421, ("4.3.2 bye",)), Result.DEFERRED, "4.3.2"),
    ],
)
def test_refusals_of_a_recipient(reply: Reply, result: Result, status: str) -> None:
    outcome = of_refusal("b@x.vn", reply, hop=Hop("mx", "TLSv1.3"), scope=Scope.RECIPIENT)
    assert (outcome.result, outcome.status, outcome.code) == (result, status, reply.code)
    assert (outcome.remote, outcome.tls) == ("mx", "TLSv1.3")
    assert outcome.scope is (Scope.DESTINATION if reply.code == 421 else Scope.RECIPIENT)
    assert is_too_many(outcome) == (status == "4.5.3")


def test_552_to_the_mail_is_final() -> None:
    outcome = of_refusal("b@x.vn", Reply(552, ("too big",)), hop=NOWHERE, scope=Scope.MAIL)
    assert (outcome.result, outcome.status) == (Result.FAILED, "5.0.0")


@pytest.mark.parametrize(("code", "result"), [(421, Result.DEFERRED), (554, Result.DEFERRED), (521, Result.FAILED)])
def test_greetings(code: int, result: Result) -> None:
    outcome = of_greeting("b@x.vn", Reply(code, ("no",)), hop=NOWHERE)
    assert (outcome.result, outcome.scope) == (result, Scope.DESTINATION)
    assert outcome.status[0] == ("5" if result is Result.FAILED else "4")


def test_success() -> None:
    outcome = of_success("b@x.vn", Result.RELAYED, reply=Reply(250, ("2.6.0 <1@x> queued\x07",)), dsn=True)
    assert (outcome.status, outcome.code, outcome.text, outcome.dsn) == ("2.6.0", 250, "<1@x> queued", True)
